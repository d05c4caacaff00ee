"""Waits until orchtax's books hold every request that the demo's servers saw, and reads the report."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from collectors.report import Report, load
from proxy.demo.journal import Entry, read_journal

POLL_S = 0.3


@dataclass(frozen=True, slots=True)
class Sums:
    """Of one session: every request, and the tokens of all models."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0

    def plus(self, entry: Entry) -> Sums:
        return Sums(
            self.calls + 1,
            self.input_tokens + (entry.prompt_tokens or 0),
            self.output_tokens + (entry.completion_tokens or 0),
        )


def seen_by_servers(entries: Iterable[Entry]) -> dict[str, Sums]:
    """Journal → sums by session."""
    sums: dict[str, Sums] = defaultdict(Sums)
    for entry in entries:
        sums[entry.session] = sums[entry.session].plus(entry)
    return dict(sums)


def missing(report: Report, seen: dict[str, Sums]) -> list[str]:
    """The sessions whose figures in the report differ from what the servers saw."""
    booked = {s.session_id: Sums(s.calls, s.input_tokens, s.output_tokens) for s in report.sessions}
    return sorted(session for session, sums in seen.items() if booked.get(session) != sums)


async def settled_report(admin_url: str, journal: Path, within_s: float) -> tuple[Report | None, list[str]]:
    """The report once it agrees with the journal, and the sessions still missing when time ran out (then none are)."""
    seen = seen_by_servers(read_journal(journal))
    report: Report | None = None
    try:
        async with asyncio.timeout(within_s), aiohttp.ClientSession() as http:
            while report is None or missing(report, seen):
                report = await _read(http, admin_url) or report
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        return report, missing(report, seen) if report else sorted(seen)
    return report, []


async def _read(http: aiohttp.ClientSession, admin_url: str) -> Report | None:
    """None while the store is not there yet."""
    async with http.get(f"{admin_url}/api/report", params={"limit": "1000"}) as answer:
        return load(Report, await answer.read()) if answer.status == 200 else None


async def ready(admin_url: str, within_s: float) -> bool:
    """Whether orchtax said in time that it serves calls."""
    try:
        async with asyncio.timeout(within_s), aiohttp.ClientSession() as http:
            is_ready = False
            while not is_ready:
                await asyncio.sleep(POLL_S / 3)
                is_ready = await _is_ready(http, admin_url)
    except TimeoutError:
        return False
    return True


async def _is_ready(http: aiohttp.ClientSession, admin_url: str) -> bool:
    try:
        async with http.get(f"{admin_url}/readyz") as answer:
            return answer.status == 200
    except aiohttp.ClientConnectionError:
        return False
