"""What Bedrock says of tokens, wherever it says it, normalised.

Sources (November 2026): Amazon Bedrock API reference, "TokenUsage" (Converse) and "InvokeModel" (headers); Amazon
Bedrock user guide, "Inference request parameters" of Titan, Llama and Nova; ``amazon-bedrock-invocationMetrics`` as
streams carry it. ``inputTokens`` leaves the cache out, so the parts are added, unless the total shows otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from collectors.records import Usage
from proxy.dialects.fields import Json, count, label, part_of, rows, table

METRICS = "amazon-bedrock-invocationMetrics"
_HEADER = "x-amzn-bedrock-"
_TIER = "x-amzn-bedrock-service-tier"
_MAX_HEADER_DIGITS = 12

# The figures' names: input, output, cache read, cache write. Nova calls the cache's otherwise in InvokeModel.
_CONVERSE = ("inputTokens", "outputTokens", "cacheReadInputTokens", "cacheWriteInputTokens")
_COUNTS = ("inputTokenCount", "outputTokenCount", "cacheReadInputTokenCount", "cacheWriteInputTokenCount")
_HEADERS = ("input-token-count", "output-token-count", "cache-read-input-token-count", "cache-write-input-token-count")


def read_usage(said: Any) -> Usage | None:
    """``usage`` of Converse and of Nova; None when nothing was reported."""
    usage = table(said)
    if not usage:
        return None
    given: list[Any] = [usage.get(name) for name in _CONVERSE]
    for at in (2, 3):
        given[at] = usage.get(_COUNTS[at]) if given[at] is None else given[at]
    read = _summed(given, count(usage.get("totalTokens")))
    return replace(read, cache_write_1h_tokens=part_of(_written_1h(usage), read.cache_write_tokens))


def read_metrics(said: Any) -> Usage | None:
    """``amazon-bedrock-invocationMetrics`` of a stream's last chunk."""
    metrics = table(said)
    return _summed([metrics.get(name) for name in _COUNTS]) if metrics else None


def read_headers(headers: Mapping[str, str]) -> Usage | None:
    """``x-amzn-bedrock-…-token-count`` of an InvokeModel answer."""
    given = [_number(headers.get(_HEADER + name)) for name in _HEADERS]
    return _summed(given) if any(value is not None for value in given) else None


def tier_of(value: Any) -> str | None:
    """A service tier by name (``default``, ``flex``, ``priority``, ``reserved``)."""
    return label(value) or None


def tier_in(headers: Mapping[str, str]) -> str | None:
    """The tier that an InvokeModel answer names."""
    return tier_of(headers.get(_TIER))


def plain(given: Any, taken: Any) -> Usage | None:
    """Input and output of a vendor without a cache; None when neither was reported."""
    read = Usage(count(given), count(taken), source="reported")
    return None if given is None and taken is None else read


def best(reports: list[Usage | None]) -> Usage | None:
    """The first report that has both figures, else the first that has any."""
    known = [report for report in reports if report is not None]
    whole = (one for one in known if one.input_tokens is not None and one.output_tokens is not None)
    return next(whole, known[0] if known else None)


def _summed(given: list[Any], total: int | None = None) -> Usage:
    """Input with the cache inside. A part that was said and cannot be makes the sum unknown."""
    fresh, output, read, write = map(count, given)
    is_sure = all(value is None or count(value) is not None for value in (given[0], *given[2:]))
    cached = (read or 0) + (write or 0)
    whole = count(fresh + cached) if fresh is not None and is_sure else None
    if cached and fresh is not None and output is not None and total == fresh + output and cached <= fresh:
        whole = fresh
    return Usage(
        input_tokens=whole,
        output_tokens=output,
        cache_read_tokens=part_of(read, whole),
        cache_write_tokens=part_of(write, whole),
        source="reported",
    )


def _written_1h(usage: Json) -> int | None:
    written = None
    for detail in map(table, rows(usage.get("cacheDetails"))[:16]):
        tokens = count(detail.get("inputTokens"))
        if detail.get("ttl") == "1h" and tokens is not None:
            written = (written or 0) + tokens
    return written


def _number(value: str | None) -> int | None:
    """A header's figure; -1, which no count accepts, for one that is none."""
    if value is None:
        return None
    return int(value) if value.isascii() and value.isdigit() and len(value) <= _MAX_HEADER_DIGITS else -1
