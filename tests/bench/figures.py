"""From what was played to the figures of a run. Pure: medians over rounds, ratios within a round, pooled quantiles."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

QUANTILES = (0.50, 0.95, 0.99)
WHOLE, STREAM = "whole answers", "streams"
DIRECT, BARE, ORCHTAX, NO_STORE = "direct", "bare aiohttp", "orchtax", "orchtax, no store"


def open_at(rate: int) -> str:
    """The name of the open-loop scene at a rate."""
    return f"open loop, {rate}/s"


@dataclass(frozen=True, slots=True)
class Measured:
    """One subject in one scene of one round. ``cpu_us`` is the proxy's process alone, a call; None for direct."""

    subject: str
    scene: str
    round: int
    calls: int
    failed: int
    per_second: float
    cpu_us: float | None
    latencies_us: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Spread:
    """A median over rounds, with the lowest and the highest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True, slots=True)
class Closed:
    """Throughput of one subject. Ratios compare it with another subject in the same round; ``to_bare_by_cpu`` is the
    bare pass-through's CPU time a call over the subject's: what the ratio is on a core that nobody else uses."""

    subject: str
    scene: str
    per_second: Spread
    to_direct: Spread
    to_bare: Spread
    cpu_us: Spread | None
    to_bare_by_cpu: float | None


@dataclass(frozen=True, slots=True)
class Open:
    """Latency of one subject at a fixed rate, microseconds at ``QUANTILES``, all rounds together; ``added_us`` is that
    minus the same quantile of direct."""

    subject: str
    scene: str
    samples: int
    latency_us: tuple[float, ...]
    added_us: tuple[float, ...]


def closed(measured: Iterable[Measured], scene: str) -> list[Closed]:
    """Every subject's throughput, in the order of first appearance in round 0."""
    rows = [m for m in measured if m.scene == scene]
    rates = {(m.subject, m.round): m.per_second for m in rows}
    cpu_of = {m.subject: [row.cpu_us for row in rows if row.subject == m.subject and row.cpu_us] for m in rows}
    bare = Spread.of(cpu_of[BARE]) if cpu_of[BARE] else None
    found = []
    for subject in dict.fromkeys(m.subject for m in sorted(rows, key=lambda m: m.round)):
        own = [m for m in rows if m.subject == subject]
        cpu = Spread.of(cpu_of[subject]) if cpu_of[subject] else None
        found.append(
            Closed(
                subject,
                scene,
                Spread.of([m.per_second for m in own]),
                Spread.of([m.per_second / rates[DIRECT, m.round] for m in own]),
                Spread.of([m.per_second / rates[BARE, m.round] for m in own]),
                cpu,
                bare.median / cpu.median if bare and cpu else None,
            )
        )
    return found


def opened(measured: Iterable[Measured], scene: str) -> list[Open]:
    """Every subject's latency at one rate."""
    pooled: dict[str, list[float]] = {}
    for m in sorted((m for m in measured if m.scene == scene), key=lambda m: m.round):
        pooled.setdefault(m.subject, []).extend(m.latencies_us)
    direct = quantiles(pooled[DIRECT])
    found = []
    for subject, latencies in pooled.items():
        own = quantiles(latencies)
        added = tuple(mine - base for mine, base in zip(own, direct, strict=True))
        found.append(Open(subject, scene, len(latencies), own, added))
    return found


def quantiles(values: Sequence[float]) -> tuple[float, ...]:
    """The values at ``QUANTILES``, nearest rank."""
    ordered = sorted(values)
    return tuple(ordered[min(len(ordered) - 1, int(q * len(ordered)))] for q in QUANTILES)
