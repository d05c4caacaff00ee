"""Sessions told in a line a call, for tests of the measuring plane. Times in milliseconds since the session's start."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from collectors.figures import Receipt, SessionAnalysis
from collectors.fingerprint import text_block
from collectors.records import Block, BlockKind, CallRecord
from collectors.roles import RoleRules
from collectors.sessions import analyse

START_NS = 1_790_000_000_000_000_000
RULES = RoleRules()


def say(kind: BlockKind, text: str, size: int | None = None) -> Block:
    """A block by its text; ``size`` where a test wants another length than the text's."""
    block = text_block(text, kind)
    return block if size is None else block._replace(size=size)


def model(call_id: str, stage: str, at: float, ms: float, **known: Any) -> CallRecord:
    """A call to a model; ``known`` are further fields of the record."""
    call = CallRecord(
        call_id=call_id,
        ts_ns=START_NS + round(at * 1e6),
        kind="model",
        upstream="openai",
        dialect="openai_chat",
        outcome="ok",
        duration_us=round(ms * 1e3),
        session_id="s",
        stage=stage,
    )
    return replace(call, **known)


def tool(call_id: str, stage: str, at: float, ms: float, **known: Any) -> CallRecord:
    """A call to a tool, made by ``stage``."""
    return replace(model(call_id, stage, at, ms), kind="tool", upstream="search", dialect="http_tool", **known)


def analysed(*calls: CallRecord, rules: RoleRules = RULES) -> SessionAnalysis:
    """The session's analysis, version 1."""
    return analyse(calls, rules, 1)


def receipts(analysis: SessionAnalysis) -> dict[str, Receipt]:
    """Receipts by call id."""
    return {receipt.call_id: receipt for receipt in analysis.receipts}


def crossings(analysis: SessionAnalysis) -> set[tuple[str, str, str]]:
    """Handoffs as (from call, to call, kind)."""
    return {(handoff.from_call, handoff.to_call, handoff.kind) for handoff in analysis.handoffs}
