"""The recorded exchanges beside the repository, each with the dialect that orchtax would choose for it."""

from __future__ import annotations

import base64
import gzip
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import orjson
from multidict import CIMultiDict

from proxy.dialects import Described, Dialect, Observation, RequestHead, choose
from proxy.presets import PRESETS
from tests.reading import DIALECTS, observe

RECORDED = Path(__file__).parents[2] / "shared" / "data" / "recorded.jsonl.gz"


@dataclass(frozen=True)
class Exchange:
    name: str
    provider: str
    dialect: Dialect
    request: bytes
    status: int
    content_type: str
    answer: bytes
    expected: dict[str, Any] | None
    head: RequestHead

    def describe(self, ask_usage: bool = False) -> Described:
        return self.dialect.describe(self.head, self.request, ask_usage)

    def observe(self) -> Observation:
        return observe(self.dialect, self.describe(), [self.answer], self.content_type, self.status)

    @property
    def is_stream(self) -> bool:
        return "event-stream" in self.content_type

    @property
    def price_provider(self) -> str:
        """The provider's id in the price data."""
        return str(PRESETS.get(self.provider, {}).get("provider", self.provider))

    def values(self) -> list[dict[str, Any]]:
        """The JSON of the answer, or of each of its events."""
        if not self.is_stream:
            return [orjson.loads(self.answer)]
        lines = [
            line[5:].strip() for line in self.answer.replace(b"\r", b"\n").split(b"\n") if line.startswith(b"data:")
        ]
        return [orjson.loads(line) for line in lines if line != b"[DONE]"]


@cache
def exchanges() -> list[Exchange]:
    with gzip.open(RECORDED) as lines:
        return [_exchange(orjson.loads(line)) for line in lines]


def of(*names: str) -> list[Exchange]:
    """Exchanges of these dialects; one has an empty request body, which is no chat request."""
    return [one for one in exchanges() if one.dialect.name in names and (one.request or one.head.method != "POST")]


def _exchange(row: dict[str, Any]) -> Exchange:
    path, _, query = row["path"].partition("#")[0].partition("?")  # a fragment never leaves a client
    api = str(PRESETS.get(row["provider"], {"api": "mcp" if row["provider"] == "mcp" else "openai"})["api"])
    headers = CIMultiDict(row["response_headers"])
    method = row["method"].upper()
    return Exchange(
        name=row["id"],
        provider=row["provider"],
        dialect=choose(DIALECTS, api, method, path),
        request=_bytes(row["request_body"], row["request_encoding"]),
        status=row["status"],
        content_type=headers.get("Content-Type", ""),
        answer=_bytes(row["response_body"], row["response_encoding"]),
        expected=row.get("expected_usage"),
        head=RequestHead(api, method, path, query, CIMultiDict(row["request_headers"])),
    )


def _bytes(body: str, encoding: str) -> bytes:
    return base64.b64decode(body) if encoding == "base64" else body.encode()
