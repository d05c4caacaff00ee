"""The tax of one amount: lines of the receipt → their sum, the share and the multiple, each with its unit.

Pure; a row of the store in, values out. Ratios are divided here, last, from sums. Counterpart: ``report.py`` puts these
into the report.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Generic, Literal, TypeVar

from collectors.figures import LINES, TAX_LINES

Row = Mapping[str, Any]
Amount = TypeVar("Amount", int, Decimal)
Unit = Literal["tokens", "usd", "us"]

NANO = 9
"""Decimal places of a nano-dollar: every cost is printed with all that it has, never rounded."""
ENOUGH_COVERAGE = 0.9
"""Below this share of model calls with reported usage, no tax share in tokens or cost is shown."""
INSUFFICIENT = "insufficient coverage"


@dataclass(frozen=True, slots=True)
class Tax(Generic[Amount]):
    """The partition of one amount into its lines, in ``unit``; ``tax`` is the sum of all lines but ``work``.

    ``share`` = tax / total and ``multiple`` = total / work = 1 / (1 - share). Both are None where the total is zero or
    where usage was reported for too few calls; ``note`` then says why. ``multiple`` is also None when nothing was work.
    """

    unit: Unit
    share: float | None
    multiple: float | None
    note: str
    total: Amount
    tax: Amount
    retry: Amount
    route: Amount
    coordinate: Amount
    validate: Amount
    aggregate: Amount
    handoff: Amount
    work: Amount


@dataclass(frozen=True, slots=True)
class TaxByUnit:
    """The three taxes side by side; none of them is *the* tax."""

    tokens: Tax[int]
    cost: Tax[Decimal]
    latency: Tax[int]


def usd(nano: int) -> Decimal:
    """Nano-dollars → dollars, exact."""
    return Decimal(nano).scaleb(-NANO)


def coverage_of(row: Row) -> float | None:
    return row["reported_calls"] / row["model_calls"] if row["model_calls"] else None


def known_cost(row: Row) -> Decimal | None:
    """None where calls without a price are all there is: a sum of nothing is unknown, not free."""
    return None if row["unpriced_calls"] and not row["cost_nano"] else usd(row["cost_nano"])


def token_tax(row: Row, coverage: float | None) -> Tax[int]:
    return divide("tokens", {line: row[f"{line}_tokens"] for line in LINES}, 0, _coverage_note(coverage))


def cost_tax(row: Row, coverage: float | None) -> Tax[Decimal]:
    tax = divide("usd", {line: usd(row[f"{line}_nano"]) for line in LINES}, Decimal(0), _coverage_note(coverage))
    return tax if not row["unpriced_calls"] or tax.note else replace(tax, note=_unpriced(row["unpriced_calls"]))


def latency_tax(row: Row) -> Tax[int]:
    """Time is measured here, for every call: coverage of usage does not touch it."""
    return divide("us", {line: row[f"{line}_us"] for line in LINES}, 0, "")


def _coverage_note(coverage: float | None) -> str:
    return INSUFFICIENT if coverage is not None and coverage < ENOUGH_COVERAGE else ""


def _unpriced(calls: int) -> str:
    return f"{calls} call{'' if calls == 1 else 's'} without a known price left out"


def divide(unit: Unit, lines: Mapping[str, Amount], zero: Amount, note: str) -> Tax[Amount]:
    """The lines (every one of :data:`LINES`) with their sum, their tax, and both ratios, unless ``note`` forbids."""
    tax = sum((lines[line] for line in TAX_LINES), zero)
    total = tax + lines["work"]
    share = float(tax / total) if total and not note else None
    multiple = float(total / lines["work"]) if lines["work"] and not note else None
    return Tax(unit=unit, share=share, multiple=multiple, note=note, total=total, tax=tax, **lines)
