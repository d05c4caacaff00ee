"""The admin port on a real loopback port, over a real seeded store."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
from aiohttp import web

from collectors.admin import AdminApp
from collectors.export.prometheus import Metrics
from collectors.fleet import FleetStatus, SpoolHealth, StoreHealth, WorkerFleet
from collectors.page import load_page
from collectors.reading import Reader

FLEET = FleetStatus(
    version="0.0-test",
    started_ns=1,
    workers=WorkerFleet(wanted=2, ready=2),
    store=StoreHealth("ready"),
    spool=SpoolHealth(segments=3, bytes=4096, oldest_age_s=0.5),
    listen="127.0.0.1:8400",
)


@dataclass
class Port:
    """``fleet`` and ``store`` can be turned while it serves."""

    url: str
    metrics: Metrics
    fleet: FleetStatus
    store: Reader | None

    async def get(self, path: str, **headers: str) -> tuple[int, Any, Any]:
        """Status, body (JSON where it is), headers."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with aiohttp.ClientSession() as client, client.get(self.url + path, headers=named) as response:
            is_json = response.content_type.endswith("json")
            return response.status, await (response.json() if is_json else response.text()), response.headers

    def now(self, **changes: Any) -> None:
        self.fleet = replace(self.fleet, **changes)


@asynccontextmanager
async def admin_port(
    store: Reader | None, token: str | None = None, now_ns: Callable[[], int] = time.time_ns
) -> AsyncIterator[Port]:
    """Serves until left; what it tells of the fleet and the store can be turned meanwhile."""
    metrics = Metrics()
    port = Port("", metrics, FLEET, store)
    app = AdminApp(
        store=lambda: port.store,
        status=lambda: port.fleet,
        metrics=metrics.exposition,
        page=load_page(),
        token=token,
        now_ns=now_ns,
    )
    runner = web.AppRunner(app.build(), access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, bound = runner.addresses[0][:2]
        port.url = f"http://{host}:{bound}"
        yield port
    finally:
        await runner.cleanup()
