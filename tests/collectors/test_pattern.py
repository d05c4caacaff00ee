"""The pattern of a session."""

from __future__ import annotations

from collectors.records import CallRecord
from tests.story import analysed, model, say


def chain(*stages: str) -> list[CallRecord]:
    """One call a stage, one after the other."""
    return [model(str(i), stage, 20 * i, 10, input_tokens=100, output_tokens=50) for i, stage in enumerate(stages)]


def pattern(*calls: CallRecord) -> str:
    return analysed(*calls).session.pattern


def test_one_stage_is_single_however_often_it_runs() -> None:
    assert pattern(*chain("agent")) == "single"
    assert pattern(*chain("agent", "agent", "agent")) == "single"
    assert analysed(*chain("agent", "agent")).session.pattern_confidence == 1.0


def test_a_hub_that_keeps_getting_returns_is_hierarchical() -> None:
    assert pattern(*chain("boss", "one", "boss", "two", "boss")) == "hierarchical"


def test_overlapping_runs_of_one_cause_are_parallel() -> None:
    workers = [model(f"w{i}", f"worker-{i}", 20, 200, input_tokens=50) for i in range(3)]
    assert pattern(*chain("planner"), *workers) == "parallel"


def test_a_short_overlap_is_not_parallel() -> None:
    workers = [model(f"w{i}", f"worker-{i}", 20 + 160 * i, 210, input_tokens=50) for i in range(2)]
    assert pattern(*chain("planner"), *workers) != "parallel"


def test_two_that_hand_to_and_fro_are_peers() -> None:
    assert pattern(*chain("sales", "legal", "sales", "legal")) == "peer"


def test_a_writer_and_a_validator_are_a_sequence_with_rework() -> None:
    assert pattern(*chain("writer", "validator", "writer", "validator")) == "sequential"


def test_a_router_and_its_choice_are_routing_never_sure() -> None:
    session = analysed(*chain("router", "billing")).session
    assert session.pattern == "routing"
    assert session.pattern_confidence <= 0.5


def test_a_brief_first_call_that_names_its_successor_routes() -> None:
    desk = model("d", "desk", 0, 10, output_tokens=5, input_tokens=100, emitted_tools=("ask_billing",))
    assert pattern(desk, model("b", "billing", 20, 10, output_tokens=95, input_tokens=50)) == "routing"
    talkative = model("d", "desk", 0, 10, output_tokens=50, input_tokens=100, emitted_tools=("ask_billing",))
    assert pattern(talkative, model("b", "billing", 20, 10, output_tokens=95)) == "sequential"


def test_one_after_the_other_is_sequential() -> None:
    assert pattern(*chain("outline", "draft", "edit")) == "sequential"


def test_a_loop_back_without_a_reason_is_mixed() -> None:
    assert pattern(*chain("outline", "draft", "edit", "outline")) == "mixed"


def test_what_nobody_used_and_hardly_cost_is_left_out() -> None:
    title = model("t", "title", 5, 2, input_tokens=5, output_tokens=2)
    assert pattern(*chain("agent", "agent"), title) == "single"


def test_a_second_sending_makes_no_parallel() -> None:
    samples = [model(f"s{i}", "writer", 20, 200, body_hash="x", input_tokens=50) for i in range(2)]
    assert pattern(*chain("outline"), *samples) == "sequential"


def test_confidence_is_that_of_the_evidence() -> None:
    handed = say("assistant", "the outline", size=400)
    first = model("a", "outline", 0, 10, outputs=(handed,), input_tokens=50)
    by_content = analysed(first, model("b", "draft", 20, 10, blocks=(handed,), input_tokens=90))
    assert by_content.session.pattern_confidence == 0.8
    assert analysed(*chain("outline", "draft")).session.pattern_confidence == 0.5
