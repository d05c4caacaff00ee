"""Inbound HTTP: aiohttp's server with the gaps closed that it leaves open, and the body read within bounds.

One sweep a second enforces the deadlines of all connections (headers, slow readers), so that a call needs no timer of
its own. Errors turn into responses in :func:`fault_response`, in the caller's dialect, and nowhere else.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus
from typing import Any, cast

import orjson
from aiohttp import web
from aiohttp.http import HttpVersion10, HttpVersion11
from aiohttp.web_protocol import RequestHandler
from multidict import CIMultiDict

from proxy.decoding import decoder_for
from proxy.dialects import Described, Dialect, Fault
from proxy.routes import Refused
from proxy.settings import Limits

log = logging.getLogger(__name__)

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
_PLAIN = "application/problem+json"


class Connection(RequestHandler):
    """One agent's connection, with the marks that the sweep reads (loop time in seconds, 0 = not so).

    ``on_drain`` is set while it is a WebSocket, which must end by its own handshake: called with False when the worker
    begins to drain, with True when its time is up."""

    __slots__ = ("head_since", "is_busy", "is_last", "on_drain", "writing_since")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.is_busy = self.is_last = False
        self.writing_since = 0.0
        self.head_since = 0.0
        self.on_drain: Callable[[bool], None] | None = None
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if not self.is_busy and not self.head_since:
            self.head_since = self._loop.time()
        super().data_received(data)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """A request that is not HTTP as we take it, or a bug of ours: nothing of the input is echoed."""
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun, it can only be broken off")
        if status >= 500:
            log.error("a call failed inside orchtax: %s", type(exc).__name__, exc_info=exc)
        code = "malformed_request" if status < 500 else "internal_error"
        text = HTTPStatus(status).phrase + (": not a well-formed HTTP/1.1 request" if status == 400 else "")
        response = fault_response(Fault(status, code, text), None, None)
        response.force_close()
        return response


class DataServer(web.Server):
    """The data port of one worker. Call it for a protocol; :meth:`sweep` runs as a task of the worker."""

    def __init__(self, handler: Handler, limits: Limits) -> None:
        super().__init__(
            handler,
            handler_cancellation=True,
            access_log=None,
            auto_decompress=False,
            keepalive_timeout=limits.idle_timeout_s,
            lingering_time=2.0,
            max_line_size=32 * 1024,
            max_field_size=32 * 1024,
            max_headers=128,
        )
        self.limits = limits

    def __call__(self) -> RequestHandler:
        if len(self.connections) >= self.limits.max_connections:
            return Overloaded()  # type: ignore[return-value]  # a protocol that answers 503 and closes
        return Connection(self, loop=self._loop, **self._kwargs)

    @property
    def busy(self) -> int:
        """Connections with a call under way."""
        return sum(isinstance(c, Connection) and c.is_busy for c in self.connections)

    def pre_shutdown(self) -> None:
        """Idle connections close at once, busy ones after their answer, WebSockets after their response."""
        for connection in list(self.connections):
            if not isinstance(connection, Connection):
                connection.close()
            elif connection.on_drain is not None:
                connection.on_drain(False)  # closing it as HTTP would deafen it to its agent
            elif connection.is_busy:
                connection.is_last = True  # closing it now would cut off an upload
            else:
                connection.close()

    async def shutdown(self, timeout: float | None = None) -> None:  # noqa: ASYNC109  # aiohttp's signature
        """Close every connection, cutting off what has not ended ``timeout`` seconds later."""
        for connection in list(self.connections):
            if isinstance(connection, Connection) and connection.on_drain is not None:
                connection.on_drain(True)
        await super().shutdown(timeout)

    async def sweep(self, interval_s: float = 1.0) -> None:
        """Close connections past a deadline, once every ``interval_s``, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(interval_s)
            self.sweep_once(loop.time())

    def sweep_once(self, now: float) -> None:
        for connection in self.connections:
            if not isinstance(connection, Connection) or connection.transport is None:
                continue
            late_head = connection.head_since and now - connection.head_since > self.limits.header_timeout_s
            if late_head and not connection.is_busy:
                connection.force_close()
            elif connection.writing_since and now - connection.writing_since > self.limits.write_timeout_s:
                connection.transport.abort()


class Overloaded(asyncio.Protocol):
    """A connection beyond the cap: told so, and closed."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        stream = cast(asyncio.Transport, transport)  # uvloop's own class, of the same methods
        stream.write(
            b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
        stream.close()


def check_form(request: web.BaseRequest) -> None:
    """Refuse what aiohttp lets through: other protocol versions, 1.0 with chunks, no or several Host headers.

    Raises:
        Refused: 400 or 505.
    """
    if request.version not in (HttpVersion11, HttpVersion10):
        raise Refused(Fault(505, "http_version", "speak HTTP/1.1 or HTTP/1.0"))
    if request.version == HttpVersion10 and "Transfer-Encoding" in request.headers:
        raise Refused(Fault(400, "malformed_request", "HTTP/1.0 has no chunked bodies"))
    hosts = request.headers.getall("Host", [])
    if len(hosts) > 1 or (not hosts and request.version == HttpVersion11):
        raise Refused(Fault(400, "malformed_request", "send exactly one Host header"))


class Body:
    """A request's body: read whole (``data``), or too large for that and passed on as it arrives (``stream``)."""

    __slots__ = ("_limits", "_request", "_start", "data", "refusal", "size")

    def __init__(self, request: web.BaseRequest, limits: Limits) -> None:
        self._request = request
        self._limits = limits
        self._start: list[bytes] = []
        self.data: bytes | None = b""
        self.size = 0
        self.refusal: Refused | None = None
        """Set when :meth:`stream` was refused half-way: the client library hides such an error behind its own."""

    async def read(self) -> None:
        """Read up to ``max_read_bytes``. ``data`` is None when there is more.

        Raises:
            Refused: 413 when it says or turns out to be over ``max_body_bytes``, 408 when it stops arriving.
        """
        request, limits = self._request, self._limits
        if not request.body_exists:
            return
        declared = request.content_length
        if declared is not None and declared > limits.max_body_bytes:
            raise _too_large(limits)
        if request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0  # so that a later error can still be answered
        if declared is not None and declared > limits.max_read_bytes:
            self.data = None
            return
        while chunk := await self._next():
            self._start.append(chunk)
            if self.size > limits.max_read_bytes:
                self.data = None
                return
        self.data = self._start[0] if len(self._start) == 1 else b"".join(self._start)

    async def stream(self) -> AsyncIterator[bytes]:
        """What was read so far, then the rest as it arrives, in flat memory."""
        for chunk in self._start:
            yield chunk
        self._start = []
        try:
            while chunk := await self._next():
                yield chunk
        except Refused as refused:
            self.refusal = refused
            raise

    async def _next(self) -> bytes:
        content = self._request.content
        try:
            if content.is_eof() or content.total_bytes > self.size:
                chunk = await content.readany()  # it is here already: no timer
            else:
                async with asyncio.timeout(self._limits.body_timeout_s):
                    chunk = await content.readany()
        except TimeoutError as error:
            text = f"no part of the body came for {self._limits.body_timeout_s:g} s"
            raise Refused(Fault(408, "body_timeout", text)) from error
        except web.RequestPayloadError as error:
            raise Refused(Fault(400, "malformed_request", "the request body is not well formed")) from error
        self.size += len(chunk)
        if self.size > self._limits.max_body_bytes:
            raise _too_large(self._limits)
        return chunk

    def readable(self) -> bytes | None:
        """The body with its content coding undone, for reading only; None when it is too large for that."""
        if self.data is None:
            return None
        decoder = decoder_for(self._request.headers.get("Content-Encoding"))
        if decoder is None:
            return self.data
        decoded = bytearray()
        for piece in decoder.feed(self.data):
            decoded += piece
            if len(decoded) > self._limits.max_read_bytes:
                return None
        return None if decoder.is_broken else bytes(decoded)


def _too_large(limits: Limits) -> Refused:
    text = f"the request body is over {limits.max_body_bytes} bytes (setting limits.max_body_bytes)"
    return Refused(Fault(413, "body_too_large", text))


class _AtOnce(web.StreamResponse):
    """Its head leaves with the first bytes of its body, in one system call."""

    _send_headers_immediately = False


def reply(
    request: web.BaseRequest, status: int, reason: str | None, headers: CIMultiDict[str], is_whole: bool
) -> web.StreamResponse:
    """The start of an answer, framed for this agent: by length where known, else chunked, else by closing.
    ``is_whole``: its body is here already, so that the head need not go ahead of it."""
    headers.setdefault("Server", "orchtax")
    kind = _AtOnce if is_whole else web.StreamResponse
    response = kind(status=status, reason=reason, headers=headers)
    is_last = isinstance(request.protocol, Connection) and request.protocol.is_last
    if is_last or (request.version == HttpVersion10 and "Content-Length" not in headers):
        response.force_close()
    return response


async def write(request: web.BaseRequest, response: web.StreamResponse, chunk: bytes) -> None:
    """Pass one chunk on; waits while the agent reads slowly. The sweep cuts it off when it does not read at all."""
    connection: Any = request.protocol
    connection.writing_since = request.loop.time()
    await response.write(chunk)
    connection.writing_since = 0.0


def fault_response(
    fault: Fault, dialect: Dialect | None, described: Described | None, headers: CIMultiDict[str] | None = None
) -> web.Response:
    """An error of orchtax's own, in the caller's dialect where it is known, else as problem+json (RFC 9457)."""
    if dialect is None:
        content_type, body = _PLAIN, _problem(fault)
    else:
        content_type, body = dialect.error_body(fault, described)
    headers = headers or CIMultiDict()
    headers["Server"] = "orchtax"
    if fault.status in (400, 404, 413):
        headers["x-should-retry"] = "false"
    return web.Response(status=fault.status, body=body, headers=headers, content_type=content_type)


def _problem(fault: Fault) -> bytes:
    title = HTTPStatus(fault.status).phrase
    return orjson.dumps(
        {"type": "about:blank", "title": title, "status": fault.status, "detail": fault.message, "code": fault.code}
    )
