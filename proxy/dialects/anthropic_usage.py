"""What an Anthropic message's ``usage`` says, normalised.

Source: Anthropic API reference, "Messages" and "Streaming messages" (November 2026). ``input_tokens`` there excludes
the cache, so the parts are added; a stream reports cumulative figures several times, so each field's maximum counts.
``iterations[]`` is not read: its ``message`` entries stand inside the top-level figures, its ``advisor_message`` and
``compaction`` entries outside them, at another model's price.
"""

from __future__ import annotations

from typing import Any

from collectors.records import Usage
from proxy.dialects.fields import Json, count, label, part_of, table

_INPUT, _OUTPUT = "input_tokens", "output_tokens"
_READ, _WRITE = "cache_read_input_tokens", "cache_creation_input_tokens"
_WRITE_5M, _WRITE_1H = "ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"
_THINKING, _SEARCHES = "thinking_tokens", "web_search_requests"
_NESTED = (("cache_creation", (_WRITE_5M, _WRITE_1H)), ("output_tokens_details", (_THINKING,)))
_WRONG = -1  # said, but impossible: unlike a field left out, it does not count as nothing


class UsageSeen:
    """The maximum of each figure over all reports of one answer."""

    __slots__ = ("_figures", "_tier")

    def __init__(self) -> None:
        self._figures: dict[str, int] = {}
        self._tier = ""

    def take(self, usage: Any) -> None:
        said = table(usage)
        self._note(said, (_INPUT, _OUTPUT, _READ, _WRITE))
        for name, fields in _NESTED:
            self._note(table(said.get(name)), fields)
        self._note(table(said.get("server_tool_use")), (_SEARCHES,))
        self._tier = label(said.get("service_tier")) or self._tier

    def take_start(self, usage: Any) -> None:
        """The first report of a stream: its output figure is a placeholder, a cut stream must not be booked with it."""
        self.take({**table(usage), _OUTPUT: None})

    def _note(self, said: Json, names: tuple[str, ...]) -> None:
        for name in names:
            value = said.get(name)
            if value is not None:
                known = count(value)
                self._figures[name] = max(self._figures.get(name, _WRONG), _WRONG if known is None else known)

    def usage(self) -> Usage | None:
        """None when nothing was reported."""
        if not self._figures:
            return None
        total, output, written = self._total(), self._get(_OUTPUT), self._written()
        return Usage(
            input_tokens=total,
            output_tokens=output,
            cache_read_tokens=part_of(self._get(_READ), total),
            cache_write_tokens=part_of(written, total),
            cache_write_1h_tokens=part_of(self._get(_WRITE_1H), written),
            reasoning_tokens=part_of(self._get(_THINKING), output),
            web_searches=self._get(_SEARCHES),
            service_tier=self._tier or None,
            source="reported",
        )

    def _get(self, name: str) -> int | None:
        figure = self._figures.get(name, _WRONG)
        return None if figure == _WRONG else figure

    def _written(self) -> int | None:
        written = self._get(_WRITE)
        if written is None and _WRITE not in self._figures:
            parts = [part for part in (self._get(_WRITE_5M), self._get(_WRITE_1H)) if part is not None]
            return sum(parts) if parts else None
        return written

    def _total(self) -> int | None:
        """``input + cache read + cache creation``; unknown when a part is known to be wrong."""
        parts = [self._figures.get(_INPUT, _WRONG), self._figures.get(_READ, 0), self._figures.get(_WRITE, 0)]
        if _WRONG in parts:
            return None
        if _WRITE not in self._figures:
            parts.append(self._written() or 0)
        return count(sum(parts))
