"""``orchtax session ID``: one session's waterfall and its receipt."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from proxy.commands.options import Config, Json, Url
from proxy.settings_file import load

HELP = """Show one session: when each call ran, and what the session paid for what.

Example: orchtax session order-4711
"""


def run(
    session: Annotated[str, typer.Argument(metavar="ID", help="The session's id, as in orchtax report.")],
    as_json: Json = False,
    url: Url = None,
    config: Config = None,
) -> None:
    from collectors.report import dump  # imported here: orchtax serve starts faster without
    from proxy.commands.source import choose

    detail = asyncio.run(choose(url, load(config)).session(session))
    if detail is None:
        typer.echo(f"orchtax: no session {session!r}; orchtax report lists them", err=True)
        raise typer.Exit(1)
    if as_json:
        typer.echo(dump(detail, indent=True))
    else:
        from proxy.commands.session_view import show  # rich is slow to import and only needed here

        show(detail)
