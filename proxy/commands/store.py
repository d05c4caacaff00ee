"""``orchtax migrate`` and ``orchtax rebuild-rollups``: upkeep of the store while no orchtax works on it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import typer

from collectors.spool_reader import sealed_segments
from collectors.store.errors import StoreError
from proxy.commands.options import Config, Json
from proxy.commands.problems import NoData
from proxy.data_dir import DataDir, DataDirTaken
from proxy.settings import Settings
from proxy.settings_file import load

if TYPE_CHECKING:
    from collectors.store.clickhouse import Store

Value = TypeVar("Value")

MIGRATE_HELP = """Bring the store's schema up to date. orchtax serve does it at start; this does it alone.

Example: orchtax migrate --config orchtax.yaml
"""
REBUILD_HELP = """Empty the rollups and fill them again from the table of calls.

Stop orchtax first: the spool must be drained and nobody may insert meanwhile.

Example: orchtax rebuild-rollups --config orchtax.yaml
"""


def migrate(config: Config = None, as_json: Json = False) -> None:
    applied = _with_store(load(config), _migrate)
    _say(as_json, {"applied": applied}, f"applied: {', '.join(applied)}" if applied else "the schema is up to date")


def rebuild_rollups(config: Config = None, as_json: Json = False) -> None:
    settings = load(config)
    waiting = len(sealed_segments(Path(settings.data_dir) / "spool"))
    if waiting:
        raise NoData(f"{waiting} segments wait in the spool: run orchtax serve until they are stored, then stop it")
    calls = _with_store(settings, _rebuild)
    _say(as_json, {"calls": calls}, f"rollups rebuilt from {calls} calls")


async def _migrate(store: Store) -> list[str]:
    from collectors.store.migrate import migrate

    return await migrate(store)


async def _rebuild(store: Store) -> int:
    from collectors.store.migrate import migrate, rebuild_rollups

    await migrate(store)
    await rebuild_rollups(store)
    (row,) = await store.rows("SELECT count() AS calls FROM calls")
    return int(row["calls"])


def _with_store(settings: Settings, work: Callable[[Store], Awaitable[Value]]) -> Value:
    """Do ``work`` with the store open and the data directory claimed, so that no orchtax can start meanwhile.

    Raises:
        NoData: an orchtax runs on it, or the store cannot be opened.
    """
    from collectors.store.clickhouse import Store

    data_dir = Path(settings.data_dir)

    async def run() -> Value:
        store = await Store.open(settings.store.url.get_secret_value(), data_dir / "store")
        try:
            return await work(store)
        finally:
            await store.close()

    try:
        with DataDir.claim(data_dir):
            return asyncio.run(run())
    except (DataDirTaken, StoreError) as error:
        raise NoData(str(error)) from error


def _say(as_json: bool, value: object, text: str) -> None:
    typer.echo(json.dumps(value) if as_json else text)
