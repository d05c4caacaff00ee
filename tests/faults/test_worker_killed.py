"""kill -9 of the worker in mid-stream: agents in flight see a broken connection, never a false end; every call that an
agent saw finished is in the store once; new calls are served by the successor without a refused connection."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp

from tests.serving import Serving, serving
from tests.upstream import Seen, chunked, until, upstream

KILLS = 10
AGENTS = 8


def worker_pid(running: Serving) -> int | None:
    """The child that listens on the data port: of the supervisor's children, the one that is not the collector."""
    root = running.process.pid
    children = Path(f"/proc/{root}/task/{root}/children").read_text().split()
    for pid in children:
        try:
            links = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
        except OSError:
            continue
        if any(".open" in link and "/spool/" in link for link in links):
            return int(pid)
    return None


async def stream(_: Seen) -> AsyncIterator[bytes]:
    events = [{"model": "gpt-4o-mini", "choices": [{"index": 0, "delta": {"content": f"w{i} "}}]} for i in range(10)]
    usage = {"model": "gpt-4o-mini", "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 10}}
    pieces = [f"data: {json.dumps(event)}\n\n".encode() for event in [*events, usage]] + [b"data: [DONE]\n\n"]
    for piece in chunked(pieces):
        yield piece
        await asyncio.sleep(0.004)


class Agents:
    """Agents that call until told to stop, and remember which calls they saw end well."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.finished: list[str] = []
        self.broken = 0
        self.refused = 0
        self.is_stopping = False

    async def work(self, name: int) -> None:
        body = {"model": "gpt-4o-mini", "stream": True, "messages": [{"role": "user", "content": f"agent {name}"}]}
        path = f"{self._url}/session/s{name}/stage/work/openai/v1/chat/completions"
        async with aiohttp.ClientSession() as client:
            while not self.is_stopping:
                try:
                    async with client.post(path, json=body) as response:
                        text = await response.text()
                        assert text.endswith("data: [DONE]\n\n"), "a clean end without its end mark"
                        self.finished.append(response.headers["X-Orchtax-Call-Id"])
                except aiohttp.ClientConnectorError:
                    self.refused += 1
                except aiohttp.ClientError:
                    self.broken += 1


async def test_ten_kills_in_mid_stream(tmp_path: Path) -> None:
    rng = random.Random(11)
    async with upstream(stream) as up, serving(tmp_path, upstreams={"openai": {"base_url": up.url}}) as running:
        agents = Agents(running.url)
        working = [asyncio.create_task(agents.work(number)) for number in range(AGENTS)]
        for _ in range(KILLS):
            done = len(agents.finished)
            await until(lambda done=done: len(agents.finished) >= done + AGENTS, 30, "calls between two kills")
            await asyncio.sleep(rng.random() * 0.05)
            await until(lambda: worker_pid(running) is not None, 10, "a worker with an open segment")
            pid = worker_pid(running)
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
        done = len(agents.finished)
        await until(lambda: len(agents.finished) >= done + AGENTS, 30, "calls after the last kill")
        agents.is_stopping = True
        await asyncio.gather(*working)
        assert agents.broken >= KILLS // 2
        assert agents.refused == 0
        stored = await _stored(running, set(agents.finished))
        assert len(agents.finished) == len(set(agents.finished))
        assert set(agents.finished) <= set(stored)
        assert len(stored) == len(set(stored))
        report = await running.get("/api/report")
        assert report["totals"]["calls"] == len(stored)
        ok = [call for session in report["sessions"] for call in [session["calls"]]]
        assert sum(ok) == len(stored)


async def _stored(running: Serving, wanted: set[str]) -> list[str]:
    """The call ids in the store, once those that agents saw end are among them."""
    ids: list[str] = []

    async def ask() -> list[str]:
        found: list[str] = []
        async with aiohttp.ClientSession() as client:
            for number in range(AGENTS):
                async with client.get(f"{running.admin}/api/sessions/s{number}") as response:
                    if response.status == 200:
                        found += [call["call_id"] for call in (await response.json())["calls"]]
        return found

    end = asyncio.get_running_loop().time() + 30
    while not wanted <= set(ids) and asyncio.get_running_loop().time() < end:
        await asyncio.sleep(0.2)
        ids = await ask()
    return ids
