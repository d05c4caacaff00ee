"""Kill, lock and unplug: whatever happens to the collector or to its store, every record is there once afterwards."""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from collectors.records import Block, CallRecord, encode
from collectors.service import Collector, CollectorOptions
from collectors.spool import SpoolWriter
from collectors.spool_reader import sealed_segments
from collectors.store.clickhouse import Store
from collectors.store.migrate import migrate
from tests.clickhouse_front import clickhouse
from tests.collectors.analysis import analyse
from tests.waiting import until

pytestmark = pytest.mark.engine
DAY_NS = 86_400 * 10**9
NOW = time.time_ns() // 1000 * 1000 - 40 * DAY_NS


def call(number: int) -> CallRecord:
    return CallRecord(
        call_id=f"c{number:06d}",
        ts_ns=NOW + (number % 3) * 20 * DAY_NS + number * 1000,  # every segment has rows of two months or three
        kind="model",
        upstream="openai",
        dialect="openai_chat",
        outcome="ok" if number % 7 else "error",
        duration_us=number,
        tenant="t",
        session_id=f"s{number % 8}",
        stage=f"g{number % 5}",
        model="m",
        input_tokens=number,
        output_tokens=3,
        cost_nano=number * 7,
        blocks=tuple(Block(number // 40 + n, "user", 10) for n in range(number % 40)),
    )


def spool_calls(spool: Path, first: int, segments: int, rows: int = 150) -> int:
    """Write sealed segments; the number of calls so far."""
    for segment in range(segments):
        writer = SpoolWriter(spool, "w0")
        for number in range(rows):
            assert writer.append(encode(call(first + segment * rows + number)))
        writer.close()
    return first + segments * rows


async def check(store: Store, calls: int) -> None:
    """Each call once; rollups, receipts and sessions equal to raw sums and to what was sent."""
    expected = [call(number) for number in range(calls)]
    (raw,) = await store.rows(
        "SELECT count() AS calls, uniqExact(call_id) AS ids, countIf(outcome = 'error') AS errors,"
        " sum(input_tokens) AS input_tokens, sum(cost_nano) AS cost_nano, sum(duration_us) AS duration_us FROM calls"
    )
    assert raw == {
        "calls": calls,
        "ids": calls,
        "errors": sum(c.outcome == "error" for c in expected),
        "input_tokens": sum(c.input_tokens or 0 for c in expected),
        "cost_nano": sum(c.cost_nano or 0 for c in expected),
        "duration_us": sum(c.duration_us for c in expected),
    }
    del raw["ids"]
    sums = ", ".join(f"sum({name}) AS {name}" for name in raw)
    for table in ("rollup_hour_stage", "rollup_day_session"):
        assert await store.rows(f"SELECT {sums} FROM {table}") == [raw]  # noqa: S608  # names above
    (receipts,) = await store.rows("SELECT count() AS n, sum(work_nano) AS nano FROM receipts FINAL")
    assert receipts == {"n": calls, "nano": raw["cost_nano"]}
    (sessions,) = await store.rows("SELECT sum(s.calls) AS calls, sum(s.handoffs) AS handoffs FROM sessions AS s FINAL")
    (handoffs,) = await store.rows("SELECT count() AS n FROM handoffs FINAL")
    assert sessions == {"calls": calls, "handoffs": handoffs["n"]}


@asynccontextmanager
async def collector(spool: Path, store: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.faults.collector_process",
        str(spool),
        str(store),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    return (await asyncio.wait_for(process.stdout.readline(), 60)).decode().strip()


async def test_killed_in_mid_insert_ten_times(chdb: None, tmp_path: Path) -> None:
    spool, path = tmp_path / "spool", tmp_path / "store"
    dice = random.Random(20261121)
    calls = cut_off = 0
    for _ in range(10):
        calls = spool_calls(spool, calls, segments=6, rows=100)
        before = len(sealed_segments(spool))
        async with collector(spool, path) as process:
            assert await line(process) == "ready"
            # Somewhere in the middle: after some segments, then at a random moment of the next rounds.
            goal = before - dice.randrange(1, 4)
            await until(lambda goal=goal: len(sealed_segments(spool)) <= goal)  # type: ignore[misc]  # bound early
            await asyncio.sleep(dice.random() * 0.05)  # the moment itself is the case, not a wait for something
            process.kill()
            await process.wait()
        cut_off += bool(sealed_segments(spool))
    assert cut_off >= 5  # most of the kills left work behind, else this tests little
    async with collector(spool, path) as process:
        assert [await line(process), await line(process)] == ["ready", "drained"]
        process.kill()
    store = await Store.open("chdb://", path)
    try:
        await check(store, calls)
    finally:
        await store.close()


async def test_a_second_collector_says_who_holds_the_store_and_waits(chdb: None, tmp_path: Path) -> None:
    calls = spool_calls(tmp_path / "spool", 0, segments=2)
    holder = await Store.open("chdb://", tmp_path / "store")
    async with collector(tmp_path / "spool", tmp_path / "store") as process:
        told = await line(process)
        assert str(tmp_path / "store") in told
        assert f"process {os.getpid()} (" in told
        await holder.close()
        assert await line(process) == "drained"
    store = await Store.open("chdb://", tmp_path / "store")
    try:
        await check(store, calls)
    finally:
        await store.close()


@pytest.mark.parametrize("mode", ["fail", "drop", "forget"])
async def test_a_server_that_fails_for_a_while(chdb: None, tmp_path: Path, mode: str) -> None:
    spool = tmp_path / "spool"
    options = CollectorOptions(poll_s=0.01, first_pause_s=0.01, longest_pause_s=0.1)
    async with clickhouse(tmp_path / "store") as server:
        taker = Collector(spool, lambda: Store.open(server.url, tmp_path), analyse, options)
        await taker.start()
        await taker.drained()
        calls = spool_calls(spool, 0, segments=2)
        await taker.drained()
        await server.switch(mode)
        calls = spool_calls(spool, calls, segments=3)
        await until_refused(server.refused, 8)
        status = taker.status
        assert (status.state, status.waiting_segments) == ("down", 3)
        await server.switch("serve")
        await taker.drained()
        assert taker.status.state == "ready"
        assert taker.store is not None
        await check(taker.store, calls)
        await taker.stop()


async def test_a_server_that_is_not_there_yet(chdb: None, tmp_path: Path) -> None:
    async with clickhouse(tmp_path / "store") as server:
        await server.switch("fail")
        options = CollectorOptions(poll_s=0.01, first_pause_s=0.01, longest_pause_s=0.1)
        taker = Collector(tmp_path / "spool", lambda: Store.open(server.url, tmp_path), analyse, options)
        calls = spool_calls(tmp_path / "spool", 0, segments=1)
        await taker.start()
        await until_refused(server.refused, 3)
        await server.switch("serve")
        await taker.drained()
        assert taker.store is not None
        assert await migrate(taker.store) == []
        await check(taker.store, calls)
        await taker.stop()


async def until_refused(refused: Any, times: int) -> None:
    async with asyncio.timeout(30):
        while await refused() < times:
            await asyncio.sleep(0.02)


async def test_a_server_that_hangs_does_not_hold_the_stop(chdb: None, tmp_path: Path) -> None:
    async with clickhouse(tmp_path / "store") as server:
        taker = Collector(tmp_path / "spool", lambda: Store.open(server.url, tmp_path), analyse)
        await taker.start()
        await taker.drained()
        await server.switch("hang")
        spool_calls(tmp_path / "spool", 0, segments=1)
        await until_refused(server.refused, 1)
        async with asyncio.timeout(10):
            await taker.stop(deadline_s=0.1)
        assert len(sealed_segments(tmp_path / "spool")) == 1
