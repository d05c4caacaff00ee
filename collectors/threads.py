"""Threads: which call continues which, by what stands in its prompt.

Call ``c`` continues ``p`` when it names ``p``'s response id, or when at least 80 % of ``p``'s message fingerprints
(prompt and answer, in order) stand in ``c``'s prompt. System text and tool definitions are no messages: two unrelated
calls of one stage share them. Every call is compared with few others: those that last brought what stands at the end
of its prompt, and what those continue.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from collectors.records import Block, BlockKind, CallRecord
from collectors.timeline import Timeline, takes_part

CONTINUES_SHARE = 0.8
SCAFFOLD: frozenset[BlockKind] = frozenset({"system", "tool_def"})
_MAX_CANDIDATES = 8


@dataclass(frozen=True, slots=True)
class Link:
    """``parent``: index of the call that this one continues, or -1. ``thread``: index of the thread's first call.
    ``shared``: how many leading blocks are, one for one, the parent's whole prompt; 0 when the prefix is broken."""

    parent: int
    thread: int
    shared: int = 0


def threads(line: Timeline) -> tuple[Link, ...]:
    """Each call's place in its thread. Only calls to models have threads; the others stand alone."""
    seen = _Seen(line)
    for i, ended in line.arrivals():
        for p in ended:
            seen.add(p)
        seen.links.append(seen.link(i))
    return tuple(seen.links)


class _Seen:
    """What ended so far, by fingerprint."""

    def __init__(self, line: Timeline) -> None:
        self.links: list[Link] = []
        self._calls = line.calls
        self._brought_by: dict[int, int] = {}  # message digest -> the latest-ended call that brought it
        self._by_response: dict[str, int] = {}
        self._messages: dict[int, int] = {}  # call -> number of messages in its prompt

    def add(self, p: int) -> None:
        """Call ``p`` has ended: from now on it can be continued."""
        call = self._calls[p]
        if not _has_thread(call):
            return
        link = self.links[p]
        if call.response_id:
            self._by_response[call.response_id] = p
        new = [block.digest for block in call.blocks[link.shared :] if block.kind not in SCAFFOLD]
        self._messages[p] = len(new) + (self._messages[link.parent] if link.shared else 0)
        if not new and call.blocks:
            new = [call.blocks[-1].digest]  # a request sent again is the latest bearer of its last message
        for digest in new:
            self._brought_by[digest] = p
        for block in call.outputs:
            self._brought_by[block.digest] = p

    def link(self, i: int) -> Link:
        call = self._calls[i]
        if not _has_thread(call):
            return Link(-1, i)
        parent = self._by_response.get(call.previous_id, -1) if call.previous_id else -1
        if parent < 0:
            parent = self._parent_by_content(call)
        if parent < 0:
            return Link(-1, i)
        before = self._calls[parent].blocks
        shared = len(before) if call.blocks[: len(before)] == before else 0
        return Link(parent, self.links[parent].thread, shared)

    def _parent_by_content(self, call: CallRecord) -> int:
        """The candidate of which most stands in the prompt; of equals one of the same stage, then the latest."""
        found: dict[int, int] = {}  # candidate -> how many of its messages stand, 0 when too few
        for p in self._candidates(call, found):
            found[p] = self._standing(call, p)
            if found[p] and _is_prefix(self._calls[p], call):
                return p
        best = max(found, key=lambda p: (found[p], self._calls[p].stage == call.stage, p), default=-1)
        return best if best >= 0 and found[best] else -1

    def _candidates(self, call: CallRecord, found: dict[int, int]) -> Iterator[int]:
        """Who last brought what stands in the prompt, from its end, and what those that do not fit continue."""
        for block in reversed(call.blocks):
            p = -1 if block.kind in SCAFFOLD else self._brought_by.get(block.digest, -1)
            while p >= 0 and p not in found:
                if len(found) == _MAX_CANDIDATES:
                    return
                yield p
                p = -1 if found[p] else self.links[p].parent

    def _standing(self, call: CallRecord, p: int) -> int:
        before = self._calls[p]
        answer = [block.digest for block in before.outputs]
        total = self._messages[p] + len(answer)
        needed = CONTINUES_SHARE * total
        if len(call.blocks) < needed:
            return 0
        if _is_prefix(before, call):
            count = self._messages[p] + _in_order(answer, _messages(call.blocks[len(before.blocks) :]))
        else:
            count = _in_order(_messages(before.blocks) + answer, _messages(call.blocks))
        return count if count >= needed else 0


def _is_prefix(before: CallRecord, call: CallRecord) -> bool:
    return bool(before.blocks) and call.blocks[: len(before.blocks)] == before.blocks


def _has_thread(call: CallRecord) -> bool:
    return call.kind == "model" and takes_part(call)


def _messages(blocks: Iterable[Block]) -> list[int]:
    return [block.digest for block in blocks if block.kind not in SCAFFOLD]


def _in_order(wanted: Sequence[int], given: Sequence[int]) -> int:
    """How many of ``wanted`` stand in ``given`` one after the other, each taken at its first place after the last."""
    places: dict[int, list[int]] = defaultdict(list)
    for place, digest in enumerate(given):
        places[digest].append(place)
    found = at = 0
    for digest in wanted:
        where = places.get(digest)
        if where is None:
            continue
        k = bisect_left(where, at)
        if k < len(where):
            found += 1
            at = where[k] + 1
    return found
