"""orchtax as its users start it: ``orchtax serve`` with one worker, its collector, and a store that is there or not."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import yaml

from tests.bench.processes import Cores, children, end, holds_port, pin
from tests.bench.requests import Requests
from tests.serving import ROOT, clean_env

_START_S = 30.0
_DRAIN_S = 20.0
NOWHERE = "clickhouse://127.0.0.1:9/orchtax"
"""A store that nobody serves (port 9 is ``discard``): records stay in the spool."""


@dataclass(frozen=True, slots=True)
class Served:
    """A running orchtax. ``first_answer_s``: from starting the command to the end of its first answered call."""

    port: int
    admin: str
    worker: int
    data: Path
    first_answer_s: float

    async def drained(self) -> float:
        """Wait until the collector has stored what was spooled, so that it does not run into the next measurement.
        Returns the seconds it took, at most 20."""
        began = time.monotonic()
        while any((self.data / "spool").glob("*.*")) and time.monotonic() - began < _DRAIN_S:
            await asyncio.sleep(0.05)
        return time.monotonic() - began

    async def dropped_records(self) -> int:
        """Records that the worker had to drop, as the admin API tells."""
        async with aiohttp.ClientSession() as session, session.get(f"http://{self.admin}/api/status") as response:
            return int((await response.json())["workers"]["dropped_records"])


@asynccontextmanager
async def orchtax(folder: Path, provider: int, cores: Cores, store: str) -> AsyncIterator[Served]:
    """Serve with default settings but ports, directory, store and the provider's address; ended on leaving. After the
    first answer the worker is pinned to the proxy's core and everything else to the others."""
    folder.mkdir()
    data, file = folder / "data", folder / "orchtax.yaml"
    openai = {"base_url": f"http://127.0.0.1:{provider}"}
    settings = {
        "listen": "127.0.0.1:0",
        "admin": {"listen": "127.0.0.1:0"},
        "data_dir": str(data),
        "store": {"url": store},
        "upstreams": {"openai": openai},
    }
    file.write_text(yaml.safe_dump(settings))
    began = time.monotonic()
    with (folder / "serve.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "proxy.cli", "serve", "--config", str(file), cwd=ROOT, stderr=log, env=clean_env()
        )
    try:
        run = await _announced(data / "run.json", process)
        port = int(run["listen"].rpartition(":")[2])
        await _call(port)
        first_answer_s = time.monotonic() - began
        if store != NOWHERE:
            await _store_ready(run["admin"])
        family = children(process.pid)
        worker = next(pid for pid in family if holds_port(pid, port))
        for pid in (process.pid, *family):
            pin(pid, cores.proxy if pid == worker else cores.others)
        yield Served(port, run["admin"], worker, data, first_answer_s)
    finally:
        await end(process)


async def _announced(path: Path, process: asyncio.subprocess.Process) -> dict[str, str]:
    async with asyncio.timeout(_START_S):
        while process.returncode is None:
            with suppress(FileNotFoundError, ValueError):
                run: dict[str, str] = json.loads(path.read_text())
                return run
            await asyncio.sleep(0.005)
    raise RuntimeError(f"orchtax serve ended with {process.returncode}; see {path.parent.parent / 'serve.log'}")


async def _call(port: int) -> None:
    """One call through the proxy, answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(Requests(f"127.0.0.1:{port}", streamed=False).next())
    status = await asyncio.wait_for(reader.readline(), _START_S)
    writer.close()
    if b" 200 " not in status:
        raise RuntimeError(f"the first call was answered with {status!r}")


async def _store_ready(admin: str) -> None:
    async with asyncio.timeout(_START_S), aiohttp.ClientSession() as session:
        while True:
            async with session.get(f"http://{admin}/api/status") as response:
                if response.status == 200 and (await response.json())["store"]["state"] == "ready":
                    return
            await asyncio.sleep(0.05)
