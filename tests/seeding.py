"""Sessions whose every figure is known, for tests of what people see: written down call by call, summed by hand-sized
functions, put into a real store through ``Store.insert``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from collectors.figures import LINES, TAX_LINES, Handoff, Receipt, SessionAnalysis, SessionFigures
from collectors.records import CallRecord, Kind, Outcome, Role
from collectors.store.clickhouse import Store
from collectors.store.rows import (
    CALL_COLUMNS,
    HANDOFF_COLUMNS,
    RECEIPT_COLUMNS,
    SESSION_COLUMNS,
    call_row,
    handoff_row,
    receipt_row,
    session_row,
)

INPUT_NANO, OUTPUT_NANO = 2_500, 10_000
"""Prices per token: 2.50 and 10 dollars per million."""
ORIGIN_NS = 1_795_000_000_000_000_000


@dataclass(frozen=True)
class Spec:
    """One call: times in milliseconds from the session's start."""

    stage: str
    role: Role
    start: int
    took: int
    tokens: tuple[int, int] | None = None  # input, output; None for a tool
    handoff: int = 0
    reread: int = 0
    scaffold: int = 0
    tool: str = ""
    outcome: Outcome = "ok"
    retry_of: int | None = None
    is_rework: bool = False
    on_path: bool = True
    is_priced: bool = True
    reported: bool = True

    @property
    def line(self) -> str:
        is_retry = self.retry_of is not None or self.outcome != "ok" or self.is_rework
        return "retry" if is_retry else "work" if self.role == "plan" else self.role


def analysed(
    name: str, specs: Sequence[Spec], start_s: int = 0, **also: Any
) -> tuple[list[CallRecord], SessionAnalysis]:
    """The records of a session and what the collector would make of them."""
    start_ns = ORIGIN_NS + start_s * 1_000_000_000
    calls = [_record(name, number, spec, start_ns) for number, spec in enumerate(specs)]
    receipts = tuple(_receipt(name, number, spec, calls) for number, spec in enumerate(specs))
    handoffs = tuple(_handoffs(name, specs))
    return calls, SessionAnalysis(_figures(name, specs, calls, handoffs, also), receipts, handoffs)


async def seed(store: Store, sessions: Sequence[tuple[list[CallRecord], SessionAnalysis]]) -> None:
    """Each table once, as the collector would."""
    analyses = [analysis for _, analysis in sessions]
    calls = [call_row(call) for records, _ in sessions for call in records]
    await store.insert("calls", CALL_COLUMNS, calls, "seed-calls")
    receipts = [receipt_row(receipt) for a in analyses for receipt in a.receipts]
    await store.insert("receipts", RECEIPT_COLUMNS, receipts, "seed-receipts")
    handoffs = [handoff_row(handoff) for a in analyses for handoff in a.handoffs]
    await store.insert("handoffs", HANDOFF_COLUMNS, handoffs, "seed-handoffs")
    await store.insert("sessions", SESSION_COLUMNS, [session_row(a.session) for a in analyses], "seed-sessions")


def demo_sessions() -> list[tuple[list[CallRecord], SessionAnalysis]]:
    """One of each pattern, with a rework, a retry, a cut in coverage and a model without a price among them."""
    return [
        analysed("support-4711", SPECIALIST, 3600, pattern="sequential", task="refund-question"),
        analysed("research-88", RESEARCH, 1800, pattern="parallel", task="market-scan", variant="B"),
        analysed("loop-single", LOOP, 900, pattern="single", task="refund-question"),
        analysed("supervisor-12", SUPERVISOR, 300, pattern="hierarchical", session_source="content", confidence=0.9),
        analysed("half-blind", UNCOVERED, 60, pattern="sequential", session_source="baggage"),
        analysed("no-price", UNPRICED, 30, pattern="single", session_source="path"),
    ]


SPECIALIST = (
    Spec("router", "route", 0, 800, (1840, 160)),
    Spec("specialist", "work", 1000, 2300, (3100, 640), handoff=1500, scaffold=420, outcome="timeout"),
    Spec("specialist", "work", 3400, 1500, (3100, 660), handoff=1500, retry_of=1),
    Spec("specialist", "work", 4950, 420, tool="search"),
    Spec("specialist", "work", 5400, 1400, (5400, 820), handoff=1500, reread=3700),
    Spec("validator", "validate", 7000, 600, (2700, 300)),
    Spec("specialist", "work", 7700, 1650, (6100, 790), reread=4800, is_rework=True),
    Spec("validator", "validate", 9400, 580, (2650, 210), is_rework=True),
)
RESEARCH = (
    Spec("planner", "plan", 0, 900, (1200, 400)),
    Spec("market", "work", 1000, 2100, (2100, 900), handoff=800, on_path=False),
    Spec("science", "work", 1010, 3400, (2400, 1300), handoff=800, on_path=False),
    Spec("law", "work", 1020, 1800, (1900, 700), handoff=800, on_path=False),
    Spec("news", "work", 1030, 1300, (2900, 850), handoff=800, on_path=False),
    Spec("news", "work", 2400, 500, tool="search", on_path=False),
    Spec("news", "work", 2950, 2280, (4300, 950), handoff=800, reread=2800),
    Spec("writer", "aggregate", 5300, 1800, (6600, 1500)),
)
LOOP = (
    Spec("agent", "work", 0, 1200, (1500, 200)),
    Spec("agent", "work", 1210, 300, tool="search"),
    Spec("agent", "work", 1520, 1100, (2100, 240), reread=1700),
    Spec("agent", "work", 2630, 250, tool="read_file"),
    Spec("agent", "work", 2890, 1600, (2900, 700), reread=2340),
)
SUPERVISOR = (
    Spec("supervisor", "coordinate", 0, 700, (1500, 140)),
    Spec("coder", "work", 760, 2600, (2600, 1500), handoff=900, scaffold=0),
    Spec("supervisor", "coordinate", 3420, 650, (3300, 150)),
    Spec("tester", "validate", 4130, 1500, (2900, 500)),
    Spec("supervisor", "coordinate", 5700, 720, (4300, 160)),
    Spec("coder", "work", 6480, 2100, (4800, 900), handoff=700, reread=1600, scaffold=600),
    Spec("supervisor", "coordinate", 8640, 690, (5600, 420)),
)
UNCOVERED = (
    Spec("router", "route", 0, 500, (800, 60), reported=False),
    Spec("specialist", "work", 600, 1500, (2000, 700), handoff=500),
)
UNPRICED = (Spec("agent", "work", 0, 900, (900, 300), is_priced=False),)


def _record(name: str, number: int, spec: Spec, start_ns: int) -> CallRecord:
    kind: Kind = "tool" if spec.tool else "model"
    tokens_in, tokens_out = spec.tokens or (None, None)
    is_priced = spec.tokens is not None and spec.is_priced
    parts = ((tokens_in or 0) * INPUT_NANO, (tokens_out or 0) * OUTPUT_NANO)
    fee = 5_000_000 if spec.tool else None
    return CallRecord(
        call_id=f"{name}-{number}",
        ts_ns=start_ns + spec.start * 1_000_000,
        kind=kind,
        upstream="search" if spec.tool else "openai",
        dialect="http_tool" if spec.tool else "openai_chat",
        outcome=spec.outcome,
        duration_us=spec.took * 1000,
        ttfb_us=spec.took * 300,
        status=200 if spec.outcome == "ok" else None,
        session_id=name,
        session_source="header",
        session_confidence=1.0,
        stage=spec.stage,
        stage_source="header",
        stage_confidence=1.0,
        role=spec.role,
        role_source="declared",
        tool=spec.tool,
        model="" if spec.tool else "gpt-5-mini",
        operation="call" if spec.tool else "chat",
        input_tokens=tokens_in,
        output_tokens=tokens_out,
        usage_source="none" if spec.tool else "reported" if spec.reported else "counted",
        cost_nano=sum(parts) if is_priced else fee,
        cost_fee_nano=fee,
        price_version="test",
        proxy_us=180,
    )


def _receipt(name: str, number: int, spec: Spec, calls: Sequence[CallRecord]) -> Receipt:
    tokens_in, tokens_out = spec.tokens or (0, 0)
    total, cost = tokens_in + tokens_out, calls[number].cost_nano or 0
    handed = spec.handoff if spec.line == "work" else 0
    handed_nano = handed * INPUT_NANO if cost else 0
    lines = {f"{line}_tokens": 0 for line in LINES} | {f"{line}_nano": 0 for line in LINES}
    lines |= {f"{spec.line}_tokens": total - handed, f"{spec.line}_nano": cost - handed_nano}
    if handed:
        lines |= {"handoff_tokens": handed, "handoff_nano": handed_nano}
    return Receipt(
        call_id=calls[number].call_id,
        session_id=name,
        version=1,
        stage=spec.stage,
        role=spec.role,
        role_source="declared",
        is_priced=calls[number].cost_nano is not None,
        is_retry=spec.retry_of is not None,
        is_rework=spec.is_rework,
        retry_of="" if spec.retry_of is None else calls[spec.retry_of].call_id,
        retry_kind="" if spec.retry_of is None else "retry",
        novel_tokens=tokens_in - spec.handoff - spec.reread - spec.scaffold,
        own_reread_tokens=spec.reread,
        scaffold_tokens=spec.scaffold,
        cross_request_tokens=spec.handoff // 3,
        cross_output_tokens=spec.handoff - spec.handoff // 3,
        output_tokens=tokens_out,
        on_critical_path=spec.on_path,
        **lines,
    )


def _handoffs(name: str, specs: Sequence[Spec]) -> list[Handoff]:
    """From each on-path call to the next of another stage, and to whatever started beside that."""
    found: list[Handoff] = []
    for number, spec in enumerate(specs):
        before = [i for i, s in enumerate(specs) if s.start + s.took <= spec.start and not s.tool]
        if spec.tool or not before or specs[before[-1]].stage == spec.stage:
            continue
        giver = specs[before[-1]]
        gap = (spec.start - giver.start - giver.took) * 1000
        found.append(
            Handoff(
                session_id=name,
                from_call=f"{name}-{before[-1]}",
                to_call=f"{name}-{number}",
                version=1,
                from_stage=giver.stage,
                to_stage=spec.stage,
                kind="forward",
                gap_us=gap,
                net_gap_us=gap,
                overlap_us=0,
                is_idle=False,
                cross_request_tokens=spec.handoff // 3,
                cross_output_tokens=spec.handoff - spec.handoff // 3,
                method="content",
                confidence=0.8,
            )
        )
    return found


def _figures(
    name: str, specs: Sequence[Spec], calls: Sequence[CallRecord], handoffs: Sequence[Handoff], also: dict[str, Any]
) -> SessionFigures:
    path = [spec for spec in specs if spec.on_path]
    latency = {f"latency_{line}_us": 0 for line in LINES}
    for spec in path:
        latency[f"latency_{spec.line}_us"] += spec.took * 1000
    wall = (max(s.start + s.took for s in specs) - min(s.start for s in specs)) * 1000
    latency["latency_handoff_us"] = wall - sum(latency.values())
    model = [call for call in calls if call.kind == "model"]
    return SessionFigures(
        session_id=name,
        version=1,
        tenant="",
        task=also.get("task", ""),
        variant=also.get("variant", ""),
        started_ns=calls[0].ts_ns,
        ended_ns=max(call.end_ns for call in calls),
        session_source=also.get("session_source", "header"),
        session_confidence=also.get("confidence", 1.0),
        pattern=also["pattern"],
        pattern_confidence=0.9,
        calls=len(calls),
        model_calls=len(model),
        reported_calls=sum(call.usage_source == "reported" for call in model),
        unpriced_calls=sum(call.cost_nano is None for call in model),
        failed_calls=sum(call.outcome != "ok" for call in calls),
        retries=sum(spec.retry_of is not None for spec in specs),
        handoffs=len(handoffs),
        input_tokens=sum(call.input_tokens or 0 for call in calls),
        output_tokens=sum(call.output_tokens or 0 for call in calls),
        cache_read_tokens=0,
        cost_nano=sum(call.cost_nano or 0 for call in calls),
        tool_cost_nano=sum(call.cost_nano or 0 for call in calls if call.kind == "tool"),
        wall_us=wall,
        busy_us=sum(call.duration_us for call in calls),
        barrier_us=0,
        **latency,
    )


def tax_of(analysis: SessionAnalysis) -> int:
    """A session's tax in tokens, summed from its receipts."""
    return sum(getattr(receipt, f"{line}_tokens") for receipt in analysis.receipts for line in TAX_LINES)
