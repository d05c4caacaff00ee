"""The report as a table."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from collectors.report import Report, SessionReport, Totals
from proxy.commands.figures import bar, console, count, legend, money, percent, times

_ROOM_FOR_BARS = 118
"""Columns of a terminal below which shares are numbers only."""


def show(report: Report) -> None:
    """Prints it: a row a session, the totals, and what a reader must know before trusting a share."""
    screen = console()
    if not report.sessions:
        for note in _notes(report):
            screen.print(Text(note, style="yellow"))
        return
    width = 10 if screen.width >= _ROOM_FOR_BARS else 0
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("session", overflow="fold", min_width=12)
    table.add_column("pattern", overflow="ellipsis", no_wrap=True)
    for heading in ("calls", "tokens", "cost"):
        table.add_column(heading, justify="right", no_wrap=True)
    for heading in ("tax: tokens", "cost", "latency"):
        table.add_column(heading, no_wrap=True)
    for heading in ("multiple", "handoffs", "retries") if width else ():
        table.add_column(heading, justify="right", no_wrap=True)
    for session in report.sessions:
        table.add_row(Text(_printable(session.session_id)), session.pattern, *_cells(session, width))
    table.add_section()
    table.add_row(_many(report.totals.sessions, "session"), "", *_cells(report.totals, width), style="bold")
    screen.print(table)
    screen.print(legend() if width else "")
    for note in _notes(report):
        screen.print(Text(note, style="yellow"))


def _cells(of: SessionReport | Totals, width: int) -> list[str | Text]:
    taxes = (of.tax.tokens, of.tax.cost, of.tax.latency)
    shares = [Text(f"{percent(tax.share):>6} ").append(bar(tax, width)) for tax in taxes]
    amounts = [str(of.calls), count(of.input_tokens + of.output_tokens), money(of.cost_usd)]
    rest = [times(of.tax.tokens.multiple), str(of.handoffs), str(of.retries)] if width else []
    return [*amounts, *shares, *rest]


def _notes(report: Report) -> list[str]:
    notes = [f"{s.session_id}: {s.tax.tokens.note} ({_reported(s)})" for s in report.sessions if s.tax.tokens.note]
    if report.totals.unpriced_calls:
        many = _many(report.totals.unpriced_calls, "call")
        notes.append(f"{many} without a known price, left out of cost: name their models under prices:")
    if report.totals.unattributed_calls:
        many, cost = _many(report.totals.unattributed_calls, "call"), money(report.totals.unattributed_cost_usd)
        notes.append(f"{many} ({cost}) named no session and stand in no receipt: send X-Orchtax-Session, or put")
        notes.append("/session/ID/stage/NAME in front of the base URL's path")
    if report.totals.listed < report.totals.sessions:
        notes.append(f"{report.totals.listed} of {report.totals.sessions} sessions listed: raise --limit to see more")
    return [_printable(note) for note in notes]


def _reported(session: SessionReport) -> str:
    return f"usage was reported for {(session.coverage or 0):.0%} of {session.model_calls} model calls"


def _many(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "·" for c in text)
