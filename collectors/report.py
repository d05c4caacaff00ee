"""The report: rows of the store → the values that people see, in the terminal, over the API, on the page.

Pure. The fields of these dataclasses *are* the report's JSON, key by key (see :func:`dump`), so nothing else decides
what a figure is called. Counterparts: ``store/queries`` brings the rows, ``tax.py`` divides, ``session_detail.py`` adds
one session's calls, ``reading.py`` asks.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeVar

import orjson
from pydantic import TypeAdapter

from collectors.tax import Row, Tax, TaxByUnit, cost_tax, coverage_of, known_cost, latency_tax, token_tax, usd

Value = TypeVar("Value")


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
    coverage = coverage_of(row)
    return {
        **{name: row[name] for name in (*same, "unpriced_calls", "failed_calls", "cache_read_tokens")},
        "cost_usd": known_cost(row),
        "tool_cost_usd": usd(row["tool_cost_nano"]),
        "coverage": coverage,
        "tax": TaxByUnit(token_tax(row, coverage), cost_tax(row, coverage), latency_tax(row)),
        "repetition": Repetition(**{name: row[f"{name}_tokens"] for name in Repetition.__dataclass_fields__}),
    }


def _stage(row: Row) -> StageReport:
    coverage = coverage_of(row)
    same = ("stage", "role", "calls", "retries", "rework_calls", "failed_calls", "unpriced_calls")
    called = row["model_calls"] > 0
    return StageReport(
        **{name: row[name] for name in (*same, "input_tokens", "output_tokens")},
        cost_usd=known_cost(row),
        tax=StageTax(token_tax(row, coverage), cost_tax(row, coverage)),
        latency=StageLatency(
            row["busy_us"], row["path_us"], row["p50_us"] if called else None, row["p95_us"] if called else None
        ),
    )
