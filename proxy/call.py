"""One call on its way, and what a worker counts beside the records."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import TracebackType

from aiohttp import web

from collectors.records import Attribution, Cost, Usage
from proxy.decoding import Decoder
from proxy.dialects import Described, Dialect, Meter, Observation, Prompt
from proxy.routes import Route
from proxy.server import Body

log = logging.getLogger(__name__)


def new_call_id() -> str:
    """32 hex digits: milliseconds since 1970, then 80 random bits, so that ids sort by time."""
    return f"{time.time_ns() // 1_000_000:012x}{os.urandom(10).hex()}"


@dataclass(slots=True)
class Call:
    """What each step leaves for the next. ``ts_ns`` is wall clock, the ``*_at`` are monotonic nanoseconds (0 = not
    yet): request read, handed to the upstream, answer's head here, last byte here."""

    request: web.BaseRequest
    route: Route
    dialect: Dialect
    body: Body
    attribution: Attribution
    described: Described
    call_id: str = field(default_factory=new_call_id)
    ts_ns: int = field(default_factory=time.time_ns)
    read_at: int = field(default_factory=time.monotonic_ns)
    sent_at: int = 0
    first_at: int = 0
    last_at: int = 0
    status: int | None = None
    answer_headers: Mapping[str, str] | None = None
    response_bytes: int = 0
    prompt: Prompt | None = None
    meter: Meter | None = None
    decoder: Decoder | None = None
    seen: Observation | None = None
    usage: Usage | None = None
    cost: Cost | None = None
    is_booked: bool = False

    @staticmethod
    def clock() -> int:
        """Monotonic nanoseconds."""
        return time.monotonic_ns()

    @property
    def is_answered(self) -> bool:
        """The upstream took the call: its status is below 400."""
        return self.status is not None and self.status < 400


@dataclass(slots=True)
class Tally:
    """Plain counters of one worker; the supervisor gathers them once a second."""

    admitted: int = 0
    booked: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    measuring_failures: dict[str, int] = field(default_factory=dict)
    evidence_ignored: dict[str, int] = field(default_factory=dict)
    """Values of peers' headers and bodies that were not what they should be, by whose they were."""
    evidence_conflicts: dict[str, int] = field(default_factory=dict)
    """Explicit evidence that said otherwise than stronger evidence, by what it spoke of."""

    def refuse(self, code: str) -> None:
        self.refused[code] = self.refused.get(code, 0) + 1

    def count_evidence(self, ignored: Iterable[str], conflicts: Iterable[str]) -> None:
        for counter, names in ((self.evidence_ignored, ignored), (self.evidence_conflicts, conflicts)):
            for name in names:
                counter[name] = counter.get(name, 0) + 1

    def measuring(self, step: str) -> Measuring:
        """``with tally.measuring("meter"): …`` runs a part that must never harm the call: what it raises is counted
        here, the first of a step logged, and the call goes on."""
        return Measuring(self, step)


class Measuring:
    """See :meth:`Tally.measuring`. ``has_failed`` tells afterwards."""

    __slots__ = ("_step", "_tally", "has_failed")

    def __init__(self, tally: Tally, step: str) -> None:
        self._tally = tally
        self._step = step
        self.has_failed = False

    def __enter__(self) -> Measuring:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> bool:
        if not isinstance(error, Exception):
            return False
        self.has_failed = True
        counts = self._tally.measuring_failures
        counts[self._step] = counts.get(self._step, 0) + 1
        if counts[self._step] == 1:
            log.error("measuring failed at %r, the call went on", self._step, exc_info=error)
        return True
