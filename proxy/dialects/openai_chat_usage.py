"""What a chat completion's ``usage`` says, normalised.

Sources (November 2026): OpenAI API reference, "The chat completion object"; DeepSeek (``prompt_cache_hit_tokens``),
Mistral (``num_cached_tokens``), Groq (``x_groq.usage`` in streams), Together (``cached_tokens``), OpenRouter "Usage
accounting" (``cost``), xAI (reasoning reported beside ``completion_tokens``, not inside).
"""

from __future__ import annotations

from typing import Any

from collectors.records import Usage
from proxy.dialects.fields import Json, count, label, part_of, table
from proxy.dialects.told_cost import told_cost_nano


def read_usage(usage: Json, service_tier: str) -> Usage:
    """Every figure checked: an impossible one is unknown, never booked."""
    given, taken = table(usage.get("prompt_tokens_details")), table(usage.get("completion_tokens_details"))
    input_tokens = count(usage.get("prompt_tokens"))
    output_tokens, reasoning = _output(usage, count(taken.get("reasoning_tokens")))
    cached = part_of(_cached(usage, given), input_tokens)
    written = part_of(count(given.get("cache_write_tokens")), input_tokens)
    if None not in (cached, written, input_tokens) and (cached or 0) + (written or 0) > (input_tokens or 0):
        cached = written = None  # one of them is wrong, and nothing says which
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read_tokens=cached,
        cache_write_tokens=written,
        reasoning_tokens=reasoning,
        input_audio_tokens=part_of(count(given.get("audio_tokens")), input_tokens),
        output_audio_tokens=part_of(count(taken.get("audio_tokens")), output_tokens),
        web_searches=count(table(usage.get("server_tool_use_details")).get("web_search_requests")),
        service_tier=service_tier or None,
        provider_cost_nano=told_cost_nano(usage),
        source="reported",
    )


def _output(usage: Json, reasoning: int | None) -> tuple[int | None, int | None]:
    """Output tokens with reasoning inside. Where the total shows that it was reported beside them, it is added."""
    shown, total = count(usage.get("completion_tokens")), count(usage.get("total_tokens"))
    prompt = count(usage.get("prompt_tokens"))
    if shown is None or not reasoning:
        return shown, reasoning
    if prompt is not None and total == prompt + shown + reasoning:
        return shown + reasoning, reasoning
    return shown, part_of(reasoning, shown)


def _cached(usage: Json, details: Json) -> int | None:
    for named in (details, usage):
        for name in ("cached_tokens", "prompt_cache_hit_tokens", "num_cached_tokens"):
            tokens = count(named.get(name))
            if tokens is not None:
                return tokens
    return None


def tier_of(value: Any) -> str:
    """``service_tier`` of an answer; ``auto`` is a wish, not a tier."""
    tier = label(value)
    return "" if tier == "auto" else tier
