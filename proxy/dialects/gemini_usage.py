"""What Gemini's ``usageMetadata`` says, normalised.

Source: Gemini API reference, "UsageMetadata"; Vertex AI reference, "GenerateContentResponse" (November 2026). The
prompt's count includes cached content but not what hosted tools fed in (``toolUsePromptTokenCount``), the candidates'
count excludes thoughts: both are added. protobuf JSON leaves zeros out, so a part that is missing beside a total is 0.
"""

from __future__ import annotations

from typing import Any

from collectors.records import Usage
from proxy.dialects.fields import Json, count, label, part_of, rows, table

_PROMPT, _TOOLS, _CANDIDATES = "promptTokenCount", "toolUsePromptTokenCount", "candidatesTokenCount"
_THOUGHTS, _CACHED, _TOTAL = "thoughtsTokenCount", "cachedContentTokenCount", "totalTokenCount"


def read_usage(said: Json, searches: int, is_embedding: bool = False) -> Usage:
    """Every figure checked: an impossible one is unknown, never booked. ``searches`` are the answer's web queries."""
    input_tokens = _sum(said, _PROMPT, _TOOLS)
    output_tokens = 0 if is_embedding else _sum(said, _CANDIDATES, _THOUGHTS)
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read_tokens=part_of(count(said.get(_CACHED)), input_tokens),
        reasoning_tokens=part_of(count(said.get(_THOUGHTS)), output_tokens),
        input_audio_tokens=part_of(
            _audio(said, "promptTokensDetails", "toolUsePromptTokensDetails", "promptTokenDetails"), input_tokens
        ),
        output_audio_tokens=part_of(_audio(said, "candidatesTokensDetails"), output_tokens),
        web_searches=searches or None,
        service_tier=_tier(said),
        source="reported",
    )


def _sum(said: Json, *names: str) -> int | None:
    """The parts added; None when one is impossible, or when none is told and nothing says that they are zero."""
    given = [said[name] for name in names if said.get(name) is not None]
    counts = [count(value) for value in given]
    if not given and count(said.get(_TOTAL)) is None:
        return None
    known = [value for value in counts if value is not None]
    return count(sum(known)) if len(known) == len(counts) else None


def _audio(said: Json, *names: str) -> int | None:
    details = [table(entry) for name in names for entry in rows(said.get(name))]
    sounds: list[Any] = [count(entry.get("tokenCount")) for entry in details if entry.get("modality") == "AUDIO"]
    return sum(sounds) if sounds and None not in sounds else None


def _tier(said: Json) -> str | None:
    """``serviceTier`` at the Gemini API, ``trafficType`` at Vertex AI (``ON_DEMAND_FLEX``)."""
    tier = label(said.get("serviceTier")).lower()
    traffic = label(said.get("trafficType"))
    if not tier and traffic.startswith("ON_DEMAND"):
        tier = traffic.removeprefix("ON_DEMAND").strip("_").lower()
    return tier or None
