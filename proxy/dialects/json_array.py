"""A JSON array that arrives in pieces: its objects are handed out one by one, as each is complete.

Google's streams without ``alt=sse`` are such arrays (``[{…},{…}]``). Only braces, brackets and quotes are looked at
(RFC 8259), by expressions that skip everything between them; each object is then parsed whole. An object that stands
alone, without an array around it, is handed out too: errors come like that.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import orjson

from proxy.dialects.sse import MAX_EVENT_BYTES

_OUTSIDE = re.compile(rb'["{}\[\]]')
_INSIDE = re.compile(rb'["\\]')


class JsonArray:
    """Hands each object of the outermost array to ``absorb``. Holds at most one unfinished object; a longer one than
    the bound is skipped."""

    __slots__ = ("_absorb", "_depth", "_held", "_in_string", "_is_escaped", "_is_skipping", "_max", "_outer", "is_done")

    def __init__(self, absorb: Callable[[Any], None], max_object_bytes: int = MAX_EVENT_BYTES) -> None:
        self._absorb = absorb
        self._max = max_object_bytes
        self._held = bytearray()
        self._depth = 0
        self._outer = 0  # depth around the objects: 1 within an array
        self._in_string = self._is_escaped = self._is_skipping = False
        self.is_done = False  # the end of the array was seen

    def feed(self, chunk: bytes) -> None:
        at = start = 0  # ``start``: where the object under way begins in this chunk
        while at < len(chunk) and not self.is_done:
            if self._is_escaped:
                self._is_escaped = False
                at += 1
                continue
            found = (_INSIDE if self._in_string else _OUTSIDE).search(chunk, at)
            if found is None:
                break
            at = found.end()
            start = self._step(found[0], chunk, start, at)
        if not self.is_done and self._depth > self._outer:
            self._hold(chunk[start:])

    def _step(self, mark: bytes, chunk: bytes, start: int, at: int) -> int:
        """Account for one mark that ends at ``at``; returns where the object under way begins."""
        if mark == b'"':
            self._in_string = not self._in_string
        elif mark == b"\\":
            self._is_escaped = True
        elif mark in b"{[":
            if self._depth == 0:
                self._outer = 1 if mark == b"[" else 0
            self._depth += 1
            if self._depth == self._outer + 1:
                return at - 1
        else:
            self._close(chunk, start, at)
        return start

    def _close(self, chunk: bytes, start: int, at: int) -> None:
        self._depth -= 1
        if self._depth == self._outer:
            self._hold(chunk[start:at])
            self._hand_out()
        self.is_done = self._depth <= 0

    def _hold(self, part: bytes) -> None:
        self._held += part
        if self._is_skipping or len(self._held) > self._max:
            self._is_skipping = True
            del self._held[1:]  # not empty: an object is under way

    def _hand_out(self) -> None:
        data, self._held = self._held, bytearray()
        is_skipped, self._is_skipping = self._is_skipping, False
        if is_skipped:
            return
        try:
            value = orjson.loads(data)
        except ValueError:
            return  # what is not JSON tells nothing; the objects around it do
        self._absorb(value)
