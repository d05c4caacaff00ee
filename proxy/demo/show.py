"""The show: start the servers and orchtax, play every fleet, wait for the books, print the tax, keep serving."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from collectors.report import Report, dump
from proxy.demo import books, config, fleets, summary
from proxy.demo.desk import Desk, clients, through
from proxy.demo.fleets import Fleet
from proxy.demo.options import Options
from proxy.demo.processes import Child, ProcessFailed, running
from proxy.demo.progress import Progress, progress

START_S, BOOKS_S = 30.0, 60.0


@dataclass(frozen=True, slots=True)
class Stage:
    """Where everything is, once it runs."""

    folder: Path
    proxy_url: str
    admin_url: str
    journal: Path


@dataclass(frozen=True, slots=True)
class Outcome:
    """The demo's JSON."""

    page: str
    proxy: str
    journal: str
    sessions_missing: tuple[str, ...]
    fleets: tuple[summary.FleetFigures, ...]
    report: Report


class Show:
    """One run of the demo."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._out = Console(stderr=options.as_json, highlight=False)
        self._fleets = fleets.load()

    async def play(self) -> int:
        """Everything, in order; whatever was started is ended on every way out."""
        folder, code = Path(tempfile.mkdtemp(prefix="orchtax-demo-")), 1
        try:
            async with self._set(folder) as stage:
                self._out.print(f"orchtax serves on {stage.proxy_url}, its page is {stage.admin_url}")
                await self._act(stage)
                code = await self._show_books(stage)
                if self._options.stays:
                    await self._stay(stage)
        except asyncio.CancelledError:
            code = 0
            raise
        except ProcessFailed as failed:
            self._out.print(f"The demo cannot run: {failed}", style="red", markup=False, soft_wrap=True)
        finally:
            self._leave(folder, code)
        return code

    @asynccontextmanager
    async def _set(self, folder: Path) -> AsyncIterator[Stage]:
        journal = folder / "journal.jsonl"
        async with AsyncExitStack() as up:
            models = await up.enter_async_context(_server("models", folder, journal))
            tools = await up.enter_async_context(_server("tools", folder, journal))
            ports = config.Ports(
                *config.free_ports(), await models.announced_port(START_S), await tools.announced_port(START_S)
            )
            file = folder / "orchtax.yaml"
            roles = {stage: role for fleet in self._fleets for stage, role in fleet.roles.items()}
            config.write_config(file, folder / "data", ports, roles)
            serve = ("-m", "proxy.cli", "serve", "--config", str(file))
            proxy = await up.enter_async_context(running("orchtax", serve, folder / "orchtax.log"))
            stage = Stage(folder, f"http://127.0.0.1:{ports.data}", f"http://127.0.0.1:{ports.admin}", journal)
            await _ready(proxy, stage.admin_url)
            yield stage

    async def _act(self, stage: Stage) -> None:
        """All fleets at once, the sessions of each in turn."""
        with progress(self._out, self._fleets, self._options.sessions) as seen:
            async with clients() as shared:
                desks = {
                    fleet.name: [
                        Desk(f"{fleet.name}-{n}", through(stage.proxy_url), shared)
                        for n in range(1, self._options.sessions + 1)
                    ]
                    for fleet in self._fleets
                }
                turns = [_in_turn(fleet, desks[fleet.name], seen) for fleet in self._fleets]
                ends = await asyncio.gather(*turns, return_exceptions=True)
        for failed in (end for end in ends if isinstance(end, BaseException)):
            raise failed

    async def _show_books(self, stage: Stage) -> int:
        self._out.print("Waiting until every call is in the store …")
        report, missing = await books.settled_report(stage.admin_url, stage.journal, BOOKS_S)
        if report is None:
            raise ProcessFailed(f"no report from {stage.admin_url} within {BOOKS_S:.0f} s")
        if missing:
            self._out.print(f"The books differ from what the servers saw for: {', '.join(missing)}", style="red")
        figures = summary.figures(report, self._fleets)
        if self._options.as_json:
            outcome = Outcome(stage.admin_url, stage.proxy_url, str(stage.journal), tuple(missing), figures, report)
            Console(highlight=False, soft_wrap=True).out(dump(outcome, indent=True).decode(), highlight=False)
        else:
            self._out.print(summary.table(figures))
        return 1 if missing else 0

    async def _stay(self, stage: Stage) -> None:
        """Until a signal cancels it."""
        self._out.print(f"Open {stage.admin_url} for the sessions and their receipts. Ctrl-C ends the demo.")
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            self._out.print("Ending …")

    def _leave(self, folder: Path, code: int) -> None:
        """What went wrong can be looked into: a failed run leaves its folder too."""
        if self._options.keep or code:
            self._out.print(f"Data, logs and journal are kept in {folder}", soft_wrap=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def _server(which: str, folder: Path, journal: Path) -> AsyncIterator[Child]:
    arguments = ("-m", "proxy.demo.children", which, "--journal", str(journal))
    async with running(which, arguments, folder / f"{which}.log", announces=True) as child:
        yield child


async def _ready(proxy: Child, admin_url: str) -> None:
    """Raises :class:`ProcessFailed` when orchtax ends, or does not serve in time."""
    ready = asyncio.create_task(books.ready(admin_url, START_S), name="ready")
    ended = asyncio.create_task(proxy.process.wait(), name="ended")
    try:
        await asyncio.wait((ready, ended), return_when=asyncio.FIRST_COMPLETED)
        if not ready.done() or not ready.result():
            raise ProcessFailed(f"orchtax does not serve:\n{proxy.last_words()}")
    finally:
        ready.cancel()
        ended.cancel()


async def _in_turn(fleet: Fleet, desks: Sequence[Desk], seen: Progress) -> None:
    """Raises :class:`ProcessFailed` when an agent cannot do its work."""
    for desk in desks:
        try:
            await fleet.run(desk)
        except Exception as error:  # a fleet is a plugin: whatever it raises ends the demo with its name
            raise ProcessFailed(f"fleet {fleet.name}, session {desk.session}: {error!r}") from error
        seen.played(fleet)
