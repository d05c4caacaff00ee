"""Covered time, against counting the units one by one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from collectors.intervals import Intervals

span = st.tuples(st.integers(0, 40), st.integers(0, 40))


@given(st.lists(span, max_size=8), span)
def test_covered_counts_each_unit_once(intervals: list[tuple[int, int]], asked: tuple[int, int]) -> None:
    units = {unit for start, end in intervals for unit in range(start, end)}
    assert Intervals(intervals).covered(*asked) == len(units & set(range(*asked)))
