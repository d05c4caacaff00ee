"""A real collector in a process of its own, to be killed: ``python -m tests.faults.collector_process SPOOL STORE``.

Prints ``ready`` once warm and ``drained`` once the spool is empty, then waits to be killed or for stdin to close.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from collectors.service import Collector, CollectorOptions
from collectors.store.clickhouse import Store
from tests.collectors.analysis import analyse
from tests.waiting import until


async def main(spool: Path, store: Path) -> None:
    options = CollectorOptions(poll_s=0.01, recover_every_s=0, max_segments=3)
    collector = Collector(spool, lambda: Store.open("chdb://", store), analyse, options)
    await collector.start()
    await until(lambda: collector.status.state != "warming", 60)
    print("ready" if collector.status.state == "ready" else collector.status.last_error, flush=True)
    await collector.drained(60)
    print("drained", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await collector.stop()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
