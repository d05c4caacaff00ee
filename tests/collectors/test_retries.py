"""What was sent again: retry, duplicate, sampling, or nothing of the kind."""

from __future__ import annotations

import pytest

from collectors.records import CallRecord, Outcome
from collectors.retries import Repeat, repeats
from collectors.roles import RoleRules
from collectors.timeline import timeline
from tests.story import analysed, model, receipts, say, tool


def found(*calls: CallRecord) -> dict[str, Repeat]:
    line = timeline(calls)
    return dict(zip((call.call_id for call in line.calls), repeats(line), strict=True))


@pytest.mark.parametrize("outcome", ["error", "timeout", "cut", "cancelled", "unreachable"])
def test_the_same_body_after_a_failure_is_a_retry(outcome: Outcome) -> None:
    first = model("a", "w", 0, 100, body_hash="x", outcome=outcome)
    assert found(first, model("b", "w", 300, 100, body_hash="x"))["b"] == Repeat("retry", "a")


def test_the_same_body_after_a_success_is_a_duplicate() -> None:
    assert found(model("a", "w", 0, 9, body_hash="x"), model("b", "w", 9, 9, body_hash="x"))["b"] == Repeat(
        "duplicate", "a"
    )


def test_the_same_body_at_the_same_time_is_sampling_even_beside_a_failure() -> None:
    first = model("a", "w", 0, 100, body_hash="x", outcome="error")
    assert found(first, model("b", "w", 99, 100, body_hash="x"))["b"] == Repeat("sampling", "a")


@pytest.mark.parametrize(("after_ms", "kind"), [(120_000, "retry"), (120_001, "")])
def test_a_retry_comes_within_two_minutes(after_ms: int, kind: str) -> None:
    first = model("a", "w", 0, 100, body_hash="x", outcome="error")
    assert found(first, model("b", "w", 100 + after_ms, 100, body_hash="x"))["b"].kind == kind


def test_another_stage_body_or_unknown_body_is_no_retry() -> None:
    first = model("a", "w", 0, 9, body_hash="x", outcome="error")
    unknown = model("u", "w", 9, 1, outcome="error")
    later = (
        model("b", "v", 20, 9, body_hash="x"),
        model("c", "w", 20, 9, body_hash="y"),
        model("d", "w", 20, 9),
    )
    repeated = found(first, unknown, *later)
    assert {repeated[name] for name in "bcd"} == {Repeat()}


def test_a_mark_tells_even_where_nothing_else_does() -> None:
    assert found(model("b", "w", 0, 9, client_retry=1))["b"] == Repeat("retry", "")
    first = model("a", "w", 0, 100, body_hash="x", outcome="cancelled")
    assert found(first, model("b", "w", 90, 9, body_hash="x", client_retry=1))["b"] == Repeat("retry", "a")


def test_the_same_retry_key_tells_and_another_key_does_not() -> None:
    first = model("a", "w", 0, 100, retry_key="k", outcome="timeout")
    assert found(first, model("b", "v", 500, 9, retry_key="k"))["b"] == Repeat("retry", "a")
    assert found(first, model("b", "v", 500, 9, retry_key="l"))["b"] == Repeat()


def test_a_chain_of_failures_points_at_the_latest() -> None:
    calls = [model(str(i), "w", 100 * i, 50, body_hash="x", outcome="error") for i in range(3)]
    chain = found(*calls, model("ok", "w", 300, 50, body_hash="x"))
    assert [chain[name].of for name in ("1", "2", "ok")] == ["0", "1", "2"]


def test_what_orchtax_refused_was_never_sent() -> None:
    refused = model("a", "w", 0, 0, body_hash="x", outcome="refused")
    assert found(refused, model("b", "w", 9, 9, body_hash="x", client_retry=1))["b"] == Repeat()
    failed = model("f", "w", 0, 5, body_hash="x", outcome="error")
    between = model("r", "w", 8, 0, body_hash="x", outcome="refused")
    assert found(failed, between, model("b", "w", 9, 9, body_hash="x"))["b"] == Repeat("retry", "f")


def test_two_tools_with_the_same_arguments_are_two_calls() -> None:
    first = tool("a", "w", 0, 9, body_hash="x", path="/search", outcome="error")
    assert found(first, tool("b", "w", 20, 9, body_hash="x", path="/weather"))["b"] == Repeat()
    assert found(first, tool("b", "w", 20, 9, body_hash="x", path="/search"))["b"] == Repeat("retry", "a")


def test_the_resend_stands_on_the_retry_line_and_duplicates_on_their_own() -> None:
    failed = model("a", "w", 0, 9, body_hash="x", outcome="cut", input_tokens=40, output_tokens=2)
    resent = model("b", "w", 20, 9, body_hash="x", input_tokens=40, output_tokens=9)
    again = model("c", "w", 40, 9, body_hash="x", input_tokens=40, output_tokens=8)
    analysis = analysed(failed, resent, again)
    by_id = receipts(analysis)
    assert (by_id["a"].work_tokens, by_id["b"].retry_tokens, by_id["c"].work_tokens) == (42, 49, 48)
    assert (by_id["b"].retry_of, by_id["c"].retry_kind, by_id["c"].is_retry) == ("a", "duplicate", False)
    assert analysis.session.retries == 1


def test_attempts_of_the_proxy_count_as_retries() -> None:
    assert analysed(model("a", "w", 0, 9, attempts=3), model("b", "w", 10, 9)).session.retries == 2


def test_after_a_free_failure_the_resend_may_stand_on_its_role_s_line() -> None:
    rules = RoleRules(after_free_failure="role")
    free = [model(f"f{i}", "w", 20 * i, 9, body_hash="x", outcome="error") for i in range(2)]
    dear = model("d", "w", 40, 9, body_hash="x", outcome="cut", input_tokens=40)
    last = model("b", "w", 60, 9, body_hash="x", input_tokens=40, output_tokens=9)
    by_id = receipts(analysed(*free, dear, last, rules=rules))
    # The first that cost anything is the work; what was paid a second time is the retry.
    assert (by_id["d"].work_tokens, by_id["b"].retry_tokens) == (40, 49)
    assert all(by_id[name].is_retry for name in ("f1", "d", "b"))
    assert receipts(analysed(*free, dear, last))["d"].retry_tokens == 40


def test_a_failure_that_nobody_read_leaves_the_handoff_to_its_resend() -> None:
    said = say("assistant", "the plan", size=80)
    prompt = (say("system", "Do it.", size=20), said._replace(kind="user"))
    session = (
        model("p", "outline", 0, 9, outputs=(said,)),
        model("a", "w", 20, 9, body_hash="x", blocks=prompt, outcome="error"),
        model("b", "w", 40, 9, body_hash="x", blocks=prompt, input_tokens=100),
    )
    analysis = analysed(*session)
    assert [(row.to_call, row.cross_output_tokens) for row in analysis.handoffs] == [("a", 80)]
    made = receipts(analysis)["b"]
    assert (made.novel_tokens, made.cross_output_tokens, made.own_reread_tokens) == (20, 80, 0)
