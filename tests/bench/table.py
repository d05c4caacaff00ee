"""The report as tables for a person."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from tests.bench.figures import ORCHTAX, WHOLE, Closed, Open, Spread
from tests.bench.run import Report

FLOOR_OF_BARE = 0.5
CEILING_MB = 70.0
MOST_START_S = 1.5


def show(out: Console, report: Report) -> None:
    """Tables, the floors that hold or do not, and what limits the figures."""
    for scene in dict.fromkeys(row.scene for row in report.throughput):
        out.print(_throughput(scene, [row for row in report.throughput if row.scene == scene]))
    for scene in dict.fromkeys(row.scene for row in report.latency):
        out.print(_latency(scene, [row for row in report.latency if row.scene == scene]))
    for name, value, holds in _floors(report):
        out.print(
            f"{'[green]met    [/]' if holds else '[red]NOT MET[/]'}  {name}: {value}", highlight=False, soft_wrap=True
        )
    for line in _notes(report):
        out.print(f"[dim]{line}[/]", highlight=False, soft_wrap=True)


def _throughput(scene: str, rows: Sequence[Closed]) -> Table:
    table = Table(title=f"Closed loop, {scene}", title_justify="left", box=box.SIMPLE)
    table.add_column("")
    for name in ("calls/s", "of direct", "of bare", "CPU µs", "by CPU"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            row.subject,
            f"{row.per_second.median:,.0f}",
            f"{row.to_direct.median:.2f}",
            _ratio(row.to_bare) if row.cpu_us else "",
            f"{row.cpu_us.median:,.0f}" if row.cpu_us else "",
            f"{row.to_bare_by_cpu:.2f}" if row.to_bare_by_cpu else "",
        )
    return table


def _ratio(ratio: Spread) -> str:
    return f"{ratio.median:.2f} ({ratio.low:.2f}–{ratio.high:.2f})"  # noqa: RUF001  # a range has an en dash


def _latency(scene: str, rows: Sequence[Open]) -> Table:
    table = Table(title=f"Latency, {scene}, ms", title_justify="left", box=box.SIMPLE)
    table.add_column("")
    for name in ("p50", "p95", "p99", "added p50", "added p95", "added p99"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(row.subject, *(f"{us / 1000:.2f}" for us in (*row.latency_us, *row.added_us)))
    return table


def _floors(report: Report) -> list[tuple[str, str, bool]]:
    """``(what, figure, whether it holds)``, the full path's."""
    row = next(r for r in report.throughput if r.subject == ORCHTAX and r.scene == WHOLE)
    memory = report.memory
    return [
        (
            f"at least {FLOOR_OF_BARE:.0%} of the bare pass-through's calls/s",
            f"{row.to_bare.median:.0%}, by CPU time {row.to_bare_by_cpu or 0:.0%}",
            row.to_bare.median >= FLOOR_OF_BARE,
        ),
        (
            f"worker below {CEILING_MB:.0f} MB",
            f"{memory.start_mb:.1f} MB after the first call, {memory.after_mb:.1f} MB after {memory.calls:,}",
            memory.after_mb <= CEILING_MB,
        ),
        (
            f"first call answered within {MOST_START_S:g} s of start",
            f"{report.first_answer_s:.2f} s",
            report.first_answer_s <= MOST_START_S,
        ),
        (
            "every call answered, no record dropped",
            f"{report.failed} calls failed, {report.dropped_records} records dropped",
            not report.failed and not report.dropped_records,
        ),
    ]


def _notes(report: Report) -> list[str]:
    samples = min(row.samples for row in report.latency)
    lines = [
        "Medians over rounds in turns (in brackets lowest and highest); ratios are within a round.",
        "CPU is the proxy's process, a call; by CPU is bare's over its own: the ratio that other load does not move.",
        f"Added latency is the difference of the quantiles to direct, each of at least {samples:,} calls.",
        f"The collector was at most {report.catch_up_s:.1f} s behind after a measurement (waited for, not measured).",
    ]
    if report.cores is None:
        return [*lines, "One core: proxy, provider, load and collector share it, so all rates are too low."]
    proxy, others = (", ".join(map(str, cores)) for cores in report.cores)
    return [
        *lines,
        f"Of the bench the proxy alone is on core {proxy}; load, provider and orchtax's collector share core {others}.",
        "Direct is what those can do there, no ceiling of the provider; take ratios from here, not absolute rates.",
    ]
