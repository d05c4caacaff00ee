"""Handoffs: kinds, gaps, rests, and the context that crossed."""

from __future__ import annotations

from collectors.figures import Handoff
from collectors.records import CallRecord
from tests.story import analysed, crossings, model, say, tool

REQUEST = say("user", "Compare three hotels.", size=100)


def rows(*calls: CallRecord) -> dict[tuple[str, str], Handoff]:
    return {(handoff.from_call, handoff.to_call): handoff for handoff in analysed(*calls).handoffs}


def test_a_pipeline_goes_forward_with_its_gaps() -> None:
    found = rows(model("a", "one", 0, 10), model("b", "two", 17, 10), model("c", "three", 30, 10))
    assert {key: (row.kind, row.gap_us, row.net_gap_us) for key, row in found.items()} == {
        ("a", "b"): ("forward", 7_000, 7_000),
        ("b", "c"): ("forward", 3_000, 3_000),
    }


def test_a_hub_sends_forward_and_gets_returns() -> None:
    stages = ["boss", "w1", "boss", "w2", "boss", "w1", "boss"]
    found = crossings(analysed(*(model(str(i), stage, 20 * i, 10) for i, stage in enumerate(stages))))
    assert found == {(str(i), str(i + 1), "forward" if i % 2 == 0 else "return") for i in range(6)}


def test_fan_out_and_fan_in() -> None:
    plan = say("assistant", "the plan", size=300)
    parts = [say("assistant", f"part {i}", size=300) for i in range(3)]
    workers = [model(f"w{i}", f"worker-{i}", 20, 30 + i, blocks=(plan,), outputs=(parts[i],)) for i in range(3)]
    analysis = analysed(
        model("p", "planner", 0, 10, outputs=(plan,)), *workers, model("m", "merger", 60, 10, blocks=tuple(parts))
    )
    out = {("p", f"w{i}", "fan_out") for i in range(3)}
    assert crossings(analysis) == out | {(f"w{i}", "m", "fan_in") for i in range(3)}
    # Every worker waited 10 ms; the merger waited for the slowest only, 60 - 52.
    assert {h.from_call: h.gap_us for h in analysis.handoffs if h.to_call == "m"} == {"w0": 0, "w1": 0, "w2": 8_000}
    assert [h.gap_us for h in analysis.handoffs if h.from_call == "p"] == [10_000] * 3
    assert {h.method for h in analysis.handoffs} == {"content"}


def test_one_after_the_other_is_no_fan_out() -> None:
    plan = say("assistant", "the plan", size=300)
    found = crossings(
        analysed(
            model("p", "planner", 0, 10, outputs=(plan,)),
            model("a", "one", 20, 10, blocks=(plan,)),
            model("b", "two", 40, 10, blocks=(plan, say("user", "second part"))),
        )
    )
    assert ("p", "a", "forward") in found
    assert all(kind != "fan_out" for _, _, kind in found)


def test_tools_are_no_stages_and_take_their_time_out_of_the_gap() -> None:
    found = rows(
        model("a", "one", 0, 10),
        tool("t", "one", 12, 5),
        tool("u", "one", 14, 6),
        model("b", "two", 25, 10),
    )
    # The gap is 10..25; tools covered 12..20 of it.
    assert {key: (row.gap_us, row.net_gap_us) for key, row in found.items()} == {("a", "b"): (15_000, 7_000)}


def test_a_tool_of_another_stage_s_name_hands_nothing_over() -> None:
    assert not rows(model("a", "one", 0, 10), tool("t", "search", 12, 5), model("b", "one", 20, 10))


def test_other_traffic_and_refused_calls_hand_nothing_over() -> None:
    listing = model("m", "two", 12, 5, kind="other")
    refused = model("r", "three", 18, 1, outcome="refused")
    assert not rows(model("a", "one", 0, 10), listing, refused, model("b", "one", 20, 10))


def test_an_agent_used_as_a_tool_is_fan_out_and_return() -> None:
    found = rows(
        model("s1", "boss", 0, 10),
        tool("t", "boss", 12, 60),
        model("w1", "worker", 20, 10),
        model("w2", "worker", 40, 20),
        model("s2", "boss", 80, 10),
    )
    kinds = {key: (row.kind, row.gap_us, row.net_gap_us) for key, row in found.items()}
    # The agent's own span is no tool time: its inner calls tell what happened in it.
    assert kinds == {("s1", "w1"): ("fan_out", 10_000, 10_000), ("w2", "s2"): ("return", 20_000, 20_000)}


def test_compaction_is_no_handoff() -> None:
    first = model("a", "one", 0, 10, blocks=tuple(say("user", f"m{i}") for i in range(9)))
    assert not rows(first, model("b", "one", 20, 10, blocks=(say("user", "a summary of it all"),)))


def test_a_cause_that_still_runs_overlaps() -> None:
    row = rows(model("a", "one", 0, 100), model("b", "two", 60, 10, parent="a"))["a", "b"]
    assert (row.gap_us, row.net_gap_us, row.overlap_us) == (0, 0, 40_000)
    assert (row.method, row.confidence) == ("explicit", 1.0)


def test_beyond_five_minutes_the_session_rested() -> None:
    at_most = rows(model("a", "one", 0, 10), model("b", "two", 300_010, 10))["a", "b"]
    beyond = rows(model("a", "one", 0, 10), model("b", "two", 300_011, 10))["a", "b"]
    assert (at_most.is_idle, beyond.is_idle) == (False, True)


def test_a_person_speaks_on_the_thread_that_just_answered() -> None:
    answer = say("assistant", "The first is best.", size=60)
    first = model("a", "one", 0, 10, blocks=(REQUEST,), outputs=(answer,))
    asked = model("b", "two", 20, 10, blocks=(REQUEST, answer, say("user", "Why?")))
    assert rows(first, asked)["a", "b"].is_idle
    carried_on = model("b", "two", 20, 10, blocks=(REQUEST, answer))
    assert not rows(first, carried_on)["a", "b"].is_idle


def test_a_reviewer_s_new_words_are_not_a_person_s() -> None:
    draft = say("assistant", "draft", size=60)
    found = rows(
        model("a", "writer", 0, 10, blocks=(REQUEST,), outputs=(draft,)),
        model("r", "reviewer", 20, 10, blocks=(draft,), verdict="fail"),
        model("b", "writer", 40, 10, blocks=(REQUEST, draft, say("user", "The reviewer says: shorter."))),
    )
    assert (found["r", "b"].kind, found["r", "b"].is_idle) == ("return", False)


def test_crossed_tokens_stand_on_the_edge_from_their_origin() -> None:
    parts = [say("assistant", f"part {i}", size=50 * (i + 1)) for i in range(2)]
    found = rows(
        model("r", "router", 0, 5, blocks=(REQUEST,), outputs=(say("assistant", "both", size=4),)),
        model("a", "one", 10, 10, blocks=(REQUEST,), outputs=(parts[0],)),
        model("b", "two", 10, 12, blocks=(REQUEST,), outputs=(parts[1],)),
        model("m", "merger", 30, 5, blocks=(REQUEST, *parts), input_tokens=250),
    )
    crossed = {key: (row.cross_request_tokens, row.cross_output_tokens) for key, row in found.items() if key[1] == "m"}
    # The request came from the router, who did not hand over here: it stands on the edge of the last to end.
    assert crossed == {("a", "m"): (0, 50), ("b", "m"): (100, 100)}


def test_a_finding_that_a_supervisor_passes_on_came_through_it() -> None:
    """The brief is rewritten, the finding of the one worker stands word for word in the other's prompt."""
    ask, tell = say("tool_call", "transfer_to_researcher", size=40), say("tool_call", "transfer_to_writer", size=40)
    finding = say("assistant", "20 000 species", size=200)
    history = (REQUEST, ask, finding._replace(kind="tool_result"))
    found = crossings(
        analysed(
            model("s1", "supervisor", 0, 10, blocks=(REQUEST,), outputs=(ask,)),
            model("r", "researcher", 20, 10, blocks=(say("user", "find out"),), outputs=(finding,)),
            model("s2", "supervisor", 40, 10, blocks=history, outputs=(tell,)),
            model("w", "writer", 60, 10, blocks=(say("user", "write it up"), finding._replace(kind="user"))),
        )
    )
    assert found == {("s1", "r", "forward"), ("r", "s2", "return"), ("s2", "w", "forward")}
