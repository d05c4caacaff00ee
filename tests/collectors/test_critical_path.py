"""Where the wall time went, by hand."""

from __future__ import annotations

from collectors.figures import LINES, SessionAnalysis
from tests.story import analysed, model, receipts, say, tool


def latency(analysis: SessionAnalysis) -> dict[str, int]:
    """Milliseconds by line, where there are any."""
    named = {line: getattr(analysis.session, f"latency_{line}_us") for line in LINES}
    return {line: length // 1_000 for line, length in named.items() if length}


def on_path(analysis: SessionAnalysis) -> set[str]:
    return {call for call, receipt in receipts(analysis).items() if receipt.on_critical_path}


def test_one_call_is_its_own_path() -> None:
    analysis = analysed(model("a", "writer", 0, 10))
    assert (on_path(analysis), latency(analysis), analysis.session.wall_us) == ({"a"}, {"work": 10}, 10_000)


def test_a_failed_call_and_its_back_off_are_lost_but_not_the_resend() -> None:
    failed = model("a", "writer", 0, 10, body_hash="x", outcome="timeout")
    analysis = analysed(failed, model("b", "writer", 40, 20, body_hash="x"))
    assert latency(analysis) == {"retry": 10 + 30, "work": 20}


def test_gaps_within_a_stage_are_its_own_and_between_stages_handoff() -> None:
    analysis = analysed(
        model("r1", "router", 0, 10),
        model("r2", "router", 15, 10),
        model("w", "writer", 32, 10),
        model("v", "judge", 50, 5),
    )
    assert latency(analysis) == {"route": 25, "handoff": 7 + 8, "work": 10, "validate": 5}


def test_tools_on_the_path_are_call_time_of_their_stage() -> None:
    analysis = analysed(model("a", "judge", 0, 10), tool("t", "judge", 12, 20), model("b", "writer", 35, 10))
    # Model, the step to the tool, the tool; then the handoff from the tool's end.
    assert latency(analysis) == {"validate": 10 + 2 + 20, "handoff": 3, "work": 10}
    assert on_path(analysis) == {"a", "t", "b"}


def test_a_rest_is_nobody_s_time() -> None:
    analysis = analysed(model("a", "writer", 0, 10), model("b", "writer", 400_000, 10))
    assert (analysis.session.wall_us, latency(analysis)) == (20_000, {"work": 20})
    question, answer = say("user", "q"), say("assistant", "an answer")
    asked = analysed(
        model("a", "writer", 0, 10, blocks=(question,), outputs=(answer,)),
        model("b", "writer", 5_000, 10, blocks=(question, answer, say("user", "and now?"))),
    )
    assert asked.session.wall_us == 20_000


def test_the_slowest_branch_is_on_the_path() -> None:
    analysis = analysed(
        model("p", "planner", 0, 10),
        model("a", "one", 12, 50, outputs=(say("assistant", "a"),)),
        model("b", "two", 12, 30, outputs=(say("assistant", "b"),)),
        model("m", "merger", 70, 5, blocks=(say("user", "a"), say("user", "b"))),
    )
    assert on_path(analysis) == {"p", "a", "m"}
    assert latency(analysis) == {"work": 60, "handoff": 2 + 8, "aggregate": 5}
    assert analysis.session.barrier_us == 20_000


def test_a_chain_quoted_at_its_end_waits_at_no_barrier() -> None:
    first, second = say("assistant", "first"), say("assistant", "second")
    analysis = analysed(
        model("a", "one", 0, 10, outputs=(first,)),
        model("b", "two", 20, 10, blocks=(first,), outputs=(second,)),
        model("c", "three", 40, 10, blocks=(first, second)),
    )
    assert on_path(analysis) == {"a", "b", "c"}
    assert analysis.session.barrier_us == 0


def test_a_cause_still_running_counts_up_to_its_effect() -> None:
    analysis = analysed(model("a", "one", 0, 100), model("b", "two", 60, 90, parent="a"))
    assert (analysis.session.wall_us, analysis.session.busy_us) == (150_000, 190_000)


def test_an_agent_used_as_a_tool_counts_through_its_calls() -> None:
    analysis = analysed(
        model("s1", "boss", 0, 10),
        tool("t", "boss", 12, 60),
        model("w", "worker", 20, 40),
        model("s2", "boss", 80, 10),
    )
    assert on_path(analysis) == {"s1", "w", "s2"}
    assert latency(analysis) == {"work": 10 + 40 + 10, "handoff": 10 + 20}
    assert analysis.session.busy_us == 60_000


def test_refused_calls_and_other_traffic_take_no_time() -> None:
    analysis = analysed(model("a", "one", 0, 10), model("m", "one", 20, 50, kind="other"))
    assert (analysis.session.wall_us, analysis.session.busy_us) == (10_000, 10_000)
    assert analysed(model("r", "one", 0, 10, outcome="refused")).session.wall_us == 0


def test_rework_takes_its_gaps_along() -> None:
    analysis = analysed(
        model("w1", "writer", 0, 10),
        model("v1", "validator", 12, 10, verdict="fail"),
        model("w2", "writer", 30, 10),
        model("v2", "validator", 45, 10, verdict="pass"),
    )
    assert latency(analysis) == {"work": 10, "handoff": 2, "validate": 10, "retry": 8 + 10 + 5 + 10}


def test_a_handshake_named_as_parent_is_no_part_of_the_path() -> None:
    handshake = model("h", "writer", 0, 30, kind="other")
    analysis = analysed(handshake, model("a", "writer", 50, 20, parent="h"))
    assert (on_path(analysis), analysis.session.wall_us) == ({"a"}, 20_000)
