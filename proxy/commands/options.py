"""Options that several commands share, each said once."""

from __future__ import annotations

from typing import Annotated

import typer

Config = Annotated[
    str | None, typer.Option("--config", "-c", metavar="FILE", help="Settings file; default ./orchtax.yaml if present.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
Url = Annotated[
    str | None,
    typer.Option(metavar="URL", help="Admin address of a running orchtax; default: the one that uses data_dir."),
]
