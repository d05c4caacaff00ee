"""Report values from rows: ratios late, money exact, unknown as null."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.figures import LINES, TAX_LINES
from collectors.reading import BadQuestion, Question, parse_since
from collectors.report import Repetition, Report, build_report, dump, load
from collectors.tax import INSUFFICIENT, divide, usd

HOUR_NS = 3600 * 10**9
amounts = st.fixed_dictionaries({line: st.integers(0, 10**12) for line in LINES})


def row(**given_values: Any) -> dict[str, Any]:
    """A row of ``sessions.sql`` that is zero where nothing is given."""
    counts = ("calls", "model_calls", "reported_calls", "unpriced_calls", "failed_calls", "retries", "handoffs")
    amounts_of = ("input_tokens", "output_tokens", "cache_read_tokens", "cost_nano", "tool_cost_nano")
    times = ("wall_us", "busy_us", "barrier_us", "started_ns", "ended_ns")
    lines = [f"{line}_{unit}" for line in LINES for unit in ("tokens", "nano", "us")]
    repetition = [f"{name}_tokens" for name in Repetition.__dataclass_fields__]
    words = {"session_id": "s", "tenant": "", "task": "", "variant": "", "session_source": "header"}
    alone = ("sessions", "unattributed_calls", "unattributed_nano")
    base = dict.fromkeys((*counts, *amounts_of, *times, *lines, *repetition, *alone), 0)
    return {**base, **words, "pattern": "single", "session_confidence": 1.0, "pattern_confidence": 1.0, **given_values}


def report_of(**given_values: Any) -> Report:
    return build_report([row(**given_values)], [], row(**given_values))


@given(amounts)
def test_lines_sum_and_ratios_agree(lines: dict[str, int]) -> None:
    tax = divide("tokens", lines, 0, "")
    assert tax.total == sum(lines.values())
    assert tax.tax + tax.work == tax.total
    if tax.total:
        assert tax.share == pytest.approx(sum(lines[line] for line in TAX_LINES) / tax.total)
    if tax.work and tax.share is not None:
        share = Fraction(sum(lines[line] for line in TAX_LINES), sum(lines.values()))  # exact: 1 - share may be tiny
        assert tax.multiple == pytest.approx(float(1 / (1 - share)))


@given(amounts)
def test_json_keeps_every_nano_dollar_both_ways(lines: dict[str, int]) -> None:
    report = report_of(cost_nano=sum(lines.values()), **{f"{line}_nano": nano for line, nano in lines.items()})
    body = dump(report)
    printed = json.loads(body, parse_float=Decimal)["sessions"][0]
    assert Decimal(printed["cost_usd"]) * 10**9 == sum(lines.values())
    assert {line: Decimal(printed["tax"]["cost"][line]) * 10**9 for line in LINES} == lines
    assert load(Report, body) == report


def test_worked_example_of_a_router_a_specialist_and_a_validator() -> None:
    report = report_of(work_tokens=8000, route_tokens=2000, validate_tokens=3000, retry_tokens=7200)
    tax = report.sessions[0].tax.tokens
    assert tax.share is not None
    assert tax.multiple is not None
    assert (round(tax.share, 3), round(tax.multiple, 1)) == (0.604, 2.5)


@pytest.mark.parametrize(("reported", "is_shown"), [(9, True), (8, False), (0, False)])
def test_too_little_coverage_hides_shares_of_tokens_and_cost_but_not_of_time(reported: int, is_shown: bool) -> None:
    lines = {"route_tokens": 1, "work_tokens": 1, "route_nano": 1, "work_nano": 1, "route_us": 1, "work_us": 1}
    tax = report_of(model_calls=10, reported_calls=reported, cost_nano=2, **lines).sessions[0].tax
    expected = 0.5 if is_shown else None
    assert (tax.tokens.share, tax.cost.share, tax.latency.share) == (expected, expected, 0.5)
    assert tax.tokens.note == ("" if is_shown else INSUFFICIENT)
    assert (tax.tokens.multiple is None) is not is_shown


def test_unknown_cost_is_null_and_a_known_part_says_what_it_leaves_out() -> None:
    unknown = json.loads(dump(report_of(model_calls=1, reported_calls=1, unpriced_calls=1)))
    assert unknown["sessions"][0]["cost_usd"] is None
    partly = report_of(model_calls=2, reported_calls=2, unpriced_calls=1, cost_nano=5, work_nano=5).sessions[0]
    assert (partly.cost_usd, partly.unpriced_calls) == (usd(5), 1)
    assert partly.tax.cost.note.startswith("1 call ")
    free = report_of(model_calls=1, reported_calls=1).sessions[0]
    assert free.cost_usd == 0


def test_a_session_of_tax_alone_has_no_multiple() -> None:
    tax = report_of(route_tokens=10).sessions[0].tax.tokens
    assert (tax.share, tax.multiple) == (1.0, None)


def test_what_stands_beside_the_tax_is_not_in_it() -> None:
    session = report_of(work_tokens=10, own_reread_tokens=9, scaffold_tokens=1).sessions[0]
    assert session.tax.tokens.tax == 0
    assert (session.repetition.own_reread, session.repetition.scaffold) == (9, 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", 0), ("1h", 9 * HOUR_NS), ("60m", 9 * HOUR_NS), ("9999w", 0), ("1970-01-01T02:00:00", 2 * HOUR_NS)],
)
def test_since(text: str, expected: int) -> None:
    assert parse_since(text, 10 * HOUR_NS) == expected


@pytest.mark.parametrize(
    "words", [{"since": "soon"}, {"limit": "0"}, {"limit": "1e3"}, {"sort": "x"}, {"colour": "red"}, {"session": "\0"}]
)
def test_a_bad_question_says_what_would_do(words: dict[str, str]) -> None:
    with pytest.raises(BadQuestion) as caught:
        Question.of(words, 0)
    assert caught.value.remedy


def test_load_refuses_what_is_no_report() -> None:
    with pytest.raises(ValueError, match="sessions"):
        load(Report, b"{}")
