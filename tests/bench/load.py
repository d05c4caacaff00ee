"""The load generator: a process of its own that plays one measurement after the other.

``python -m tests.bench.load`` reads a :class:`Job` a line from stdin (JSON) and answers with a :class:`Played` a line.
Closed loop: each connection sends its next request when its answer is whole. Open loop: requests come at random
(Poisson) times whatever the answers do; a request that finds no free connection waits, and its wait counts.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from typing import cast

import orjson

from tests.bench.requests import Requests

_PATIENCE_S = 10.0
_CONNECTIONS_OPEN_LOOP = 32


@dataclass(frozen=True, slots=True)
class Job:
    """What to play. ``rate`` 0 is the closed loop; ``most`` ends it after so many calls, which ``first`` numbers."""

    port: int
    seconds: float
    connections: int = _CONNECTIONS_OPEN_LOOP
    rate: float = 0.0
    streamed: bool = False
    most: int = 10**9
    first: int = 0


@dataclass(frozen=True, slots=True)
class Played:
    """What came of it. ``failed`` answers were not 200 or not whole; ``per_second`` leaves out what was answered after
    the time was up; latencies in microseconds, of the open loop."""

    calls: int
    failed: int
    per_second: float
    latencies_us: list[float] = field(default_factory=list)


class Link(asyncio.Protocol):
    """One keep-alive connection. ``done`` is called with each whole answer's verdict."""

    def __init__(self, play: Play) -> None:
        self._play = play
        self._got = bytearray()
        self._need = 0  # bytes of the whole answer, 0 = unknown or chunked
        self.began = 0.0
        self.is_busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class, of the same methods

    def send(self, request: bytes, began: float) -> None:
        self.began, self.is_busy = began, True
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        got = self._got
        got += data
        if not self._need and (length := _length_of(got)):
            self._need = length
        is_whole = len(got) >= self._need if self._need else got.endswith(b"\r\n0\r\n\r\n")
        if is_whole:
            is_good = got.startswith(b"HTTP/1.1 200 ")
            got.clear()
            self._need, self.is_busy = 0, False
            self._play.answered(self, is_good)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.is_busy:
            self.is_busy = False
            self._play.lost()

    def close(self) -> None:
        self._transport.close()


def _length_of(got: bytearray) -> int:
    """Bytes of the whole answer by its Content-Length; 0 where there is none (yet)."""
    end = got.find(b"\r\n\r\n")
    if end < 0:
        return 0
    head = bytes(got[:end]).lower()
    at = head.find(b"\r\ncontent-length:")
    return 0 if at < 0 else end + 4 + int(head[at + 17 :].split(b"\r\n", 1)[0])


class Play:
    """One job on its way."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._requests = Requests(f"127.0.0.1:{job.port}", job.streamed)
        self._requests.start_at(job.first)
        self._free: deque[Link] = deque()
        self._waiting: deque[float] = deque()
        self._is_over = False
        self._sent = self._calls = self._failed = self._open = 0
        self._finished = asyncio.Event()
        self._latencies: list[float] = []

    async def run(self) -> Played:
        loop = asyncio.get_running_loop()
        links = [
            (await loop.create_connection(lambda: Link(self), "127.0.0.1", self._job.port))[1]
            for _ in range(self._job.connections)
        ]
        self._free.extend(links)
        start = time.perf_counter()
        if self._job.rate:
            await self._open_loop(start)
        else:
            await self._closed_loop()
        per_second = self._calls / (time.perf_counter() - start)
        self._is_over = True
        if self._open:
            await asyncio.wait_for(self._finished.wait(), _PATIENCE_S)
        for link in links:
            link.close()
        return Played(self._calls, self._failed, per_second, self._latencies)

    async def _closed_loop(self) -> None:
        while self._free:
            self._send(self._free.popleft(), 0.0)
        try:
            await asyncio.wait_for(self._finished.wait(), self._job.seconds)
        except TimeoutError:
            return  # the usual end: the time is up

    async def _open_loop(self, start: float) -> None:
        chance, due = random.Random(self._job.first), start
        while (due := due + chance.expovariate(self._job.rate)) < start + self._job.seconds:
            if (pause := due - time.perf_counter()) > 0:
                await asyncio.sleep(pause)
            now = time.perf_counter()
            if self._free:
                self._send(self._free.popleft(), now)
            else:
                self._waiting.append(now)

    def _send(self, link: Link, began: float) -> None:
        self._sent += 1
        self._open += 1
        link.send(self._requests.next(), began)

    def answered(self, link: Link, is_good: bool) -> None:
        self._open -= 1
        self._calls += 1
        self._failed += not is_good
        if self._job.rate:
            self._latencies.append((time.perf_counter() - link.began) * 1e6)
            self._next_waiting(link)
        elif not self._is_over and self._sent < self._job.most:
            self._send(link, 0.0)
        self._check_end()

    def _next_waiting(self, link: Link) -> None:
        if self._waiting:
            self._send(link, self._waiting.popleft())
        else:
            self._free.append(link)

    def lost(self) -> None:
        self._open -= 1
        self._calls += 1
        self._failed += 1
        self._check_end()

    def _check_end(self) -> None:
        if not self._open and (self._is_over or self._sent >= self._job.most or not self._job.rate):
            self._finished.set()


async def main() -> None:
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        played = await Play(Job(**orjson.loads(line))).run()
        print(orjson.dumps(asdict(played)).decode(), flush=True)


if __name__ == "__main__":
    import uvloop

    uvloop.run(main())
