"""How figures look in the terminal: amounts, shares, bars; one colour a tax line, the same as on the page."""

from __future__ import annotations

import os
import sys
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.text import Text

from collectors.figures import LINES, TAX_LINES
from collectors.tax import Tax

COLOUR = {
    "work": "grey58",
    "retry": "#e5484d",
    "route": "#3e8fe0",
    "coordinate": "#8e6fd8",
    "validate": "#1fa294",
    "aggregate": "#c9992b",
    "handoff": "#ee7d37",
}
UNKNOWN = "\N{EN DASH}"


def console() -> Console:
    """The terminal; into a pipe or file, lines are wide enough for every column."""
    is_wide = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    return Console(highlight=False, width=140 if is_wide else None)


def count(amount: int) -> str:
    return f"{amount:,}"


def money(amount: Decimal | None) -> str:
    """Dollars, at least two significant places beyond the cent where they are needed, never rounded to nothing."""
    if amount is None:
        return UNKNOWN
    if amount == 0:
        return "$0"
    if abs(amount) >= 100:
        return f"${amount:,.2f}"
    text = format(amount, ".4f")
    return f"${text}" if Decimal(text) == amount or abs(amount) >= Decimal("0.01") else f"${amount.normalize():f}"


def seconds(us: int | None) -> str:
    if us is None:
        return UNKNOWN
    if us < 1_000_000:
        return f"{us / 1000:.0f} ms"
    return f"{us / 1_000_000:.2f} s" if us < 100_000_000 else f"{us / 60_000_000:.1f} min"


def percent(share: float | None) -> str:
    return UNKNOWN if share is None else f"{share:.1%}"


def times(multiple: float | None) -> str:
    return UNKNOWN if multiple is None else f"{multiple:.2f}\N{MULTIPLICATION SIGN}"


def bar(tax: Tax[Any], width: int = 14) -> Text:
    """The lines side by side, tax first, in proportion; what is left is work."""
    text = Text()
    if not tax.total or tax.share is None:
        return Text("·" * width, style="grey37")
    drawn, upto = 0, 0.0
    for line in (*TAX_LINES, "work"):
        upto += float(getattr(tax, line) / tax.total) * width
        end = width if line == "work" else round(upto)
        text.append(("░" if line == "work" else "█") * (end - drawn), style=COLOUR[line])
        drawn = max(end, drawn)
    return text


def legend() -> Text:
    return Text("  ").join(Text("█ ", style=COLOUR[line]).append(line, style="grey58") for line in LINES)
