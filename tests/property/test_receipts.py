"""What holds for every session, however odd: exact sums, no matter the arrival order, one stage hands nothing over."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.figures import LINES, SessionAnalysis
from collectors.records import ROLES, Block, BlockKind, CallRecord, Outcome
from collectors.timeline import takes_part
from tests.story import analysed, model

STAGES = ("router", "writer", "validator", "supervisor", "")
KINDS: tuple[BlockKind, ...] = get_args(BlockKind)
few = settings(max_examples=60, deadline=None)

blocks = st.lists(st.builds(Block, st.integers(1, 12), st.sampled_from(KINDS), st.integers(0, 9_000)), max_size=7).map(
    tuple
)
maybe_tokens = st.none() | st.integers(0, 5_000)


@st.composite
def money(draw: st.DrawFn) -> dict[str, int | None]:
    """A cost with all its parts, with its total only, or none."""
    parts = draw(st.lists(st.integers(0, 10**9), min_size=5, max_size=5))
    names = ("input", "cache_read", "cache_write", "output", "fee")
    known: dict[str, int | None] = {f"cost_{name}_nano": part for name, part in zip(names, parts, strict=True)}
    return draw(st.sampled_from([{"cost_nano": sum(parts), **known}, {"cost_nano": sum(parts)}, {"cost_nano": None}]))


@st.composite
def calls(draw: st.DrawFn, stages: tuple[str, ...] = STAGES) -> list[CallRecord]:
    """A session of calls with any times, prompts, usage, money and marks. Whole milliseconds, so that clocks tie."""
    count = draw(st.integers(1, 12))
    ids = [f"c{i}" for i in range(count)]
    return [draw(_call(name, stages, ids)) for name in draw(st.permutations(ids))]


@st.composite
def _call(draw: st.DrawFn, name: str, stages: tuple[str, ...], ids: list[str]) -> CallRecord:
    known: dict[str, Any] = {
        "kind": draw(st.sampled_from(["model", "model", "model", "tool", "agent", "other"])),
        "outcome": draw(st.sampled_from(["ok", "ok", "ok", *get_args(Outcome)])),
        "blocks": draw(blocks),
        "outputs": draw(blocks),
        "input_tokens": draw(maybe_tokens),
        "output_tokens": draw(maybe_tokens),
        "cache_read_tokens": draw(maybe_tokens),
        "cache_write_tokens": draw(maybe_tokens),
        "role": draw(st.none() | st.none() | st.sampled_from(ROLES)),
        "verdict": draw(st.sampled_from([None, "pass", "fail"])),
        "parent": draw(st.sampled_from(["", "", *stages, *ids])),
        "response_id": name,
        "previous_id": draw(st.sampled_from(["", "", "", "elsewhere", *ids])),
        "body_hash": draw(st.sampled_from(["", "x", "y"])),
        "retry_key": draw(st.sampled_from(["", "", "k"])),
        "client_retry": draw(st.sampled_from([0, 0, 0, 1])),
        "attempts": draw(st.integers(1, 3)),
        **draw(money()),
    }
    stage = draw(st.sampled_from(stages))
    return model(name, stage, draw(st.integers(0, 400)), draw(st.integers(0, 150)), **known)


@few
@given(calls())
def test_receipt_lines_sum_to_tokens_and_cost(session: list[CallRecord]) -> None:
    by_id = {receipt.call_id: receipt for receipt in analysed(*session).receipts}
    assert len(by_id) == len(session)
    for call in session:
        receipt, is_sent = by_id[call.call_id], call.outcome != "refused"
        assert sum(getattr(receipt, f"{line}_tokens") for line in LINES) == (call.tokens if is_sent else 0)
        assert sum(getattr(receipt, f"{line}_nano") for line in LINES) == ((call.cost_nano or 0) if is_sent else 0)
        assert all(getattr(receipt, f"{line}_{unit}") >= 0 for line in LINES for unit in ("tokens", "nano"))


@few
@given(calls())
def test_input_partition_sums_to_the_input(session: list[CallRecord]) -> None:
    by_id = {receipt.call_id: receipt for receipt in analysed(*session).receipts}
    for call in session:
        r = by_id[call.call_id]
        parts = (r.novel_tokens, r.own_reread_tokens, r.scaffold_tokens, r.cross_request_tokens, r.cross_output_tokens)
        expected = (call.input_tokens or 0) if call.outcome != "refused" else 0
        assert sum(parts) + r.unobserved_tokens == expected
        assert r.handoff_tokens in (0, r.cross_request_tokens + r.cross_output_tokens)
        if len({c.stage for c in session}) == 1:
            assert r.cross_request_tokens == r.cross_output_tokens == 0


@few
@given(calls())
def test_the_critical_path_sums_to_the_wall_time(session: list[CallRecord]) -> None:
    analysis = analysed(*session)
    figures = analysis.session
    assert sum(getattr(figures, f"latency_{line}_us") for line in LINES) == figures.wall_us
    assert all(getattr(figures, f"latency_{line}_us") >= 0 for line in LINES)
    running = [call for call in session if takes_part(call)]
    if running:
        first, last = min(call.ts_ns for call in running), max(call.end_ns for call in running)
        assert figures.wall_us <= (last - first) // 1000
    assert figures.busy_us <= sum(call.duration_us for call in running)
    assert all(handoff.net_gap_us <= handoff.gap_us for handoff in analysis.handoffs)
    assert all(handoff.net_gap_us >= 0 and handoff.overlap_us >= 0 for handoff in analysis.handoffs)


@few
@given(st.data())
def test_order_of_arrival_is_nothing(data: st.DataObject) -> None:
    session = data.draw(calls())
    shuffled = data.draw(st.permutations(session))
    assert analysed(*shuffled) == analysed(*session)


@few
@given(calls(stages=("writer",)))
def test_one_stage_hands_nothing_over(session: list[CallRecord]) -> None:
    analysis = analysed(*session)
    assert analysis.handoffs == ()
    assert analysis.session.latency_handoff_us == 0
    assert all(receipt.handoff_tokens == 0 for receipt in analysis.receipts)
    assert analysis.session.pattern == "single"


@few
@given(calls())
def test_handoffs_join_different_stages_of_models(session: list[CallRecord]) -> None:
    by_id = {call.call_id: call for call in session}
    analysis = analysed(*session)
    for handoff in analysis.handoffs:
        source, target = by_id[handoff.from_call], by_id[handoff.to_call]
        assert source.kind == target.kind == "model"
        assert source.stage != target.stage
        assert source.ts_ns <= target.ts_ns
    # Crossed tokens stand on one edge each: never more than the receiving call read again.
    resent = {receipt.retry_of for receipt in analysis.receipts}  # a resend represents what nobody read
    for receipt in analysis.receipts:
        rows = [handoff for handoff in analysis.handoffs if handoff.to_call == receipt.call_id]
        if rows and receipt.call_id not in resent:
            assert sum(row.cross_request_tokens for row in rows) == receipt.cross_request_tokens
            assert sum(row.cross_output_tokens for row in rows) == receipt.cross_output_tokens


@few
@given(calls(), st.integers(-(10**15), 10**15))
def test_the_clock_starts_anywhere(session: list[CallRecord], shift_ns: int) -> None:
    moved = analysed(*(replace(call, ts_ns=call.ts_ns + shift_ns) for call in session))
    still = analysed(*session)
    times: dict[str, Any] = {"started_ns": 0, "ended_ns": 0}
    assert replace(moved.session, **times) == replace(still.session, **times)
    assert (moved.receipts, moved.handoffs) == (still.receipts, still.handoffs)


@few
@given(calls(), st.integers(2, 50))
def test_slower_by_a_factor_is_slower_by_that_factor(session: list[CallRecord], factor: int) -> None:
    # 150 ms x 50 and 400 ms x 50 stay below every threshold in seconds (retry window, idle).
    start = min(call.ts_ns for call in session)
    slowed = [
        replace(call, ts_ns=start + (call.ts_ns - start) * factor, duration_us=call.duration_us * factor)
        for call in session
    ]
    slow, quick = analysed(*slowed), analysed(*session)
    for name in ("wall_us", "busy_us", "barrier_us", *(f"latency_{line}_us" for line in LINES)):
        assert getattr(slow.session, name) == factor * getattr(quick.session, name)
    assert slow.receipts == quick.receipts


@few
@given(calls(), st.integers(2, 9))
def test_dearer_by_a_factor_is_dearer_on_every_line(session: list[CallRecord], factor: int) -> None:
    dear, cheap = analysed(*(_dearer(call, factor) for call in session)), analysed(*session)
    for one, other in zip(dear.receipts, cheap.receipts, strict=True):
        for line in LINES:
            # Each of three price classes is rounded once, by at most half a nano-dollar.
            slack = 3 * factor if line in ("handoff", "work") else 0
            assert abs(getattr(one, f"{line}_nano") - factor * getattr(other, f"{line}_nano")) <= slack
    assert _without_money(dear) == _without_money(cheap)


def _dearer(call: CallRecord, factor: int) -> CallRecord:
    names = [f"cost_{name}nano" for name in ("", "input_", "cache_read_", "cache_write_", "output_", "fee_")]
    known = {name: getattr(call, name) for name in names}
    dear: dict[str, Any] = {name: None if value is None else value * factor for name, value in known.items()}
    return replace(call, **dear)


def _without_money(analysis: SessionAnalysis) -> object:
    free = replace(analysis.session, cost_nano=0, tool_cost_nano=0)
    none: dict[str, Any] = dict.fromkeys([f"{line}_nano" for line in LINES], 0)
    return free, [replace(receipt, **none) for receipt in analysis.receipts]
