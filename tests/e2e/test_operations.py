"""What an operator relies on: records show up in time, metrics count them, a locked store and an absent engine are
told, bad starts end before listening."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

import aiohttp
import pytest
import yaml

from tests.serving import ROOT, Serving, clean_env, serving
from tests.upstream import always, answer, until, upstream

USAGE = b'{"id":"r","model":"gpt-4o-mini","choices":[],"usage":{"prompt_tokens":11,"completion_tokens":5}}'
REQUEST = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}]}


async def call(running: Serving, session: str, count: int = 1) -> None:
    path = f"{running.url}/session/{session}/stage/work/openai/v1/chat/completions"
    async with aiohttp.ClientSession() as client:
        for _ in range(count):
            async with client.post(path, json=REQUEST) as response:
                assert response.status == 200, await response.text()
                await response.read()


async def stored(running: Serving, session: str) -> int:
    async with aiohttp.ClientSession() as client, client.get(f"{running.admin}/api/sessions/{session}") as response:
        return len((await response.json())["calls"]) if response.status == 200 else 0


async def until_stored(running: Serving, session: str, count: int, deadline_s: float) -> float:
    """Seconds until the store has the calls."""
    began = time.monotonic()
    while await stored(running, session) < count:
        assert time.monotonic() - began < deadline_s, f"{count} calls of {session} not in the store"
        await asyncio.sleep(0.05)
    return time.monotonic() - began


async def metrics_with(client: aiohttp.ClientSession, running: Serving, line: str) -> str:
    """The exposition once it has this line: workers tell their counters once a second."""
    for _ in range(200):
        async with client.get(running.admin + "/metrics") as response:
            text = await response.text()
        if line in text:
            return text
        await asyncio.sleep(0.05)
    raise AssertionError(f"{line} is not in {text}")


async def test_records_appear_and_metrics_count_them(tmp_path: Path) -> None:
    async with (
        upstream(always(answer(USAGE))) as up,
        serving(tmp_path, upstreams={"openai": {"base_url": up.url}}) as running,
    ):
        await call(running, "early-bird")
        await until_stored(running, "early-bird", 1, 60)  # the engine warms up
        await call(running, "second", 3)
        await until_stored(running, "second", 3, 10)
        async with aiohttp.ClientSession() as client:
            async with client.post(running.url + "/nowhere/v1/chat/completions", json=REQUEST) as response:
                assert response.status == 404
            text = await metrics_with(client, running, 'orchtax_refused_calls{code="unknown_upstream"} 1.0')
        assert 'orchtax_calls_total{kind="model",outcome="ok",upstream="openai"} 4.0' in text
        assert 'orchtax_tokens_total{direction="input",kind="model",upstream="openai"} 44.0' in text
        assert "early-bird" not in text


async def test_many_workers_share_the_port_and_every_call_is_kept(tmp_path: Path) -> None:
    upstreams = {}
    async with upstream(always(answer(USAGE))) as up:
        upstreams["openai"] = {"base_url": up.url}
        async with serving(tmp_path, workers=2, upstreams=upstreams) as running:
            await asyncio.gather(*(call(running, "shared", 10) for _ in range(8)))
            await until_stored(running, "shared", 80, 60)
            status = await running.get("/api/status")
            assert status["workers"]["ready"] == 2


async def test_a_second_orchtax_on_the_same_data_is_told_who_holds_it(tmp_path: Path) -> None:
    async with serving(tmp_path, store={"url": "clickhouse://127.0.0.1:9/orchtax"}) as running:
        code, text = await _serve(tmp_path / "second.yaml", data_dir=str(running.data))
        assert code != 0
        assert str(running.data) in text
        assert str(running.process.pid) in text
        assert "Traceback" not in text


async def test_a_taken_port_is_named_with_its_setting(tmp_path: Path) -> None:
    async with upstream(always(answer(b""))) as up:
        taken = up.url.removeprefix("http://")
        code, text = await _serve(tmp_path / "c.yaml", data_dir=str(tmp_path / "d"), listen=taken)
        assert code != 0
        assert taken in text
        assert "listen" in text
        assert "Traceback" not in text


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"workers": 0}, "workers"),
        ({"listen": "everywhere"}, "listen"),
        ({"upstreams": {"x": {"base_url": "ftp://y"}}}, "base_url"),
        ({"admin": {"listen": "0.0.0.0:8401"}}, "admin.token"),
        ({"store": {"url": "mysql://x"}}, "clickhouse://"),
    ],
)
async def test_bad_settings_end_before_listening(tmp_path: Path, settings: dict[str, object], says: str) -> None:
    code, text = await _serve(tmp_path / "bad.yaml", data_dir=str(tmp_path / "d"), **settings)
    assert code == 2
    assert says in text
    assert "Traceback" not in text
    assert not (tmp_path / "d").exists()


async def test_readiness_does_not_wait_for_the_store(tmp_path: Path) -> None:
    async with upstream(always(answer(USAGE))) as up:
        settings = {"store": {"url": "clickhouse://127.0.0.1:9/orchtax"}, "upstreams": {"openai": {"base_url": up.url}}}
        async with serving(tmp_path, **settings) as running:
            await call(running, "waits")
            status = await running.get("/api/status")
            await until(lambda: any((running.data / "spool").iterdir()), what="the spool")
            assert status["store"]["state"] != "ready"


async def _serve(file: Path, **settings: object) -> tuple[int, str]:
    """Start ``orchtax serve`` that is expected to end by itself; exit code and what it said."""
    file.write_text(yaml.safe_dump({"listen": "127.0.0.1:0", "admin": {"listen": "127.0.0.1:0"}, **settings}))
    return await _run("serve", "--config", str(file))


async def _run(*arguments: str) -> tuple[int, str]:
    """A command that ends by itself; exit code and what it said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "proxy.cli", *arguments),
        cwd=ROOT,
        env=clean_env(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(), 30)
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, out.decode()


async def test_the_store_s_upkeep_waits_for_orchtax_to_stop(tmp_path: Path) -> None:
    async with (
        upstream(always(answer(USAGE))) as up,
        serving(tmp_path, upstreams={"openai": {"base_url": up.url}}) as running,
    ):
        await call(running, "kept", 5)
        await until_stored(running, "kept", 5, 60)
        code, text = await _run("rebuild-rollups", "--config", str(tmp_path / "orchtax.yaml"))
        assert code == 1
        assert str(running.process.pid) in text
        assert await running.stop() == 0
        code, text = await _run("migrate", "--json", "--config", str(tmp_path / "orchtax.yaml"))
        assert (code, json.loads(text)) == (0, {"applied": []})
        code, text = await _run("rebuild-rollups", "--json", "--config", str(tmp_path / "orchtax.yaml"))
        assert (code, json.loads(text)) == (0, {"calls": 5})
