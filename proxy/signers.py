"""Signing anew: a call that an agent signed for the proxy's address is signed again for AWS, with the proxy's own keys.

A Signature V4 covers host and path, so one made for ``localhost:8400`` can never verify at AWS. It is taken off, and
the call signed with the keys of ``aws_keys.py``; without keys it is refused with what to set. A bearer token (Bedrock
API key) covers nothing and passes unchanged, whatever keys there are. Upstreams of other families are not touched.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from multidict import CIMultiDict

from proxy.aws_keys import KeyRing, is_signed_for, region_of
from proxy.dialects import Fault
from proxy.routes import Refused, Route
from proxy.settings import Upstream
from proxy.signing import UNSIGNED, Scope, Unsigned, body_hash, sign

_SIGNATURE = ("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256")
_HASH = "X-Amz-Content-SHA256"
_STALE = ("Authorization", "X-Amz-Date", "X-Amz-Security-Token", "X-Amz-Region-Set", _HASH)
_HEX_HASH = re.compile(r"[0-9a-f]{64}")
_REGION = re.compile(r"(?<![a-z0-9-])[a-z]{2}(?:-[a-z]+)+-\d(?![a-z0-9-])")
_SCOPE = re.compile(r"Credential=[^/,\s]+/\d{8}/([a-z0-9-]+)/")


def _now() -> datetime:
    return datetime.now(UTC)


class Signer:
    """Signs the calls to one upstream."""

    def __init__(
        self, upstream: Upstream, environment: Mapping[str, str], clock: Callable[[], datetime] = _now
    ) -> None:
        self._template = upstream.base_url
        self._region, self._service = upstream.aws.region, upstream.aws.service
        self._last_region = region_of(environment)
        self._ring = KeyRing(upstream.aws, environment)
        self._clock = clock

    def sign(self, route: Route, method: str, headers: CIMultiDict[str], body: Any) -> None:
        """Replace the agent's signature in ``headers``. ``body`` is what will be sent: bytes, or (hash unknown) an
        iterator.

        Raises:
            Refused: 401 without keys (signed calls only), 400 without a region, 413 without the body's hash.
        """
        authorization = headers.get("Authorization", "")
        is_signed = authorization.startswith(_SIGNATURE)
        if authorization and not is_signed:
            return
        keys = self._ring.current()
        if keys is None:
            if is_signed:
                raise Refused(Fault(401, "aws_credentials_missing", _no_keys(route.destination.name)))
            return
        region = self._region_of(route, authorization)
        told = headers.get(_HASH, "")
        for name in _STALE:
            headers.popall(name, None)
        if isinstance(body, bytes | None):
            digest = body_hash(body or b"")
        elif _HEX_HASH.fullmatch(told):
            digest = headers[_HASH] = told  # the agent knows what it is sending
        else:
            digest = self._without_hash(route.destination.name)
        request = Unsigned(method, route.url, list(headers.items()), digest)
        headers.update(sign(request, keys, Scope(region, self._service), self._clock()))

    def _without_hash(self, name: str) -> str:
        """What stands for the hash of a body that was not read. S3 takes that; Bedrock wants the hash and would only
        answer that the signature is wrong."""
        if self._service == "bedrock":
            text = (
                f"this call to upstream {name!r} is too long to be signed anew: raise limits.max_read_bytes in the "
                "configuration of orchtax, or send the body's hash as X-Amz-Content-SHA256"
            )
            raise Refused(Fault(413, "body_too_large", text))
        return UNSIGNED

    def _region_of(self, route: Route, authorization: str) -> str:
        """From the path, the settings, the host, the agent's own signature, the environment: the first that tells."""
        before, is_template, after = self._template.partition("{region}")
        if is_template:
            return route.base[len(before) : len(route.base) - len(after)]
        host = _REGION.search(urlsplit(route.base).hostname or "")
        scope = _SCOPE.search(authorization)
        region = self._region or (host and host[0]) or (scope and scope[1]) or self._last_region
        if not region:
            name = route.destination.name
            text = f"no AWS region is known for upstream {name!r}: set upstreams.{name}.aws.region, or AWS_REGION"
            raise Refused(Fault(400, "aws_region_missing", text))
        return region


class Signers:
    """The signers of all upstreams that need one."""

    def __init__(self, upstreams: Mapping[str, Upstream], environment: Mapping[str, str]) -> None:
        """Reads key files. Raises ``aws_keys.NoKeys`` (settings are checked for it before)."""
        self._by_name = {
            name: Signer(upstream, environment) for name, upstream in upstreams.items() if is_signed_for(upstream)
        }

    def sign(self, route: Route, method: str, headers: CIMultiDict[str], body: Any) -> None:
        """Sign the call if its upstream wants it; see :meth:`Signer.sign`."""
        signer = self._by_name.get(route.destination.name)
        if signer is not None:
            signer.sign(route, method, headers, body)


def _no_keys(name: str) -> str:
    return (
        "this call is signed (Signature V4) for the address of orchtax, which AWS can never verify. Give orchtax AWS "
        f"keys to sign it anew: upstreams.{name}.aws in the configuration, or AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY in its environment. Or send a Bedrock API key (Authorization: Bearer), which passes "
        "unchanged; boto3 refuses to send one over http://"
    )
