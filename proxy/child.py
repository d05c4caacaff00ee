"""A child process's side of its supervisor: what it is told at start and after, what it tells, when it must stop."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from proxy.settings import Settings

log = logging.getLogger(__name__)
_STATUS_S = 1.0


@dataclass(frozen=True, slots=True)
class Boot:
    """What the supervisor hands to a child."""

    role: str
    name: str
    fd: int
    salt: bytes
    settings: Settings

    @classmethod
    def from_line(cls, line: bytes) -> Boot:
        told = json.loads(line)
        settings = Settings.model_validate(told["settings"])
        return cls(told["role"], told["name"], told["fd"], bytes.fromhex(told["salt"]), settings)

    def listening(self) -> socket.socket:
        sock = socket.socket(fileno=self.fd)
        sock.setblocking(False)
        return sock


class Parent:
    """The supervisor as its child sees it: a pipe of JSON lines, and the wish to stop."""

    def __init__(self, pipe: asyncio.StreamReader) -> None:
        self._pipe = pipe
        self.stop = asyncio.Event()
        """Set by SIGTERM, and when the supervisor is gone."""
        self.fleet: dict[str, Any] = {}
        """The last state of the workers that it told."""

    async def boot(self) -> Boot:
        return Boot.from_line(await self._pipe.readline())

    async def follow(self) -> None:
        """Take in what the supervisor says until it says no more."""
        async for line in self._pipe:
            self.fleet = json.loads(line)
        self.stop.set()


@contextlib.asynccontextmanager
async def background(work: Coroutine[Any, Any, None], name: str) -> AsyncIterator[None]:
    """A background task for as long as the block runs; its failure is logged, its end awaited."""
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_log_failure)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("task %s failed", task.get_name(), exc_info=error)


async def tell(status: Callable[[], dict[str, Any]]) -> None:
    """A status line to the supervisor now and each second. A full pipe drops it: the next one comes anyway."""
    os.set_blocking(1, False)
    while True:
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            os.write(1, json.dumps(status()).encode() + b"\n")
        await asyncio.sleep(_STATUS_S)


@contextlib.asynccontextmanager
async def supervised() -> AsyncIterator[tuple[Boot, Parent]]:
    """The boot line and the supervisor, followed for as long as the block runs. SIGTERM sets ``stop``; a Ctrl-C is the
    supervisor's to handle."""
    loop = asyncio.get_running_loop()
    pipe = asyncio.StreamReader(limit=16 * 1024 * 1024)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(pipe), sys.stdin.buffer)
    parent = Parent(pipe)
    boot = await parent.boot()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    loop.add_signal_handler(signal.SIGTERM, parent.stop.set)
    async with background(parent.follow(), "parent"):
        yield boot, parent
