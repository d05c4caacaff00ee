"""Whose answer a prompt brings: content evidence that one call's output reached another.

An answer counts as brought when at least 64 tokens or 30 % of it stand in the prompt, by exact digests, and its blocks
are new to the thread: a growing history does not bring its old answers again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from collectors.records import Block, CallRecord
from collectors.threads import Link
from collectors.timeline import Timeline

_MIN_TOKENS = 64
_MIN_SHARE = 0.3
_CHARS_PER_TOKEN = 4


class Answers:
    """The answers given so far. Where two calls gave the same text, the later-ending one is taken."""

    def __init__(self, line: Timeline, links: Sequence[Link]) -> None:
        self._calls, self._links = line.calls, links
        self._producer: dict[int, int] = {}  # digest -> the latest call that answered it

    def keep(self, p: int) -> None:
        """Call ``p`` has ended."""
        for block in self._calls[p].outputs:
            self._producer[block.digest] = p

    def brought(self, i: int) -> list[int]:
        """The calls whose answers call ``i`` brings anew, apart from the one whose thread it continues."""
        sizes: dict[int, int] = defaultdict(int)
        for block in self._new_blocks(i):
            producer = self._producer.get(block.digest)
            if producer is not None and producer != self._links[i].parent:
                sizes[producer] += block.size
        return [p for p, size in sizes.items() if _is_enough(self._calls[p], size)]

    def _new_blocks(self, i: int) -> Sequence[Block]:
        blocks, link = self._calls[i].blocks, self._links[i]
        if link.parent < 0 or link.shared:
            return blocks[link.shared :]
        before = {block.digest for block in self._calls[link.parent].blocks}
        return [block for block in blocks if block.digest not in before]


def _is_enough(producer: CallRecord, size: int) -> bool:
    whole = sum(block.size for block in producer.outputs)
    if whole == 0:
        return False
    tokens = producer.output_tokens if producer.output_tokens is not None else whole / _CHARS_PER_TOKEN
    return size >= _MIN_SHARE * whole or tokens * size / whole >= _MIN_TOKENS
