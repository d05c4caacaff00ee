"""Connections to upstreams: plain protocols, kept alive, read with back-pressure and without a task, timer or stream of
their own. One sweep enforces silence limits for all. The bytes' meaning is in ``wire.py``; errors get their meaning in
``upstream.py``. Measured against aiohttp's client in ``docs/decisions/0003-lean-hot-path.md``.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from proxy.wire import Chunked, Head, answer_head

_HIGH, _LOW = 256 * 1024, 64 * 1024
_MAX_HEAD = 128 * 1024
_IDLE_S = 30.0


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a base URL leads. ``host`` is the Host header's value, ``path`` what stands before every target."""

    name: str
    port: int
    is_tls: bool
    host: str
    path: str

    @classmethod
    def of(cls, base: str) -> Origin:
        parts = urlsplit(base)
        is_tls = parts.scheme == "https"
        return cls(parts.hostname or "", parts.port or (443 if is_tls else 80), is_tls, parts.netloc, parts.path)


class Garbled(ConnectionError):
    """The upstream answered something that is not HTTP/1.1."""


class Link(asyncio.Protocol):
    """One connection: :meth:`ask`, then :meth:`read` until empty, then :meth:`leave`. All for one call at a time."""

    def __init__(self, loop: asyncio.AbstractEventLoop, home: list[Link]) -> None:
        self._loop = loop
        self._home = home
        self._transport: asyncio.Transport | None = None
        self._answering: asyncio.Future[Head] | None = None
        self._reading: asyncio.Future[None] | None = None
        self._head = b""
        self._pieces: deque[bytes] = deque()
        self._buffered = 0
        self._is_paused = False
        self._failure: BaseException | None = None
        self._is_reusable = False
        self._is_headless = False
        self._chunked: Chunked | None = None
        self._left: int | None = 0
        self.is_done = True
        self.since = loop.time()  # when something last happened
        self.silence_s: float | None = None

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # uvloop's own class, of the same methods

    def data_received(self, data: bytes) -> None:
        self.since = self._loop.time()
        try:
            if self._answering is not None:
                data = self._find_head(data)
            elif self.is_done:
                self.drop()  # bytes that nobody asked for
                return
            if data:
                self._take(data)
        except ValueError as error:
            self.fail(Garbled(str(error)))

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self in self._home:
            self._home.remove(self)
        if not self.is_done and self._answering is None and self._left is None and self._chunked is None and not exc:
            self._end()  # a body without length ends with its connection
        else:
            self.fail(ConnectionResetError("the upstream closed the connection"))

    # the call's side

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    async def ask(self, head: bytes, body: bytes | None, is_headless: bool, silence_s: float | None) -> Head:
        """Send a request; the answer's head. ``is_headless``: the answer has no body whatever its head says.

        Raises:
            ConnectionError: closed or garbled before the head was whole. TimeoutError: silent too long.
        """
        if self._transport is None:
            raise ConnectionResetError("the upstream closed the connection")
        self._head, self._is_headless, self.silence_s = b"", is_headless, silence_s
        self.is_done, self._failure = False, None
        self._answering = self._loop.create_future()
        self.since = self._loop.time()
        self._transport.write(head + body if body and len(body) < _LOW else head)
        if body and len(body) >= _LOW:
            self._transport.write(body)
        return await self._answering

    async def read(self) -> bytes:
        """What has arrived of the body, at least a byte; empty at its end.

        Raises:
            ConnectionError: it was cut off. TimeoutError: silent too long.
        """
        while not self._pieces:
            if self._failure is not None:
                raise self._failure
            if self.is_done:
                return b""
            self._reading = self._loop.create_future()
            try:
                await self._reading
            finally:
                self._reading = None
        data = self._pieces.popleft() if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self._buffered = 0
        if self._is_paused and self._transport is not None:
            self._is_paused = False
            self.since = self._loop.time()
            self._transport.resume_reading()
        return data

    def leave(self) -> None:
        """The call is over: back to the others when the answer was whole, else closed. Safe twice."""
        if self.is_done and self._is_reusable and self._failure is None and self.is_open and not self._pieces:
            self.since = self._loop.time()
            self._is_reusable = False
            self._home.append(self)
        elif self not in self._home:
            self.drop()

    def drop(self) -> None:
        """Close at once, unread bytes and all."""
        if self._transport is not None:
            self._transport.abort()

    def fail(self, error: BaseException) -> None:
        """End whatever waits here with this error, and close."""
        if self._answering is not None:
            answering, self._answering = self._answering, None
            if not answering.done():
                answering.set_exception(error)
        elif not self.is_done and self._failure is None:
            self._failure = error
            self._wake()
        self.drop()

    def is_silent(self, now: float) -> bool:
        """Whether the upstream owes something and has been silent for longer than its limit."""
        is_due = not self.is_done and not self._is_paused
        return is_due and self.silence_s is not None and now - self.since > self.silence_s

    # the answer, as it comes

    def _find_head(self, data: bytes) -> bytes:
        """Collect the head, informational ones passed over; what follows it."""
        data = self._head + data if self._head else data
        while (end := data.find(b"\r\n\r\n")) >= 0:
            head = answer_head(data[:end])
            data = data[end + 4 :]
            if head.status >= 200:
                self._begin(head)
                return data
            if head.status == 101:
                raise ValueError("an upgrade that nobody asked for")
        if len(data) > _MAX_HEAD:
            raise ValueError("an endless head")
        self._head = data
        return b""

    def _begin(self, head: Head) -> None:
        answering, self._answering = self._answering, None
        is_empty = self._is_headless or head.status in (204, 304)
        self._chunked = Chunked() if head.is_chunked and not is_empty else None
        self._left = 0 if is_empty else head.length
        self._is_reusable = head.is_kept_alive and (self._left is not None or self._chunked is not None)
        if self._chunked is None and self._left == 0:
            self._end()
        if answering is not None and not answering.done():
            answering.set_result(head)

    def _take(self, data: bytes) -> None:
        if self._chunked is not None and not self.is_done:
            for piece in self._chunked.feed(data):
                self._push(piece)
            if self._chunked.is_done:
                self._is_reusable &= not self._chunked.rest
                self._end()
        elif self._left is None:
            self._push(data)
        else:
            whole, more = data[: self._left], data[self._left :]
            self._is_reusable &= not more
            self._left -= len(whole)
            if whole:
                self._push(whole)
            if not self._left and not self.is_done:
                self._end()
        self._wake()

    def _push(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._buffered += len(piece)
        if self._buffered > _HIGH and not self._is_paused and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()

    def _end(self) -> None:
        self.is_done = True
        self._wake()

    def _wake(self) -> None:
        if self._reading is not None and not self._reading.done():
            self._reading.set_result(None)


@dataclass(slots=True)
class Links:
    """All connections, idle ones by origin. Run :meth:`sweep` as a task. ``tls``: None trusts the system's (or
    ``SSL_CERT_FILE``'s) authorities."""

    tls: ssl.SSLContext | None = None
    _idle: dict[Origin, list[Link]] = field(default_factory=dict)
    _busy: set[Link] = field(default_factory=set)

    async def take(self, origin: Origin, connect_s: float) -> tuple[Link, bool]:
        """A connection, and whether it was used before.

        Raises:
            OSError, TimeoutError: none is to be had.
        """
        idle = self._idle.setdefault(origin, [])
        while idle:
            link = idle.pop()
            if link.is_open:
                self._busy.add(link)
                return link, True
        return await self.open(origin, connect_s), False

    async def open(self, origin: Origin, connect_s: float) -> Link:
        """A new connection. Raises as :meth:`take`."""
        loop = asyncio.get_running_loop()
        home = self._idle.setdefault(origin, [])
        tls = self._context() if origin.is_tls else None
        async with asyncio.timeout(connect_s):
            _, link = await loop.create_connection(lambda: Link(loop, home), origin.name, origin.port, ssl=tls)
        self._busy.add(link)
        return link

    def leave(self, link: Link) -> None:
        """The call on this connection is over."""
        self._busy.discard(link)
        link.leave()

    def sweep_once(self, now: float) -> None:
        """Fail what has been silent too long; close what was idle too long."""
        for link in [link for link in self._busy if link.is_silent(now)]:
            link.fail(TimeoutError("the upstream fell silent"))
        for idle in self._idle.values():
            for link in [link for link in idle if now - link.since > _IDLE_S]:
                link.drop()

    async def sweep(self, interval_s: float = 0.5) -> None:
        """:meth:`sweep_once` again and again, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(interval_s)
            self.sweep_once(loop.time())

    def close(self) -> None:
        """Close every connection."""
        for link in [*self._busy, *(link for idle in self._idle.values() for link in idle)]:
            link.drop()

    def _context(self) -> ssl.SSLContext:
        if self.tls is None:
            self.tls = ssl.create_default_context()
            self.tls.set_alpn_protocols(["http/1.1"])
        return self.tls
