"""Which call led to which, and on what evidence."""

from __future__ import annotations

from collectors.lineage import Lineage, lineage
from collectors.records import CallRecord
from collectors.retries import repeats
from collectors.threads import threads
from collectors.timeline import timeline
from tests.story import model, say, tool

LONG = say("assistant", "a long finding", size=400)


def woven(*calls: CallRecord) -> tuple[Lineage, list[str]]:
    line = timeline(calls)
    return lineage(line, threads(line), repeats(line)), [call.call_id for call in line.calls]


def edges(*calls: CallRecord) -> set[tuple[str, str, str]]:
    """(from, to, method)."""
    graph, ids = woven(*calls)
    return {(ids[e.source], ids[e.target], e.method) for incoming in graph.incoming for e in incoming}


def test_a_declared_parent_call_is_explicit_and_may_still_be_running() -> None:
    assert edges(model("a", "one", 0, 100), model("b", "two", 50, 10, parent="a")) == {("a", "b", "explicit")}


def test_a_declared_parent_stage_is_its_latest_ended_call() -> None:
    calls = (model("a", "one", 0, 10), model("b", "one", 20, 10), model("c", "two", 40, 10, parent="one"))
    assert ("b", "c", "explicit") in edges(*calls)


def test_a_parent_header_on_every_call_of_a_loop_tells_of_its_first_only() -> None:
    opaque = [model(f"w{i}", "worker", 20 + 20 * i, 10, parent="one") for i in range(3)]
    assert edges(model("a", "one", 0, 10), *opaque) == {
        ("a", "w0", "explicit"),
        ("w0", "w1", "temporal"),
        ("w1", "w2", "temporal"),
    }
    question = (say("user", "q"),)
    answer = (say("assistant", "r"),)
    first = model("w0", "worker", 20, 10, parent="a", blocks=question, outputs=answer)
    second = model("w1", "worker", 40, 10, parent="a", blocks=question + answer)
    assert edges(model("a", "one", 0, 10), first, second) == {("a", "w0", "explicit"), ("w0", "w1", "content")}


def test_a_resend_follows_its_failure() -> None:
    failed = model("a", "one", 0, 10, body_hash="x", outcome="error")
    assert edges(failed, model("b", "one", 20, 10, body_hash="x")) == {("a", "b", "explicit")}


def test_a_third_of_an_answer_or_64_tokens_of_it_is_content() -> None:
    third = say("assistant", "the third", size=30)
    rest = say("assistant", "the rest", size=70)
    small = model("a", "one", 0, 10, outputs=(third, rest), output_tokens=100)
    other = model("x", "other", 5, 10)
    assert ("a", "b", "content") in edges(small, other, model("b", "two", 20, 10, blocks=(third,)))
    tenth = say("assistant", "a tenth", size=10)
    large = model("a", "one", 0, 10, outputs=(tenth, say("assistant", "nine", size=90)), output_tokens=640)
    assert ("a", "b", "content") in edges(large, other, model("b", "two", 20, 10, blocks=(tenth,)))
    little = model("a", "one", 0, 10, outputs=(tenth, say("assistant", "nine", size=90)), output_tokens=630)
    assert ("a", "b", "content") not in edges(little, other, model("b", "two", 20, 10, blocks=(tenth,)))


def test_without_other_evidence_the_latest_that_led_nowhere_leads_here() -> None:
    calls = (model("a", "one", 0, 10), model("b", "two", 20, 10), model("c", "three", 40, 10))
    assert edges(*calls) == {("a", "b", "temporal"), ("b", "c", "temporal")}


def test_parallel_siblings_share_their_cause() -> None:
    workers = [model(f"w{i}", f"worker-{i}", 20 + i, 50) for i in range(3)]
    assert edges(model("a", "one", 0, 10), *workers) == {("a", f"w{i}", "temporal") for i in range(3)}


def test_a_stage_goes_on_from_its_own_last_call_not_from_a_siblings() -> None:
    branches = [
        model(f"{name}{turn}", name, 20 + 30 * turn + i, 20) for turn in range(3) for i, name in enumerate("xyz")
    ]
    found = edges(model("a", "one", 0, 10), *branches)
    inside = {(f"{name}{turn}", f"{name}{turn + 1}", "temporal") for name in "xyz" for turn in range(2)}
    assert found == inside | {("a", f"{name}0", "temporal") for name in "xyz"}


def test_a_worker_whose_answer_comes_back_reworded_still_returns() -> None:
    """The supervisor's history goes on; the worker's words stand in it rewritten, unknown to any digest."""
    ask = say("tool_call", "ask the worker", size=40)
    first = model("s1", "supervisor", 0, 10, blocks=(say("user", "q"),), outputs=(ask,))
    workers = [model(f"w{i}", f"worker-{i}", 20, 10 + i, outputs=(LONG,)) for i in range(2)]
    second = model("s2", "supervisor", 40, 10, blocks=(say("user", "q"), ask, say("tool_result", "reworded")))
    assert edges(first, *workers, second) == {
        ("s1", "w0", "temporal"),
        ("s1", "w1", "temporal"),
        ("s1", "s2", "content"),
        ("w0", "s2", "temporal"),
        ("w1", "s2", "temporal"),
    }


def test_a_parallel_branch_does_not_come_between() -> None:
    ask = say("tool_call", "search", size=40)
    root = model("a", "one", 0, 10)
    mine = model("x1", "x", 20, 10, blocks=(say("user", "q"),), outputs=(ask,))
    beside = model("y1", "y", 31, 5, parent="a")
    later = model("x2", "x", 40, 10, blocks=(say("user", "q"), ask, say("tool_result", "r")))
    assert ("y1", "x2", "temporal") not in edges(root, mine, beside, later)


def test_a_reworded_step_between_two_quotations_is_not_skipped() -> None:
    """C quotes A word for word and B in other words; B came in between and led here."""
    first = model("a", "one", 0, 10, outputs=(LONG,))
    second = model("b", "two", 20, 10, blocks=(LONG,), outputs=(say("assistant", "b"),))
    third = model("c", "three", 40, 10, blocks=(LONG, say("user", "in other words")))
    found = edges(first, second, third)
    assert {("a", "b", "content"), ("b", "c", "temporal")} <= found


def test_tools_come_from_their_stage_s_model_and_lead_to_its_next() -> None:
    calls = (model("a", "one", 0, 10), tool("t", "one", 12, 5), model("b", "one", 20, 10))
    assert edges(*calls) == {("a", "t", "temporal"), ("a", "b", "temporal"), ("t", "b", "temporal")}


def test_an_agent_used_as_a_tool_holds_its_calls() -> None:
    calls = (
        model("s1", "boss", 0, 10),
        tool("t", "boss", 12, 60, tool="ask_worker"),
        model("w1", "worker", 20, 10),
        model("w2", "worker", 40, 20),
        model("s2", "boss", 80, 10),
    )
    graph, ids = woven(*calls)
    assert {ids[t]: [ids[i] for i in inner] for t, inner in graph.containers.items()} == {"t": ["w1"]}
    assert {("s1", "w1", "temporal"), ("w1", "w2", "temporal"), ("w2", "s2", "temporal")} <= edges(*calls)


def test_naming_the_tool_call_one_runs_in_means_its_caller() -> None:
    calls = (model("s1", "boss", 0, 10), tool("t", "boss", 12, 60), model("w1", "worker", 20, 10, parent="t"))
    graph, ids = woven(*calls)
    assert ("s1", "w1", "explicit") in edges(*calls)
    assert [ids[t] for t in graph.containers] == ["t"]


def test_stage_runs_are_chains_on_one_thread() -> None:
    question, answer = (say("user", "q"),), (say("assistant", "r", size=50),)
    graph, ids = woven(
        model("a", "one", 0, 10, blocks=question, outputs=answer),
        model("b", "two", 20, 10, blocks=answer),
        model("c", "one", 40, 10, blocks=(*question, *answer, say("user", "more"))),
        model("d", "one", 60, 10, blocks=(say("user", "another matter"),)),
    )
    assert [ids[run] for run in graph.runs] == ["a", "b", "a", "d"]


def test_the_stack_falls_back_on_a_return_and_grows_on_the_next_call() -> None:
    graph, _ = woven(*(model(str(i), stage, 20 * i, 10) for i, stage in enumerate(["s", "w", "s", "w", "v", "w"])))
    assert graph.stacks == (("s",), ("s", "w"), ("s",), ("s", "w"), ("s", "w", "v"), ("s", "w"))
