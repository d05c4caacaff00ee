"""One worker: the data port's process. Opens nothing but its listening socket (given), its spool and upstreams."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any

from collectors.spool import SpoolWriter
from proxy.call import Tally
from proxy.server import DataServer

_POLL_S = 0.05


class Worker:
    """A data server on a socket: :meth:`serve` accepts, :meth:`drain` lets open calls end."""

    def __init__(
        self, server: DataServer, spool: SpoolWriter, tally: Tally, on_drain: Callable[[], None] = lambda: None
    ) -> None:
        """``on_drain`` ends what would outlast any draining: streams that agents listen to."""
        self._server = server
        self._on_drain = on_drain
        self._spool = spool
        self._tally = tally
        self.state = "starting"

    @asynccontextmanager
    async def serve(self, sock: socket.socket, drain_s: float) -> AsyncIterator[None]:
        """Accept connections; on leaving, drain within ``drain_s`` and close."""
        loop = asyncio.get_running_loop()
        sweep = asyncio.create_task(self._server.sweep(), name="sweep")
        acceptor = await loop.create_server(self._server, sock=sock, backlog=1024)
        self.state = "ready"
        try:
            yield
        finally:
            self.state = "draining"
            acceptor.close()
            await self._drain(drain_s)
            sweep.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sweep

    async def _drain(self, drain_s: float) -> None:
        """Idle connections close at once, busy ones after their answer, the rest when the time is up."""
        self._server.pre_shutdown()
        self._on_drain()
        deadline = asyncio.get_running_loop().time() + drain_s
        while self._server.busy and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)  # aiohttp tells nobody when a call has ended
        await self._server.shutdown(timeout=1.0)

    def status(self) -> dict[str, Any]:
        """What the supervisor is told: state, counters, spool."""
        spool = self._spool.counters
        return {
            "state": self.state,
            "connections": len(self._server.connections),
            **asdict(self._tally),
            "spool": {**asdict(spool), "is_degraded": self._spool.is_degraded},
        }
