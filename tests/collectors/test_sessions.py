"""The whole analysis: what it takes, what it sums, how it bears many calls."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from dataclasses import replace

import pytest

from collectors.records import Block, CallRecord
from collectors.sessions import analyse
from tests.story import RULES, analysed, model, say, tool


def test_it_takes_the_calls_of_one_session() -> None:
    with pytest.raises(ValueError, match="exactly one session"):
        analyse([], RULES, 1)
    two = [model("a", "w", 0, 1), model("b", "w", 0, 1, session_id="other")]
    with pytest.raises(ValueError, match="exactly one session"):
        analyse(two, RULES, 1)


def test_the_version_stands_on_every_row() -> None:
    analysis = analyse([model("a", "one", 0, 5), model("b", "two", 9, 5)], RULES, 7)
    versions = [receipt.version for receipt in analysis.receipts] + [row.version for row in analysis.handoffs]
    assert [analysis.session.version, *versions] == [7] * 4


def test_session_figures_are_sums_over_its_calls() -> None:
    calls = [
        model(
            "a",
            "one",
            10,
            5,
            tenant="acme",
            task="t1",
            variant="v",
            usage_source="reported",
            input_tokens=10,
            output_tokens=2,
            cache_read_tokens=4,
            cost_nano=70,
            session_source="header",
            session_confidence=1.0,
        ),
        model("b", "two", 20, 5, outcome="error"),
        model(
            "c",
            "two",
            30,
            5,
            usage_source="estimated",
            input_tokens=8,
            output_tokens=1,
            session_source="content",
            session_confidence=0.7,
        ),
        tool("t", "two", 40, 5, cost_nano=30),
    ]
    figures = analysed(*calls).session
    assert (figures.tenant, figures.task, figures.variant) == ("acme", "t1", "v")
    assert (figures.session_source, figures.session_confidence) == ("header", 1.0)
    assert (figures.calls, figures.model_calls, figures.reported_calls) == (4, 3, 1)
    assert (figures.failed_calls, figures.unpriced_calls) == (1, 1)
    assert (figures.input_tokens, figures.output_tokens, figures.cache_read_tokens) == (18, 3, 4)
    assert (figures.cost_nano, figures.tool_cost_nano) == (100, 30)
    assert figures.ended_ns - figures.started_ns == 35_000_000


def test_receipts_come_in_call_order_one_each() -> None:
    calls = [model(name, "w", at, 1) for name, at in (("c", 30), ("a", 0), ("b", 10))]
    assert [receipt.call_id for receipt in analysed(*calls).receipts] == ["a", "b", "c"]


def test_a_call_without_anything_known_is_analysed() -> None:
    blank = replace(model("a", "", 0, 0), upstream="", dialect="")
    figures = analysed(blank).session
    assert (figures.wall_us, figures.input_tokens, figures.pattern) == (0, 0, "single")


def swarm(count: int) -> list[CallRecord]:
    """Three stages on one growing history."""
    history: tuple[Block, ...] = (say("system", "s"), say("user", "q"))
    calls = []
    for i in range(count):
        answer = say("assistant", f"answer {i}")
        calls.append(
            model(f"c{i}", "abc"[i % 3], 10 * i, 5, blocks=history, outputs=(answer,), input_tokens=len(history) * 10)
        )
        history = (*history, answer)
    return calls


def crowd(count: int) -> list[CallRecord]:
    """Eight stages at random, nothing known of content."""
    rng = random.Random(7)
    return [model(f"c{i}", rng.choice("abcdefgh"), 10 * i, rng.randint(0, 60)) for i in range(count)]


@pytest.mark.parametrize("make", [swarm, crowd])
def test_a_long_session_costs_no_more_a_call_than_its_prompts(make: Callable[[int], list[CallRecord]]) -> None:
    """No quadratic blow-up: counted in steps of the interpreter, so that a busy machine does not matter."""
    short, long = steps(make(100)), steps(make(400))
    assert long < 4 * 1.6 * short


def steps(calls: list[CallRecord]) -> int:
    """How many calls to functions of the measuring plane the analysis takes."""
    taken = 0

    def count(frame: object, event: str, arg: object) -> None:
        nonlocal taken
        taken += event == "call"

    sys.setprofile(count)
    try:
        analyse(calls, RULES, 1)
    finally:
        sys.setprofile(None)
    return taken
