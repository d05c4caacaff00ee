"""The real thing for tests: ``orchtax serve`` as a user starts it, in processes of its own, on free loopback ports."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from collectors.records import CallRecord, decode

ROOT = Path(__file__).parent.parent


@dataclass(slots=True)
class Serving:
    """A running orchtax: ``url`` for agents, ``admin`` for people, ``data`` its directory."""

    url: str
    admin: str
    data: Path
    process: asyncio.subprocess.Process
    log: Path

    async def get(self, path: str) -> Any:
        async with aiohttp.ClientSession() as session, session.get(self.admin + path) as response:
            assert response.status == 200, await response.text()
            return await response.json()

    async def stop(self) -> int:
        """SIGTERM, as a service manager does. Returns the exit code."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self.process.wait(), 60)


@asynccontextmanager
async def serving(tmp: Path, **settings: Any) -> AsyncIterator[Serving]:
    """Serve with these settings (ports and data_dir are filled in), ready when ``/readyz`` says so."""
    data = tmp / "data"
    config = {"listen": "127.0.0.1:0", "admin": {"listen": "127.0.0.1:0"}, "data_dir": str(data), **settings}
    file = tmp / "orchtax.yaml"
    file.write_text(yaml.safe_dump(config))
    log = tmp / "serve.log"
    with log.open("ab") as stderr:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "proxy.cli", "serve", "--config", str(file), cwd=ROOT, stderr=stderr, env=clean_env()
        )
    try:
        run = await _announced(data / "run.json", process, log)
        running = Serving(f"http://{run['listen']}", f"http://{run['admin']}", data, process, log)
        await _ready(running)
        yield running
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), 30)
            except TimeoutError:
                process.kill()
                await process.wait()


def clean_env() -> dict[str, str]:
    """The environment without settings of the person who runs the tests."""
    return {key: value for key, value in os.environ.items() if not key.startswith("ORCHTAX_")}


async def _announced(path: Path, process: asyncio.subprocess.Process, log: Path) -> dict[str, Any]:
    for _ in range(1500):
        with contextlib.suppress(FileNotFoundError, ValueError):
            run: dict[str, Any] = json.loads(path.read_text())
            if run["pid"] == process.pid:
                return run
        if process.returncode is not None:
            break
        await asyncio.sleep(0.02)
    raise AssertionError(f"orchtax serve did not start: {log.read_text()}")


async def _ready(running: Serving) -> None:
    async with aiohttp.ClientSession() as session:
        for _ in range(1500):
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(running.admin + "/readyz") as response:
                    if response.status == 200:
                        return
            await asyncio.sleep(0.02)
    raise AssertionError(f"orchtax serve did not become ready: {running.log.read_text()}")


def spooled(data: Path) -> list[CallRecord]:
    """The records that wait in the spool, open segments included (read-only: the writer keeps writing)."""
    from collectors.spool_reader import read

    paths = sorted((data / "spool").glob("*.seg")) + sorted((data / "spool").glob("*.open"))
    return [decode(payload) for path in paths for payload in read(path).payloads]
