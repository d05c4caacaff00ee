"""One session in the terminal: the waterfall, a row a call, and the receipt."""

from __future__ import annotations

from rich import box
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from collectors.figures import LINES
from collectors.session_detail import CallDetail, ReceiptLine, SessionDetail
from proxy.commands.figures import COLOUR, UNKNOWN, console, count, legend, money, percent, seconds, times

_ON_PATH, _OFF_PATH = "█", "▒"
_BESIDE_BAR = 62
"""Columns that the waterfall's other cells take at most."""


def show(detail: SessionDetail) -> None:
    screen, session = console(), detail.session
    tax = session.tax
    screen.print(f"[bold]{_safe(session.session_id)}[/]  {session.pattern}", end="  ")
    screen.print(f"[grey58]session known by {session.attribution.source} ({session.attribution.confidence:.0%})[/]")
    shares = f"{percent(tax.tokens.share)} of tokens, {percent(tax.cost.share)} of cost, {percent(tax.latency.share)}"
    screen.print(f"{session.calls} calls, {seconds(session.wall_us)}, {money(session.cost_usd)}; tax {shares} of time")
    screen.print(f"internal multiple {times(tax.tokens.multiple)} in tokens\n")
    screen.print(_waterfall(detail, max(screen.width - _BESIDE_BAR, 20)))
    screen.print(legend(), f"[grey58]   {_ON_PATH} on the critical path  {_OFF_PATH} beside it[/]\n")
    screen.print(_receipt(detail))
    for note in {tax.tokens.note, tax.cost.note} - {""}:
        screen.print(f"[yellow]{note}[/]")
    if detail.calls_truncated:
        screen.print(f"[yellow]{len(detail.calls)} of {session.calls} calls listed[/]")


def _waterfall(detail: SessionDetail, width: int) -> Table:
    end = max((call.start_us + call.duration_us for call in detail.calls), default=1) or 1
    table = Table(box=None, pad_edge=False, header_style="grey58", padding=(0, 1, 0, 0))
    table.add_column("stage", no_wrap=True, max_width=16)
    table.add_column("what", no_wrap=True, max_width=20)
    table.add_column(f"0 to {seconds(end)}", no_wrap=True, width=width)
    table.add_column("took", justify="right", no_wrap=True)
    table.add_column("tokens", justify="right", no_wrap=True)
    for call in detail.calls:
        tokens = UNKNOWN if call.input_tokens is None else count(call.input_tokens + (call.output_tokens or 0))
        name = _safe(call.tool or call.model or call.operation)
        label = f"[strike]{name}[/] [red]{call.outcome}[/]" if call.outcome != "ok" else name
        table.add_row(_safe(call.stage), label, _bar(call, width / end, width), seconds(call.duration_us), tokens)
    return table


def _bar(call: CallDetail, scale: float, width: int) -> Text:
    start = min(int(call.start_us * scale), width - 1)
    length = max(min(round(call.duration_us * scale), width - start), 1)
    line = max(LINES, key=lambda name: getattr(call.lines, name))
    mark = _ON_PATH if call.on_critical_path else _OFF_PATH
    return Text(" " * start).append(mark * length, style=COLOUR[line if call.input_tokens else "work"])


def _receipt(detail: SessionDetail) -> Table:
    receipt = detail.receipt
    table = Table(title="receipt", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("line")
    for heading in ("tokens", "share", "cost", "critical path"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("what it counts", style="grey58")
    for line in receipt.lines:
        table.add_row(*_printed(line), style="" if line.tokens or line.latency_us else "grey37")
    table.add_section()
    table.add_row(*_printed(receipt.tax), style="bold")
    table.add_row(*_printed(receipt.total), style="bold")
    table.add_section()
    for line in receipt.beside:
        table.add_row(*_printed(line, "beside: "), style="grey58")
    return table


def _printed(line: ReceiptLine, prefix: str = "") -> list[str | Text]:
    name = Text(f"{prefix}{line.line.replace('_', ' ')}", style=COLOUR.get(line.line, ""))
    is_beside = bool(prefix)
    cost, latency = ("", "") if is_beside else (money(line.cost_usd), seconds(line.latency_us))
    return [name, count(line.tokens), percent(line.share), cost, latency, line.formula]


def _safe(text: str) -> str:
    """Names come from agents: no markup and no control characters of theirs reach the terminal."""
    return escape("".join(c if c.isprintable() else "·" for c in text))
