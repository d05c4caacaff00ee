"""The schema: numbered files, applied in order, each once, recorded with its checksum. Also the rollups' rebuilding.

A file is a list of statements ending in ``;`` at a line's end. Each statement can be repeated (``IF NOT EXISTS``), so a
file that was interrupted is simply run again. Files are additive: an applied one is never edited, a new one follows.
``{database}`` and the engine names in braces are filled in, so that a cluster can use the Replicated engines.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from collectors.store.clickhouse import Store
from collectors.store.errors import StoreError

SCHEMA = Path(__file__).parent / "schema"
SINGLE_NODE: Mapping[str, str] = {name: name for name in ("MergeTree", "ReplacingMergeTree", "AggregatingMergeTree")}
ROLLUPS = ("rollup_hour_stage", "rollup_day_session")


class SchemaChanged(StoreError):
    """A migration that was already applied has another content now. The text names it."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file. ``checksum`` is of the file as it stands, before anything is filled in."""

    number: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    def statements(self, database: str, engines: Mapping[str, str]) -> list[str]:
        text = self.text.replace("{database}", database)
        for name, engine in engines.items():
            text = text.replace(f"{{{name}}}", engine)
        return [part.strip() for part in f"{text}\n".split(";\n") if part.strip()]


def migrations(folder: Path = SCHEMA) -> list[Migration]:
    """All files ``NNNN_name.sql`` of a folder, by number."""
    files = sorted(folder.glob("[0-9][0-9][0-9][0-9]_*.sql"))
    return [Migration(int(file.name[:4]), file.stem, file.read_text(encoding="utf-8")) for file in files]


async def migrate(store: Store, folder: Path = SCHEMA, engines: Mapping[str, str] = SINGLE_NODE) -> list[str]:
    """Bring the schema up to date; the names of what was applied now. Safe to repeat, also after a crash.

    Raises:
        SchemaChanged: before anything is applied.
        StoreUnavailable, StoreRejected: from the store; run it again.
    """
    found = migrations(folder)
    await store.command(*found[0].statements(store.database, engines))  # 0000 makes the table of migrations itself
    rows = await store.rows("SELECT number, checksum FROM schema_migrations FINAL")
    applied = {row["number"]: row["checksum"] for row in rows}
    changed = [m.name for m in found if applied.get(m.number, m.checksum) != m.checksum]
    if changed:
        raise SchemaChanged(
            f"migration {', '.join(changed)} of database {store.database} was changed after it had been applied: "
            "restore the file and put the change into a new one"
        )
    fresh = [m for m in found if m.number not in applied]
    for migration in fresh:
        await store.command(*migration.statements(store.database, engines))
        row = (migration.number, migration.name, migration.checksum)
        await store.insert("schema_migrations", ("number", "name", "checksum"), [row], f"migration:{migration.name}")
    return [migration.name for migration in fresh]


async def rebuild_rollups(store: Store) -> None:
    """Empty the rollups and fill them from ``calls``, by the views' own SELECT.

    No other process may insert meanwhile, and the spool should be empty: a segment whose insert was cut off by a crash
    would be added to the rebuilt rollup when it is replayed.
    """
    statements = []
    for table in ROLLUPS:
        view = await store.rows(
            "SELECT as_select FROM system.tables WHERE database = {database:String} AND name = {view:String}",
            database=store.database,
            view=f"{table}_mv",
        )
        # Not TRUNCATE: that forgets the tokens seen, and replaying a segment would count it twice.
        statements.append(f"ALTER TABLE {table} DELETE WHERE 1 SETTINGS mutations_sync = 2")
        statements.append(
            f"INSERT INTO {table} SETTINGS insert_deduplicate = 0, max_partitions_per_insert_block = 0 "
            f"{view[0]['as_select']}"
        )
    await store.command(*statements)
