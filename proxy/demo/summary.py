"""The figures of each pattern, summed over its sessions, and the table that puts them side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from rich.table import Table

from collectors.figures import LINES, TAX_LINES
from collectors.report import Report, SessionReport
from collectors.tax import Tax, TaxByUnit, divide
from proxy.demo.fleets import Fleet


@dataclass(frozen=True, slots=True)
class FleetFigures:
    """Sums over the sessions of one fleet; ``patterns`` are what orchtax recognised, each once."""

    fleet: str
    title: str
    sessions: int
    calls: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cost_usd: Decimal
    wall_us: int
    handoffs: int
    retries: int
    patterns: tuple[str, ...]
    tax: TaxByUnit


def figures(report: Report, fleets: Sequence[Fleet]) -> tuple[FleetFigures, ...]:
    """Sessions belong to the fleet whose name stands before the last hyphen of their id."""
    grouped = {f.name: [s for s in report.sessions if s.session_id.rpartition("-")[0] == f.name] for f in fleets}
    return tuple(_summed(fleet, grouped[fleet.name]) for fleet in fleets)


def _summed(fleet: Fleet, sessions: Sequence[SessionReport]) -> FleetFigures:
    return FleetFigures(
        fleet=fleet.name,
        title=fleet.title,
        sessions=len(sessions),
        calls=sum(s.calls for s in sessions),
        input_tokens=sum(s.input_tokens for s in sessions),
        output_tokens=sum(s.output_tokens for s in sessions),
        cache_read_tokens=sum(s.cache_read_tokens for s in sessions),
        cost_usd=sum((s.cost_usd or Decimal(0) for s in sessions), Decimal(0)),
        wall_us=sum(s.wall_us for s in sessions),
        handoffs=sum(s.handoffs for s in sessions),
        retries=sum(s.retries for s in sessions),
        patterns=tuple(sorted({s.pattern for s in sessions})),
        tax=_taxes([s.tax for s in sessions]),
    )


def _taxes(taxes: Sequence[TaxByUnit]) -> TaxByUnit:
    note = next((t.tokens.note for t in taxes if t.tokens.note), "")
    return TaxByUnit(
        divide("tokens", {line: sum(getattr(t.tokens, line) for t in taxes) for line in LINES}, 0, note),
        divide(
            "usd",
            {line: sum((getattr(t.cost, line) for t in taxes), Decimal(0)) for line in LINES},
            Decimal(0),
            next((t.cost.note for t in taxes if t.cost.note), ""),
        ),
        divide("us", {line: sum(getattr(t.latency, line) for t in taxes) for line in LINES}, 0, ""),
    )


def table(all_figures: Sequence[FleetFigures]) -> Table:
    """One column a fleet; per-session figures are means."""
    shown = Table(title="Orchestration tax by pattern", title_justify="left", caption_justify="left")
    shown.caption = (
        "Amounts are means a session; tax lines and the multiple are of tokens. The answers are scripted, token "
        "counts are true for them."
    )
    shown.add_column("", no_wrap=True)
    for figure in all_figures:
        shown.add_column(figure.fleet, justify="right")
    for label, values in _rows(all_figures):
        shown.add_row(label, *values, end_section=label in {"seconds", "multiple"})
    return shown


def _rows(all_figures: Sequence[FleetFigures]) -> list[tuple[str, list[str]]]:
    f = all_figures
    return [
        ("recognised as", [", ".join(x.patterns) or "-" for x in f]),
        ("sessions", [str(x.sessions) for x in f]),
        ("calls", [_mean(x.calls, x.sessions, "{:.1f}") for x in f]),
        ("input tokens", [_mean(x.input_tokens, x.sessions, "{:,.0f}") for x in f]),
        ("  from cache", [_mean(x.cache_read_tokens, x.sessions, "{:,.0f}") for x in f]),
        ("output tokens", [_mean(x.output_tokens, x.sessions, "{:,.0f}") for x in f]),
        ("cost, USD", [_mean(x.cost_usd, x.sessions, "{:.5f}") for x in f]),
        ("seconds", [_mean(x.wall_us / 1e6, x.sessions, "{:.2f}") for x in f]),
        ("tax of tokens", [_share(x.tax.tokens) for x in f]),
        ("tax of cost", [_share(x.tax.cost) for x in f]),
        ("tax of latency", [_share(x.tax.latency) for x in f]),
        ("multiple", [_multiple(x.tax.tokens) for x in f]),
        *((f"  {line}", [_line(x.tax.tokens, line) for x in f]) for line in TAX_LINES),
        ("handoffs", [_mean(x.handoffs, x.sessions, "{:.1f}") for x in f]),
        ("retries", [_mean(x.retries, x.sessions, "{:.1f}") for x in f]),
    ]


def _mean(amount: int | float | Decimal, sessions: int, form: str) -> str:
    return form.format(amount / sessions) if sessions else "-"


def _share(tax: Tax[int] | Tax[Decimal]) -> str:
    return f"{tax.share:.1%}" if tax.share is not None else (tax.note or "-")


def _multiple(tax: Tax[int]) -> str:
    return f"{tax.multiple:.2f}" if tax.multiple is not None else (tax.note or "-")


def _line(tax: Tax[int], line: str) -> str:
    amount: int = getattr(tax, line)
    return f"{amount / tax.total:.1%}" if amount and tax.total else "·"
