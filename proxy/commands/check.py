"""``orchtax check``: is the configuration right, what does it amount to, and what is missing to serve with it."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path

import typer
from pydantic import BaseModel, SecretStr

from proxy.commands.options import Config, Json
from proxy.data_dir import running
from proxy.presets import PRESETS
from proxy.settings import Settings
from proxy.settings_file import BadSettings, Keys, Loaded, load_with_origins, masked

HELP = """Check the configuration, show the settings in effect, and say what is missing. Secrets are masked.

Example: orchtax check --config orchtax.yaml
"""


def run(config: Config = None, as_json: Json = False) -> None:
    try:
        loaded = load_with_origins(config, os.environ)
    except BadSettings as bad:
        if not as_json:
            raise
        typer.echo(json.dumps({"ok": False, "problems": bad.problems, "missing": [], "settings": {}}, indent=2))
        raise typer.Exit(2) from None
    settings, lacking = effective(loaded.settings), missing(loaded.settings)
    if as_json:
        shown = {".".join(keys): value for keys, value in settings.items()}
        body = {"ok": not lacking, "file": loaded.file, "problems": [], "missing": lacking, "settings": shown}
        typer.echo(json.dumps(body, indent=2))
    else:
        _print(loaded, settings, lacking)
    raise typer.Exit(1 if lacking else 0)


def effective(settings: Settings) -> dict[Keys, str]:
    """Every setting in effect by its dotted name, as text, secrets masked."""
    return dict(_flat(settings, ()))


def missing(settings: Settings) -> list[str]:
    """What ``serve`` would lack on this machine, each with its remedy."""
    found: list[str] = []
    is_embedded = settings.store.url.get_secret_value().startswith("chdb:")
    if is_embedded and importlib.util.find_spec("chdb") is None:
        remedy = "pip install 'orchtax[embedded]', or set store.url to a ClickHouse server"
        found.append(f"store.url = 'chdb://' needs the embedded engine, which is not installed: {remedy}")
    data_dir = Path(settings.data_dir).absolute()
    nearest = next(path for path in (data_dir, *data_dir.parents) if path.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        found.append(f"data_dir = {settings.data_dir!r} cannot be written: choose another, or give this user the right")
    return found


def _flat(value: object, above: Keys) -> list[tuple[Keys, str]]:
    if isinstance(value, BaseModel):
        items = [(name, getattr(value, name)) for name in type(value).model_fields]
    elif isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, SecretStr):
        return [(above, masked(above, value.get_secret_value()))]
    else:
        return [(above, masked(above, value))]
    return [leaf for name, item in items for leaf in _flat(item, (*above, str(name)))]


def _print(loaded: Loaded, settings: dict[Keys, str], lacking: list[str]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 3, 0, 0))
    for heading in ("setting", "value", "from"):
        table.add_column(heading, overflow="fold")
    for keys, value in settings.items():
        origin = loaded.origins.get(keys)
        if origin is None and keys[0] == "upstreams" and (keys[1] in PRESETS or value in {"", "none"}):
            continue  # the presets are many; they are named below
        source = loaded.file if origin == "file" else origin
        style = "" if origin else "grey58"
        table.add_row(Text(".".join(keys), style), Text(value, style), Text(source or "default", style))
    console.print(table)
    console.print(f"\npresets: {', '.join(PRESETS)}", style="grey58")
    if admin := running(Path(loaded.settings.data_dir)):
        console.print(f"running: http://{admin}", style="green")
    for lack in lacking:
        console.print(Text(f"missing: {lack}", "yellow"))
    if not lacking:
        console.print(f"\n{loaded.file or 'built-in defaults'}: good", style="green")
