"""Processes of a run: started, kept to their cores, asked for CPU time and memory, ended. Linux only (``/proc``)."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from tests.bench.load import Job, Played
from tests.serving import ROOT, clean_env

_TICK_US = 1_000_000 // os.sysconf("SC_CLK_TCK")
_STOP_S = 40.0
_START_S = 20.0


@dataclass(frozen=True, slots=True)
class Cores:
    """Which cores the measured proxy has to itself, and which all others share; None: one core, nothing is pinned."""

    proxy: frozenset[int] | None
    others: frozenset[int] | None

    @classmethod
    def of_this_machine(cls) -> Cores:
        first, *rest = sorted(os.sched_getaffinity(0))
        return cls(frozenset({first}), frozenset(rest)) if rest else cls(None, None)


def pin(pid: int, cores: frozenset[int] | None) -> None:
    """Keep a process, with all threads it has by now, to these cores; threads it starts later inherit them."""
    if cores is None:
        return
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(ProcessLookupError):  # a thread may end meanwhile
            os.sched_setaffinity(int(task.name), cores)


def cpu_us(pid: int) -> int:
    """CPU time of a process so far, all threads, user and system, microseconds (to 10 ms)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_US


def rss_mb(pid: int) -> float:
    """Resident memory of a process, MB (10^6 bytes; the kernel's kB are 1 024 bytes)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) * 1024 / 1e6


def children(pid: int) -> list[int]:
    """Process ids of the direct children."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def holds_port(pid: int, port: int) -> bool:
    """Whether a process has a socket that listens on this IPv4 port."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listening = {f"socket:[{row[9]}]" for row in rows if row[3] == "0A" and row[1].endswith(f":{port:04X}")}
    held = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            held.add(str(descriptor.readlink()))
    return bool(listening & held)


async def end(process: asyncio.subprocess.Process) -> None:
    """SIGTERM, then SIGKILL. Safe where it has ended already."""
    if process.returncode is None:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), _STOP_S)
        except TimeoutError:
            process.kill()
            await process.wait()


@dataclass(frozen=True, slots=True)
class Child:
    """A helper process of the bench. ``port`` is what it serves on, 0 where it serves nothing."""

    process: asyncio.subprocess.Process
    port: int = 0

    async def play(self, job: Job) -> Played:
        """Of the load generator: one measurement."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(orjson.dumps(asdict(job)) + b"\n")
        line = await asyncio.wait_for(self.process.stdout.readline(), job.seconds + 60)
        return Played(**orjson.loads(line))


@asynccontextmanager
async def helper(
    module: str, cores: frozenset[int] | None, *arguments: str, serves: bool = True
) -> AsyncIterator[Child]:
    """``python -m tests.bench.MODULE`` on its cores, ended on leaving."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        f"tests.bench.{module}",
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env=clean_env(),
        limit=64 * 1024 * 1024,
    )
    try:
        pin(process.pid, cores)
        port = 0
        if serves:
            assert process.stdout is not None
            port = int(await asyncio.wait_for(process.stdout.readline(), _START_S))
        yield Child(process, port)
    finally:
        await end(process)
