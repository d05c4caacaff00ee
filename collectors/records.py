"""The nouns of orchtax: what a worker observes of a call and hands to the collector.

Everything here is frozen and plain, so that it crosses the spool unchanged. ``None`` means *unknown* and is stored as
NULL, never as zero. Times are integers whose unit stands in the name; money is integer nano-dollars (1e-9 USD).
The words are those of the README's glossary. Counterparts: ``spool.py`` carries these, ``store/schema`` holds them.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Literal, NamedTuple

import orjson

from collectors.nouns import noun

Kind = Literal["model", "tool", "agent", "other"]
"""What was called. ``other`` is traffic that is neither (model lists, file uploads, protocol handshakes)."""

Outcome = Literal["ok", "error", "refused", "cancelled", "cut", "timeout", "unreachable"]
"""How it ended: the upstream's own error is ``error``; ``refused`` by orchtax; ``cancelled`` = the agent left;
``cut`` = the upstream broke off mid-answer; ``timeout``, ``unreachable`` = the upstream never answered."""

UsageSource = Literal["reported", "counted", "estimated", "none"]
Source = Literal["header", "path", "baggage", "peer_header", "protocol", "config", "content", "temporal", "none"]
Role = Literal["work", "plan", "route", "coordinate", "validate", "aggregate"]
RoleSource = Literal["declared", "configured", "inferred", "none"]
Verdict = Literal["pass", "fail"]

BlockKind = Literal["system", "tool_def", "user", "assistant", "tool_call", "tool_result", "media"]
ROLES: tuple[Role, ...] = ("work", "plan", "route", "coordinate", "validate", "aggregate")


class Block(NamedTuple):
    """One part of a prompt or of an answer, by digest: text never leaves the worker.

    ``digest`` is xxh3-64 of the part's text (see ``fingerprint.py``: the same text has the same digest whatever its
    kind, so an answer pasted as another stage's user message is recognised); ``size`` is its length in characters.
    """

    digest: int
    kind: BlockKind
    size: int


@noun
class Usage:
    """Tokens of one call, normalised: ``input_tokens`` includes cache reads and writes, ``output_tokens`` includes
    reasoning. Dialects convert; nothing downstream adds a part twice."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None  # subset of cache_write_tokens, dearer at Anthropic
    reasoning_tokens: int | None = None
    input_audio_tokens: int | None = None
    output_audio_tokens: int | None = None
    web_searches: int | None = None
    service_tier: str | None = None
    provider_cost_nano: int | None = None  # the provider's own figure, authoritative where it exists
    source: UsageSource = "none"


@noun
class Cost:
    """Money of one call, nano-USD. The parts sum to ``total_nano`` exactly (largest remainder takes the rounding)."""

    total_nano: int
    input_nano: int  # uncached input
    cache_read_nano: int
    cache_write_nano: int
    output_nano: int
    fee_nano: int  # per call, per search: whatever is not per token
    price_version: str


@noun
class Attribution:
    """Who called: each of session and stage with where it was learned and how sure that is (0-1)."""

    tenant: str = ""
    key_hash: str = ""
    session_id: str = ""
    session_source: Source = "none"
    session_confidence: float = 0.0
    stage: str = ""
    stage_source: Source = "none"
    stage_confidence: float = 0.0
    role: Role | None = None
    role_source: RoleSource = "none"
    parent: str = ""  # declared parent: a call id or a stage name
    task: str = ""
    variant: str = ""
    essential: bool | None = None
    verdict: Verdict | None = None
    agent_id: str = ""  # the instance of the stage: an agent's, thread's or span's own id
    parent_agent_id: str = ""  # the instance that started it
    parent_session_id: str = ""  # the session that this one is part of
    trace_id: str = ""  # of W3C traceparent, and the caller's span in it
    parent_span_id: str = ""


@noun
class CallRecord:
    """One finished call. Field names are the columns of table ``calls``.

    ``ts_ns`` is the wall clock at arrival (request fully read); ``duration_us``, ``ttfb_us`` run from there, on the
    monotonic clock, to the last and the first upstream byte. ``proxy_us`` is what orchtax itself added.
    """

    call_id: str
    ts_ns: int
    kind: Kind
    upstream: str
    dialect: str
    outcome: Outcome
    duration_us: int
    status: int | None = None
    worker: str = ""
    # attribution
    tenant: str = ""
    key_hash: str = ""
    session_id: str = ""
    session_source: Source = "none"
    session_confidence: float = 0.0
    stage: str = ""
    stage_source: Source = "none"
    stage_confidence: float = 0.0
    role: Role | None = None
    role_source: RoleSource = "none"
    parent: str = ""
    task: str = ""
    variant: str = ""
    essential: bool | None = None
    verdict: Verdict | None = None
    agent_id: str = ""
    parent_agent_id: str = ""
    parent_session_id: str = ""
    trace_id: str = ""
    parent_span_id: str = ""
    # what was asked and answered
    method: str = ""
    path: str = ""
    operation: str = ""
    tool: str = ""
    model: str | None = None
    response_model: str | None = None
    response_id: str = ""
    previous_id: str = ""
    streamed: bool = False
    finish_reason: str = ""
    error: str = ""
    # tokens
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    usage_source: UsageSource = "none"
    # money
    cost_nano: int | None = None
    cost_input_nano: int | None = None
    cost_cache_read_nano: int | None = None
    cost_cache_write_nano: int | None = None
    cost_output_nano: int | None = None
    cost_fee_nano: int | None = None
    price_version: str = ""
    # retries
    attempts: int = 1
    client_retry: int = 0  # the SDK's own mark, e.g. x-stainless-retry-count
    retry_key: str = ""  # SDK invocation id or idempotency key (hashed), when one was sent
    body_hash: str = ""  # canonical body, hex; "" when unknown
    # the upstream's limits, as its answer told them
    retry_after_ms: int | None = None
    limit_requests_left: int | None = None
    limit_tokens_left: int | None = None
    # time and size
    ttfb_us: int | None = None
    proxy_us: int = 0
    request_bytes: int = 0
    response_bytes: int = 0
    # content, by digest
    blocks: tuple[Block, ...] = ()  # the prompt, in prompt order
    outputs: tuple[Block, ...] = ()  # the answer
    emitted_tools: tuple[str, ...] = ()  # names of the tools the model asked for

    @property
    def end_ns(self) -> int:
        """Wall clock of the last upstream byte."""
        return self.ts_ns + self.duration_us * 1000

    @property
    def tokens(self) -> int:
        """``T = I + O``; unknown parts count as nothing here, ``usage_source`` tells."""
        return (self.input_tokens or 0) + (self.output_tokens or 0)


_CALL_FIELDS = frozenset(f.name for f in fields(CallRecord))


def encode(record: CallRecord) -> bytes:
    """One spool payload: JSON ``["call", {...}]``."""
    return orjson.dumps(("call", record), default=tuple)  # orjson leaves named tuples (Block) to the caller


def decode(payload: bytes) -> CallRecord:
    """The inverse of :func:`encode`. Fields this version does not know are dropped, missing ones take their default,
    so that a spool written before an upgrade still drains after it.

    Raises:
        ValueError: the payload is not a call record.
    """
    try:
        tag, data = orjson.loads(payload)
        if tag != "call":
            raise ValueError(f"unknown record type {tag!r}")
        known: dict[str, Any] = {k: v for k, v in data.items() if k in _CALL_FIELDS}
        for name in ("blocks", "outputs"):
            known[name] = tuple(map(Block._make, known.get(name, ())))
        known["emitted_tools"] = tuple(known.get("emitted_tools", ()))
        return CallRecord(**known)
    except (TypeError, AttributeError) as error:
        raise ValueError(f"not a call record: {error}") from error
