"""AWS Signature Version 4: the headers that sign one request. Pure; who signs, and with whose keys, is ``signers.py``.

Source: AWS IAM user guide, "Create a signed AWS API request" (November 2026). The path is encoded once more than it
stands on the wire, as every service but S3 expects. Tested against botocore's own signer and AWS's published example.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote, urlsplit

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED = "UNSIGNED-PAYLOAD"
_DEFAULT_PORTS = {"http": 80, "https": 443}
# Not signed although they begin like AWS's own: load balancers and tracing change it on the way.
_CHANGING = frozenset({"x-amzn-trace-id"})


@dataclass(frozen=True, slots=True)
class Keys:
    """AWS credentials. Neither secret shows in a text of this object."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a signature holds: an AWS region and the service's signing name."""

    region: str
    service: str


@dataclass(frozen=True, slots=True)
class Unsigned:
    """A request as it is to be sent. ``url`` is on-the-wire (percent-encoded); ``body_hash`` is the hex SHA-256 of the
    body, or :data:`UNSIGNED` for one that is sent as it arrives."""

    method: str
    url: str
    headers: Iterable[tuple[str, str]]
    body_hash: str


def body_hash(body: bytes) -> str:
    """Hex SHA-256."""
    return hashlib.sha256(body).hexdigest()


def sign(request: Unsigned, keys: Keys, scope: Scope, now: datetime) -> dict[str, str]:
    """The headers to add to the request; it must bear none of them yet. ``now`` is UTC.

    Signs host, content type and every ``x-amz…`` header, which is what AWS asks for and no more: whatever else a proxy
    on the way may touch stays out.
    """
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    added = {"X-Amz-Date": stamp}
    if keys.session_token:
        added["X-Amz-Security-Token"] = keys.session_token
    if request.body_hash == UNSIGNED:
        added["X-Amz-Content-SHA256"] = UNSIGNED
    signed = _signed_headers([*request.headers, *added.items(), ("host", _host(request.url))])
    names = ";".join(signed)
    day_scope = f"{stamp[:8]}/{scope.region}/{scope.service}/aws4_request"
    digest = body_hash(_canonical(request, signed, names).encode())
    to_sign = f"{ALGORITHM}\n{stamp}\n{day_scope}\n{digest}"
    signature = hmac.new(_key(keys, scope, stamp[:8]), to_sign.encode(), hashlib.sha256).hexdigest()
    credential = f"{keys.access_key_id}/{day_scope}"
    added["Authorization"] = f"{ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}"
    return added


def _canonical(request: Unsigned, signed: Mapping[str, str], names: str) -> str:
    parts = urlsplit(request.url)
    headers = "".join(f"{name}:{value}\n" for name, value in signed.items())
    lines = (request.method.upper(), _path(parts.path), _query(parts.query), headers, names, request.body_hash)
    return "\n".join(lines)


def _path(path: str) -> str:
    """Encoded once more, with dot segments and doubled slashes resolved (AWS does so before it verifies)."""
    kept: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del kept[-1:]
        elif part not in ("", "."):
            kept.append(part)
    last = "/" if path.endswith("/") and kept else ""
    return quote("/" + "/".join(kept) + last, safe="/~")


def _query(query: str) -> str:
    """Pairs in the order of their names, then values; their encoding is the caller's."""
    pairs = sorted(pair.partition("=")[::2] for pair in query.split("&") if pair)
    return "&".join(f"{name}={value}" for name, value in pairs)


def _signed_headers(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Lower-case name → value, in the order of names; white space runs shrink, repeated headers join."""
    found: dict[str, list[str]] = {}
    for name, value in headers:
        low = name.lower()
        if low in ("host", "content-type") or (low.startswith("x-amz") and low not in _CHANGING):
            found.setdefault(low, []).append(" ".join(value.split()))
    return {name: ",".join(found[name]) for name in sorted(found)}


def _host(url: str) -> str:
    """The Host header as an HTTP client writes it: without a port that is the scheme's own, and without user info."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return host if parts.port != _DEFAULT_PORTS.get(parts.scheme) else host.rpartition(":")[0] or host


def _key(keys: Keys, scope: Scope, day: str) -> bytes:
    key = f"AWS4{keys.secret_access_key}".encode()
    for part in (day, scope.region, scope.service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key
