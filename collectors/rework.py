"""Rework: what a validator's FAIL caused, from the re-entered producing stage to the next verdict, inclusive.

A FAIL is a verdict (declared, or read from a structured answer) of a call whose role is ``validate``; a validator whose
stage never gives one is taken to have failed what it hands back to an earlier producing stage.

A stage is re-entered when it ran before the FAIL and was not running beside the validator: a parallel branch does not
wait for that verdict. A stage that first runs after the FAIL is on its first pass, which never is rework.

Choices. The verdict that closes the rework belongs to it: without the FAIL nobody would have asked for it. Without a
further verdict the rework lasts to the session's end, or until a person speaks. A router or coordinator on the way
back to the producing stage keeps its own line: it is tax either way.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from collectors.records import Role
from collectors.timeline import Timeline, takes_part

_PRODUCING: frozenset[Role] = frozenset({"work", "plan", "aggregate"})


@dataclass(frozen=True, slots=True)
class Judged:
    """What rework is read from. ``sent_back``: calls that handed control back to an earlier producing stage.
    ``asked_anew``: calls before which a person spoke, or the session rested."""

    line: Timeline
    roles: Sequence[Role]
    sent_back: Collection[int]
    asked_anew: Collection[int]


def rework(judged: Judged) -> frozenset[int]:
    """The calls that are rework, by index."""
    verdicts = _verdicts(judged)
    if not any(verdicts.values()):
        return frozenset()
    line = judged.line
    reach = list(accumulate(line.ends, max))
    first_ran: dict[str, int] = {}
    for call, start in zip(line.calls, line.starts, strict=True):
        if takes_part(call):
            first_ran.setdefault(call.stage, start)
    found: set[int] = set()
    for verdict, is_fail in verdicts.items():
        if is_fail:
            beside = {line.calls[i].stage for i in _overlapping(line, verdict, reach)}
            seen_before = _SeenBefore(first_ran, line.starts[verdict], beside - {line.calls[verdict].stage})
            found.update(_redone(judged, verdict, verdicts, seen_before))
    return frozenset(found)


@dataclass(frozen=True, slots=True)
class _SeenBefore:
    """Which stages a verdict can send back: those that ran before it, but not those that ran beside it."""

    first_ran: dict[str, int]
    before: int
    beside: Collection[str]

    def __contains__(self, stage: str) -> bool:
        return self.first_ran[stage] <= self.before and stage not in self.beside


def _verdicts(judged: Judged) -> dict[int, bool]:
    """The verdicts in call order, each with whether it is a FAIL."""
    calls = judged.line.calls
    judges = [i for i, role in enumerate(judged.roles) if role == "validate" and calls[i].kind != "tool"]
    outspoken = {calls[i].stage for i in judges if calls[i].verdict}
    verdicts = {}
    for i in judges:
        if not takes_part(calls[i]):
            continue
        if calls[i].verdict is not None:
            verdicts[i] = calls[i].verdict == "fail"
        elif calls[i].stage not in outspoken and i in judged.sent_back:
            verdicts[i] = True
    return verdicts


def _redone(judged: Judged, verdict: int, verdicts: dict[int, bool], seen_before: _SeenBefore) -> Iterator[int]:
    """From the re-entry to the next verdict. A further FAIL before any re-entry takes the hunt over."""
    line = judged.line
    has_reentered = False
    for i in range(verdict + 1, len(line.calls)):
        call = line.calls[i]
        if line.starts[i] < line.ends[verdict] or not takes_part(call):
            continue
        if i in judged.asked_anew or (verdicts.get(i) and not has_reentered):
            return
        if call.stage in seen_before:
            has_reentered = has_reentered or judged.roles[i] in _PRODUCING
            if has_reentered:
                yield i
        if has_reentered and i in verdicts:
            return


def _overlapping(line: Timeline, i: int, reach: Sequence[int]) -> Iterator[int]:
    """The calls that ran while call ``i`` did; ``reach[j]`` is the latest end among calls up to ``j``."""
    for j in range(i + 1, len(line.calls)):
        if line.starts[j] >= line.ends[i]:
            break
        if takes_part(line.calls[j]):
            yield j
    j = i - 1
    while j >= 0 and reach[j] > line.starts[i]:
        if line.ends[j] > line.starts[i] and takes_part(line.calls[j]):
            yield j
        j -= 1
