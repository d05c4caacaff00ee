"""The composition root: makes everything of a child process and passes it in. Start order is the reading order, stop
order is its reverse.

``python -m proxy.app`` is a worker or the collector, as the boot line on its stdin says; ``supervisor.py`` starts it.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import os
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collectors.fleet import FleetStatus, SpoolHealth, StoreHealth, WorkerFleet
from proxy.settings import Settings, split_listen

if TYPE_CHECKING:
    from collectors.pricing import Prices
    from collectors.service import CollectorStatus

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


async def worker(boot: Boot, parent: Parent) -> None:
    """The data plane's process."""
    from collectors.pricing import OwnPrice, Prices
    from collectors.spool import SpoolOptions, SpoolWriter
    from collectors.tokens import TokenCounter
    from proxy.account import Books
    from proxy.call import Tally
    from proxy.dialects import load
    from proxy.exchange import Exchange, Plant
    from proxy.id_register import IdRegister
    from proxy.identity import Identity
    from proxy.measure import Measure
    from proxy.routes import Routes
    from proxy.server import DataServer
    from proxy.signers import Signers
    from proxy.told_once import ToldOnce
    from proxy.upstream import Upstreams
    from proxy.worker import Worker

    settings, tally, dialects = boot.settings, Tally(), load()
    own = {
        name: OwnPrice(
            price.input_per_million_usd,
            price.output_per_million_usd,
            price.cached_input_per_million_usd,
            price.cache_write_per_million_usd,
        )
        for name, price in settings.prices.items()
    }
    counter, prices = TokenCounter(), Prices(own)
    options = SpoolOptions(settings.spool.seal_after_s, settings.spool.sync_every_s, settings.spool.max_bytes)
    async with AsyncExitStack() as stack:
        spool = SpoolWriter(Path(settings.data_dir) / "spool", boot.name, options)
        stack.callback(spool.close)
        await stack.enter_async_context(_task(spool.run(), "spool"))
        register = IdRegister(Path(settings.data_dir) / "ids")
        stack.callback(register.close)
        upstreams = await stack.enter_async_context(Upstreams(settings.upstreams))
        exchange = Exchange(
            Plant(
                routes=Routes(settings.upstreams),
                identity=Identity(settings.stages, boot.salt, register, tally),
                dialects=dialects,
                measure=Measure(dialects, counter, tally),
                upstreams=upstreams,
                signers=Signers(settings.upstreams, os.environ),
                books=Books(boot.name, prices, counter, ToldOnce(register)),
                spool=spool,
                limits=settings.limits,
                tally=tally,
            )
        )
        process = Worker(DataServer(exchange.handle, settings.limits), spool, tally, upstreams.end_listening)
        await stack.enter_async_context(process.serve(boot.listening(), settings.drain_s))
        await stack.enter_async_context(_task(_tell(process.status), "status"))
        asyncio.get_running_loop().run_in_executor(None, _settle_in, prices)
        await parent.stop.wait()


def _settle_in(prices: Prices) -> None:
    """Load what is left to load; from then on the garbage collector leaves alone what stays for good (modules, prices,
    settings), and looks at what calls leave behind less often: they leave few cycles."""
    prices.warm()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


async def collector(boot: Boot, parent: Parent) -> None:
    """The measuring plane's process."""
    from aiohttp import web

    from collectors.admin import AdminApp
    from collectors.export.prometheus import Metrics
    from collectors.page import load_page
    from collectors.roles import RoleRules
    from collectors.service import Collector
    from collectors.sessions import analyse
    from collectors.store.clickhouse import Store

    settings, metrics, started_ns = boot.settings, Metrics(), time.time_ns()
    token = settings.admin.token.get_secret_value() if settings.admin.token else None
    roles = {name: stage.role for name, stage in settings.stages.items()}
    rules = replace(
        RoleRules.of(roles),
        plan_counts_as=settings.tax.plan_counts_as,
        after_free_failure=settings.tax.after_free_failure,
    )
    data_dir, url = Path(settings.data_dir), settings.store.url.get_secret_value()
    async with AsyncExitStack() as stack:
        intake = Collector(
            data_dir / "spool",
            lambda: Store.open(url, data_dir / "store"),
            lambda calls, number: analyse(calls, rules, number),
            on_stored=metrics.stored,
        )
        admin = AdminApp(
            store=lambda: intake.store if intake.status.state == "ready" else None,
            status=lambda: fleet_status(boot, parent.fleet, intake.status, started_ns),
            metrics=metrics.exposition,
            page=load_page(),
            listen_host=split_listen(settings.admin.listen)[0],
            token=token,
        )
        runner = web.AppRunner(admin.build(), access_log=None, handle_signals=False)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.SockSite(runner, boot.listening()).start()
        await intake.start()
        stack.push_async_callback(intake.stop)
        await stack.enter_async_context(_task(_tell(lambda: {"state": "ready"}), "status"))
        await parent.stop.wait()


def fleet_status(boot: Boot, fleet: dict[str, Any], intake: CollectorStatus, started_ns: int) -> FleetStatus:
    """The supervisor's last word on the workers, and the collector's own state, as the admin API shows them."""
    workers = fleet.get("workers", [])
    return FleetStatus(
        version=version("orchtax"),
        started_ns=started_ns,
        workers=WorkerFleet(
            wanted=boot.settings.workers,
            ready=0 if fleet.get("is_stopping") else sum(worker["state"] == "ready" for worker in workers),
            restarts=sum(worker["deaths"] for worker in workers),
            connections=sum(worker.get("connections", 0) for worker in workers),
            dropped_records=sum(worker.get("spool", {}).get("dropped", 0) for worker in workers),
            refused=_summed(worker.get("refused", {}) for worker in workers),
            measuring_failures=_summed(worker.get("measuring_failures", {}) for worker in workers),
        ),
        store=StoreHealth(intake.state, intake.last_error),
        spool=SpoolHealth(
            segments=intake.waiting_segments,
            bytes=intake.spool_bytes,
            oldest_age_s=intake.oldest_segment_age_s if intake.waiting_segments else None,
            quarantined=intake.quarantined,
        ),
        listen=boot.settings.listen,
    )


def _summed(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return dict(total)


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
async def _task(work: Any, name: str) -> Any:
    """A background task for as long as the block runs; its failure is logged, its end awaited."""
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_log_failure)
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("task %s failed", task.get_name(), exc_info=error)


async def _tell(status: Any) -> None:
    """A status line to the supervisor now and each second. A full pipe drops it: the next one comes anyway."""
    os.set_blocking(1, False)
    while True:
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            os.write(1, json.dumps(status()).encode() + b"\n")
        await asyncio.sleep(_STATUS_S)


async def _main() -> None:
    loop = asyncio.get_running_loop()
    pipe = asyncio.StreamReader(limit=16 * 1024 * 1024)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(pipe), sys.stdin.buffer)
    parent = Parent(pipe)
    boot = await parent.boot()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    loop.add_signal_handler(signal.SIGTERM, parent.stop.set)
    async with _task(parent.follow(), "parent"):
        await {"worker": worker, "collector": collector}[boot.role](boot, parent)


def main() -> None:
    """Run a child process until the supervisor ends it."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    try:
        import uvloop
    except ImportError:
        asyncio.run(_main())
    else:
        uvloop.run(_main())


if __name__ == "__main__":
    main()
