"""The collector: watches the spool and brings it into the store, for as long as it takes.

Nothing here ever reaches a worker: while the store is away the spool grows, afterwards it drains. Only one collector
works on a spool directory. Counterparts: ``spool.py`` (the workers' end), ``intake.py`` (one round).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from collectors import spool_reader
from collectors.intake import Analyse, Intake, Makes, OnStored, Tally, unobserved
from collectors.live import LiveSessions
from collectors.records import CallRecord
from collectors.spool import directory_bytes
from collectors.store.clickhouse import Store
from collectors.store.errors import StoreError
from collectors.store.migrate import migrate
from collectors.store.rows import CALL_COLUMNS, call_row

State = Literal["warming", "ready", "down"]
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CollectorOptions:
    """Pace and bounds."""

    poll_s: float = 0.1  # how often the spool is looked at
    recover_every_s: float = 1.0  # how often segments of dead writers are looked for
    max_segments: int = 8  # taken in one round: each session they touch is analysed once
    max_sessions: int = 2_000  # kept in memory
    max_session_bytes: int = 128 * 1024**2
    first_pause_s: float = 0.1  # after the store failed; doubles up to
    longest_pause_s: float = 5.0
    heal_days: float = 2.0  # at start, sessions this young are checked for a missing analysis


@dataclass(frozen=True, slots=True)
class CollectorStatus:
    """What an operator sees. ``down``: the store is away, or the last round failed; ``last_error`` says why."""

    state: State
    last_error: str
    inserted_rows: int
    segments: int
    quarantined: int  # pieces: rows and frames
    torn: int  # segments with a cut-off end
    analyses: int
    analysis_errors: int
    store_errors: int
    live_sessions: int
    waiting_segments: int
    spool_bytes: int
    oldest_segment_age_s: float  # 0 when nothing waits


class Collector:
    """Start it, read :attr:`status`, stop it. ``open_store`` is called again after each failure to open."""

    def __init__(
        self,
        spool: Path,
        open_store: Callable[[], Awaitable[Store]],
        analyse: Analyse,
        options: CollectorOptions | None = None,
        clock_ns: Callable[[], int] = time.time_ns,
        on_stored: OnStored = unobserved,
    ) -> None:
        self._spool, self._open_store, self._makes = spool, open_store, Makes(analyse, on_stored)
        self._options = options or CollectorOptions()
        self._clock_ns = clock_ns
        self._live = LiveSessions(self._options.max_sessions, self._options.max_session_bytes)
        self._tally = Tally()
        self._state: State = "warming"
        self._last_error = ""
        self._store_errors = 0
        self._store: Store | None = None
        self._intake: Intake | None = None
        self._recovered_at = float("-inf")
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._looked = asyncio.Condition()
        self._rounds = 0
        self._idle_round = -1  # the last round that found nothing to do

    @property
    def store(self) -> Store | None:
        """The store once it is open, for reading."""
        return self._store

    @property
    def is_ready(self) -> bool:
        """The store is open and the last round went well."""
        return self._state == "ready"

    @property
    def status(self) -> CollectorStatus:
        """Looks at the spool directory: for people and probes, not for a hot path."""
        waiting = spool_reader.sealed_segments(self._spool)
        tally = self._tally
        return CollectorStatus(
            state=self._state,
            last_error=self._last_error,
            inserted_rows=tally.inserted_rows,
            segments=tally.segments,
            quarantined=tally.quarantined,
            torn=tally.torn,
            analyses=tally.analyses,
            analysis_errors=tally.analysis_errors,
            store_errors=self._store_errors,
            live_sessions=len(self._live),
            waiting_segments=len(waiting),
            spool_bytes=directory_bytes(self._spool),
            oldest_segment_age_s=self._age_s(waiting[0]) if waiting else 0.0,
        )

    async def start(self) -> None:
        """Returns at once; the store is opened and warmed up in the background."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="collector")

    async def stop(self, deadline_s: float = 10.0) -> None:
        """Take what is sealed, then close the store. After ``deadline_s`` the rest stays in the spool. Safe twice."""
        self._stopping.set()
        if self._task is not None:
            task, self._task = self._task, None
            done, _ = await asyncio.wait({task}, timeout=deadline_s)
            if not done:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        if self._store is not None:
            store, self._store = self._store, None
            await store.close()

    async def drained(self, timeout_s: float = 30.0) -> None:
        """Wait until a round that begins after this call finds no sealed segment.

        Raises:
            TimeoutError: it did not come to that.
        """
        begun = self._rounds
        async with asyncio.timeout(timeout_s), self._looked:
            await self._looked.wait_for(lambda: self._idle_round > begun)

    async def _run(self) -> None:
        pause = self._options.first_pause_s
        while True:
            try:
                is_idle = await self._round()
                pause = self._options.first_pause_s
                wait = self._options.poll_s if is_idle else 0.0
            except Exception as error:  # noqa: BLE001  # whatever it is, the spool keeps and the next round tries again
                self._failed(error)
                is_idle, wait = False, pause
                pause = min(pause * 2, self._options.longest_pause_s)
            if self._stopping.is_set() and (is_idle or self._state != "ready"):
                return
            if wait:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), wait)

    async def _round(self) -> bool:
        """Whether there was nothing to do."""
        self._rounds += 1
        intake = self._intake or await self._warm_up()
        now = time.monotonic()
        if now - self._recovered_at >= self._options.recover_every_s or self._stopping.is_set():
            self._recovered_at = now
            self._tally.torn += (await asyncio.to_thread(spool_reader.recover, self._spool)).torn
        paths = spool_reader.sealed_segments(self._spool)[: self._options.max_segments]
        if paths:
            await intake.take(paths)
        self._state, self._last_error = "ready", ""
        async with self._looked:
            if not paths:
                self._idle_round = self._rounds
            self._looked.notify_all()
        return not paths

    async def _warm_up(self) -> Intake:
        if self._store is None:
            self._store = await self._open_store()
        await migrate(self._store)
        blank = CallRecord("warm-up", self._clock_ns(), "other", "", "", "ok", 0)
        await self._store.insert("warm_up", CALL_COLUMNS, [call_row(blank)], f"warm-up:{self._clock_ns()}")
        intake = Intake(self._store, self._spool, self._makes, self._live, self._tally)
        await intake.start(self._clock_ns())
        await intake.heal(self._clock_ns() - int(self._options.heal_days * 86_400 * 1e9))
        self._intake = intake
        return intake

    def _failed(self, error: Exception) -> None:
        self._store_errors += 1
        if self._state != "down" or str(error) != self._last_error:
            if isinstance(error, StoreError | OSError):
                log.warning("the collector waits, the spool keeps: %s", error)
            else:
                log.exception("the collector's round failed; it will be tried again", exc_info=error)
        self._state, self._last_error = "down", str(error) or type(error).__name__

    def _age_s(self, path: Path) -> float:
        try:
            return max(0.0, self._clock_ns() / 1e9 - path.stat().st_mtime)
        except OSError:
            return 0.0  # acknowledged meanwhile
