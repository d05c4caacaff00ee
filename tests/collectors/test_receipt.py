"""One call's lines, in tokens and at each token's real price."""

from __future__ import annotations

from typing import Any

import pytest

from collectors.figures import LINES
from collectors.receipt import Standing, receipt
from collectors.records import CallRecord
from collectors.repetition import Class, Partition, Span
from collectors.retries import Repeat
from collectors.roles import RoleRules
from tests.story import analysed, model, receipts, tool


def prompt(*spans: tuple[Class, int]) -> Partition:
    return Partition(tuple(Span(kind, "other" if kind.startswith("cross") else "", tokens) for kind, tokens in spans))


def lines(call: CallRecord, standing: Standing, partition: Partition, unit: str) -> dict[str, int]:
    """The lines that are not zero."""
    made = receipt(call, standing, partition, 1)
    return {line: amount for line in LINES if (amount := getattr(made, f"{line}_{unit}"))}


CALL = model("c", "w", 0, 5, input_tokens=100, output_tokens=10)
HALF = prompt(("novel", 40), ("cross_request", 20), ("cross_output", 30), ("own_reread", 10))


def test_a_work_call_splits_into_work_and_handoff() -> None:
    assert lines(CALL, Standing(), HALF, "tokens") == {"handoff": 50, "work": 60}


@pytest.mark.parametrize("line", ["route", "coordinate", "validate", "aggregate"])
def test_a_role_takes_the_whole_call(line: Any) -> None:
    assert lines(CALL, Standing(role=line, line=line), HALF, "tokens") == {line: 110}


@pytest.mark.parametrize(
    "standing",
    [
        Standing(repeat=Repeat("retry", "b")),
        Standing(is_rework=True),
        Standing(role="validate", line="validate", is_rework=True),
    ],
)
def test_retry_and_rework_come_before_the_role(standing: Standing) -> None:
    assert lines(CALL, standing, HALF, "tokens") == {"retry": 110}


@pytest.mark.parametrize("kind", ["duplicate", "sampling"])
def test_duplicates_and_samples_stay_on_their_line(kind: Any) -> None:
    assert lines(CALL, Standing(repeat=Repeat(kind, "b")), HALF, "tokens") == {"handoff": 50, "work": 60}


def priced(read: int, write: int, **parts: int) -> CallRecord:
    known: dict[str, Any] = {f"cost_{name}_nano": nano for name, nano in parts.items()}
    return model(
        "c",
        "w",
        0,
        5,
        input_tokens=100,
        output_tokens=10,
        cache_read_tokens=read,
        cache_write_tokens=write,
        cost_nano=sum(parts.values()),
        **known,
    )


def test_cost_follows_the_price_of_each_position() -> None:
    # 60 read at 1, 20 written at 12, 20 uncached at 10, 10 of output at 40, and a fee of 7.
    call = priced(60, 20, cache_read=60, cache_write=240, input=200, output=400, fee=7)
    # Handed-over context at positions 40..90: 20 read, 20 written, 10 uncached.
    handoff = 20 * 1 + 20 * 12 + 10 * 10
    assert lines(call, Standing(), HALF, "nano") == {"handoff": handoff, "work": 907 - handoff}
    # At the very front it lies in the cache; at the very end it is uncached.
    front = prompt(("cross_output", 30), ("novel", 70))
    assert lines(call, Standing(), front, "nano")["handoff"] == 30 * 1
    back = prompt(("novel", 90), ("cross_output", 10))
    assert lines(call, Standing(), back, "nano")["handoff"] == 10 * 10


def test_a_class_is_rounded_once_and_the_rest_is_work() -> None:
    # A third of 100 nano-dollars for 30 of 90 tokens, and 10 uncached ones that cost 1 in all.
    call = priced(90, 0, cache_read=100, cache_write=0, input=1, output=0, fee=0)
    spans = prompt(("cross_output", 30), ("novel", 70))
    assert lines(call, Standing(), spans, "nano") == {"handoff": 33, "work": 68}


def test_impossible_cache_counts_stay_within_the_prompt() -> None:
    call = priced(400, 400, cache_read=100, cache_write=50, input=25, output=5, fee=0)
    everything = prompt(("cross_output", 100))
    # All 100 positions are read from the cache; what the other classes cost belongs to no position.
    assert lines(call, Standing(), everything, "nano") == {"handoff": 100, "work": 80}


def test_a_total_without_parts_is_spread_over_all_tokens() -> None:
    call = model("c", "w", 0, 5, input_tokens=100, output_tokens=100, cost_nano=1_000)
    # Half of the money is input, half of the input crossed.
    assert lines(call, Standing(), HALF, "nano") == {"handoff": 250, "work": 750}


def test_an_unknown_cost_is_not_priced_and_zero() -> None:
    made = receipt(CALL, Standing(), HALF, 1)
    assert not made.is_priced
    assert lines(CALL, Standing(), HALF, "nano") == {}


def test_a_tool_s_fee_stands_on_the_line_of_its_stage() -> None:
    rules = RoleRules.of({"checker": "validate"})
    fee = {"cost_nano": 500, "cost_fee_nano": 500}
    analysis = analysed(
        model("a", "checker", 0, 5), tool("t", "checker", 6, 2, **fee), tool("u", "writer", 9, 2, **fee), rules=rules
    )
    by_id = receipts(analysis)
    assert (by_id["t"].validate_nano, by_id["u"].work_nano) == (500, 500)
    assert analysis.session.tool_cost_nano == analysis.session.cost_nano == 1_000


def test_a_refused_call_carries_nothing() -> None:
    refused = model("r", "w", 0, 0, outcome="refused", input_tokens=100, output_tokens=5, cost_nano=9)
    analysis = analysed(refused)
    made = analysis.receipts[0]
    assert (made.work_tokens, made.work_nano, made.novel_tokens, made.is_priced) == (0, 0, 0, False)
    figures = analysis.session
    assert (figures.calls, figures.model_calls, figures.input_tokens, figures.cost_nano) == (1, 0, 0, 0)


def test_planning_is_work_unless_counted_as_coordination() -> None:
    call = model("p", "planner", 0, 5, input_tokens=10)
    assert receipts(analysed(call))["p"].work_tokens == 10
    assert receipts(analysed(call, rules=RoleRules(plan_counts_as="coordinate")))["p"].coordinate_tokens == 10
