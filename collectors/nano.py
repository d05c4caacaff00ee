"""Whole nano-dollars out of exact amounts: rounded once, and parts that sum to the total to the last one."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

NANO = 10**9


class Parts(NamedTuple):
    """The five lines of a :class:`~collectors.records.Cost`: in nano-USD, in scaled nano-USD, or as weights."""

    input: int
    cache_read: int
    cache_write: int
    output: int
    fee: int


PlainParts = tuple[int, int, int, int, int]
"""The same five without names: on the hot path, building the named tuple takes as long as the arithmetic."""


def half_even(amount: int, scale: int) -> int:
    """``amount / scale`` as an integer, ties to even (the rounding of ``decimal`` and of banks). ``scale`` ≥ 1."""
    quotient, remainder = divmod(amount, scale)
    if 2 * remainder > scale or (2 * remainder == scale and quotient & 1):
        return quotient + 1
    return quotient


def round_parts(parts: PlainParts, scale: int) -> Parts:
    """Each ``part / scale`` as an integer such that they sum to ``half_even(sum(parts), scale)``.

    The nano-dollars that rounding down leaves go to the largest remainders (Hamilton's method), to the earlier part
    on a tie. Parts are not negative; a part that is zero stays zero.
    """
    if scale == 1:
        return Parts(*parts)
    rounded = [part // scale for part in parts]
    left = half_even(sum(parts), scale) - sum(rounded)
    if left:
        order = sorted(range(len(parts)), key=lambda i: -(parts[i] % scale))
        for i in order[:left]:
            rounded[i] += 1
    return Parts(*rounded)


def split(total: int, weights: PlainParts) -> Parts:
    """``total`` in proportion to ``weights``, which are not all zero; the parts sum to it exactly."""
    return round_parts(Parts(*(total * weight for weight in weights)), sum(weights))


def from_usd(amount: Decimal) -> Fraction:
    """Exact nano-USD of an amount in USD."""
    return Fraction(amount) * NANO


def add_fee(parts: PlainParts, scale: int, fee: Decimal) -> tuple[PlainParts, int]:
    """``(parts, scale)`` with a fee in USD added to the last part, exactly, whatever its digits."""
    exact = from_usd(fee)
    per = exact.denominator
    fresh, read, write, output, other = parts
    added = (fresh * per, read * per, write * per, output * per, other * per + exact.numerator * scale)
    return added, scale * per
