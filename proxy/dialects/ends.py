"""Both ends of a long answer, where its usage stands: for answers whose middle is numbers that nobody here reads.

Two thousand embeddings are 100 MB of digits. Parsing them would hold up every other call, so only a short answer is
parsed; of a long one, fields are looked up in its first and last bytes.
"""

from __future__ import annotations

import json
import re
from typing import Any

from proxy.dialects.fields import Json, parse, table

HEAD_BYTES = 16 * 1024
TAIL_BYTES = 256 * 1024  # Cohere repeats the texts behind the usage
_MAX_TRIES = 4
_DECODER = json.JSONDecoder()


class Ends:
    """Keeps the first and the last bytes of an answer; the same ones however it was cut."""

    __slots__ = ("_head", "_names", "_size", "_tail")

    def __init__(self, *names: str) -> None:
        """``names``: the fields to look up in an answer too long to be parsed."""
        self._names = names
        self._head = bytearray()
        self._tail = bytearray()
        self._size = 0

    def feed(self, chunk: bytes) -> None:
        self._size += len(chunk)
        room = HEAD_BYTES - len(self._head)
        if room > 0:
            self._head += chunk[:room]
            chunk = chunk[room:]
        self._tail += chunk[-TAIL_BYTES:]
        if len(self._tail) > 2 * TAIL_BYTES:
            del self._tail[:-TAIL_BYTES]

    def parse(self) -> tuple[Json, bool]:
        """``(object, whether the answer is whole)``: the answer's own object if it was short, else one with those of
        the named fields that were found."""
        tail = bytes(self._tail[-TAIL_BYTES:])
        if self._size <= HEAD_BYTES + TAIL_BYTES:
            try:
                return table(parse(bytes(self._head) + tail)), True
            except ValueError:
                return {}, False
        found = {name: _last_of(name, tail, _last_of(name, bytes(self._head), None)) for name in self._names}
        known = {name: value for name, value in found.items() if value is not None}
        return known, tail.rstrip().endswith(b"}")


def _last_of(name: str, data: bytes, default: Any) -> Any:
    """The value of the last field of that name. One inside a text has its quotes escaped and does not match."""
    matches = list(re.finditer(rb'(?<!\\)"%s"\s*:\s*' % name.encode(), data))
    for match in reversed(matches[-_MAX_TRIES:]):
        try:
            return _DECODER.raw_decode(data[match.end() :].decode("utf-8", "replace"))[0]
        except (ValueError, RecursionError):
            continue
    return default
