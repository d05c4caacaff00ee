"""The composition root: makes everything of a child process and passes it in. Start order is the reading order, stop
order is its reverse.

``python -m proxy.app`` is a worker or the collector, as the boot line on its stdin says; ``supervisor.py`` starts it.
What only one of the two needs is imported where it is made: a worker stays small.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collectors.fleet import FleetStatus, SpoolHealth, StoreHealth, WorkerFleet
from proxy.child import Boot, Parent, background, supervised, tell
from proxy.settings import Settings, split_listen

if TYPE_CHECKING:
    from aiohttp import web

    from collectors.export.prometheus import Metrics
    from collectors.pricing import Prices
    from collectors.roles import RoleRules
    from collectors.service import Collector, CollectorStatus
    from collectors.spool import SpoolWriter
    from proxy.call import Tally
    from proxy.exchange import Plant
    from proxy.id_register import IdRegister
    from proxy.upstream import Upstreams


async def worker(boot: Boot, parent: Parent) -> None:
    """The data plane's process."""
    from collectors.spool import SpoolOptions, SpoolWriter
    from proxy.call import Tally
    from proxy.exchange import Exchange
    from proxy.id_register import IdRegister
    from proxy.server import DataServer
    from proxy.upstream import Upstreams
    from proxy.worker import Worker

    settings, tally, data_dir = boot.settings, Tally(), Path(boot.settings.data_dir)
    options = SpoolOptions(settings.spool.seal_after_s, settings.spool.sync_every_s, settings.spool.max_bytes)
    async with AsyncExitStack() as stack:
        spool = SpoolWriter(data_dir / "spool", boot.name, options)
        stack.callback(spool.close)
        await stack.enter_async_context(background(spool.run(), "spool"))
        register = IdRegister(data_dir / "ids")
        stack.callback(register.close)
        upstreams = await stack.enter_async_context(Upstreams(settings.upstreams))
        plant = _plant(boot, tally, spool, register, upstreams)
        server = DataServer(Exchange(plant).handle, settings.limits)
        process = Worker(server, spool, tally, upstreams.end_listening)
        await stack.enter_async_context(process.serve(boot.listening(), settings.drain_s))
        await stack.enter_async_context(background(tell(process.status), "status"))
        asyncio.get_running_loop().run_in_executor(None, _settle_in, plant.books.prices)
        await parent.stop.wait()


def _plant(boot: Boot, tally: Tally, spool: SpoolWriter, register: IdRegister, upstreams: Upstreams) -> Plant:
    from collectors.tokens import TokenCounter
    from proxy.account import Books
    from proxy.dialects import load
    from proxy.exchange import Plant
    from proxy.identity import Identity
    from proxy.measure import Measure
    from proxy.routes import Routes
    from proxy.signers import Signers
    from proxy.told_once import ToldOnce

    settings, dialects, counter = boot.settings, load(), TokenCounter()
    return Plant(
        routes=Routes(settings.upstreams),
        identity=Identity(settings.stages, boot.salt, register, tally),
        dialects=dialects,
        measure=Measure(dialects, counter, tally),
        upstreams=upstreams,
        signers=Signers(settings.upstreams, os.environ),
        books=Books(boot.name, _prices(settings), counter, ToldOnce(register)),
        spool=spool,
        limits=settings.limits,
        tally=tally,
    )


def _prices(settings: Settings) -> Prices:
    from collectors.pricing import OwnPrice, Prices

    return Prices(
        {
            name: OwnPrice(
                price.input_per_million_usd,
                price.output_per_million_usd,
                price.cached_input_per_million_usd,
                price.cache_write_per_million_usd,
            )
            for name, price in settings.prices.items()
        }
    )


def _settle_in(prices: Prices) -> None:
    """Load what is left to load; from then on the garbage collector leaves alone what stays for good (modules, prices,
    settings), and looks at what calls leave behind less often: they leave few cycles."""
    prices.warm()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


async def collector(boot: Boot, parent: Parent) -> None:
    """The measuring plane's process."""
    from aiohttp import web

    from collectors.export.prometheus import Metrics
    from collectors.service import Collector
    from collectors.sessions import analyse
    from collectors.store.clickhouse import Store

    settings, metrics, rules = boot.settings, Metrics(), _rules(boot.settings)
    data_dir, url = Path(settings.data_dir), settings.store.url.get_secret_value()
    async with AsyncExitStack() as stack:
        intake = Collector(
            data_dir / "spool",
            lambda: Store.open(url, data_dir / "store"),
            lambda calls, number: analyse(calls, rules, number),
            on_stored=metrics.stored,
        )
        started_ns = time.time_ns()
        admin = _admin(settings, intake, metrics, lambda: fleet_status(boot, parent.fleet, intake.status, started_ns))
        runner = web.AppRunner(admin, access_log=None, handle_signals=False)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.SockSite(runner, boot.listening()).start()
        await intake.start()
        stack.push_async_callback(intake.stop)
        await stack.enter_async_context(background(tell(lambda: {"state": "ready"}), "status"))
        await parent.stop.wait()


def _rules(settings: Settings) -> RoleRules:
    from collectors.roles import RoleRules

    return replace(
        RoleRules.of({name: stage.role for name, stage in settings.stages.items()}),
        plan_counts_as=settings.tax.plan_counts_as,
        after_free_failure=settings.tax.after_free_failure,
    )


def _admin(
    settings: Settings, intake: Collector, metrics: Metrics, status: Callable[[], FleetStatus]
) -> web.Application:
    from collectors.admin import AdminApp
    from collectors.page import load_page

    return AdminApp(
        store=lambda: intake.store if intake.is_ready else None,
        status=status,
        metrics=metrics.exposition,
        page=load_page(),
        listen_host=split_listen(settings.admin.listen)[0],
        token=settings.admin.token.get_secret_value() if settings.admin.token else None,
    ).build()


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


async def _main() -> None:
    async with supervised() as (boot, parent):
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
