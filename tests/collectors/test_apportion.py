"""Parts that sum to the whole."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from collectors.apportion import apportion


@given(st.integers(0, 10**9), st.lists(st.integers(0, 10**7), max_size=20))
def test_parts_sum_and_lie_within_one_of_their_share(total: int, weights: list[int]) -> None:
    parts = apportion(total, weights)
    whole = sum(weights)
    assert sum(parts) == (total if whole else 0)
    assert all(abs(part - Fraction(total * w, whole)) < 1 for part, w in zip(parts, weights, strict=True) if whole)


def test_the_largest_remainder_gets_the_odd_one() -> None:
    # Shares of 10 by 1:1:4 are 1.67, 1.67, 6.67: two units left, the earlier two of equal remainders take them.
    assert apportion(10, [1, 1, 4]) == [2, 2, 6]
    # Shares of 7 by 2:5 over 7 are whole.
    assert apportion(7, [2, 5]) == [2, 5]
    # Shares of 3 by 1:9 are 0.3 and 2.7.
    assert apportion(3, [1, 9]) == [0, 3]
