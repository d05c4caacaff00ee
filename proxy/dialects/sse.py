"""Server-sent events, incrementally: bytes cut anywhere in, whole events' data out.

Follows the WHATWG HTML standard, section "Server-sent events" (read November 2026): lines end in LF, CR or CRLF; a
blank line ends an event; ``data`` lines join with LF; a line that starts with a colon is a comment; one BOM may lead.
Event names and ids are not handed out, because every JSON format here repeats them inside its data. Two leniencies: an
event that the stream's end cut before its blank line is still offered (a cut JSON text cannot parse, a whole one may
carry the usage), and an event longer than :data:`MAX_EVENT_BYTES` is skipped, so memory stays bounded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

MAX_EVENT_BYTES = 16 * 1024 * 1024
"""Longer than any answer without media; equal to the largest request that is read by default."""

_BATCH_EVENTS = 32  # one parser call for many small events; few enough that the last batch delays no answer
_BATCH_BYTES = 64 * 1024
_BOM = b"\xef\xbb\xbf"


def payload(block: bytes) -> bytes | None:
    """The data of one event (its lines end in LF, the blank line left off); None when it has no data field."""
    first = block.find(b"\n")
    if first < 0 and block.startswith(b"data: "):
        return block[6:]
    if block.startswith(b"event: ") and block.startswith(b"data: ", first + 1) and block.find(b"\n", first + 1) < 0:
        return block[first + 7 :]  # these two forms are nearly all there is
    data = [_value(line) for line in block.split(b"\n") if line.startswith(b"data:") or line == b"data"]
    return b"\n".join(data) if data else None


def _value(line: bytes) -> bytes:
    return line[5:].removeprefix(b" ")


class Events:
    """Splits a stream into the data of its events. Holds at most one unfinished event."""

    __slots__ = ("_after_cr", "_held", "_is_first", "_is_skipping", "_max", "skipped")

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._held = bytearray()
        self._max = max_event_bytes
        self._after_cr = False
        self._is_first = True
        self._is_skipping = False
        self.skipped = 0  # events that were longer than the bound

    def feed(self, chunk: bytes) -> list[bytes]:
        """The data of every event that this chunk completes."""
        if not self._held and chunk.find(b"\n") == len(chunk) - 2 and self._is_one_line(chunk):
            self._is_first = False
            return [chunk[6:-2]]  # by far the most frequent chunk: one event of one line
        if self._after_cr or b"\r" in chunk:
            chunk = self._with_lf(chunk)
        if not self._held:
            end = chunk.rfind(b"\n\n")
            if end == len(chunk) - 2:  # the usual case: the chunk is whole events
                return self._data(chunk[:end]) if end >= 0 else self._hold(chunk)
            if end < 0:
                return self._hold(chunk)
            self._held += chunk[end + 2 :]
            return self._data(chunk[:end]) + self._shrink()
        start = len(self._held) - 1
        self._held += chunk
        end = self._held.rfind(b"\n\n", start)
        if end < 0:
            return self._shrink()
        blocks = bytes(self._held[:end])
        del self._held[: end + 2]
        return self._data(blocks) + self._shrink()

    def _is_one_line(self, chunk: bytes) -> bool:
        is_event = chunk.startswith(b"data: ") and chunk.endswith(b"\n\n") and 8 < len(chunk) <= self._max
        return is_event and b"\r" not in chunk and not self._after_cr

    def finish(self) -> list[bytes]:
        """The data of an event that the stream's end left without its blank line."""
        rest = bytes(self._held)
        self._held.clear()
        return self._data(rest) if rest else []

    def _with_lf(self, chunk: bytes) -> bytes:
        if not chunk:
            return chunk
        if self._after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]  # the second half of a CRLF whose CR has already ended the line
            self._after_cr = False
            if not chunk:
                return chunk
        self._after_cr = chunk.endswith(b"\r")
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _hold(self, chunk: bytes) -> list[bytes]:
        self._held += chunk
        return self._shrink()

    def _shrink(self) -> list[bytes]:
        # Five bytes above the bound may be BOM and line ends; the last byte is kept, as a blank line may begin with it.
        if len(self._held) > self._max + 5:
            self._is_skipping = True
            del self._held[:-1]
        return []

    def _data(self, blocks: bytes) -> list[bytes]:
        found = []
        for block in blocks.split(b"\n\n"):
            if self._is_first:
                self._is_first = False
                block = block.removeprefix(_BOM)
            if self._is_skipping or (len(block) > self._max and len(block.strip(b"\n")) > self._max):
                self._is_skipping = False
                self.skipped += 1
                continue
            data = payload(block)
            if data:
                found.append(data)
        return found


class JsonEvents:
    """Hands each event's parsed JSON to ``absorb``, in order. Data that is not JSON is passed over.

    Events are parsed in batches of a few dozen: one parser call over ``[a,b,c]`` costs a third of three calls.
    """

    __slots__ = ("_absorb", "_batch", "_bytes", "_events", "is_done")

    def __init__(self, absorb: Callable[[Any], None]) -> None:
        self._absorb = absorb
        self._events = Events()
        self._batch: list[bytes] = []
        self._bytes = 0
        self.is_done = False  # OpenAI's end mark, ``data: [DONE]``, was seen

    def feed(self, chunk: bytes) -> None:
        self._take(self._events.feed(chunk))

    def finish(self) -> None:
        self._take(self._events.finish())
        self._flush()

    def _take(self, found: list[bytes]) -> None:
        for data in found:
            if data[:1] != b"{" and data.strip() == b"[DONE]":
                self.is_done = True
                continue
            self._batch.append(data)
            self._bytes += len(data)
            if len(self._batch) >= _BATCH_EVENTS or self._bytes >= _BATCH_BYTES:
                self._flush()

    def _flush(self) -> None:
        batch, self._batch, self._bytes = self._batch, [], 0
        for value in _parse_all(batch):
            self._absorb(value)


def _parse_all(batch: list[bytes]) -> list[Any]:
    try:
        values: list[Any] = orjson.loads(b"[" + b",".join(batch) + b"]")
    except ValueError:
        return _parse_each(batch)
    return values if len(values) == len(batch) else _parse_each(batch)


def _parse_each(batch: list[bytes]) -> list[Any]:
    values = []
    for data in batch:
        try:
            values.append(orjson.loads(data))
        except ValueError:
            continue  # what is not JSON tells nothing; the events around it do
    return values
