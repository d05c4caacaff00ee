"""Prices as integers: what one unit of each class costs, compiled once per model and exact to the last digit.

A row is what a price table says of one model at one time and service tier. Its rates are whole numbers, nano-USD times
the row's scale. genai-prices' own ``calc_price`` takes 100 µs a call, a row less than two, and both give the same
totals (``tests/collectors/test_pricing.py`` compares them over every model). Pure; ``price_data.py`` fetches prices.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import lcm
from typing import TYPE_CHECKING

from collectors.nano import NANO, PlainParts
from collectors.records import Usage

if TYPE_CHECKING:
    from genai_prices.types import ModelPrice

MAX_COUNT = 10**9
"""A call that reports more of anything is not believed: a hundred times the largest context window there is."""

Class = str
PER_UNIT: dict[Class, int] = {
    "input": 1_000_000,
    "cache_read": 1_000_000,
    "cache_write": 1_000_000,
    "cache_write_1h": 1_000_000,
    "output": 1_000_000,
    "web_searches": 1_000,
    "requests": 1_000,
}
"""The classes of a row, and for how many units of each the price is given."""
# What a class costs that has no price of its own: the class it is part of.
_PART_OF: dict[Class, Class] = {"cache_read": "input", "cache_write": "input", "cache_write_1h": "cache_write"}


@dataclass(frozen=True, slots=True)
class Rates:
    """Scaled nano-USD of one unit: a token, a web search, a request."""

    scale: int
    input: int
    cache_read: int
    cache_write: int
    cache_write_1h: int
    output: int
    web_searches: int
    requests: int


@dataclass(frozen=True, slots=True)
class Row:
    """The price of one model.

    ``steps`` ascend: ``(start, rates)`` prices all tokens of a call with more than ``start`` input tokens (tiers are
    cliffs, as the vendors bill them).
    """

    steps: tuple[tuple[int, Rates], ...]
    version: str
    is_timed: bool = False
    """The price depends on the time of day."""
    odd: ModelPrice | None = None
    """Set where audio or reasoning tokens have a price of their own: genai-prices computes the calls that have some."""

    def rates(self, input_tokens: int) -> Rates:
        """The rates of a call with so many input tokens."""
        found = self.steps[0][1]
        for start, rates in self.steps[1:]:
            if input_tokens <= start:
                break
            found = rates
        return found


def compile_rates(prices: Mapping[Class, Decimal]) -> Rates:
    """Rates from USD per ``PER_UNIT`` of each class. A class without a price costs as the class it is part of."""
    exact = {name: Fraction(prices[name]) * NANO / per for name, per in PER_UNIT.items() if name in prices}
    for name in PER_UNIT:
        if name not in exact:
            exact[name] = exact[_PART_OF[name]] if name in _PART_OF else Fraction(0)
    scale = lcm(*(rate.denominator for rate in exact.values()))
    return Rates(scale, **{name: int(rate * scale) for name, rate in exact.items()})


def price(usage: Usage, rates: Rates) -> PlainParts | None:
    """Scaled nano-USD of each class in the order of ``Parts``, unrounded; ``None`` where the counts cannot be booked.

    They cannot when one is negative or absurd, when parts exceed their whole, or when one is missing that costs money.
    A missing count is zero only where its class is free: embeddings have no output price.
    """
    total, output = usage.input_tokens, usage.output_tokens
    if (total is None and rates.input) or (output is None and rates.output):
        return None
    total, output = total or 0, output or 0
    read, searches = usage.cache_read_tokens or 0, usage.web_searches or 0
    long = usage.cache_write_1h_tokens or 0
    write = long if usage.cache_write_tokens is None else usage.cache_write_tokens
    fresh = total - read - write
    if fresh < 0 or read < 0 or not 0 <= long <= write or total > MAX_COUNT:
        return None
    if not 0 <= output <= MAX_COUNT or not 0 <= searches <= MAX_COUNT:
        return None
    return (
        fresh * rates.input,
        read * rates.cache_read,
        (write - long) * rates.cache_write + long * rates.cache_write_1h,
        output * rates.output,
        searches * rates.web_searches + rates.requests,
    )
