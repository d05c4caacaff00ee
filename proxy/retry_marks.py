"""The SDKs' own marks of a resend. Pure.

``x-stainless-retry-count: N`` (openai, anthropic: 0 at first), ``amz-sdk-request: ttl=…; attempt=N; max=M`` with one
``amz-sdk-invocation-id`` for all attempts (AWS SDKs: 1 at first), ``Idempotency-Key`` (whoever sets one). Other clients
leave no mark: the hash of the canonical body tells then.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import xxhash

_KEYS = ("Idempotency-Key", "amz-sdk-invocation-id")
_COUNT = re.compile(r"\s*([0-9]{1,6})\s*")
_ATTEMPT = re.compile(r"(?:^|;)\s*attempt=([0-9]{1,6})\s*(?:;|$)")
_MOST = 255


def client_retry(headers: Mapping[str, str]) -> int:
    """How often the client sent this call before, at most 255; 0 where it does not say."""
    if found := _COUNT.fullmatch(headers.get("x-stainless-retry-count", "")):
        return min(int(found[1]), _MOST)
    if found := _ATTEMPT.search(headers.get("amz-sdk-request", "")):
        return min(max(int(found[1]) - 1, 0), _MOST)
    return 0


def retry_key(headers: Mapping[str, str]) -> str:
    """What all sendings of one call share, hashed; "" where the client sends nothing of the kind."""
    key = next((headers[name] for name in _KEYS if headers.get(name)), "")
    return xxhash.xxh3_64_hexdigest(key.encode("utf-8", "surrogateescape")) if key else ""
