"""Starts the demo's processes, waits until they serve, and ends them by their own process id, whatever happens."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import orjson

GRACE_S = 10.0
LAST_LINES = 12


class ProcessFailed(Exception):
    """A process did not come up; the text has its last words."""


@dataclass(frozen=True, slots=True)
class Child:
    """A running process and the file that its errors go to."""

    name: str
    process: Process
    errors: Path

    def last_words(self) -> str:
        return "\n".join(self.errors.read_text("utf-8", "replace").splitlines()[-LAST_LINES:])

    async def announced_port(self, within_s: float) -> int:
        """The port that the child prints on its first line.

        Raises:
            ProcessFailed: it ended, or said nothing in time.
        """
        stdout = self.process.stdout
        if stdout is None:
            raise ProcessFailed(f"{self.name}: started without a pipe to speak through")
        try:
            line = await asyncio.wait_for(stdout.readline(), within_s)
            return int(orjson.loads(line)["port"])
        except (TimeoutError, ValueError, KeyError) as error:
            raise ProcessFailed(f"{self.name} did not start:\n{self.last_words()}") from error


@asynccontextmanager
async def running(name: str, arguments: Sequence[str], errors: Path, announces: bool = False) -> AsyncIterator[Child]:
    """``python ARGUMENTS`` as a child in a process group of its own (a Ctrl-C in the terminal reaches only the demo,
    which then ends its children in order). What it says goes to ``errors``, but for the port that it ``announces``. On
    leaving: its input is closed, it gets SIGTERM, and its group SIGKILL after :data:`GRACE_S`."""
    with errors.open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE if announces else log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    try:
        yield Child(name, process, errors)
    finally:
        await asyncio.shield(_end(process))


async def _end(process: Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    if process.returncode is None:
        with suppress(ProcessLookupError):  # it may end by itself at this very moment
            process.send_signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(process.communicate(), GRACE_S)
    except TimeoutError:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its workers with it: the group is its own
        await process.wait()
