"""The collector on the real engine: what is sealed gets into the store once, whatever else goes wrong."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from collectors.figures import SessionAnalysis
from collectors.records import Block, CallRecord, encode
from collectors.service import Collector, CollectorOptions
from collectors.spool import SpoolOptions, SpoolWriter
from collectors.spool_reader import QUARANTINE
from collectors.store.clickhouse import Store
from collectors.store.errors import StoreUnavailable
from tests.collectors.analysis import analyse
from tests.waiting import until

pytestmark = pytest.mark.engine
QUICK = CollectorOptions(poll_s=0.01, recover_every_s=0, first_pause_s=0.01)
NOW = time.time_ns() // 1000 * 1000 - 10**9


def call(number: int, session: str = "s1", stage: str = "writer", tenant: str = "t") -> CallRecord:
    return CallRecord(
        call_id=f"{session}-{number:04d}",
        ts_ns=NOW + number * 1_000_000,
        kind="model",
        upstream="openai",
        dialect="openai_chat",
        outcome="ok",
        duration_us=500,
        tenant=tenant,
        session_id=session,
        stage=stage,
        input_tokens=number,
        output_tokens=1,
        cost_nano=10 + number,
        blocks=(Block(7, "system", 9), Block(number, "user", 3)),
    )


def spooled(spool: Path, payloads: Sequence[bytes]) -> None:
    """One sealed segment."""
    writer = SpoolWriter(spool, "w0")
    assert all(writer.append(payload) for payload in payloads)
    writer.close()


class Bench:
    """A collector on a store that can be away."""

    def __init__(self, path: Path) -> None:
        self.spool, self.path = path / "spool", path / "store"
        self.is_away = False
        self.collector = Collector(self.spool, self.open, analyse, QUICK)

    async def open(self) -> Store:
        if self.is_away:
            raise StoreUnavailable("away for a test")
        return await Store.open("chdb://", self.path)

    async def restart(self) -> None:
        await self.collector.stop()
        self.collector = Collector(self.spool, self.open, analyse, QUICK)
        await self.collector.start()

    async def rows(self, sql: str) -> list[dict[str, Any]]:
        assert self.collector.store is not None
        return await self.collector.store.rows(sql)

    async def stored(self) -> list[str]:
        return [row["call_id"] for row in await self.rows("SELECT call_id FROM calls ORDER BY call_id")]


@pytest.fixture
async def bench(chdb: None, tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    await bench.collector.stop()


async def test_sealed_records_reach_every_table_and_are_acknowledged(bench: Bench) -> None:
    calls = [call(n, stage="a" if n < 3 else "b") for n in range(5)]
    spooled(bench.spool, [encode(c) for c in calls])
    await bench.collector.start()
    await bench.collector.drained()
    assert await bench.stored() == [c.call_id for c in calls]
    (session,) = await bench.rows("SELECT calls, cost_nano, handoffs FROM sessions FINAL")
    assert session == {"calls": 5, "cost_nano": sum(c.cost_nano or 0 for c in calls), "handoffs": 1}
    (receipts,) = await bench.rows("SELECT count() AS n, sum(work_tokens) AS tokens FROM receipts FINAL")
    assert receipts == {"n": 5, "tokens": sum(c.tokens for c in calls)}
    (edge,) = await bench.rows("SELECT from_call, to_call FROM handoffs FINAL")
    assert (edge["from_call"], edge["to_call"]) == (calls[2].call_id, calls[3].call_id)
    status = bench.collector.status
    assert (status.state, status.waiting_segments, status.inserted_rows, status.segments) == ("ready", 0, 5, 1)


async def test_a_growing_session_is_analysed_whole_also_after_a_restart(bench: Bench) -> None:
    await bench.collector.start()
    for batch in range(3):
        spooled(bench.spool, [encode(call(batch * 2 + n)) for n in range(2)])
        await bench.collector.drained()
        (session,) = await bench.rows("SELECT calls, input_tokens FROM sessions FINAL")
        assert session == {"calls": batch * 2 + 2, "input_tokens": sum(range(batch * 2 + 2))}
        await bench.restart()
    await bench.collector.drained()
    rows = await bench.rows("SELECT call_id, uniqExact(version) AS versions FROM receipts GROUP BY call_id")
    assert len(rows) == 6


async def test_a_handoff_that_is_no_more_is_gone(bench: Bench) -> None:
    await bench.collector.start()
    spooled(bench.spool, [encode(call(0, stage="a")), encode(call(9, stage="b"))])
    await bench.collector.drained()
    await bench.restart()
    spooled(bench.spool, [encode(call(5, stage="c"))])
    await bench.collector.drained()
    edges = await bench.rows("SELECT from_call, to_call FROM handoffs FINAL ORDER BY from_call")
    assert [(e["from_call"], e["to_call"]) for e in edges] == [("s1-0000", "s1-0005"), ("s1-0005", "s1-0009")]


async def test_sessions_of_two_tenants_do_not_mix(bench: Bench) -> None:
    await bench.collector.start()
    spooled(bench.spool, [encode(call(1, tenant="t")), encode(replace(call(2, tenant="u")))])
    await bench.collector.drained()
    rows = await bench.rows("SELECT tenant, calls FROM sessions FINAL ORDER BY tenant")
    assert [(row["tenant"], row["calls"]) for row in rows] == [("t", 1), ("u", 1)]


async def test_calls_without_a_session_are_facts_without_receipts(bench: Bench) -> None:
    await bench.collector.start()
    spooled(bench.spool, [encode(call(1, session=""))])
    await bench.collector.drained()
    assert len(await bench.stored()) == 1
    for table in ("receipts", "sessions"):
        assert await bench.rows(f"SELECT count() AS n FROM {table}") == [{"n": 0}]  # noqa: S608  # names above


async def test_poison_is_set_aside_and_the_rest_goes_on(bench: Bench) -> None:
    huge = replace(call(2), duration_us=2**80)  # JSON carries it, Int64 does not
    payloads = [encode(call(1)), b"no json", b'["other", {}]', encode(call(3))]
    poisoned = encode(call(2)).replace(b'"duration_us":500', f'"duration_us":{huge.duration_us}'.encode())
    spooled(bench.spool, [*payloads, poisoned, encode(call(4))])
    spooled(bench.spool, [encode(call(5))])
    (segment, _) = sorted(bench.spool.glob("*.seg"))
    damaged = bytearray(segment.read_bytes())
    damaged[20] ^= 1  # inside the first payload
    segment.write_bytes(damaged + b"\x05\x00")
    await bench.collector.start()
    await bench.collector.drained()
    assert await bench.stored() == [call(n).call_id for n in (3, 4, 5)]
    status = bench.collector.status
    assert (status.quarantined, status.torn, status.inserted_rows) == (5, 1, 3)
    (kept,) = (bench.spool / QUARANTINE).iterdir()
    assert b"no json" in kept.read_bytes()
    assert b"s1-0002" in kept.read_bytes()


async def test_a_segment_that_cannot_be_read_does_not_block(bench: Bench) -> None:
    (bench.spool / "00000000000000000001.x.seg").mkdir(parents=True)
    spooled(bench.spool, [encode(call(1))])
    await bench.collector.start()
    await bench.collector.drained()
    assert await bench.stored() == [call(1).call_id]


async def test_the_spool_waits_while_the_store_is_away(bench: Bench) -> None:
    bench.is_away = True
    await bench.collector.start()
    spooled(bench.spool, [encode(call(1))])
    await until(lambda: bench.collector.status.store_errors >= 3)
    status = bench.collector.status
    assert (status.state, status.last_error, status.waiting_segments) == ("down", "away for a test", 1)
    bench.is_away = False
    await bench.collector.drained()
    assert bench.collector.status.state == "ready"
    assert await bench.stored() == [call(1).call_id]


async def test_a_replayed_segment_changes_nothing(bench: Bench) -> None:
    spooled(bench.spool, [encode(call(n)) for n in range(3)])
    (segment,) = bench.spool.glob("*.seg")
    data = segment.read_bytes()
    await bench.collector.start()
    await bench.collector.drained()
    await bench.restart()
    segment.write_bytes(data)  # as if the acknowledgement had been lost
    await bench.collector.drained()
    assert len(await bench.stored()) == 3
    assert await bench.rows("SELECT sum(calls) AS n FROM rollup_day_session") == [{"n": 3}]
    assert await bench.rows("SELECT calls FROM sessions FINAL") == [{"calls": 3}]


async def test_an_orphan_is_recovered_and_drained(bench: Bench) -> None:
    spooled(bench.spool, [encode(call(1))])
    (segment,) = bench.spool.glob("*.seg")
    segment.rename(segment.with_suffix(".open"))  # nobody holds its lock
    await bench.collector.start()
    await bench.collector.drained()
    assert await bench.stored() == [call(1).call_id]


async def test_an_analysis_that_fails_costs_its_figures_only_and_is_made_up_for(bench: Bench) -> None:
    def failing(calls: Sequence[CallRecord], version: int) -> SessionAnalysis:
        if calls[0].session_id == "bad":
            raise RuntimeError("a defect")
        return analyse(calls, version)

    bench.collector = Collector(bench.spool, bench.open, failing, QUICK)
    await bench.collector.start()
    spooled(bench.spool, [encode(call(1, "bad")), encode(call(1, "good"))])
    await bench.collector.drained()
    assert len(await bench.stored()) == 2
    assert await bench.rows("SELECT session_id FROM sessions FINAL") == [{"session_id": "good"}]
    assert bench.collector.status.analysis_errors == 1
    await bench.restart()
    await bench.collector.drained()
    rows = await bench.rows("SELECT session_id FROM sessions FINAL ORDER BY session_id")
    assert [row["session_id"] for row in rows] == ["bad", "good"]


async def test_forgotten_sessions_are_read_back(bench: Bench) -> None:
    one = CollectorOptions(poll_s=0.01, recover_every_s=0, max_sessions=1)
    bench.collector = Collector(bench.spool, bench.open, analyse, one)
    await bench.collector.start()
    for number in range(3):
        spooled(bench.spool, [encode(call(number, session)) for session in ("s1", "s2", "s3")])
        await bench.collector.drained()
        assert bench.collector.status.live_sessions == 1
    rows = await bench.rows("SELECT session_id, calls FROM sessions FINAL ORDER BY session_id")
    assert [(row["session_id"], row["calls"]) for row in rows] == [("s1", 3), ("s2", 3), ("s3", 3)]


async def test_stop_takes_what_is_sealed(bench: Bench) -> None:
    await bench.collector.start()
    await bench.collector.drained()
    spooled(bench.spool, [encode(call(n)) for n in range(3)])
    await bench.collector.stop()
    await bench.collector.stop()
    assert list(bench.spool.glob("*.seg")) == []
    await bench.restart()
    await bench.collector.drained()
    assert len(await bench.stored()) == 3


async def test_a_call_is_visible_within_two_seconds_in_the_default_setting(bench: Bench) -> None:
    bench.collector = Collector(bench.spool, bench.open, analyse)
    await bench.collector.start()
    await bench.collector.drained()
    writer = SpoolWriter(bench.spool, "w0", SpoolOptions())
    sealing = asyncio.create_task(writer.run())
    written = time.monotonic()
    writer.append(encode(call(1)))
    await until(lambda: bench.collector.status.inserted_rows == 1, 10)
    assert time.monotonic() - written < 2
    sealing.cancel()
    writer.close()
