"""The receipt of one call: each token and each nano-dollar in exactly one line.

By priority: ``retry`` (a resend, or rework) > the role's own line (route, coordinate, validate, aggregate) >
``handoff`` (what other stages said or were asked before, read again by a work call) > ``work``. Output tokens and fees
stand on the call's own line; only input can be handoff.

Cost follows each token's real class: cache reads lie at the front of the prompt, cache writes after them, uncached
input after those, and the spans of the prompt (see ``repetition.py``) stand in the order of its blocks. So context that
another stage already paid into the cache costs the handoff line its cheap price. Where the parts of a cost are unknown
or do not sum (a provider's own total), the total is spread evenly over input and output tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from collectors.figures import LINES, Receipt
from collectors.records import CallRecord, Role, RoleSource
from collectors.repetition import CROSS, Partition
from collectors.retries import FIRST, Repeat
from collectors.roles import Line


@dataclass(frozen=True, slots=True)
class Standing:
    """What a call is in its session. ``line``: where its role stands on a first pass. ``is_first_charged``: a resend
    that stands there too, since no attempt before it cost anything."""

    role: Role = "work"
    role_source: RoleSource = "none"
    line: Line = "work"
    repeat: Repeat = FIRST
    is_rework: bool = False
    is_first_charged: bool = False

    @property
    def is_retry(self) -> bool:
        """Whether the call is a resend after a failure; a duplicate or a sample is none."""
        return self.repeat.kind == "retry"

    @property
    def charged(self) -> Line:
        """The line that carries the call's tokens, but for what it reads again."""
        return "retry" if self.is_rework or (self.is_retry and not self.is_first_charged) else self.line


def receipt(call: CallRecord, standing: Standing, partition: Partition, version: int) -> Receipt:
    """Write the receipt. A refused call carries nothing.

    The lines sum to the call's ``T`` and cost exactly (asserted); an unknown part of ``T`` counts as nothing, an
    unknown cost as nothing and not priced.
    """
    was_sent = call.outcome != "refused"
    tokens, nano = dict.fromkeys(LINES, 0), dict.fromkeys(LINES, 0)
    total = call.tokens if was_sent else 0
    cost = (call.cost_nano or 0) if was_sent else 0
    is_split = was_sent and standing.charged == "work"
    tokens["handoff"] = sum(s.tokens for s in partition.spans if s.kind in CROSS) if is_split else 0
    nano["handoff"] = _handoff_nano(call, partition) if is_split else 0
    tokens[standing.charged] += total - tokens["handoff"]
    nano[standing.charged] += cost - nano["handoff"]
    assert sum(tokens.values()) == total, f"tokens of {call.call_id} do not sum"
    assert sum(nano.values()) == cost, f"cost of {call.call_id} does not sum"
    return Receipt(
        call_id=call.call_id,
        session_id=call.session_id,
        version=version,
        stage=call.stage,
        role=standing.role,
        role_source=standing.role_source,
        is_priced=was_sent and call.cost_nano is not None,
        is_retry=standing.is_retry,
        is_rework=standing.is_rework,
        retry_of=standing.repeat.of if standing.is_retry else "",
        retry_kind=standing.repeat.kind,
        novel_tokens=partition.tokens("novel"),
        own_reread_tokens=partition.tokens("own_reread"),
        scaffold_tokens=partition.tokens("scaffold"),
        cross_request_tokens=partition.tokens("cross_request"),
        cross_output_tokens=partition.tokens("cross_output"),
        unobserved_tokens=partition.tokens("unobserved"),
        output_tokens=(call.output_tokens or 0) if was_sent else 0,
        on_critical_path=False,
        **{f"{line}_tokens": tokens[line] for line in LINES},
        **{f"{line}_nano": nano[line] for line in LINES},
    )


def _handoff_nano(call: CallRecord, partition: Partition) -> int:
    """The cost of a prompt's cross-stage spans, each class of token at its own price, rounded half up per class."""
    if not call.cost_nano:
        return 0
    crossing = [(at, at + length) for at, length, is_cross in _positions(partition) if is_cross]
    found = 0
    for start, end, nano in _classes(call):
        inside = sum(max(0, min(end, stop) - max(start, at)) for at, stop in crossing)
        found += (2 * nano * inside + (end - start)) // (2 * (end - start)) if inside else 0
    return found


def _positions(partition: Partition) -> Iterator[tuple[int, int, bool]]:
    at = 0
    for span in partition.spans:
        yield at, span.tokens, span.kind in CROSS
        at += span.tokens


def _classes(call: CallRecord) -> list[tuple[int, int, int]]:
    """Which prompt positions cost what: (first, past the last, nano) of cache reads, cache writes, uncached input."""
    whole = call.input_tokens or 0
    parts = (call.cost_cache_read_nano, call.cost_cache_write_nano, call.cost_input_nano)
    known = [part or 0 for part in (*parts, call.cost_output_nano, call.cost_fee_nano)]
    if sum(known) != call.cost_nano or min(known) < 0:
        return [(0, whole, (call.cost_nano or 0) * whole // max(1, call.tokens))]
    read = min(call.cache_read_tokens or 0, whole)
    write = min(call.cache_write_tokens or 0, whole - read)
    return [(0, read, known[0]), (read, read + write, known[1]), (read + write, whole, known[2])]
