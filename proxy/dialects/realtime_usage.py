"""What Realtime's ``usage`` says, normalised.

Source: OpenAI API reference, "Realtime server events", ``response.done`` and
``conversation.item.input_audio_transcription.completed`` (November 2026). Cached tokens are a part of the input, which
counts text, audio and images together. How much of the audio was cached is told as well, but has no field here: pricing
assumes the least overlap that fits.
"""

from __future__ import annotations

from collectors.records import Usage
from proxy.dialects.fields import Json, count, part_of, table


def read_usage(usage: Json) -> Usage | None:
    """Every figure checked. None when nothing is told in tokens (some transcriptions are sold by the second)."""
    input_tokens, output_tokens = count(usage.get("input_tokens")), count(usage.get("output_tokens"))
    if input_tokens is None and output_tokens is None:
        return None
    given, taken = table(usage.get("input_token_details")), table(usage.get("output_token_details"))
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read_tokens=part_of(count(given.get("cached_tokens")), input_tokens),
        reasoning_tokens=part_of(count(taken.get("reasoning_tokens")), output_tokens),
        input_audio_tokens=part_of(count(given.get("audio_tokens")), input_tokens),
        output_audio_tokens=part_of(count(taken.get("audio_tokens")), output_tokens),
        source="reported",
    )
