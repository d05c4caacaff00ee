"""One session close up: its figures, its calls for the waterfall, its handoffs, its receipt.

Pure, like ``report.py``, whose dataclasses it goes on from; again the fields are the JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from collectors.figures import LINES, TAX_LINES
from collectors.report import SessionReport, session_report
from collectors.tax import Row, Tax, usd

FORMULAS = {
    "retry": "tokens of failed attempts, of their retries, and of rework after a validator's FAIL",
    "route": "all tokens of calls in the role route",
    "coordinate": "all tokens of calls in the role coordinate",
    "validate": "all tokens of calls in the role validate; this line buys quality",
    "aggregate": "all tokens of calls in the role aggregate",
    "handoff": "cross-stage repetition in work calls: the user's request and other stages' text, sent again",
    "work": "what is left: the tokens that did the task",
    "tax": "retry + route + coordinate + validate + aggregate + handoff",
    "total": "tax + work = input + output tokens of every call",
    "own_reread": "input that stood earlier in the same thread: a loop's growing history",
    "scaffold": "system prompts and tool schemas, sent again by the same stage on a new thread",
}
"""What each line of a receipt counts, in one sentence; shown on hover and under ``orchtax session``."""


@dataclass(frozen=True, slots=True)
class CallLines:
    """One call's tokens by receipt line."""

    retry: int
    route: int
    coordinate: int
    validate: int
    aggregate: int
    handoff: int
    work: int


@dataclass(frozen=True, slots=True)
class CallDetail:
    """One bar of the waterfall. ``start_us`` counts from the session's first call."""

    call_id: str
    start_us: int
    duration_us: int
    ttfb_us: int | None
    kind: str
    stage: str
    role: str
    upstream: str
    operation: str
    model: str | None
    tool: str
    status: int | None
    outcome: str
    error: str
    streamed: bool
    attempts: int
    is_retry: bool
    is_rework: bool
    retry_of: str
    retry_kind: str
    on_critical_path: bool
    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    usage_source: str
    cost_usd: Decimal | None
    price_version: str
    own_reread: int
    scaffold: int
    lines: CallLines


@dataclass(frozen=True, slots=True)
class HandoffDetail:
    from_call: str
    to_call: str
    from_stage: str
    to_stage: str
    kind: str
    gap_us: int
    net_gap_us: int
    overlap_us: int
    is_idle: bool
    cross_request_tokens: int
    cross_output_tokens: int
    method: str
    confidence: float


@dataclass(frozen=True, slots=True)
class ReceiptLine:
    """One printed line. ``share`` is of the total's tokens; None as in :class:`collectors.report.Tax`. A line beside
    the tax has tokens only: its money and time are already in the lines above it."""

    line: str
    tokens: int
    share: float | None
    cost_usd: Decimal | None
    latency_us: int | None
    formula: str


@dataclass(frozen=True, slots=True)
class ReceiptReport:
    lines: tuple[ReceiptLine, ...]
    tax: ReceiptLine
    total: ReceiptLine
    beside: tuple[ReceiptLine, ...]


@dataclass(frozen=True, slots=True)
class SessionDetail:
    """``calls_truncated``: the session has more calls than are listed; its sums count them all."""

    session: SessionReport
    receipt: ReceiptReport
    calls: tuple[CallDetail, ...]
    handoffs: tuple[HandoffDetail, ...]
    calls_truncated: bool


def build_detail(session: Row, stages: Iterable[Row], calls: Sequence[Row], handoffs: Iterable[Row]) -> SessionDetail:
    """Rows of ``sessions.sql``, ``stages.sql``, ``session_calls.sql``, ``session_handoffs.sql`` → the close-up."""
    summary = session_report(session, stages)
    origin = min((row["start_us"] for row in calls), default=0)
    return SessionDetail(
        session=summary,
        receipt=receipt_of(summary),
        calls=tuple(_call(row, origin) for row in calls),
        handoffs=tuple(_handoff(row) for row in handoffs),
        calls_truncated=len(calls) < summary.calls,
    )


def receipt_of(session: SessionReport) -> ReceiptReport:
    """The session's three taxes, turned so that a line is a row; lines of :data:`LINES` sum to the total."""
    repetition = session.repetition
    beside = (("own_reread", repetition.own_reread), ("scaffold", repetition.scaffold))
    return ReceiptReport(
        lines=tuple(_line(session, name) for name in ("work", *TAX_LINES)),
        tax=_line(session, "tax"),
        total=_line(session, "total"),
        beside=tuple(
            ReceiptLine(name, tokens, _share(session.tax.tokens, tokens), None, None, FORMULAS[name])
            for name, tokens in beside
        ),
    )


def _line(session: SessionReport, name: str) -> ReceiptLine:
    tokens: int = getattr(session.tax.tokens, name)
    cost = None if session.cost_usd is None else getattr(session.tax.cost, name)
    latency = getattr(session.tax.latency, name)
    return ReceiptLine(name, tokens, _share(session.tax.tokens, tokens), cost, latency, FORMULAS[name])


def _share(tax: Tax[int], tokens: int) -> float | None:
    return None if tax.share is None else tokens / tax.total


def _call(row: Row, origin: int) -> CallDetail:
    claims = ("is_retry", "is_rework", "on_critical_path", "streamed")
    values = {
        **row,
        **{name: bool(row[name]) for name in claims},
        "start_us": row["start_us"] - origin,
        "cost_usd": None if row["cost_nano"] is None else usd(row["cost_nano"]),
        "own_reread": row["own_reread_tokens"],
        "scaffold": row["scaffold_tokens"],
        "lines": CallLines(**{line: row[f"{line}_tokens"] for line in LINES}),
    }
    return CallDetail(**{name: values[name] for name in CallDetail.__dataclass_fields__})


def _handoff(row: Row) -> HandoffDetail:
    fields = {name: row[name] for name in HandoffDetail.__dataclass_fields__ if name != "is_idle"}
    return HandoffDetail(**fields, is_idle=bool(row["is_idle"]))
