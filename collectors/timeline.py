"""The calls of one session in order, on one clock: microseconds since the first arrival.

Calls reach the store in any order and their clocks tie, so every analysis starts here. The order is arrival, then end,
then call id: a total order, so that the same calls give the same figures however they came in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from collectors.records import CallRecord


@dataclass(frozen=True, slots=True)
class Timeline:
    """``starts`` and ``ends`` are those of ``calls``, in microseconds since the first arrival."""

    calls: tuple[CallRecord, ...]
    starts: tuple[int, ...]
    ends: tuple[int, ...]

    def arrivals(self) -> Iterator[tuple[int, list[int]]]:
        """Each call's index with the calls that ended since the previous arrival, in the order of their ends.

        A call that ends in the very microsecond of an arrival has ended. A call never ends before its own arrival.
        """
        by_end = sorted(range(len(self.calls)), key=lambda i: (self.ends[i], i))
        at = 0
        for i, start in enumerate(self.starts):
            ended: list[int] = []
            while self.ends[by_end[at]] <= start and by_end[at] < i:
                ended.append(by_end[at])
                at += 1
            yield i, ended


def timeline(calls: Iterable[CallRecord]) -> Timeline:
    """Put calls in order. A call id that comes twice (a segment read twice) counts once, the later-ending one."""
    unique = {call.call_id: call for call in sorted(calls, key=lambda call: (call.end_ns, call.ts_ns))}
    ordered = sorted(unique.values(), key=lambda call: (call.ts_ns, call.end_ns, call.call_id))
    first = ordered[0].ts_ns if ordered else 0
    starts = tuple((call.ts_ns - first) // 1000 for call in ordered)
    ends = tuple(start + max(0, call.duration_us) for start, call in zip(starts, ordered, strict=True))
    return Timeline(tuple(ordered), starts, ends)


def takes_part(call: CallRecord) -> bool:
    """Whether a call is part of the session's work: it was sent (not refused), and to a model, tool or agent."""
    return call.outcome != "refused" and call.kind != "other"
