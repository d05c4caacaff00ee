"""What a response's ``usage`` says, normalised.

Sources (November 2026): OpenAI API reference, "The response object" (``input_tokens`` includes what was cached,
``output_tokens`` includes reasoning; ``tool_usage.web_search.num_requests``); OpenRouter, "Usage accounting".
"""

from __future__ import annotations

from collectors.records import Usage
from proxy.dialects.fields import Json, count, label, part_of, table
from proxy.dialects.told_cost import told_cost_nano


def read_usage(response: Json, searches: int) -> Usage | None:
    """Every figure checked: an impossible one is unknown, never booked. None when nothing is reported.

    ``searches`` are the web searches seen among the items; the response's own count is believed where it is higher.
    """
    usage = table(response.get("usage"))
    if not usage:
        return None
    given, taken = table(usage.get("input_tokens_details")), table(usage.get("output_tokens_details"))
    input_tokens, output_tokens = count(usage.get("input_tokens")), count(usage.get("output_tokens"))
    cached = part_of(count(given.get("cached_tokens")), input_tokens)
    written = part_of(count(given.get("cache_write_tokens")), input_tokens)
    if None not in (cached, written, input_tokens) and (cached or 0) + (written or 0) > (input_tokens or 0):
        cached = written = None  # one of them is wrong, and nothing says which
    told = count(table(table(response.get("tool_usage")).get("web_search")).get("num_requests"))
    tier = label(response.get("service_tier"))
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read_tokens=cached,
        cache_write_tokens=written,
        reasoning_tokens=part_of(count(taken.get("reasoning_tokens")), output_tokens),
        input_audio_tokens=part_of(count(given.get("audio_tokens")), input_tokens),
        output_audio_tokens=part_of(count(taken.get("audio_tokens")), output_tokens),
        web_searches=max(told or 0, searches) or None,
        service_tier=None if tier in ("", "auto") else tier,  # ``auto`` is a wish, not a tier
        provider_cost_nano=told_cost_nano(usage),
        source="reported",
    )
