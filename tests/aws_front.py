"""Bedrock for tests: a loopback server that lets nobody in whose Signature V4 botocore would not have made."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import orjson
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.upstream import Seen, answer, upstream

_FORM = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<id>\w+)/\d{8}/(?P<region>[\w-]+)/(?P<service>\w+)/aws4_request, "
    r"SignedHeaders=(?P<names>[\w;-]+), Signature=(?P<signature>[0-9a-f]{64})"
)


@dataclass
class Front:
    """``secrets`` by key id are whom it knows; ``answers`` by operation, taken in order, the last one again and again;
    ``callers`` fills with who signed each call: ``key id@region``, or the bearer token."""

    secrets: dict[str, str]
    answers: dict[str, list[list[bytes]]]
    url: str = ""
    callers: list[str] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)

    async def respond(self, request: Seen) -> AsyncIterator[bytes]:
        caller = _bearer(request) or self._signer(request)
        if not caller:
            body = orjson.dumps({"message": "The request signature we calculated does not match."})
            yield answer(body, "403 Forbidden", extra="x-amzn-ErrorType: InvalidSignatureException:http://aws/\r\n")
            return
        self.callers.append(caller)
        waiting = self.answers[request.target.rpartition("/")[2]]
        for piece in waiting.pop(0) if len(waiting) > 1 else waiting[0]:
            yield piece

    def _signer(self, request: Seen) -> str:
        """Who signed, or the empty string where the signature does not hold for what came."""
        told = _FORM.fullmatch(request.header("Authorization") or "")
        if told is None or told["id"] not in self.secrets:
            return ""
        copy = AWSRequest(request.method, f"http://{request.header('Host')}{request.target}", data=request.body)
        for name in told["names"].split(";"):
            copy.headers[name] = request.header(name) or ""
        keys = Credentials(told["id"], self.secrets[told["id"]])
        signer = SigV4Auth(keys, told["service"], told["region"])
        copy.context["timestamp"] = request.header("X-Amz-Date")
        signature = signer.signature(signer.string_to_sign(copy, signer.canonical_request(copy)), copy)
        return f"{told['id']}@{told['region']}" if signature == told["signature"] else ""


def _bearer(request: Seen) -> str:
    scheme, _, token = (request.header("Authorization") or "").partition(" ")
    return token if scheme == "Bearer" else ""


@asynccontextmanager
async def front(secrets: dict[str, str], answers: dict[str, list[list[bytes]]]) -> AsyncIterator[Front]:
    """Serve until left."""
    state = Front(secrets, answers)
    async with upstream(state.respond) as server:
        state.url, state.seen = server.url, server.seen
        yield state
