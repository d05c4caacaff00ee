"""A real loopback server that answers with exactly the bytes a test gives it, in exactly the pieces it gives them."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as it came: header names as spelled, body with its transfer coding undone."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


Respond = Callable[[Seen], AsyncIterator[bytes]]


@dataclass(slots=True)
class Upstream:
    """``url`` to point at; ``respond`` may be exchanged between requests; ``seen`` fills with every request; ``gone``
    counts connections that the other side cut while an answer was being written."""

    respond: Respond
    url: str = ""
    seen: list[Seen] = field(default_factory=list)
    connections: int = 0
    gone: int = 0
    left: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def upstream(respond: Respond, tls: ssl.SSLContext | None = None) -> AsyncIterator[Upstream]:
    """Serve until left. ``respond`` yields raw bytes, status line included; a connection stays open after an answer
    unless the answer said ``Connection: close``, and is aborted when ``respond`` raises ConnectionAbortedError."""
    state = Upstream(respond)
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        state.connections += 1
        try:
            while (request := await _read(reader, writer)) is not None:
                state.seen.append(request)
                if not await _answer(state.respond(request), reader, writer, state):
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            state.gone += 1
            state.left.set()
        finally:
            tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, limit=2**20, ssl=tls)
    state.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield state
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _answer(
    pieces: AsyncIterator[bytes], reader: asyncio.StreamReader, writer: asyncio.StreamWriter, state: Upstream
) -> bool:
    head = b""
    try:
        async for piece in pieces:
            if writer.is_closing() or reader.at_eof():
                raise ConnectionResetError("the other side left")
            head = (head + piece)[:4096]
            writer.write(piece)
            await writer.drain()
    except ConnectionAbortedError:
        writer.transport.abort()
        return False
    return b"connection: close" not in head.partition(b"\r\n\r\n")[0].lower()


async def _read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Seen | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head[:-4].decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    pairs = [line.partition(":")[::2] for line in lines]
    headers = [(name, value.strip()) for name, value in pairs]
    known = {name.lower(): value for name, value in headers}
    body = b""
    if known.get("transfer-encoding") == "chunked":
        while size := int((await reader.readline()).split(b";")[0], 16):
            body += await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readline()
    elif length := int(known.get("content-length", 0)):
        body = await reader.readexactly(length)
    return Seen(method, target, headers, body)


def answer(body: bytes, status: str = "200 OK", content_type: str = "application/json", extra: str = "") -> bytes:
    """A whole answer with Content-Length."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
    return head.encode() + body


def always(*pieces: bytes) -> Respond:
    """The same answer to every request."""

    async def respond(_: Seen) -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    return respond


def chunked(pieces: list[bytes], content_type: str = "text/event-stream", extra: str = "") -> list[bytes]:
    """An answer in HTTP chunks, one raw piece each."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n{extra}\r\n".encode()
    body = [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces if piece]
    return [head, *body, b"0\r\n\r\n"]


async def until(condition: Callable[[], bool], deadline_s: float = 10.0, what: str = "the condition") -> None:
    """Wait for something that another process or task brings about; fails with ``what`` past the deadline."""
    end = asyncio.get_running_loop().time() + deadline_s
    while not condition():
        if asyncio.get_running_loop().time() > end:
            raise AssertionError(f"{what} did not come about within {deadline_s} s")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 0.02)
