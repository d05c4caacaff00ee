"""``orchtax serve``."""

from __future__ import annotations

import typer

from proxy.commands.options import Config
from proxy.settings_file import load

HELP = """Run the proxy, the collector and the built-in page.

Agents' base URL: http://127.0.0.1:8400/openai/v1 (or /anthropic, ...). Page: http://127.0.0.1:8401.

Example: orchtax serve --config orchtax.yaml
"""


def run(config: Config = None) -> None:
    settings = load(config)
    from proxy.supervisor import CannotServe, serve

    try:
        code = serve(settings)
    except CannotServe as error:
        typer.echo(f"orchtax: {error}", err=True)
        code = 1
    raise typer.Exit(code)
