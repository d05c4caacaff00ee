"""Which call continues which."""

from __future__ import annotations

from collectors.records import Block, CallRecord
from collectors.threads import Link, threads
from collectors.timeline import timeline
from tests.story import model, say

SYSTEM = say("system", "You help.")
TOOLS = tuple(say("tool_def", f"tool {i}") for i in range(20))
HISTORY = tuple(say("user" if i % 2 == 0 else "assistant", f"message {i}") for i in range(9))
ANSWER = say("assistant", "the answer")


def linked(*calls: CallRecord) -> dict[str, Link]:
    line = timeline(calls)
    return dict(zip((call.call_id for call in line.calls), threads(line), strict=True))


def parents(*calls: CallRecord) -> dict[str, int]:
    return {name: link.parent for name, link in linked(*calls).items()}


def turn(name: str, at: float, *blocks: Block, answer: Block = ANSWER) -> CallRecord:
    return model(name, "agent", at, 5, blocks=blocks, outputs=(answer,))


def test_a_growing_history_is_one_thread() -> None:
    first = turn("a", 0, SYSTEM, HISTORY[0], answer=HISTORY[1])
    second = turn("b", 10, SYSTEM, *HISTORY[:3], answer=HISTORY[3])
    third = turn("c", 20, SYSTEM, *HISTORY[:5])
    found = linked(first, second, third)
    assert found["b"] == Link(parent=0, thread=0, shared=2)
    assert found["c"] == Link(parent=1, thread=0, shared=4)


def test_four_fifths_of_the_messages_are_enough_and_less_is_not() -> None:
    first = turn("a", 0, *HISTORY)  # nine messages and the answer: eight must stand
    enough = turn("b", 10, say("user", "summary"), *HISTORY[2:], ANSWER, say("user", "go on"))
    assert parents(first, enough)["b"] == 0
    fewer = turn("b", 10, say("user", "summary"), *HISTORY[3:], ANSWER, say("user", "go on"))
    assert parents(first, fewer)["b"] == -1


def test_order_matters() -> None:
    first = turn("a", 0, *HISTORY[:4])
    assert parents(first, turn("b", 10, ANSWER, *reversed(HISTORY[:4])))["b"] == -1


def test_shared_scaffold_is_no_thread() -> None:
    first = turn("a", 0, *TOOLS, SYSTEM, say("user", "one"))
    assert parents(first, turn("b", 10, *TOOLS, SYSTEM, say("user", "two")))["b"] == -1


def test_a_changed_system_prompt_keeps_the_thread_but_not_the_prefix() -> None:
    first = turn("a", 0, say("system", "Today is Monday."), *HISTORY)
    assert linked(first, turn("b", 10, say("system", "Today is Tuesday."), *HISTORY, ANSWER))["b"] == Link(0, 0, 0)


def test_what_has_not_ended_cannot_be_continued() -> None:
    first = model("a", "agent", 0, 100, blocks=HISTORY, outputs=())
    assert parents(first, model("b", "agent", 99, 5, blocks=HISTORY))["b"] == -1
    assert parents(first, model("b", "agent", 100, 5, blocks=HISTORY))["b"] == 0


def test_a_fork_goes_back_to_the_common_parent() -> None:
    root = turn("a", 0, *HISTORY)
    left = turn("b", 10, *HISTORY, ANSWER, *(say("user", f"left {i}") for i in range(5)), answer=say("assistant", "l"))
    right = turn("c", 20, *HISTORY, ANSWER, say("user", "right"))
    found = linked(root, left, right)
    assert found["b"].parent == found["c"].parent == 0


def test_a_named_response_is_continued_without_any_history() -> None:
    first = turn("a", 0, *HISTORY)
    named = model("b", "agent", 10, 5, blocks=(say("user", "and?"),), previous_id="resp-1")
    assert parents(model("a", "agent", 0, 5, response_id="resp-1"), named)["b"] == 0
    assert parents(first, named)["b"] == -1


def test_tools_and_refused_calls_stand_alone() -> None:
    first = turn("a", 0, *HISTORY)
    same = {"blocks": (*HISTORY, ANSWER)}
    assert parents(first, model("b", "agent", 10, 5, kind="agent", **same))["b"] == -1
    assert parents(first, model("b", "agent", 10, 5, outcome="refused", **same))["b"] == -1


def test_most_messages_win_over_the_latest_call() -> None:
    """A reviewer saw only the draft: what comes after continues the writer, who saw the request too."""
    request, draft = say("user", "write"), say("assistant", "draft")
    writer = model("a", "writer", 0, 5, blocks=(request,), outputs=(draft,))
    reviewer = model("r", "reviewer", 10, 5, blocks=(draft,))
    assert (
        parents(writer, reviewer, model("b", "writer", 20, 5, blocks=(request, draft, say("user", "shorter"))))["b"]
        == 0
    )
