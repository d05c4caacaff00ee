"""The client on the real engine: rows round trip, tokens, errors mapped, the lock explained."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collectors.records import Block, CallRecord
from collectors.store.address import parse
from collectors.store.clickhouse import Store
from collectors.store.errors import StoreLocked, StoreRejected, StoreUnavailable
from collectors.store.migrate import migrate, rebuild_rollups
from collectors.store.rows import CALL_COLUMNS, call_record, call_row

pytestmark = pytest.mark.engine
DAY_NS = 86_400 * 10**9
TS = time.time_ns() // 1000 * 1000 - 60 * DAY_NS  # young enough for the TTL, two months of partitions
PLAIN = CallRecord("c1", TS, "model", "openai", "openai_chat", "ok", 1_500)
FULL = replace(
    PLAIN,
    call_id="c2",
    status=200,
    tenant="acme",
    session_id="s1",
    session_confidence=0.7,
    stage="router",
    role="route",
    essential=False,
    verdict="fail",
    model="m",
    input_tokens=0,
    output_tokens=7,
    cost_nano=-(2**62),
    ttfb_us=3,
    blocks=(Block(2**64 - 1, "system", 12), Block(0, "user", 2**40)),
    outputs=(Block(5, "assistant", 1),),
    emitted_tools=("search", "zürich"),
)


async def stored(store: Store) -> list[CallRecord]:
    return [call_record(row) for row in await store.rows("SELECT * FROM calls ORDER BY call_id")]


async def add(store: Store, *records: CallRecord, token: str) -> None:
    await store.insert("calls", CALL_COLUMNS, [call_row(record) for record in records], token)


async def test_a_call_comes_back_as_it_went(engine: Store) -> None:
    await add(engine, PLAIN, FULL, token="a:calls")
    assert await stored(engine) == [PLAIN, FULL]
    rows = await engine.query("calls_of_session", tenant="acme", session="s1")
    assert [call_record(row) for row in rows] == [FULL]


async def test_unknown_is_null_and_zero_is_zero(engine: Store) -> None:
    await add(engine, PLAIN, FULL, token="a:calls")
    rows = await engine.rows("SELECT input_tokens IS NULL AS unknown FROM calls ORDER BY call_id")
    assert [row["unknown"] for row in rows] == [True, False]


text = st.text(st.characters(codec="utf-8"), max_size=30)
maybe_int = st.none() | st.integers(-(2**63), 2**63 - 1)
blocks = st.lists(
    st.builds(Block, st.integers(0, 2**64 - 1), st.sampled_from(["user", "media"]), st.integers(0, 2**40)), max_size=5
).map(tuple)
records = st.builds(
    CallRecord,
    call_id=text,
    ts_ns=st.integers(TS // 1000 - 10**13, TS // 1000 + 10**14).map(lambda us: us * 1000),
    kind=st.just("tool"),
    upstream=text,
    dialect=text,
    outcome=st.just("error"),
    duration_us=st.integers(0, 2**40),
    status=st.none() | st.integers(0, 999),
    session_confidence=st.floats(0, 1),
    task=text,
    essential=st.none() | st.booleans(),
    model=st.none() | text,
    input_tokens=maybe_int,
    cost_nano=maybe_int,
    ttfb_us=maybe_int,
    blocks=blocks,
    outputs=blocks,
    emitted_tools=st.lists(text, max_size=3).map(tuple),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batch=st.lists(records, min_size=1, max_size=4, unique_by=lambda r: r.call_id))
async def test_any_call_comes_back_as_it_went(engine: Store, batch: list[CallRecord]) -> None:
    await engine.command("TRUNCATE TABLE calls SETTINGS max_table_size_to_drop = 0")
    await engine.insert("calls", CALL_COLUMNS, [call_row(r) for r in batch], token=os.urandom(8).hex())
    assert {r.call_id: r for r in await stored(engine)} == {r.call_id: r for r in batch}


async def test_the_same_token_again_changes_nothing(engine: Store) -> None:
    for _ in range(3):
        await add(engine, FULL, replace(FULL, call_id="c3", ts_ns=TS + 40 * DAY_NS), token="a:calls")
    assert len(await stored(engine)) == 2
    for table in ("rollup_hour_stage", "rollup_day_session"):
        (row,) = await engine.rows(f"SELECT sum(calls) AS calls, sum(output_tokens) AS output FROM {table}")  # noqa: S608  # names above
        assert row == {"calls": 2, "output": 14}


async def test_equal_rows_under_another_token_are_other_rows(engine: Store) -> None:
    await add(engine, FULL, token="a:calls")
    await add(engine, FULL, token="b:calls")
    assert len(await stored(engine)) == 2


async def test_rebuilt_rollups_equal_raw_sums_and_survive_a_replay(engine: Store) -> None:
    await add(engine, PLAIN, FULL, token="a:calls")
    await engine.command("INSERT INTO rollup_day_session (day, calls, cost_nano) VALUES ('2026-01-01', 9, 9)")
    for _ in range(2):
        await rebuild_rollups(engine)
        await add(engine, PLAIN, FULL, token="a:calls")
        for table in ("rollup_hour_stage", "rollup_day_session"):
            (row,) = await engine.rows(f"SELECT sum(calls) AS calls, sum(cost_nano) AS cost FROM {table}")  # noqa: S608  # names above
            assert row == {"calls": 2, "cost": FULL.cost_nano}


async def test_a_row_that_does_not_fit_is_rejected(engine: Store) -> None:
    with pytest.raises(StoreRejected):
        await add(engine, replace(PLAIN, duration_us=2**80), token="a:calls")
    with pytest.raises(StoreRejected):
        await add(engine, replace(PLAIN, call_id=7), token="b:calls")  # type: ignore[arg-type]  # a poisoned record
    assert await stored(engine) == []


async def test_a_missing_table_is_for_later(empty_engine: Store) -> None:
    with pytest.raises(StoreUnavailable, match="calls"):
        await add(empty_engine, PLAIN, token="a:calls")


async def test_parameters_are_bound_not_pasted(engine: Store) -> None:
    await add(engine, FULL, token="a:calls")
    assert await engine.query("calls_of_session", tenant="acme", session="' OR 1=1 --") == []


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO calls (call_id) VALUES ('x')",
        "DROP TABLE calls",
        "SET readonly = 0",
        "SELECT * FROM file('/etc/hostname', 'LineAsString')",
        "SELECT * FROM url('http://127.0.0.1:9/', 'LineAsString')",
        "SELECT 1 SETTINGS readonly = 0",
    ],
)
async def test_foreign_sql_only_reads(engine: Store, sql: str) -> None:
    foreign = await engine.read_only()
    assert await foreign.query("SELECT count() AS n FROM calls WHERE stage = {stage:String}", stage="x") == [{"n": 0}]
    with pytest.raises((StoreUnavailable, StoreRejected)):
        await foreign.query(sql)


async def test_a_slow_call_does_not_hold_the_loop(engine: Store) -> None:
    slow = asyncio.create_task(engine.rows("SELECT sleep(0.3) AS slept"))
    turns = 0
    while not slow.done():
        await asyncio.sleep(0)
        turns += 1
    assert (await slow)[0]["slept"] == 0
    assert turns > 100


async def test_a_second_process_is_told_who_holds_the_store(engine: Store, tmp_path: Path) -> None:
    script = f"""
import asyncio
from pathlib import Path
from collectors.store.clickhouse import Store
from collectors.store.errors import StoreLocked
try:
    asyncio.run(Store.open("chdb://", Path({str(tmp_path / "store")!r})))
except StoreLocked as error:
    print(error)
"""
    run = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", script], capture_output=True, text=True)
    assert str(tmp_path / "store") in run.stdout
    assert f"process {os.getpid()} (" in run.stdout
    assert "pytest" in run.stdout


async def test_the_lock_is_free_after_close(chdb: None, tmp_path: Path) -> None:
    for _ in range(2):
        store = await Store.open("chdb://", tmp_path / "again")
        await migrate(store)
        await store.close()
        await store.close()


async def test_nobody_at_the_address_is_for_later(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable) as caught:
        await Store.open("clickhouse://u:secret@127.0.0.1:9/orchtax", tmp_path)
    assert not isinstance(caught.value, StoreLocked)
    assert "secret" not in str(caught.value)


def test_addresses() -> None:
    plain = parse("clickhouse://me:p%40ss@db.example:9000/mine")
    assert (plain.interface, plain.host, plain.port, plain.user, plain.password, plain.database) == (
        "http",
        "db.example",
        9000,
        "me",
        "p@ss",
        "mine",
    )
    assert "p@ss" not in repr(plain)
    tls = parse("clickhouses://db.example")
    assert (tls.interface, tls.port, tls.user, tls.database) == ("https", 8443, "default", "orchtax")
    assert parse("chdb://").interface == "chdb"
    for wrong in ("mysql://x/y", "clickhouse:///orchtax", "chdb:///a-b", "clickhouse://h/a;b"):
        with pytest.raises(ValueError, match=r"store\.url"):
            parse(wrong)
