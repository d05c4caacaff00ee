"""What an upstream says of its limits: when to come back, and how much is left. Read from an answer's headers.

Sources (November 2026): OpenAI, Groq and others ``x-ratelimit-remaining-{requests,tokens}``; Anthropic
``anthropic-ratelimit-{requests,tokens,input-tokens}-remaining``; RFC 9110 §10.2.3 ``Retry-After`` (seconds or a date);
``retry-after-ms`` as the SDKs of OpenAI and Anthropic read it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

_LEFT = {
    "limit_requests_left": ("x-ratelimit-remaining-requests", "anthropic-ratelimit-requests-remaining"),
    "limit_tokens_left": (
        "x-ratelimit-remaining-tokens",
        "anthropic-ratelimit-tokens-remaining",
        "anthropic-ratelimit-input-tokens-remaining",
    ),
}
_NUMBER = re.compile(r"\d{1,15}(\.\d{1,9})?", re.ASCII)
_MOST_MS = 7 * 86_400_000


def rate_limits(headers: Mapping[str, str] | None, now_ns: int) -> dict[str, Any]:
    """``retry_after_ms``, ``limit_requests_left`` and ``limit_tokens_left``: integers, as far as told. ``headers`` look
    up case-insensitively, odd values are passed over; ``now_ns`` is the wall clock."""
    if headers is None:
        return {}
    told: dict[str, Any] = {}
    if (wait := _wait_ms(headers, now_ns)) is not None:
        told["retry_after_ms"] = wait
    for field, names in _LEFT.items():
        for name in names:
            if (value := headers.get(name)) is not None and _NUMBER.fullmatch(value):
                told[field] = int(float(value))
                break
    return told


def _wait_ms(headers: Mapping[str, str], now_ns: int) -> int | None:
    if (value := headers.get("retry-after-ms")) is not None and _NUMBER.fullmatch(value):
        return min(int(float(value)), _MOST_MS)
    if (value := headers.get("retry-after")) is None:
        return None
    if _NUMBER.fullmatch(value):
        return min(int(float(value) * 1000), _MOST_MS)
    try:
        due = parsedate_to_datetime(value).timestamp()
    except (ValueError, OverflowError):
        return None
    return max(0, min(int(due * 1000 - now_ns / 1_000_000), _MOST_MS))
