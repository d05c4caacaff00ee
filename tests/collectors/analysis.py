"""A small real analysis for tests of the collector: figures that a test can predict. Not the product's."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from collectors.figures import Handoff, Receipt, SessionAnalysis, SessionFigures
from collectors.records import CallRecord


def analyse(calls: Sequence[CallRecord], version: int) -> SessionAnalysis:
    """All tokens are work; a handoff wherever the stage changes, from the last call of the stage before."""
    receipts = tuple(
        Receipt(
            call_id=call.call_id,
            session_id=call.session_id,
            version=version,
            stage=call.stage,
            role="work",
            role_source="none",
            is_priced=call.cost_nano is not None,
            is_retry=False,
            is_rework=False,
            retry_of="",
            retry_kind="",
            work_tokens=call.tokens,
            work_nano=call.cost_nano or 0,
            novel_tokens=call.input_tokens or 0,
            output_tokens=call.output_tokens or 0,
        )
        for call in calls
    )
    pairs = [(a, b) for a, b in pairwise(calls) if a.stage != b.stage]
    handoffs = tuple(_handoff(a, b, version) for a, b in pairs)
    return SessionAnalysis(_figures(calls, version, len(handoffs)), receipts, handoffs)


def _handoff(before: CallRecord, after: CallRecord, version: int) -> Handoff:
    gap = max(0, (after.ts_ns - before.end_ns) // 1000)
    return Handoff(
        session_id=after.session_id,
        from_call=before.call_id,
        to_call=after.call_id,
        version=version,
        from_stage=before.stage,
        to_stage=after.stage,
        kind="forward",
        gap_us=gap,
        net_gap_us=gap,
        overlap_us=0,
        is_idle=False,
        cross_request_tokens=0,
        cross_output_tokens=0,
        method="temporal",
        confidence=0.5,
    )


def _figures(calls: Sequence[CallRecord], version: int, handoffs: int) -> SessionFigures:
    return SessionFigures(
        session_id=calls[0].session_id,
        version=version,
        tenant=calls[0].tenant,
        task="",
        variant="",
        started_ns=calls[0].ts_ns,
        ended_ns=max(call.end_ns for call in calls),
        session_source="header",
        session_confidence=1.0,
        pattern="single",
        pattern_confidence=1.0,
        calls=len(calls),
        model_calls=len(calls),
        reported_calls=0,
        unpriced_calls=0,
        failed_calls=0,
        retries=0,
        handoffs=handoffs,
        input_tokens=sum(call.input_tokens or 0 for call in calls),
        output_tokens=sum(call.output_tokens or 0 for call in calls),
        cache_read_tokens=0,
        cost_nano=sum(call.cost_nano or 0 for call in calls),
        tool_cost_nano=0,
        wall_us=0,
        busy_us=sum(call.duration_us for call in calls),
        barrier_us=0,
    )
