"""The schema: applied once, in order, resumable, and the same columns as the nouns."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from collectors.figures import Handoff, Receipt, SessionFigures
from collectors.records import CallRecord
from collectors.store.clickhouse import Store
from collectors.store.errors import StoreError
from collectors.store.migrate import SchemaChanged, migrate, migrations
from collectors.store.rows import CALL_COLUMNS, HANDOFF_COLUMNS, RECEIPT_COLUMNS, SESSION_COLUMNS

pytestmark = pytest.mark.engine


async def columns(store: Store, table: str) -> list[str]:
    sql = """SELECT name FROM system.columns WHERE database = {database:String} AND table = {table:String}
             AND default_kind = '' ORDER BY position"""
    return [row["name"] for row in await store.rows(sql, database=store.database, table=table)]


async def test_every_file_is_applied_once_and_recorded(empty_engine: Store) -> None:
    assert await migrate(empty_engine) == [m.name for m in migrations()]
    assert await migrate(empty_engine) == []
    recorded = await empty_engine.rows("SELECT number, name, checksum FROM schema_migrations FINAL ORDER BY number")
    assert [(r["number"], r["name"], r["checksum"]) for r in recorded] == [
        (m.number, m.name, m.checksum) for m in migrations()
    ]


def test_numbers_are_unique_and_without_gap() -> None:
    assert [m.number for m in migrations()] == list(range(len(migrations())))


async def test_a_cut_off_migration_is_completed(empty_engine: Store) -> None:
    first, second = migrations()[:2]
    engines = {"MergeTree": "MergeTree", "ReplacingMergeTree": "ReplacingMergeTree"}
    await empty_engine.command(*first.statements("orchtax", engines), second.statements("orchtax", engines)[0])
    assert await migrate(empty_engine) == [m.name for m in migrations()]


async def test_a_changed_applied_file_is_named(empty_engine: Store, tmp_path: Path) -> None:
    for migration in migrations()[:2]:
        (tmp_path / f"{migration.name}.sql").write_text(migration.text)
    await migrate(empty_engine, tmp_path)
    (tmp_path / "0001_calls.sql").write_text("-- another\n" + migrations()[1].text)
    with pytest.raises(SchemaChanged, match="0001_calls"):
        await migrate(empty_engine, tmp_path)


async def test_a_broken_file_is_not_recorded(empty_engine: Store, tmp_path: Path) -> None:
    (tmp_path / "0000_schema_migrations.sql").write_text(migrations()[0].text)
    (tmp_path / "0001_broken.sql").write_text("CREATE TABEL nothing;\n")
    with pytest.raises(StoreError):
        await migrate(empty_engine, tmp_path)
    recorded = await empty_engine.rows("SELECT number FROM schema_migrations FINAL")
    assert [row["number"] for row in recorded] == [0]


async def test_tables_have_the_nouns_columns(engine: Store) -> None:
    named = {"ts_ns": ["ts"], **{n: [f"{n}.digest", f"{n}.kind", f"{n}.size"] for n in ("blocks", "outputs")}}
    of_calls = [column for field in fields(CallRecord) for column in named.get(field.name, [field.name])]
    assert sorted(await columns(engine, "calls")) == sorted(of_calls) == sorted(CALL_COLUMNS)
    for table, noun, listed in (
        ("receipts", Receipt, RECEIPT_COLUMNS),
        ("handoffs", Handoff, HANDOFF_COLUMNS[:-1]),
        ("sessions", SessionFigures, SESSION_COLUMNS),
    ):
        assert await columns(engine, table) == [field.name for field in fields(noun)] == list(listed)


async def test_every_table_that_takes_inserts_remembers_tokens(engine: Store) -> None:
    sql = """SELECT name FROM system.tables WHERE database = {database:String} AND engine LIKE '%MergeTree'
             AND NOT match(engine_full, 'non_replicated_deduplication_window = [1-9]')"""
    assert await engine.rows(sql, database=engine.database) == []
