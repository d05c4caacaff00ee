"""Lengths of time covered by any of many intervals, asked for quickly."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable


class Intervals:
    """The union of half-open intervals ``[start, end)``, in one unit of time."""

    def __init__(self, intervals: Iterable[tuple[int, int]]) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._before: list[int] = []  # covered length before each merged interval
        covered = 0
        for start, end in sorted(intervals):
            if self._ends and start <= self._ends[-1]:
                covered += max(0, end - self._ends[-1])
                self._ends[-1] = max(end, self._ends[-1])
            elif end > start:
                self._starts.append(start)
                self._ends.append(end)
                self._before.append(covered)
                covered += end - start

    def covered(self, start: int, end: int) -> int:
        """How much of ``[start, end)`` is covered; 0 when it is empty."""
        return self._up_to(end) - self._up_to(start) if end > start else 0

    def _up_to(self, moment: int) -> int:
        k = bisect_right(self._starts, moment) - 1
        return 0 if k < 0 else self._before[k] + min(moment, self._ends[k]) - self._starts[k]
