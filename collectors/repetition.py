"""Repeated context: where each part of a prompt stood before, token-exact.

``I = novel + own_reread + scaffold + cross_request + cross_output + unobserved``, asserted. Exact tier: a block is
known by its digest. Block sizes (characters) are scaled to the reported ``I`` by the largest remainder method, over
neighbouring blocks of one class, so that a class keeps its place in the prompt (prices depend on it).

The first class that fits:

- ``own_reread``: stood earlier on this thread, in a call of this stage. A shared history handed to another stage is
  no stage's own, and comes back as ``cross_*``.
- ``scaffold``: system text or tool definition that was sent as such before, on another thread.
- ``own_reread`` again: first seen with this stage, on another thread (a compacted history, an own answer quoted later).
- ``cross_request``: the session's first user message, first sent by another stage.
- ``cross_output``: any other text first seen in, or produced by, another stage.
- ``novel``: the rest.

Choices. What a failed call without input tokens held was never read by a model: it stands for the first time in the
resend. Scaffold that two stages share is ``scaffold``: both are configured with it, nobody handed it over. A tool's
answer belongs to the stage whose model read it first. Media weigh at most 4 096 characters, about 1 000 tokens: their
encoded length says nothing of their price. With server-side history, ``unobserved`` is the named call's input and
answer (without reasoning) where known, else what exceeds one token per four characters on the wire.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from collectors.apportion import apportion
from collectors.records import Block, CallRecord
from collectors.threads import SCAFFOLD, Link
from collectors.timeline import Timeline, takes_part

Class = Literal["novel", "own_reread", "scaffold", "cross_request", "cross_output", "unobserved"]
CROSS: frozenset[Class] = frozenset({"cross_request", "cross_output"})

_MEDIA_WEIGHT = 4096
_CHARS_PER_TOKEN = 4
_Label = tuple[Class, str]


@dataclass(frozen=True, slots=True)
class Span:
    """Neighbouring tokens of one class; ``origin`` is the stage where they were first seen ("" unless cross)."""

    kind: Class
    origin: str
    tokens: int


@dataclass(frozen=True, slots=True)
class Partition:
    """A call's input in prompt order. Without a known ``I`` nothing is partitioned and there are no spans.

    ``asks_anew``: the prompt ends with a user message that nobody has sent or produced before.
    """

    spans: tuple[Span, ...] = ()
    asks_anew: bool = False

    def tokens(self, kind: Class) -> int:
        """Tokens of one class."""
        return sum(span.tokens for span in self.spans if span.kind == kind)


def partitions(line: Timeline, links: Sequence[Link]) -> tuple[Partition, ...]:
    """The partition of every call's input."""
    memory = _Memory(line, links)
    found = []
    for i, ended in line.arrivals():
        for p in ended:
            memory.hear(p)
        found.append(memory.read(i))
    return tuple(found)


def original_request(calls: Iterable[CallRecord]) -> frozenset[int]:
    """Digests of the session's first user message: the first unbroken run of user and media blocks."""
    for call in calls:
        if call.kind != "model" or not takes_part(call):
            continue
        for is_user, run in groupby(call.blocks, key=lambda block: block.kind in ("user", "media")):
            if is_user:
                return frozenset(block.digest for block in run)
    return frozenset()


class _Memory:
    """What was sent and answered so far, by digest."""

    def __init__(self, line: Timeline, links: Sequence[Link]) -> None:
        self._calls = line.calls
        self._links = links
        self._request = original_request(line.calls)
        self._first: dict[int, str] = {}  # digest -> stage where it was first seen
        self._scaffold: set[int] = set()
        self._own: dict[tuple[int, str], set[int]] = {}  # (thread, stage) -> digests
        self._latest: dict[tuple[int, str], int] = {}  # (thread, stage) -> its latest call
        self._answered: set[int] = set()  # digests that a model said before anybody sent them
        self._unread: set[int] = set()
        self._weights: dict[int, int] = {}  # call -> weight of its whole prompt

    def hear(self, p: int) -> None:
        """Call ``p`` has ended: its answer can be quoted from now on."""
        if self._remembers(p):
            self._answered.update(b.digest for b in self._calls[p].outputs if b.digest not in self._first)
            self._keep(p, self._calls[p].outputs)

    def read(self, i: int) -> Partition:
        """Label the prompt of call ``i`` by what stood before, then remember it."""
        if self._calls[i].outcome == "refused":
            return Partition()
        if not self._remembers(i):
            return Partition(_spans([(("unobserved", ""), 1)], self._calls[i].input_tokens))
        call, before = self._calls[i], self._own_prefix(i)
        rest = call.blocks[0 if before < 0 else len(self._calls[before].blocks) :]
        labelled = [(self._label(block, i), _weight(block)) for block in rest]
        known = 0 if before < 0 else self._weights[before]
        self._weights[i] = known + sum(weight for _, weight in labelled)
        if known:
            labelled.insert(0, (("own_reread", ""), known))
        asks_anew = bool(rest) and rest[-1].kind == "user" and rest[-1].digest not in self._first
        if call.outcome == "ok" or call.input_tokens:
            self._keep(i, rest)
            self._latest[self._links[i].thread, call.stage] = i
        else:
            self._unread.add(i)
        return Partition(self._scaled(i, labelled), asks_anew)

    def _own_prefix(self, i: int) -> int:
        """An earlier call of this thread and stage whose whole prompt starts this one, or -1: no need to look again."""
        call, link = self._calls[i], self._links[i]
        for before in (self._latest.get((link.thread, call.stage), -1), link.parent if link.shared else -1):
            if before >= 0 and before not in self._unread and self._calls[before].stage == call.stage:
                blocks = self._calls[before].blocks
                if call.blocks[: len(blocks)] == blocks:
                    return before
        return -1

    def _remembers(self, i: int) -> bool:
        return self._calls[i].kind == "model" and takes_part(self._calls[i])

    def _label(self, block: Block, i: int) -> _Label:
        stage = self._calls[i].stage
        own = self._own.get((self._links[i].thread, stage))
        if own is not None and block.digest in own:
            return "own_reread", ""
        first = self._first.get(block.digest)
        if first is None:
            return "novel", ""
        if block.kind in SCAFFOLD and block.digest in self._scaffold:
            return "scaffold", ""
        if first == stage:
            return "own_reread", ""
        is_request = block.digest in self._request and block.digest not in self._answered
        return ("cross_request" if is_request else "cross_output"), first

    def _keep(self, i: int, blocks: Iterable[Block]) -> None:
        stage = self._calls[i].stage
        own = self._own.setdefault((self._links[i].thread, stage), set())
        for digest, kind, _ in blocks:
            self._first.setdefault(digest, stage)
            own.add(digest)
            if kind in SCAFFOLD:
                self._scaffold.add(digest)

    def _scaled(self, i: int, labelled: list[tuple[_Label, int]]) -> tuple[Span, ...]:
        call = self._calls[i]
        if call.input_tokens is None:
            return ()
        unobserved = min(call.input_tokens, self._unobserved(i))
        if self._weights[i] == 0:
            unobserved = call.input_tokens
        hidden = _spans([(("unobserved", ""), 1)], unobserved) if unobserved else ()
        spans = hidden + _spans(labelled, call.input_tokens - unobserved)
        assert sum(span.tokens for span in spans) == call.input_tokens, f"input of {call.call_id} does not sum"
        return spans

    def _unobserved(self, i: int) -> int:
        """Tokens of the history that the provider keeps, which never were on the wire."""
        call = self._calls[i]
        if not call.previous_id:
            return 0
        on_wire = -(-self._weights[i] // _CHARS_PER_TOKEN)
        before = self._calls[self._links[i].parent] if self._links[i].parent >= 0 else None
        if before is None or before.response_id != call.previous_id or before.input_tokens is None:
            return max(0, (call.input_tokens or 0) - on_wire)
        return before.tokens - (before.reasoning_tokens or 0)


def _weight(block: Block) -> int:
    return min(block.size, _MEDIA_WEIGHT) if block.kind == "media" else block.size


def _spans(labelled: Sequence[tuple[_Label, int]], total: int | None) -> tuple[Span, ...]:
    """Merge neighbours of one label and scale them to ``total`` tokens; empty spans are left out."""
    merged = [(label, sum(weight for _, weight in run)) for label, run in _runs(labelled)]
    parts = apportion(total or 0, [weight for _, weight in merged])
    return tuple(
        Span(kind, origin, tokens) for ((kind, origin), _), tokens in zip(merged, parts, strict=True) if tokens
    )


def _runs(labelled: Sequence[tuple[_Label, int]]) -> Iterator[tuple[_Label, list[tuple[_Label, int]]]]:
    for label, run in groupby(labelled, key=lambda item: item[0]):
        yield label, list(run)
