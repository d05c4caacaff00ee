"""Asking a chat stream for its usage, and taking the answer out again for an agent that did not ask.

With ``stream_options.include_usage`` a stream carries one more chunk before ``[DONE]``: ``choices`` empty, ``usage``
filled (OpenAI API reference, November 2026). SDKs drop the wish when they are pointed at another base URL.
"""

from __future__ import annotations

import re

import orjson

from proxy.dialects.sse import payload

_WISH = b'"stream_options":{"include_usage":true}'
_MAX_HELD_BYTES = 64 * 1024  # a usage chunk is about 1 KB; a longer event is not one and need not wait
# A line ends in CRLF, LF or CR (atomic, or CRLF would pass for two); two line ends in a row end an event.
_EVENT_END = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
_LINE_END = re.compile(rb"\r\n|\r")
_EMPTY_CHOICES = re.compile(rb'"choices"\s*:\s*\[\s*\]')


def ask_for_usage(body: bytes) -> bytes:
    """The agent's own bytes with the wish spliced in behind the opening brace of their JSON object."""
    start = body.index(b"{") + 1
    is_empty = body[start:].lstrip()[:1] == b"}"
    return body[:start] + _WISH + (b"" if is_empty else b",") + body[start:]


class UsageFilter:
    """Drops the one extra usage event. All else passes: unchanged, in order, at the latest when its event ends."""

    __slots__ = ("_ends_cr", "_held", "_is_dropped", "_is_passing")

    def __init__(self) -> None:
        self._held = b""
        self._is_dropped = False  # done: all that follows passes untouched
        self._is_passing = False  # inside an event that is too long to be the one
        self._ends_cr = False  # the last event ended in a CR that may prove to be half of a CRLF

    def feed(self, chunk: bytes) -> bytes:
        if self._ends_cr and chunk:
            self._ends_cr = False
            if chunk.startswith(b"\n"):
                return (b"" if self._is_dropped else b"\n") + self.feed(chunk[1:])
        if self._is_dropped:
            return chunk
        is_whole = not self._held and not self._is_passing and chunk.endswith((b"\n\n", b"\r\n\r\n"))
        if is_whole and _EMPTY_CHOICES.search(chunk) is None:
            return chunk  # whole events, none of them the one
        return self._sift(self._held + chunk, max(0, len(self._held) - 3))

    def finish(self) -> bytes:
        held, self._held = self._held, b""
        return held[: _blank(held)] if not self._is_passing and _is_usage_event(held) else held

    def _sift(self, data: bytes, searched: int) -> bytes:
        start = 0
        while (end := _event_end(data, searched)) is not None:
            stop, searched = end
            self._ends_cr = searched == len(data) and data.endswith(b"\r")
            if not self._is_passing and _is_usage_event(data[start:stop]):
                self._is_dropped, self._held = True, b""
                return data[: start + _blank(data[start:stop])] + data[searched:]
            self._is_passing = False
            start = searched
        return data[:start] + self._wait(data[start:])

    def _wait(self, rest: bytes) -> bytes:
        """Holds back an unfinished event; of one that is too long only its last bytes, where its end may begin."""
        if self._is_passing or len(rest) > _MAX_HELD_BYTES + 2:
            self._is_passing = True
            self._held = rest[-2:]
            return rest[:-2]
        self._held = rest
        return b""


def _event_end(data: bytes, start: int) -> tuple[int, int] | None:
    """Where the first event behind ``start`` stops and where the next one begins."""
    if b"\r" in data:
        match = _EVENT_END.search(data, start)
        return match and match.span()
    stop = data.find(b"\n\n", start)  # ten times faster than the expression
    return None if stop < 0 else (stop, stop + 2)


def _blank(block: bytes) -> int:
    """Length of the blank lines before an event; they are not part of it."""
    return len(block) - len(block.lstrip(b"\r\n"))


def _is_usage_event(block: bytes) -> bool:
    if len(block) > _MAX_HELD_BYTES or _EMPTY_CHOICES.search(block) is None:
        return False
    data = payload(_LINE_END.sub(b"\n", block))
    try:
        value = orjson.loads(data or b"")
    except ValueError:
        return False
    return isinstance(value, dict) and value.get("choices") == [] and isinstance(value.get("usage"), dict)
