"""Processes: N workers on one data port, one collector on the admin port, started, watched, restarted, drained.

The supervisor opens the listening sockets and passes them down, so that a worker's death closes no port: agents that
connect meanwhile wait in the backlog until its successor serves them. Children are started by exec (the embedded engine
hangs in a forked child). Over stdin a child gets its boot line, then, the collector, the fleet's state as JSON lines;
end of stdin means that the supervisor is gone, and the child stops. Over stdout a worker tells its state.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from proxy.data_dir import DataDir, DataDirTaken
from proxy.settings import Settings, reveal, split_listen

log = logging.getLogger(__name__)
_RESTART_S = (0.05, 0.2, 0.5, 1.0, 2.0, 5.0)
_COLLECTOR_STOP_S = 20.0


class CannotServe(Exception):
    """Serving cannot begin; the text names what is in the way and how to mend it."""


def listen(address: str, count: int, setting: str) -> list[socket.socket]:
    """``count`` listening sockets that share one port.

    Raises:
        CannotServe: the port is taken or the address is not this machine's.
    """
    host, port = split_listen(address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sockets: list[socket.socket] = []
    try:
        if port:
            with socket.socket(family) as probe:  # without REUSEPORT: another server there must be an error
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host, port))
        for _ in range(count):
            sock = socket.socket(family)
            sockets.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if count > 1:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.bind((host, port))
            sock.listen(1024)
            port = sock.getsockname()[1]
    except OSError as error:
        for sock in sockets:
            sock.close()
        text = f"cannot listen on {address} (setting {setting}): {error.strerror}; stop what holds it or choose another"
        raise CannotServe(text) from error
    return sockets


@dataclass(slots=True)
class Child:
    """One child process and what it last said of itself."""

    name: str
    boot: dict[str, Any]
    fd: int
    process: asyncio.subprocess.Process | None = None
    state: str = "starting"
    told: dict[str, Any] = field(default_factory=dict)
    deaths: int = 0
    stillborn: int = 0
    """Deaths in a row before it was ready: only these make the next start wait longer."""


class Supervisor:
    """Run with :meth:`run`; it returns the exit code after everything has stopped."""

    def __init__(self, settings: Settings, data_dir: DataDir) -> None:
        self._settings = settings
        self._data_dir = data_dir
        self._is_stopping = False
        self._stop = asyncio.Event()
        self._changed = asyncio.Event()
        self._sockets: list[socket.socket] = []
        self.workers: list[Child] = []
        self.collector: Child | None = None

    async def run(self) -> int:
        """Start all, watch until SIGTERM, SIGINT or SIGHUP, then drain: workers first, then the collector."""
        self._open()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self._stop.set)
        assert self.collector is not None
        watches = [
            asyncio.create_task(self._watch(child), name=child.name) for child in (*self.workers, self.collector)
        ]
        teller = asyncio.create_task(self._tell(), name="tell")
        self._announce()
        await self._stop.wait()
        code = await self._drain(watches)
        teller.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await teller
        self._data_dir.forget_run()
        return code

    def _open(self) -> None:
        settings = self._settings
        data = listen(settings.listen, settings.workers, "listen")
        self._sockets = data
        try:
            admin = listen(settings.admin.listen, 1, "admin.listen")[0]
        except CannotServe:
            for sock in data:
                sock.close()
            raise
        self._sockets = [*data, admin]
        common = {"settings": reveal(settings), "salt": self._data_dir.salt().hex()}
        for index, sock in enumerate(data):
            name = f"worker-{index}"
            boot = {**common, "role": "worker", "name": name, "fd": sock.fileno()}
            self.workers.append(Child(name, boot, sock.fileno()))
        boot = {**common, "role": "collector", "name": "collector", "fd": admin.fileno()}
        self.collector = Child("collector", boot, admin.fileno())

    def addresses(self) -> tuple[str, str]:
        """Data and admin address as bound, ``host:port``."""
        names = [sock.getsockname() for sock in (self._sockets[0], self._sockets[-1])]
        data, admin = (f"[{n[0]}]:{n[1]}" if ":" in n[0] else f"{n[0]}:{n[1]}" for n in names)
        return data, admin

    def _announce(self) -> None:
        data, admin = self.addresses()
        self._data_dir.remember_run({"pid": os.getpid(), "listen": data, "admin": admin})
        log.info("serving on http://%s (agents), http://%s (page, admin API, metrics)", data, admin)

    async def _watch(self, child: Child) -> None:
        """Keep one child running until the supervisor stops."""
        while not self._is_stopping:
            await self._start(child)
            assert child.process is not None
            await self._listen_to(child)
            code = await child.process.wait()
            child.stillborn = 0 if child.state == "ready" else child.stillborn + 1
            child.state = "stopped"
            self._changed.set()
            if self._is_stopping:
                return
            pause = _RESTART_S[min(child.stillborn, len(_RESTART_S) - 1)]
            child.deaths += 1
            log.warning("%s ended with code %s; starting it anew in %g s", child.name, code, pause)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), pause)

    async def _start(self, child: Child) -> None:
        child.state = "starting"
        child.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "proxy.app",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            pass_fds=(child.fd,),
            start_new_session=True,  # a Ctrl-C is the supervisor's to handle
        )
        self._write(child, child.boot)

    async def _listen_to(self, child: Child) -> None:
        """Take in what a child says of itself, a JSON object a line, until it ends."""
        assert child.process is not None
        assert child.process.stdout is not None
        async for line in child.process.stdout:
            with contextlib.suppress(ValueError):
                child.told = json.loads(line)
                child.state = child.told.get("state", child.state)
                self._changed.set()

    def _write(self, child: Child, message: object) -> None:
        process = child.process
        if process is not None and process.stdin is not None and not process.stdin.is_closing():
            process.stdin.write(json.dumps(message).encode() + b"\n")

    def fleet(self) -> dict[str, Any]:
        """What the collector is told: the state of every worker, and whether the whole is stopping."""
        workers = [{**w.told, "name": w.name, "state": w.state, "deaths": w.deaths} for w in self.workers]
        return {"is_stopping": self._is_stopping, "workers": workers}

    async def _tell(self) -> None:
        """Tell the collector of the fleet when something changed, once a second at most ten times."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            if self.collector is not None:
                self._write(self.collector, self.fleet())
            await asyncio.sleep(0.1)

    async def _drain(self, watches: list[asyncio.Task[None]]) -> int:
        self._is_stopping = True
        self._changed.set()
        log.info("draining: open calls get %g s", self._settings.drain_s)
        for sock in self._sockets[:-1]:
            sock.close()
        *workers, collector = watches
        is_clean = await self._end(self.workers, workers, self._settings.drain_s + 5)
        assert self.collector is not None
        is_clean &= await self._end([self.collector], [collector], _COLLECTOR_STOP_S)
        self._sockets[-1].close()
        return 0 if is_clean else 1

    async def _end(self, children: list[Child], watches: list[asyncio.Task[None]], grace_s: float) -> bool:
        """SIGTERM, then SIGKILL after the grace time. False when a child had to be killed."""
        for child in children:
            _send_signal(child, signal.SIGTERM)
        _, late = await asyncio.wait(watches, timeout=grace_s)
        for child in children:
            if late:
                _send_signal(child, signal.SIGKILL)
        if late:
            log.error("%s did not stop within %g s and was killed", ", ".join(t.get_name() for t in late), grace_s)
            await asyncio.wait(late)
        return not late


def _send_signal(child: Child, number: signal.Signals) -> None:
    if child.process is not None and child.process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            child.process.send_signal(number)


def serve(settings: Settings) -> int:
    """Serve until told to stop. Returns the exit code.

    Raises:
        CannotServe: a port or the data directory is not to be had.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    try:
        claimed = DataDir.claim(Path(settings.data_dir))
    except DataDirTaken as error:
        raise CannotServe(str(error)) from error
    with claimed as data_dir:
        return asyncio.run(_run(settings, data_dir))


async def _run(settings: Settings, data_dir: DataDir) -> int:
    return await Supervisor(settings, data_dir).run()
