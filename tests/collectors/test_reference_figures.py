"""Two worked examples from the literature on orchestration cost, rebuilt as calls; every expected value by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from collectors.figures import TAX_LINES, SessionAnalysis
from collectors.records import Block, CallRecord
from tests.story import analysed, crossings, model, receipts, say

REQUEST = say("user", "Why was I charged twice?", size=2_000)
ROUTED = say("assistant", "billing: duplicate charge, see invoice", size=2_000)
ANSWER = say("assistant", "The second charge was a hold; it is gone on Friday.", size=1_000)
BRIEF = say("system", "You answer billing questions.", size=7_000)


def routed_session(has_rework: bool) -> list[CallRecord]:
    """Router 800 ms / 2K, handoff 200 ms / 4K, specialist 1 500 ms / 8K of its own, validator 600 ms / 3K, and where it
    fails a second specialist run of 2 000 ms / 8K. The specialist's prompt is 11K: 7K its own, 4K handed over."""
    router = model("r", "router", 0, 800, blocks=(REQUEST,), outputs=(ROUTED,), input_tokens=1_900, output_tokens=100)
    handed = (BRIEF, REQUEST, pasted(ROUTED))
    specialist = model(
        "s", "specialist", 1_000, 1_500, blocks=handed, outputs=(ANSWER,), input_tokens=11_000, output_tokens=1_000
    )
    validator = model(
        "v",
        "validator",
        2_500,
        600,
        blocks=(say("system", "Check the answer."), pasted(ANSWER)),
        input_tokens=2_900,
        output_tokens=100,
        verdict="fail" if has_rework else "pass",
    )
    again = model("s2", "specialist", 3_100, 2_000, blocks=handed, input_tokens=7_000, output_tokens=1_000)
    return [router, specialist, validator, *([again] if has_rework else [])]


def pasted(block: Block) -> Block:
    """The same text in another stage's user message."""
    return block._replace(kind="user")


def total(analyses: list[SessionAnalysis], suffix: str) -> dict[str, int]:
    """Receipt lines summed over calls and sessions: sum first, divide last."""
    lines = (*TAX_LINES, "work")
    return {
        line: sum(getattr(receipt, f"{line}_{suffix}") for one in analyses for receipt in one.receipts)
        for line in lines
    }


def test_router_specialist_validator_mean_of_five_sessions() -> None:
    # 40 % rework: two of five sessions carry it.
    analyses = [analysed(*routed_session(has_rework=i < 2)) for i in range(5)]
    tokens = total(analyses, "tokens")
    by_hand = {
        "route": 5 * 2_000,
        "handoff": 5 * 4_000,
        "work": 5 * 8_000,
        "validate": 5 * 3_000,
        "retry": 2 * 8_000,
        "coordinate": 0,
        "aggregate": 0,
    }
    assert tokens == by_hand
    spent = sum(tokens.values())
    assert spent / 5 == 20_200
    tax = sum(tokens[line] for line in TAX_LINES)
    assert round(100 * tax / spent, 1) == 60.4
    assert round(1 / (1 - tax / spent), 1) == 2.5

    wall = sum(one.session.wall_us for one in analyses)
    latency = {line: sum(getattr(one.session, f"latency_{line}_us") for one in analyses) for line in tokens}
    assert wall / 5 == 3_900_000
    assert latency["handoff"] == 5 * 200_000
    assert latency["retry"] == 2 * 2_000_000
    assert round(100 * sum(latency[line] for line in TAX_LINES) / wall, 1) == 61.5


def test_baseline_multiple_with_a_full_retry() -> None:
    session = analysed(*routed_session(has_rework=True)).session
    single_agent_tokens = 6_000
    assert session.input_tokens + session.output_tokens == 25_000
    assert round((session.input_tokens + session.output_tokens) / single_agent_tokens, 2) == 4.17


def test_router_session_handoffs_and_pattern() -> None:
    analysis = analysed(*routed_session(has_rework=True))
    assert crossings(analysis) == {("r", "s", "forward"), ("s", "v", "forward"), ("v", "s2", "return")}
    assert [h.net_gap_us for h in analysis.handoffs] == [200_000, 0, 0]
    assert analysis.session.pattern == "routing"
    assert analysis.session.pattern_confidence <= 0.5


@pytest.mark.parametrize("has_own_names", [True, False])
def test_five_parallel_agents_and_an_aggregation(has_own_names: bool) -> None:
    seconds = [2.1, 3.4, 1.8, 4.2, 2.9]
    outputs = [say("assistant", f"finding number {i}") for i in range(5)]
    agents = [
        model(
            f"a{i}",
            f"researcher-{i}" if has_own_names else "researcher",
            0,
            1_000 * length,
            blocks=(say("user", f"look into part {i}"),),
            outputs=(outputs[i],),
        )
        for i, length in enumerate(seconds)
    ]
    gathered = tuple(pasted(output) for output in outputs)
    analysis = analysed(*agents, model("agg", "aggregator", 4_200, 800, blocks=gathered))
    session = analysis.session
    assert session.wall_us == 5_000_000  # the slowest agent, then the aggregation
    assert session.busy_us == round(1e6 * (sum(seconds) + 0.8)) == 15_200_000
    assert round(session.busy_us / session.wall_us, 2) == 3.04
    assert session.barrier_us == round(1e6 * sum(4.2 - length for length in seconds)) == 6_600_000
    assert crossings(analysis) == {(f"a{i}", "agg", "fan_in") for i in range(5)}
    assert session.pattern == "parallel"
    assert session.latency_aggregate_us == 800_000
    on_path = {call for call, receipt in receipts(analysis).items() if receipt.on_critical_path}
    assert on_path == {"a3", "agg"}


def tool_loop(turns: int) -> list[CallRecord]:
    """One agent that asks a tool every turn; its history grows by a call and a result."""
    history: tuple[Block, ...] = (say("system", "You search."), say("user", "Find the cheapest flight."))
    calls = []
    for turn in range(turns):
        asked = say("tool_call", f"search flights page {turn}")
        at = turn * 1_000
        calls.append(
            model(
                f"m{turn}",
                "agent",
                at,
                500,
                blocks=history,
                outputs=(asked,),
                emitted_tools=("search",),
                input_tokens=sum(block.size for block in history),
                output_tokens=asked.size,
            )
        )
        calls.append(model(f"t{turn}", "agent", at + 600, 300, kind="tool", tool="search"))
        history = (*history, asked, say("tool_result", f"flights of page {turn}: none cheaper than the last"))
    return calls


def test_a_tool_loop_rereads_its_own_and_hands_nothing_over() -> None:
    calls = tool_loop(6)
    analysis = analysed(*calls)
    models = [call for call in calls if call.kind == "model"]
    prompts = [call.input_tokens or 0 for call in models]
    # Every prompt stood whole in the next one, with the answer in between.
    reread = sum(prompts[k] + (models[k].output_tokens or 0) for k in range(5))
    assert sum(r.own_reread_tokens for r in analysis.receipts) == reread
    assert sum(r.cross_request_tokens + r.cross_output_tokens + r.handoff_tokens for r in analysis.receipts) == 0
    assert analysis.session.handoffs == 0
    assert analysis.session.pattern == "single"
    assert analysis.session.wall_us == 5_900_000  # from the first arrival to the last tool's end, tools on the path


def test_shared_history_under_a_new_system_prompt_crosses() -> None:
    history = (
        say("user", "Book me a room in Rome."),
        say("assistant", "For which nights?"),
        say("user", "June 3 to 5."),
    )
    answered = say("assistant", "The booking agent takes over.")
    first = model(
        "a", "front", 0, 500, blocks=(say("system", "Greet."), *history), outputs=(answered,), input_tokens=500
    )
    brief = say("system", "You book rooms.")
    prompt = (brief, *history, answered)
    size = sum(block.size for block in prompt)
    second = model("b", "booking", 600, 500, blocks=prompt, input_tokens=size)
    receipt = receipts(analysed(first, second))["b"]
    assert receipt.novel_tokens == brief.size
    assert receipt.cross_request_tokens == history[0].size
    assert receipt.cross_output_tokens == size - brief.size - history[0].size
    assert receipt.own_reread_tokens == 0
    assert receipt.handoff_tokens == receipt.cross_request_tokens + receipt.cross_output_tokens


def test_arrival_order_does_not_matter() -> None:
    calls = routed_session(has_rework=True)
    assert analysed(*reversed(calls)) == analysed(*calls)
    assert analysed(*calls, replace(calls[0])) == analysed(*calls)
