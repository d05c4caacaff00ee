"""The derived nouns: what the collector works out of a session's calls. Pure figures, no text, no identity of people.

Field names are the columns of tables ``receipts``, ``handoffs`` and ``sessions``. Everything is additive where it says
tokens, nano or us: sums over calls give a session, over sessions a day. Ratios are never stored, always divided late.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from collectors.records import Role, RoleSource, Source

HandoffKind = Literal["forward", "return", "fan_out", "fan_in"]
Pattern = Literal["single", "hierarchical", "parallel", "peer", "routing", "sequential", "mixed"]

TAX_LINES = ("retry", "route", "coordinate", "validate", "aggregate", "handoff")
"""The lines whose sum is the tax; with ``work`` they partition every token and every nano-dollar of a call."""
LINES = (*TAX_LINES, "work")


@dataclass(frozen=True, slots=True)
class Receipt:
    """Each token and nano-dollar of one call in exactly one line (asserted where it is made).

    ``*_tokens`` of :data:`LINES` sum to the call's ``T``; ``*_nano`` to its cost (all zero when the cost is unknown,
    then ``is_priced`` is false). The second group splits the input the other way, by where it stood before:
    ``novel + own_reread + scaffold + cross_request + cross_output + unobserved = I``; it is shown beside the tax.
    """

    call_id: str
    session_id: str
    version: int  # a later analysis of the session replaces an earlier one
    stage: str
    role: Role
    role_source: RoleSource
    is_priced: bool
    is_retry: bool
    is_rework: bool
    retry_of: str  # call id of the failed predecessor, "" when unknown or no retry
    retry_kind: Literal["", "retry", "duplicate", "sampling"]
    retry_tokens: int = 0
    route_tokens: int = 0
    coordinate_tokens: int = 0
    validate_tokens: int = 0
    aggregate_tokens: int = 0
    handoff_tokens: int = 0
    work_tokens: int = 0
    retry_nano: int = 0
    route_nano: int = 0
    coordinate_nano: int = 0
    validate_nano: int = 0
    aggregate_nano: int = 0
    handoff_nano: int = 0
    work_nano: int = 0
    novel_tokens: int = 0
    own_reread_tokens: int = 0
    scaffold_tokens: int = 0
    cross_request_tokens: int = 0
    cross_output_tokens: int = 0
    unobserved_tokens: int = 0
    output_tokens: int = 0
    on_critical_path: bool = False


@dataclass(frozen=True, slots=True)
class Handoff:
    """An edge between stage-runs of different stages."""

    session_id: str
    from_call: str
    to_call: str
    version: int
    from_stage: str
    to_stage: str
    kind: HandoffKind
    gap_us: int
    net_gap_us: int  # without the part covered by tool calls
    overlap_us: int  # a negative gap, as a positive number; the gap itself is then 0
    is_idle: bool  # a person was waiting, or too long: excluded from the tax
    cross_request_tokens: int
    cross_output_tokens: int
    method: Literal["explicit", "content", "temporal"]
    confidence: float


@dataclass(frozen=True, slots=True)
class SessionFigures:
    """One session. The ``latency_*`` lines are time on the critical path, in microseconds, and with ``latency_work_us``
    sum to ``wall_us`` = W."""

    session_id: str
    version: int
    tenant: str
    task: str
    variant: str
    started_ns: int
    ended_ns: int
    session_source: Source
    session_confidence: float
    pattern: Pattern
    pattern_confidence: float
    calls: int
    model_calls: int  # without those that the provider turned away with an error and no usage
    reported_calls: int  # model calls whose usage the provider reported: coverage = reported / model calls
    unpriced_calls: int
    failed_calls: int
    retries: int
    handoffs: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cost_nano: int
    tool_cost_nano: int  # the part of cost_nano that is tool execution
    wall_us: int  # W: the critical path, idle excluded
    busy_us: int  # sum of all call durations; speed-up = busy / W
    barrier_us: int
    latency_retry_us: int = 0
    latency_route_us: int = 0
    latency_coordinate_us: int = 0
    latency_validate_us: int = 0
    latency_aggregate_us: int = 0
    latency_handoff_us: int = 0
    latency_work_us: int = 0


@dataclass(frozen=True, slots=True)
class SessionAnalysis:
    """All that is derived of one session; ``receipts`` in call order."""

    session: SessionFigures
    receipts: tuple[Receipt, ...]
    handoffs: tuple[Handoff, ...] = ()
