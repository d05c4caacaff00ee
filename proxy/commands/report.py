"""``orchtax report``: every session with its three taxes side by side."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated

import typer

from proxy.commands.options import Config, Json, Url
from proxy.commands.problems import BadOption
from proxy.settings_file import load

HELP = """Show the orchestration tax of each session, in tokens, cost and latency.

Examples: orchtax report --since 24h   |   orchtax report --session order-4711 --json
"""


def run(
    as_json: Json = False,
    since: Annotated[
        str, typer.Option(metavar="SPAN", help="Sessions active within it: 30m, 24h, 7d, or since 2026-11-21T08:00Z.")
    ] = "",
    session: Annotated[str, typer.Option(metavar="ID", help="This session only.")] = "",
    sort: Annotated[str, typer.Option(help="recent, tax, cost, tokens or duration.")] = "recent",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Sessions listed; totals count all.")] = 100,
    url: Url = None,
    config: Config = None,
) -> None:
    from collectors.reading import BadQuestion, Question  # imported here: orchtax serve starts faster without
    from collectors.report import dump
    from proxy.commands.source import choose

    words = {"since": since, "session": session, "sort": sort, "limit": str(limit)}
    try:
        Question.of(words, time.time_ns())  # what cannot be asked is said before anything is reached
    except BadQuestion as bad:
        raise BadOption(f"--{bad}: {bad.remedy}") from None
    report = asyncio.run(choose(url, load(config)).report(words))
    if as_json:
        typer.echo(dump(report, indent=True))
    else:
        from proxy.commands.report_view import show  # rich is slow to import and only needed here

        show(report)
    if not report.sessions:
        typer.echo("orchtax: no session matches", err=True)
        raise typer.Exit(1)
