"""The table's figures are sums over a fleet's sessions; books that differ from the servers' are named."""

from __future__ import annotations

import io
from collections import defaultdict
from decimal import Decimal
from typing import Any

from rich.console import Console

from collectors.figures import TAX_LINES
from collectors.report import Report, build_report
from proxy.demo import books, fleets, summary
from proxy.demo.journal import Entry


def row(session: str, **figures: int) -> dict[str, Any]:
    """A row as the store gives it, zero where nothing is said."""
    texts = {"tenant": "", "task": "", "variant": "", "pattern": "routing", "session_source": "path"}
    known = {"session_id": session, "pattern_confidence": 1.0, "session_confidence": 1.0, **texts, **figures}
    return defaultdict(int, known)


def report_of(*rows: dict[str, Any]) -> Report:
    return build_report(rows, (), defaultdict(int))


def report() -> Report:
    priced = {"model_calls": 2, "reported_calls": 2}
    return report_of(
        row("routed-1", calls=3, input_tokens=100, output_tokens=20, retry_tokens=30, work_tokens=90, **priced),
        row("routed-2", calls=4, input_tokens=50, output_tokens=30, route_tokens=16, work_tokens=64, **priced),
        row("single-1", calls=1, input_tokens=7, output_tokens=1, work_tokens=8, cost_nano=5, **priced),
    )


def test_figures_are_sums_over_a_fleets_sessions() -> None:
    by_name = {f.fleet: f for f in summary.figures(report(), fleets.load())}
    routed = by_name["routed"]
    assert (routed.sessions, routed.calls, routed.input_tokens, routed.output_tokens) == (2, 7, 150, 50)
    assert routed.tax.tokens.total == 150 + 50
    assert routed.tax.tokens.share == (30 + 16) / 200
    assert routed.tax.tokens.multiple == 200 / (90 + 64)
    assert by_name["single"].cost_usd == Decimal("0.000000005")
    assert by_name["parallel"].sessions == 0


def test_the_table_has_a_column_a_fleet_and_a_row_a_line() -> None:
    out = Console(width=80, record=True, file=io.StringIO())
    out.print(summary.table(summary.figures(report(), fleets.load())))
    said = out.export_text()
    assert all(word in said for word in (*TAX_LINES, *(fleet.name for fleet in fleets.load()), "23.0%"))


def test_books_that_differ_are_named() -> None:
    entries = [
        Entry("openai", "routed-1", "router", 200, prompt_tokens=100, completion_tokens=20),
        Entry("tool", "routed-1", "router", 200, tool="orders"),
        Entry("openai", "routed-1", "router", 429),
        Entry("openai", "routed-2", "router", 200, prompt_tokens=51, completion_tokens=30),
        Entry("openai", "parallel-1", "planner", 200, prompt_tokens=1, completion_tokens=1),
    ]
    assert books.missing(report(), books.seen_by_servers(entries)) == ["parallel-1", "routed-2"]
