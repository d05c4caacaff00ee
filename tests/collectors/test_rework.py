"""Rework: what a FAIL caused, and what it did not."""

from __future__ import annotations

from collectors.records import CallRecord
from collectors.roles import RoleRules
from tests.story import analysed, model, receipts, say


def reworked(*calls: CallRecord, rules: RoleRules | None = None) -> set[str]:
    analysis = analysed(*calls, rules=rules or RoleRules())
    return {call for call, receipt in receipts(analysis).items() if receipt.is_rework}


def test_from_the_reentered_stage_to_the_next_verdict() -> None:
    assert reworked(
        model("w1", "writer", 0, 10),
        model("v1", "validator", 10, 10, verdict="fail"),
        model("w2", "writer", 20, 10),
        model("w3", "writer", 30, 10),
        model("v2", "validator", 40, 10, verdict="pass"),
        model("w4", "writer", 50, 10),
    ) == {"w2", "w3", "v2"}


def test_a_second_fail_closes_and_opens() -> None:
    assert reworked(
        model("w1", "writer", 0, 10),
        model("v1", "validator", 10, 10, verdict="fail"),
        model("w2", "writer", 20, 10),
        model("v2", "validator", 30, 10, verdict="fail"),
        model("w3", "writer", 40, 10),
    ) == {"w2", "v2", "w3"}


def test_a_pass_causes_nothing() -> None:
    assert not reworked(
        model("w1", "writer", 0, 10),
        model("v1", "validator", 10, 10, verdict="pass"),
        model("w2", "writer", 20, 10),
    )


def test_a_first_pass_never_is_rework() -> None:
    """A fixer and a publisher that first run after the FAIL, and a guard before any work."""
    assert not reworked(
        model("v1", "validator", 0, 10, verdict="fail"),
        model("w1", "writer", 10, 10),
        model("p1", "publisher", 20, 10),
    )
    assert reworked(
        model("w1", "writer", 0, 10),
        model("v1", "validator", 10, 10, verdict="fail"),
        model("w2", "writer", 20, 10),
        model("p1", "publisher", 30, 10),
    ) == {"w2"}


def test_a_coordinator_on_the_way_back_keeps_its_line() -> None:
    session = (
        model("s1", "supervisor", 0, 10),
        model("w1", "writer", 10, 10),
        model("v1", "validator", 20, 10, verdict="fail"),
        model("s2", "supervisor", 30, 10, input_tokens=5),
        model("w2", "writer", 40, 10),
    )
    assert reworked(*session) == {"w2"}
    assert receipts(analysed(*session))["s2"].coordinate_tokens == 5


def test_a_branch_that_ran_beside_the_validator_does_not_wait_for_it() -> None:
    assert reworked(
        model("w1", "writer", 0, 10),
        model("b1", "researcher", 0, 15),
        model("v1", "validator", 10, 10, verdict="fail"),
        model("b2", "researcher", 20, 10),
        model("w2", "writer", 21, 10),
        model("b3", "researcher", 31, 10),
    ) == {"w2"}


def test_two_validators_in_a_row_share_one_rework() -> None:
    assert reworked(
        model("w1", "writer", 0, 10),
        model("v1", "style-validator", 10, 10, verdict="fail"),
        model("u1", "fact-validator", 20, 10, verdict="pass"),
        model("w2", "writer", 30, 10),
        model("v2", "style-validator", 40, 10, verdict="pass"),
        model("u2", "fact-validator", 50, 10, verdict="pass"),
    ) == {"w2", "v2"}


def test_a_silent_validator_that_hands_back_has_failed_it() -> None:
    silent = (
        model("w1", "writer", 0, 10),
        model("v1", "reviewer", 10, 10),
        model("w2", "writer", 20, 10),
    )
    assert reworked(*silent) == {"w2"}
    # Where the stage does give verdicts, its silence is none.
    assert not reworked(*silent, model("v2", "reviewer", 30, 10, verdict="pass"))


def test_a_new_turn_of_the_user_is_no_rework() -> None:
    silent = (model("w1", "writer", 0, 10), model("v1", "reviewer", 10, 10))
    after_a_rest = model("w2", "writer", 20 + 301_000, 10)
    assert not reworked(*silent, after_a_rest)
    question = (say("user", "hi"),)
    answered = model("v1", "reviewer", 10, 10, verdict="fail", blocks=question, outputs=(say("assistant", "no"),))
    asked = model("w2", "writer", 20, 10, blocks=(*question, *answered.outputs, say("user", "something else")))
    assert not reworked(model("w1", "writer", 0, 10), answered, asked)


def test_a_worker_s_own_pass_false_is_no_verdict() -> None:
    assert not reworked(
        model("w1", "writer", 0, 10),
        model("c1", "coder", 10, 10, verdict="fail"),
        model("w2", "writer", 20, 10),
    )


def test_rework_is_retry_in_tokens_and_time() -> None:
    analysis = analysed(
        model("w1", "writer", 0, 10, input_tokens=3),
        model("v1", "validator", 12, 10, verdict="fail", input_tokens=5),
        model("w2", "writer", 25, 10, input_tokens=7),
        model("v2", "validator", 35, 10, verdict="pass", input_tokens=11),
    )
    by_id = receipts(analysis)
    assert [r.retry_tokens for r in by_id.values()] == [0, 0, 7, 11]
    # Both calls and the gap back to the writer.
    assert analysis.session.latency_retry_us == 10_000 + 10_000 + 3_000
    assert analysis.session.latency_handoff_us == 2_000
