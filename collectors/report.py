"""The report: rows of the store → the values that people see, in the terminal, over the API, on the page.

Pure. The fields of these dataclasses *are* the report's JSON, key by key (see :func:`dump`), so nothing else decides
what a figure is called. Ratios are divided here, last, from sums. Counterparts: ``store/queries`` brings the rows,
``session_detail.py`` adds one session's calls, ``reading.py`` asks.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Generic, Literal, TypeVar

import orjson
from pydantic import TypeAdapter

from collectors.figures import LINES, TAX_LINES

Row = Mapping[str, Any]
Amount = TypeVar("Amount", int, Decimal)
Value = TypeVar("Value")
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


@dataclass(frozen=True, slots=True)
class StageTax:
    tokens: Tax[int]
    cost: Tax[Decimal]


@dataclass(frozen=True, slots=True)
class StageLatency:
    """Microseconds: all calls together, those on the critical path, and one model call's median and 95th percentile
    (None where the stage called no model)."""

    busy_us: int
    critical_path_us: int
    p50_us: int | None
    p95_us: int | None


@dataclass(frozen=True, slots=True)
class StageReport:
    stage: str
    role: str
    calls: int
    retries: int
    rework_calls: int
    failed_calls: int
    unpriced_calls: int
    input_tokens: int
    output_tokens: int
    cost_usd: Decimal | None
    tax: StageTax
    latency: StageLatency


@dataclass(frozen=True, slots=True)
class Repetition:
    """Input tokens by where they stood before; they sum to the input of all calls with a receipt. ``own_reread`` and
    ``scaffold`` stand beside the tax, never inside it."""

    novel: int
    own_reread: int
    scaffold: int
    cross_request: int
    cross_output: int
    unobserved: int


@dataclass(frozen=True, slots=True)
class AttributionReport:
    source: str
    confidence: float


@dataclass(frozen=True, slots=True)
class SessionReport:
    session_id: str
    calls: int
    stages: tuple[StageReport, ...]
    input_tokens: int
    output_tokens: int
    cost_usd: Decimal | None
    tax: TaxByUnit
    handoffs: int
    retries: int
    pattern: str
    pattern_confidence: float
    attribution: AttributionReport
    tenant: str
    task: str
    variant: str
    started_ns: int
    ended_ns: int
    wall_us: int
    busy_us: int
    barrier_us: int
    model_calls: int
    coverage: float | None
    unpriced_calls: int
    failed_calls: int
    cache_read_tokens: int
    tool_cost_usd: Decimal
    repetition: Repetition


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over every session that was asked for; ``listed`` of them are in the report, which has a limit.
    ``unattributed_*``: calls of that time that named no session; they stand in no other figure here."""

    sessions: int
    listed: int
    unattributed_calls: int
    unattributed_cost_usd: Decimal
    calls: int
    input_tokens: int
    output_tokens: int
    cost_usd: Decimal | None
    tax: TaxByUnit
    handoffs: int
    retries: int
    wall_us: int
    busy_us: int
    model_calls: int
    coverage: float | None
    unpriced_calls: int
    failed_calls: int
    cache_read_tokens: int
    tool_cost_usd: Decimal
    repetition: Repetition


@dataclass(frozen=True, slots=True)
class Report:
    sessions: tuple[SessionReport, ...]
    totals: Totals


def usd(nano: int) -> Decimal:
    """Nano-dollars → dollars, exact."""
    return Decimal(nano).scaleb(-NANO)


def dump(value: object, *, indent: bool = False) -> bytes:
    """The JSON of any dataclass here: money as a plain decimal number with every digit it has."""
    return orjson.dumps(value, default=_number, option=orjson.OPT_INDENT_2 if indent else None)


def load(kind: type[Value], body: bytes) -> Value:
    """The inverse of :func:`dump`; money stays decimal.

    Raises:
        ValueError: the body is not JSON of that kind.
    """
    return TypeAdapter(kind).validate_python(json.loads(body, parse_float=Decimal))


def _number(value: object) -> orjson.Fragment:
    if isinstance(value, Decimal):
        return orjson.Fragment(format(value, "f"))
    raise TypeError(f"{type(value).__name__} has no place in a report")


def build_report(sessions: Sequence[Row], stages: Iterable[Row], totals: Row) -> Report:
    """Rows of ``sessions.sql``, ``stages.sql`` and ``totals.sql`` → the report, sessions in the order given."""
    by_session: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in stages:
        by_session[row["tenant"], row["session_id"]].append(row)
    listed = tuple(session_report(row, by_session[row["tenant"], row["session_id"]]) for row in sessions)
    return Report(listed, _totals(totals, len(listed)))


def session_report(row: Row, stages: Iterable[Row]) -> SessionReport:
    return SessionReport(
        session_id=row["session_id"],
        stages=tuple(_stage(stage) for stage in stages),
        pattern=row["pattern"],
        pattern_confidence=row["pattern_confidence"],
        attribution=AttributionReport(row["session_source"], row["session_confidence"]),
        tenant=row["tenant"],
        task=row["task"],
        variant=row["variant"],
        started_ns=row["started_ns"],
        ended_ns=row["ended_ns"],
        barrier_us=row["barrier_us"],
        **_sums(row),
    )


def _totals(row: Row, listed: int) -> Totals:
    return Totals(
        sessions=row["sessions"],
        listed=listed,
        unattributed_calls=row["unattributed_calls"],
        unattributed_cost_usd=usd(row["unattributed_nano"]),
        **_sums(row),
    )


def _sums(row: Row) -> dict[str, Any]:
    """What a session and the totals have in common."""
    same = ("calls", "input_tokens", "output_tokens", "handoffs", "retries", "wall_us", "busy_us", "model_calls")
    coverage = _coverage(row)
    return {
        **{name: row[name] for name in (*same, "unpriced_calls", "failed_calls", "cache_read_tokens")},
        "cost_usd": _known_cost(row),
        "tool_cost_usd": usd(row["tool_cost_nano"]),
        "coverage": coverage,
        "tax": TaxByUnit(_token_tax(row, coverage), _cost_tax(row, coverage), _latency_tax(row)),
        "repetition": Repetition(**{name: row[f"{name}_tokens"] for name in Repetition.__dataclass_fields__}),
    }


def _stage(row: Row) -> StageReport:
    coverage = _coverage(row)
    same = ("stage", "role", "calls", "retries", "rework_calls", "failed_calls", "unpriced_calls")
    called = row["model_calls"] > 0
    return StageReport(
        **{name: row[name] for name in (*same, "input_tokens", "output_tokens")},
        cost_usd=_known_cost(row),
        tax=StageTax(_token_tax(row, coverage), _cost_tax(row, coverage)),
        latency=StageLatency(
            row["busy_us"], row["path_us"], row["p50_us"] if called else None, row["p95_us"] if called else None
        ),
    )


def _coverage(row: Row) -> float | None:
    return row["reported_calls"] / row["model_calls"] if row["model_calls"] else None


def _known_cost(row: Row) -> Decimal | None:
    """None where calls without a price are all there is: a sum of nothing is unknown, not free."""
    return None if row["unpriced_calls"] and not row["cost_nano"] else usd(row["cost_nano"])


def _token_tax(row: Row, coverage: float | None) -> Tax[int]:
    return divide("tokens", {line: row[f"{line}_tokens"] for line in LINES}, 0, _coverage_note(coverage))


def _cost_tax(row: Row, coverage: float | None) -> Tax[Decimal]:
    tax = divide("usd", {line: usd(row[f"{line}_nano"]) for line in LINES}, Decimal(0), _coverage_note(coverage))
    return tax if not row["unpriced_calls"] or tax.note else replace(tax, note=_unpriced(row["unpriced_calls"]))


def _latency_tax(row: Row) -> Tax[int]:
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
