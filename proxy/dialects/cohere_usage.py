"""What Cohere's ``usage`` (version 2) or ``meta`` (version 1, embed, rerank) says, normalised.

Source: Cohere API reference, "Chat", "Embed" (November 2026). ``tokens`` is what the model read and wrote, with the
template that Cohere puts around it; ``billed_units`` is the part of it that is billed. The tokens count here; where
only billed units are told (embed), those do. Reranking is billed by ``search_units`` and tells no tokens.
"""

from __future__ import annotations

from typing import Any

from collectors.records import Usage
from proxy.dialects.fields import count, part_of, table


def read_usage(said: Any, is_chat: bool) -> Usage | None:
    """Every figure checked: an impossible one is unknown, never booked. None when no tokens are told."""
    said = table(said)
    tokens, billed = table(said.get("tokens")), table(said.get("billed_units"))
    input_tokens, output_tokens = _count(tokens, billed, "input_tokens"), _count(tokens, billed, "output_tokens")
    if input_tokens is None and output_tokens is None:
        return None
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens if is_chat else output_tokens or 0,
        cache_read_tokens=part_of(count(_whole(said.get("cached_tokens"))), input_tokens),
        source="reported",
    )


def _count(tokens: dict[str, Any], billed: dict[str, Any], name: str) -> int | None:
    return count(_whole(tokens[name] if tokens.get(name) is not None else billed.get(name)))


def _whole(value: Any) -> Any:
    """Cohere's schema calls counts ``double``: ``63.0`` is 63."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
