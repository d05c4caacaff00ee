"""The story of a run: start all, play rounds in which every subject takes its turn, fill up the calls, read memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from tests.bench.figures import (
    BARE,
    DIRECT,
    NO_STORE,
    ORCHTAX,
    STREAM,
    WHOLE,
    Closed,
    Measured,
    Open,
    closed,
    open_at,
    opened,
)
from tests.bench.load import Job
from tests.bench.options import Plan
from tests.bench.processes import Child, Cores, cpu_us, helper, pin, rss_mb
from tests.bench.served import NOWHERE, Served, orchtax

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Subject:
    """What takes a turn: a port to call and the process to hold to account (None: there is no proxy)."""

    name: str
    port: int
    pid: int | None
    served: Served | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory of orchtax's worker (full path), MB, after its first call and after ``calls`` of them."""

    start_mb: float
    after_mb: float
    calls: int


@dataclass(frozen=True, slots=True)
class Report:
    """Everything a run found. ``catch_up_s``: the collector's longest way behind a measurement at full speed."""

    throughput: Sequence[Closed]
    latency: Sequence[Open]
    memory: Memory
    first_answer_s: float
    catch_up_s: float
    failed: int
    dropped_records: int
    cores: tuple[tuple[int, ...], tuple[int, ...]] | None
    rounds: Sequence[Measured]


class Run:
    """One run. ``tell`` is told what is being played."""

    def __init__(self, plan: Plan, load: Child, tell: Tell) -> None:
        self._plan = plan
        self._load = load
        self._tell = tell
        self._sent = 0
        self.measured: list[Measured] = []
        self.catch_up_s = 0.0

    async def rounds(self, subjects: Sequence[Subject]) -> None:
        """All rounds; each begins with another subject, so that none is always the one after the hardest."""
        plan = self._plan
        scenes = [(WHOLE, plan.whole_s, 0, False), (STREAM, plan.stream_s, 0, True)]
        scenes += [(open_at(rate), plan.open_s, rate, False) for rate in plan.rates]
        for number in range(plan.rounds):
            turn = number % len(subjects)
            for scene, seconds, rate, streamed in scenes:
                for subject in (*subjects[turn:], *subjects[:turn]):
                    job = Job(subject.port, seconds, plan.connections, rate, streamed)
                    self.measured.append(await self.play(subject, scene, number, job))

    async def play(self, subject: Subject, scene: str, number: int, job: Job) -> Measured:
        """One measurement; then wait for the collector, which would else run into the next one."""
        self._tell(f"round {number + 1}/{self._plan.rounds} · {scene} · {subject.name}")
        before = cpu_us(subject.pid) if subject.pid else 0
        played = await self._load.play(replace(job, first=self._sent))
        spent = cpu_us(subject.pid) - before if subject.pid else 0
        self._sent += played.calls + job.connections
        if subject.served is not None and subject.name == ORCHTAX:
            self.catch_up_s = max(self.catch_up_s, await subject.served.drained())
        each = spent / played.calls if subject.pid and played.calls else None
        return Measured(
            subject.name,
            scene,
            number,
            played.calls,
            played.failed,
            played.per_second,
            each,
            tuple(played.latencies_us),
        )

    async def fill(self, subject: Subject) -> int:
        """Call until the subject has carried the planned number, or time is up. Returns how many it has carried."""
        carried = 1 + sum(m.calls for m in self.measured if m.subject == subject.name)
        if (missing := self._plan.calls - carried) > 0:
            self._tell(f"{missing} more calls through {subject.name}, for its memory")
            job = Job(subject.port, self._plan.fill_s, self._plan.connections, most=missing, first=self._sent)
            carried += (await self._load.play(job)).calls
        return carried


async def run(plan: Plan, folder: Path, tell: Tell) -> Report:
    """A whole run; its files go to ``folder``."""
    cores = Cores.of_this_machine()
    async with AsyncExitStack() as stack:
        tell("starting provider, load generator, bare pass-through, orchtax")
        provider = await stack.enter_async_context(helper("provider", cores.others))
        load = await stack.enter_async_context(helper("load", cores.others, serves=False))
        full = await stack.enter_async_context(orchtax(folder / "full", provider.port, cores, "chdb://"))
        start_mb = rss_mb(full.worker)
        alone = await stack.enter_async_context(orchtax(folder / "alone", provider.port, cores, NOWHERE))
        address = f"http://127.0.0.1:{provider.port}"
        bare = await stack.enter_async_context(helper("bare", cores.proxy, address))
        pin(bare.process.pid, cores.proxy)
        main = Subject(ORCHTAX, full.port, full.worker, full)
        subjects = [
            Subject(DIRECT, provider.port, None),
            Subject(BARE, bare.port, bare.process.pid),
            main,
            Subject(NO_STORE, alone.port, alone.worker, alone),
        ]
        played = Run(plan, load, tell)
        await played.rounds(subjects)
        carried = await played.fill(main)
        memory = Memory(start_mb, rss_mb(full.worker), carried)
        await full.drained()
        dropped = await full.dropped_records()
    rows = played.measured
    return Report(
        throughput=[row for scene in (WHOLE, STREAM) for row in closed(rows, scene)],
        latency=[row for rate in plan.rates for row in opened(rows, open_at(rate))],
        memory=memory,
        first_answer_s=full.first_answer_s,
        catch_up_s=played.catch_up_s,
        failed=sum(row.failed for row in rows),
        dropped_records=dropped,
        cores=(tuple(sorted(cores.proxy)), tuple(sorted(cores.others))) if cores.proxy and cores.others else None,
        rounds=rows,
    )
