"""AWS event streams (``application/vnd.amazon.eventstream``), incrementally: bytes cut anywhere in, messages out.

A message is its whole length, its headers' length and their CRC32 (12 bytes, the prelude), then headers, payload and
the CRC32 of all before; numbers are big-endian. Source: AWS, "Amazon Transcribe: event stream encoding" and the Smithy
specification "Amazon Event Stream" (read November 2026). Counterpart: ``sse.py``.

Both sums are checked. A message whose own sum is wrong is dropped and counted, since its verified prelude still tells
where the next one begins; a prelude that is wrong leaves no way to find another message, so reading ends there. A
message longer than :data:`MAX_MESSAGE_BYTES` is skipped without being kept, so memory stays bounded.
"""

from __future__ import annotations

import struct
from typing import NamedTuple
from zlib import crc32

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
"""The specification's own limit for a payload, and the bound of ``sse.py``."""

_PRELUDE = struct.Struct(">III")
_CRC = struct.Struct(">I")
_LEAST = _PRELUDE.size + _CRC.size
_MAX_HEADERS = 128 * 1024  # the specification's limit
_STRING = 7
_MAX_KNOWN, _MAX_KNOWN_BYTES = 32, 512
# The bytes that a header's value takes, by its type; byte strings and strings (6, 7) say their own length.
_FIXED = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}


class Message(NamedTuple):
    """One message. ``kind`` is its ``:message-type`` (event, exception or error) and ``name`` what it is one of: its
    event type, exception type or error code."""

    kind: str
    name: str
    payload: bytes


class Messages:
    """Splits a stream into its messages. Holds at most one unfinished message."""

    __slots__ = ("_held", "_known", "_max", "_to_skip", "is_lost", "skipped")

    def __init__(self, max_message_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self._held = bytearray()
        self._max = max_message_bytes
        self._to_skip = 0
        self._known: dict[bytes, tuple[str, str]] = {}
        self.skipped = 0  # messages that were longer than the bound, damaged, or had unreadable headers
        self.is_lost = False  # a prelude was wrong: nothing after it can be read

    def feed(self, chunk: bytes) -> list[Message]:
        """Every message that this chunk completes."""
        if self._to_skip:
            passed = min(self._to_skip, len(chunk))
            self._to_skip -= passed
            chunk = chunk[passed:]
        if self.is_lost or not chunk:
            return []
        self._held += chunk
        return self._take()

    @property
    def is_whole(self) -> bool:
        """Whether the stream could end here: at the end of a message, with the framing intact."""
        return not self._held and not self._to_skip and not self.is_lost

    def _take(self) -> list[Message]:
        found: list[Message] = []
        start = 0
        while (length := self._next_length(start)) is not None:
            if length > self._max:
                self.skipped += 1
                passed = min(length, len(self._held) - start)
                self._to_skip = length - passed
                start += passed
            elif len(self._held) - start >= length:
                self._add(bytes(self._held[start : start + length]), found)
                start += length
            else:
                break
        del self._held[:start]
        return found

    def _next_length(self, start: int) -> int | None:
        """The length of the message that begins at ``start``; None while its prelude is unfinished, or wrong."""
        if self.is_lost or len(self._held) - start < _PRELUDE.size:
            return None
        length, headers, crc = _PRELUDE.unpack_from(self._held, start)
        is_sane = length >= _LEAST + headers and headers <= _MAX_HEADERS
        if not is_sane or crc32(self._held[start : start + 8]) != crc:
            self.is_lost = True
            self._held.clear()
            return None
        return int(length)

    def _add(self, raw: bytes, found: list[Message]) -> None:
        end = len(raw) - _CRC.size
        body = _PRELUDE.size + int.from_bytes(raw[4:8])
        told = self._told_by(raw[_PRELUDE.size : body]) if crc32(raw[:end]) == _CRC.unpack_from(raw, end)[0] else None
        if told is None:
            self.skipped += 1
        else:
            found.append(Message(*told, raw[body:end]))

    def _told_by(self, headers: bytes) -> tuple[str, str] | None:
        """``(kind, name)``. Remembered: a stream has a handful of different header blocks."""
        told = self._known.get(headers)
        if told is None:
            told = _kind_and_name(headers)
            if told is not None and len(self._known) < _MAX_KNOWN and len(headers) <= _MAX_KNOWN_BYTES:
                self._known[headers] = told
        return told


def _kind_and_name(headers: bytes) -> tuple[str, str] | None:
    strings = _strings(headers)
    if strings is None:
        return None
    kind = strings.get(":message-type", "event")
    return kind, strings.get(":error-code" if kind == "error" else f":{kind}-type", "")


def _strings(data: bytes) -> dict[str, str] | None:
    """The headers whose value is a string; None when they are not well formed."""
    found: dict[str, str] = {}
    at = 0
    while at < len(data):
        value_at = at + 2 + data[at]
        if value_at > len(data):
            return None
        name, kind = data[at + 1 : value_at - 1], data[value_at - 1]
        if kind in (6, _STRING):
            length = int.from_bytes(data[value_at : value_at + 2])
            value_at += 2
        elif kind in _FIXED:
            length = _FIXED[kind]
        else:
            return None
        at = value_at + length
        if at > len(data):
            return None
        if kind == _STRING:
            found[name.decode(errors="replace")] = data[value_at:at].decode(errors="replace")
    return found
