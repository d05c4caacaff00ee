"""How the processes of one orchtax are: what ``/readyz``, ``/api/status`` and ``/metrics`` tell. Frozen values; whoever
runs the processes fills them in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

StoreState = Literal["warming", "ready", "down"]


@dataclass(frozen=True, slots=True)
class WorkerFleet:
    """``dropped_records``: calls that were served but could not be recorded (spool full or failing). ``refused`` counts
    orchtax's own refusals by code, ``measuring_failures`` steps of measuring that failed while the call went on; both
    since the workers of now were started."""

    wanted: int
    ready: int
    restarts: int = 0
    connections: int = 0
    dropped_records: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)
    measuring_failures: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_ready(self) -> bool:
        return self.ready >= self.wanted


@dataclass(frozen=True, slots=True)
class StoreHealth:
    state: StoreState
    reason: str = ""  # why it is not ready, for a person


@dataclass(frozen=True, slots=True)
class SpoolHealth:
    """What waits on disk between workers and store. ``oldest_age_s`` None: nothing waits."""

    segments: int = 0
    bytes: int = 0
    oldest_age_s: float | None = None
    quarantined: int = 0


@dataclass(frozen=True, slots=True)
class FleetStatus:
    version: str
    started_ns: int
    workers: WorkerFleet
    store: StoreHealth
    spool: SpoolHealth = SpoolHealth()
    listen: str = ""

    @property
    def is_ready(self) -> bool:
        """Calls are served. The store may still warm up: records wait in the spool meanwhile."""
        return self.workers.is_ready
