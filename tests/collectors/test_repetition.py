"""Where each token of a prompt stood before. Block sizes are tokens here wherever ``I`` is their sum."""

from __future__ import annotations

from typing import Any

from collectors.records import Block, CallRecord
from tests.story import analysed, model, receipts, say, tool

BRIEF = say("system", "You write.", size=300)
SCHEMA = say("tool_def", "search(query)", size=200)
REQUEST = say("user", "Write about bees.", size=100)
DRAFT = say("assistant", "Bees are insects.", size=80)


def exact(name: str, stage: str, at: float, *blocks: Block, **known: Any) -> CallRecord:
    """A call of 5 ms whose input is as many tokens as its blocks have characters."""
    return model(name, stage, at, 5, blocks=blocks, input_tokens=sum(block.size for block in blocks), **known)


def split(*calls: CallRecord) -> dict[str, dict[str, int]]:
    """Per call, the classes that are not zero."""
    names = ("novel", "own_reread", "scaffold", "cross_request", "cross_output", "unobserved")
    return {
        call: {name: tokens for name in names if (tokens := getattr(receipt, f"{name}_tokens"))}
        for call, receipt in receipts(analysed(*calls)).items()
    }


def test_a_first_prompt_is_novel_and_a_continued_one_is_reread() -> None:
    more = say("user", "Shorter.", size=10)
    found = split(
        exact("a", "writer", 0, BRIEF, REQUEST, outputs=(DRAFT,)),
        exact("b", "writer", 10, BRIEF, REQUEST, DRAFT, more),
    )
    assert found == {"a": {"novel": 400}, "b": {"own_reread": 480, "novel": 10}}


def test_scaffold_on_a_new_thread_of_the_same_stage() -> None:
    found = split(
        exact("a", "writer", 0, SCHEMA, BRIEF, REQUEST, outputs=(DRAFT,)),
        exact("b", "writer", 10, SCHEMA, BRIEF, say("user", "Write about ants.", size=70)),
    )
    assert found["b"] == {"scaffold": 500, "novel": 70}


def test_scaffold_that_two_stages_share_was_not_handed_over() -> None:
    found = split(
        exact("a", "writer", 0, BRIEF, REQUEST, outputs=(DRAFT,)), exact("b", "editor", 10, BRIEF, say("user", "x", 5))
    )
    assert found["b"] == {"scaffold": 300, "novel": 5}


def test_a_brief_that_another_agent_wrote_was_handed_over() -> None:
    written = say("assistant", "You are a poet.", size=60)
    found = split(
        exact("a", "planner", 0, REQUEST, outputs=(written,)),
        exact("b", "writer", 10, written._replace(kind="system"), say("user", "go", size=5)),
    )
    assert found["b"] == {"cross_output": 60, "novel": 5}


def test_the_request_and_another_stage_s_words_cross() -> None:
    routed = say("assistant", "writer, please", size=20)
    found = split(
        exact("a", "router", 0, REQUEST, outputs=(routed,)),
        exact("b", "writer", 10, BRIEF, REQUEST, routed._replace(kind="user")),
    )
    assert found["b"] == {"novel": 300, "cross_request": 100, "cross_output": 20}


def test_a_second_thread_pays_for_handed_context_again() -> None:
    found = split(
        exact("a", "router", 0, REQUEST, outputs=(say("assistant", "go", size=4),)),
        exact("b", "writer", 10, BRIEF, REQUEST, outputs=(DRAFT,)),
        exact("c", "writer", 20, BRIEF, say("user", "Part two", size=9), REQUEST),
    )
    assert found["c"] == {"scaffold": 300, "novel": 9, "cross_request": 100}


def test_the_first_sender_s_request_stays_its_own() -> None:
    found = split(
        exact("a", "writer", 0, REQUEST, outputs=(DRAFT,)),
        exact("b", "writer", 10, BRIEF, REQUEST, say("user", "x", 5)),
    )
    assert found["b"] == {"novel": 305, "own_reread": 100}


def test_own_words_quoted_on_a_new_thread_are_reread() -> None:
    found = split(
        exact("a", "writer", 0, REQUEST, outputs=(DRAFT,)),
        exact("v", "validator", 10, DRAFT._replace(kind="user"), say("user", "good?", size=5)),
        exact("b", "writer", 20, BRIEF, DRAFT._replace(kind="user")),
    )
    assert found["v"] == {"cross_output": 80, "novel": 5}
    assert found["b"] == {"novel": 300, "own_reread": 80}


def test_a_tool_s_answer_is_novel_to_its_stage_and_crosses_to_another() -> None:
    result = say("tool_result", "bees: 20 000 species", size=50)
    found = split(
        exact("a", "writer", 0, REQUEST, outputs=(say("tool_call", "search bees", size=9),)),
        tool("t", "writer", 6, 2, outputs=(result,)),
        exact("b", "writer", 10, REQUEST, say("tool_call", "search bees", size=9), result),
        exact("c", "editor", 20, result._replace(kind="user")),
    )
    assert found["b"] == {"own_reread": 109, "novel": 50}
    assert found["c"] == {"cross_output": 50}


def test_answers_count_from_their_end_and_prompts_from_their_arrival() -> None:
    beside = model("a", "one", 0, 100, blocks=(REQUEST,), outputs=(DRAFT,), input_tokens=100)
    found = split(beside, exact("b", "two", 50, REQUEST, DRAFT._replace(kind="user")))
    assert found["b"] == {"cross_request": 100, "novel": 80}


def test_sizes_are_scaled_to_the_reported_input() -> None:
    thirds = (say("system", "s", size=1), say("user", "u", size=1), say("user", "v", size=1))
    first = model("a", "one", 0, 5, blocks=(thirds[1],), input_tokens=10)
    second = model("b", "two", 10, 5, blocks=thirds, input_tokens=10)
    # novel 1, cross 1, novel 1 of 3: 3.33 tokens each, the odd one to the first.
    assert split(first, second)["b"] == {"novel": 7, "cross_request": 3}


def test_unknown_input_is_not_partitioned() -> None:
    analysis = analysed(model("a", "one", 0, 5, blocks=(REQUEST,), output_tokens=7))
    assert split(model("a", "one", 0, 5, blocks=(REQUEST,), output_tokens=7)) == {"a": {}}
    assert receipts(analysis)["a"].work_tokens == 7


def test_input_without_blocks_is_unobserved() -> None:
    assert split(model("a", "one", 0, 5, input_tokens=50)) == {"a": {"unobserved": 50}}
    assert split(model("a", "one", 0, 5, kind="agent", input_tokens=50)) == {"a": {"unobserved": 50}}


def test_server_side_history_is_what_the_named_call_held() -> None:
    first = exact("a", "writer", 0, REQUEST, outputs=(DRAFT,), output_tokens=60, reasoning_tokens=40, response_id="r1")
    more = say("user", "Shorter.", size=10)
    second = model("b", "writer", 10, 5, blocks=(more,), previous_id="r1", input_tokens=130)
    # 100 of input and 20 of visible answer stay with the provider.
    assert split(first, second)["b"] == {"unobserved": 120, "novel": 10}


def test_an_unseen_history_is_what_the_wire_does_not_explain() -> None:
    more = say("user", "Shorter.", size=10)
    # Ten characters are at most three tokens.
    found = split(model("b", "writer", 10, 5, blocks=(more,), previous_id="before-a-restart", input_tokens=130))
    assert found == {"b": {"unobserved": 127, "novel": 3}}


def test_an_image_does_not_outweigh_the_text() -> None:
    image = Block(1, "media", 4_000_000)
    text = say("user", "What is this?", size=4096)
    found = split(
        exact("a", "one", 0, text, outputs=()), model("b", "two", 10, 5, blocks=(image, text), input_tokens=2_000)
    )
    assert found["b"] == {"novel": 1_000, "cross_request": 1_000}


def test_the_request_is_the_first_user_message_with_all_its_parts() -> None:
    picture = say("media", "data:image/png", size=30)
    second = say("user", "later", size=5)
    found = split(
        exact("a", "one", 0, REQUEST, picture, say("assistant", "ok", size=2), second),
        exact("b", "two", 10, REQUEST, picture, second),
    )
    assert found["b"] == {"cross_request": 130, "cross_output": 5}
