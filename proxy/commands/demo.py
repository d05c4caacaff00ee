"""``orchtax demo``."""

from __future__ import annotations

import typer

HELP = """Run demo fleets against a scripted provider on this machine and show their tax.

Example: orchtax demo
"""
CONTEXT = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": ["-h"]}


def run(context: typer.Context) -> None:
    try:
        from proxy.demo.run import main
    except ImportError as error:
        text = f"orchtax: the demo needs {error.name or 'more packages'}: pip install 'orchtax[demo]'"
        typer.echo(text, err=True)
        raise typer.Exit(1) from error
    raise typer.Exit(main(context.args))
