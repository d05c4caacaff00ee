"""Newline-delimited JSON, incrementally: bytes cut anywhere in, whole lines' values out.

One JSON text a line, lines end in LF or CRLF, the last one may lack its end (ndjson.org specification 1.0, July 2013).
A line that is not JSON is passed over, one longer than the bound is skipped, so memory stays bounded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from proxy.dialects.sse import MAX_EVENT_BYTES


class JsonLines:
    """Hands each line's parsed JSON to ``absorb``, in order. Holds at most one unfinished line."""

    __slots__ = ("_absorb", "_held", "_is_skipping", "_max")

    def __init__(self, absorb: Callable[[Any], None], max_line_bytes: int = MAX_EVENT_BYTES) -> None:
        self._absorb = absorb
        self._held = bytearray()
        self._is_skipping = False
        self._max = max_line_bytes

    def feed(self, chunk: bytes) -> None:
        first, *rest = chunk.split(b"\n")
        self._hold(first)
        for part in rest:
            self._end_line()
            self._hold(part)

    def finish(self) -> None:
        self._end_line()

    def _hold(self, part: bytes) -> None:
        self._held += part
        if len(self._held) > self._max:
            self._is_skipping = True
            self._held.clear()

    def _end_line(self) -> None:
        line, self._held = self._held, bytearray()
        is_skipped, self._is_skipping = self._is_skipping, False
        if is_skipped or not line.strip():
            return
        try:
            value = orjson.loads(line)
        except ValueError:
            return
        self._absorb(value)
