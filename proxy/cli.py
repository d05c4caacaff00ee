"""The command line: ``orchtax``. One file a command in ``commands/``; here they are only listed.

Exit codes: 0 it worked, 1 nothing was found or reached, 2 the command line or the configuration is wrong.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from proxy.commands import check, demo, report, serve, session, store
from proxy.commands.problems import BadOption, NoData
from proxy.settings_file import BadSettings

app = typer.Typer(
    name="orchtax",
    help="Shows, and caps, what a fleet of agents pays for coordination: the orchestration tax.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("serve", help=serve.HELP)(serve.run)
app.command("demo", help=demo.HELP, context_settings=demo.CONTEXT)(demo.run)
app.command("report", help=report.HELP)(report.run)
app.command("session", help=session.HELP)(session.run)
app.command("check", help=check.HELP)(check.run)
app.command("migrate", help=store.MIGRATE_HELP)(store.migrate)
app.command("rebuild-rollups", help=store.REBUILD_HELP)(store.rebuild_rollups)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"orchtax {version('orchtax')}")
        raise typer.Exit


@app.callback()
def root(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Options that stand before the command."""


def main() -> None:
    """The entry point: an error that a person can mend becomes a line on stderr and an exit code."""
    try:
        app()
    except BadSettings as bad:
        _leave("orchtax: the configuration cannot be used", *(f"  {problem}" for problem in bad.problems), code=2)
    except BadOption as bad:
        _leave(f"orchtax: {bad}", code=2)
    except NoData as missing:
        _leave(f"orchtax: {missing}", code=1)


def _leave(*lines: str, code: int) -> None:
    for line in lines:
        typer.echo(line, err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
