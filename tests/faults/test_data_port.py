"""Hostile and unlucky traffic on the data port: each gets the stated answer, none reaches the upstream in disguise."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from tests.serving import Serving, serving, spooled
from tests.upstream import Seen, Upstream, always, answer, chunked, until, upstream

NO_STORE = {"url": "clickhouse://127.0.0.1:9/orchtax"}
LIMITS = {"header_timeout_s": 1, "body_timeout_s": 1, "write_timeout_s": 2, "max_body_bytes": 1_000_000}
OPENAI = "/openai/v1/chat/completions"


class Port:
    """The data port, spoken to in raw bytes."""

    def __init__(self, running: Serving, up: Upstream) -> None:
        self.running, self.up = running, up
        self._host = urlsplit(running.url).hostname
        self._port = urlsplit(running.url).port

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(self._host, self._port)

    async def say(self, data: bytes) -> bytes:
        """Send, and read until the other side closes or has answered."""
        reader, writer = await self.open()
        writer.write(data)
        got = b""
        with contextlib.suppress(ConnectionError):  # a reset is an end, too
            while b"\r\n\r\n" not in got or not _is_whole(got):
                piece = await asyncio.wait_for(reader.read(65_536), 20)
                if not piece:
                    break
                got += piece
        writer.close()
        return got

    async def records(self, count: int) -> list[str]:
        await until(lambda: len(spooled(self.running.data)) == count, what=f"{count} records")
        return [record.outcome for record in spooled(self.running.data)]


def _is_whole(got: bytes) -> bool:
    head, _, body = got.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return len(body) >= int(line.split(b":")[1])
    return body.endswith(b"0\r\n\r\n")


@pytest.fixture
async def port(tmp_path: Path) -> AsyncIterator[Port]:
    async with upstream(always(answer(b'{"ok":true}'))) as up:
        upstreams = {
            "openai": {"base_url": up.url, "timeouts": {"read_s": 1}},
            "anthropic": {"base_url": up.url},
            "dead": {"base_url": "http://127.0.0.1:1"},
            "nowhere": {"base_url": "http://name.invalid"},
            "search": {"kind": "tool", "base_url": up.url},
        }
        async with serving(tmp_path, store=NO_STORE, limits=LIMITS, upstreams=upstreams) as running:
            yield Port(running, up)


def request(target: str = OPENAI, version: str = "HTTP/1.1", head: str = "Host: x\r\n", body: bytes = b"{}") -> bytes:
    return f"POST {target} {version}\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


MALFORMED = {
    "length and chunks": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two codings": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "signed length": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +2\r\n\r\nab",
    "comma length": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2, 2\r\n\r\nab",
    "bare line feed": b"GET / HTTP/1.1\nHost: x\n\n",
    "folded header": b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
    "NUL in a header": b"GET / HTTP/1.1\r\nHost: x\r\nA: b\x00c\r\n\r\n",
    "bad chunk size": b"POST /openai/v1/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    "HTTP/0.9": b"GET /openai/v1/x\r\n\r\n",
    "HTTP/2.0": b"GET /openai/v1/x HTTP/2.0\r\nHost: x\r\n\r\n",
    "1.0 with chunks": b"POST /openai/v1/x HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "absolute form": b"GET http://127.0.0.1:1/openai/v1/x HTTP/1.1\r\nHost: x\r\n\r\n",
    "CONNECT": b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: x\r\n\r\n",
    "asterisk": b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    "no host": b"GET /openai/v1/x HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /openai/v1/x HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    "huge line": b"GET /openai/" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "many headers": b"GET /openai/v1/x HTTP/1.1\r\nHost: x\r\n" + b"A: canary\r\n" * 300 + b"\r\n",
    "not HTTP": b"\x16\x03\x01\x02\x00canary\r\n\r\n",
    "attribution": b"GET /openai/v1/x HTTP/1.1\r\nHost: x\r\nX-Orchtax-Role: canary\r\n\r\n",
}


async def test_malformed_requests_are_refused_without_an_echo(port: Port) -> None:
    for name, data in MALFORMED.items():
        got = await port.say(data)
        status = got.split(b" ")[1] if got else b""
        assert status in (b"400", b"404", b"405", b"431", b"505"), (name, got[:200])
        assert b"canary" not in got, name
        assert b"aiohttp" not in got, name
        assert b"Traceback" not in got, name
    assert port.up.seen == []
    assert spooled(port.running.data) == []
    assert b"canary" not in port.running.log.read_bytes()
    assert b"Traceback" not in port.running.log.read_bytes()


async def test_a_slow_head_is_cut_and_a_slow_body_answered(port: Port) -> None:
    reader, writer = await port.open()
    began = time.monotonic()
    writer.write(b"POST /openai/v1/x HTTP/1.1\r\nHost:")
    assert await asyncio.wait_for(reader.read(), 10) == b""
    assert time.monotonic() - began < 5
    writer.close()
    got = await port.say(b"POST /openai/v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf")
    assert got.startswith(b"HTTP/1.1 408")
    assert b"body_timeout" in got
    assert port.up.seen == []


async def test_bodies_over_the_limit_are_refused_before_and_while_they_come(port: Port) -> None:
    declared = await port.say(b"POST /openai/v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n")
    assert declared.startswith(b"HTTP/1.1 413")
    chunks = b"".join(b"10000\r\n" + b"x" * 65_536 + b"\r\n" for _ in range(20)) + b"0\r\n\r\n"
    found = await port.say(b"POST /openai/v1/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
    assert found.startswith(b"HTTP/1.1 413")
    assert b"limits.max_body_bytes" in found


@pytest.mark.parametrize(("name", "says"), [("dead", "refused the connection"), ("nowhere", "does not resolve")])
async def test_an_upstream_that_cannot_be_reached(port: Port, name: str, says: str) -> None:
    got = await port.say(request(f"/{name}/v1/chat/completions"))
    head, _, body = got.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 502")
    error = json.loads(body)["error"]
    assert error["code"] == "upstream_unreachable"
    assert name in error["message"]
    assert says in error["message"]
    assert await port.records(1) == ["unreachable"]


async def test_a_silent_upstream_is_a_timeout_before_the_answer_and_a_cut_within_it(port: Port) -> None:
    async def silent(_: Seen) -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    async def half(_: Seen) -> AsyncIterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        yield b"9\r\ndata: {}\n\r\n"
        await asyncio.Event().wait()

    port.up.respond = silent
    assert (await port.say(request())).startswith(b"HTTP/1.1 504")
    port.up.respond = half
    got = await port.say(request())
    assert got.startswith(b"HTTP/1.1 200")
    assert not got.endswith(b"0\r\n\r\n")
    assert b"[DONE]" not in got
    assert await port.records(2) == ["timeout", "timeout"]


@pytest.mark.parametrize("framing", ["chunked", "length"])
async def test_a_broken_off_answer_never_ends_cleanly(port: Port, framing: str) -> None:
    async def broken(_: Seen) -> AsyncIterator[bytes]:
        if framing == "chunked":
            yield b"".join(chunked([b"data: {}\n\n"])[:-1])
        else:
            yield answer(b"x" * 1000)[:-500]
        raise ConnectionAbortedError

    port.up.respond = broken
    async with aiohttp.ClientSession() as client:
        with pytest.raises(aiohttp.ClientError):
            async with client.post(port.running.url + OPENAI, data=b"{}") as response:
                await response.read()
    assert await port.records(1) == ["cut"]


async def test_an_agent_that_leaves_frees_the_upstream_and_is_booked_once(port: Port) -> None:
    async def endless(_: Seen) -> AsyncIterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        event = b'data: {"model":"gpt-4o-mini","choices":[{"index":0,"delta":{"content":"word "}}]}\n\n'
        while True:
            yield b"%x\r\n%s\r\n" % (len(event), event)
            await asyncio.sleep(0.01)

    port.up.respond = endless
    body = b'{"model":"gpt-4o-mini","stream":true,"messages":[{"role":"user","content":"hello there"}]}'
    reader, writer = await port.open()
    writer.write(request(body=body))
    await reader.readuntil(b"word")
    left_at = time.monotonic()
    writer.transport.abort()
    await asyncio.wait_for(port.up.left.wait(), 5)
    assert time.monotonic() - left_at < 1.0
    await port.records(1)
    record = spooled(port.running.data)[0]
    assert (record.outcome, record.usage_source) == ("cancelled", "estimated")
    assert record.input_tokens
    assert record.output_tokens
    assert record.cost_nano


async def test_an_agent_that_leaves_before_the_answer_is_booked(port: Port) -> None:
    async def silent(_: Seen) -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    port.up.respond = silent
    _, writer = await port.open()
    writer.write(request())
    await until(lambda: bool(port.up.seen), what="the request at the upstream")
    writer.transport.abort()
    assert await port.records(1) == ["cancelled"]


async def test_an_agent_that_does_not_read_pauses_the_upstream_and_is_cut(port: Port) -> None:
    sent = 0

    async def flood(_: Seen) -> AsyncIterator[bytes]:
        nonlocal sent
        yield b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        while True:
            yield b"10000\r\n" + b"x" * 65_536 + b"\r\n"
            sent += 65_536

    port.up.respond = flood
    reader, writer = await port.open()
    writer.write(request())
    await reader.readexactly(100)
    await asyncio.wait_for(port.up.left.wait(), 20)
    assert sent < 64 * 1024 * 1024
    writer.close()
    assert await port.records(1) == ["cancelled"]


async def test_errors_speak_the_caller_s_dialect(port: Port) -> None:
    openai = json.loads((await port.say(request("/nope/v1/chat/completions"))).partition(b"\r\n\r\n")[2])
    anthropic = json.loads((await port.say(request("/nope/v1/messages"))).partition(b"\r\n\r\n")[2])
    plain = json.loads((await port.say(request("/tool/nope/find"))).partition(b"\r\n\r\n")[2])
    assert openai["error"]["code"] == "unknown_upstream"
    assert anthropic["type"] == "error"
    assert anthropic["error"]["type"] == "not_found_error"
    assert plain["status"] == 404
    for text in (openai["error"]["message"], anthropic["error"]["message"], plain["detail"]):
        assert "/search" in text or "/openai" in text
    assert spooled(port.running.data) == []


async def test_what_cannot_be_read_is_still_carried(port: Port) -> None:
    """Bad JSON and a wrong content type are the upstream's to judge; each is on record."""
    got = await port.say(request(body=b'{"model": "gpt-4o-mini", oops'))
    assert got.startswith(b"HTTP/1.1 200")
    got = await port.say(request(head="Host: x\r\nContent-Type: text/plain\r\n", body=b"\xff\xfe"))
    assert got.startswith(b"HTTP/1.1 200")
    assert [seen.body for seen in port.up.seen] == [b'{"model": "gpt-4o-mini", oops', b"\xff\xfe"]
    assert await port.records(2) == ["ok", "ok"]


async def test_expect_continue_is_answered_here(port: Port) -> None:
    reader, writer = await port.open()
    writer.write(b"POST /openai/v1/x HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)).startswith(b"HTTP/1.1 100")
    writer.write(b"{}")
    assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)).startswith(b"HTTP/1.1 200")
    writer.close()
    assert port.up.seen[0].header("Expect") is None


async def test_keys_leave_no_trace(port: Port) -> None:
    canary = "sk-canary-4711"
    head = f"Host: x\r\nAuthorization: Bearer {canary}\r\nx-api-key: {canary}\r\n"
    await port.say(request(head=head, body=json.dumps({"model": "m", "messages": [], "user": canary}).encode()))
    await port.say(request(f"/dead/v1/chat/completions?key={canary}", head=head))
    await port.records(2)
    assert port.up.seen[0].header("x-api-key") == canary
    for path in [port.running.log, *port.running.data.rglob("*")]:
        if path.is_file():
            assert canary.encode() not in path.read_bytes(), path


async def test_sigterm_lets_open_streams_end(port: Port) -> None:
    gate = asyncio.Event()

    async def slow(_: Seen) -> AsyncIterator[bytes]:
        pieces = chunked([b"data: 1\n\n", b"data: 2\n\n"])
        yield pieces[0] + pieces[1]
        await gate.wait()
        yield pieces[2] + pieces[3]

    port.up.respond = slow
    streams = [await port.open() for _ in range(100)]
    for reader, writer in streams:
        writer.write(request())
        await reader.readuntil(b"data: 1")
    stopping = asyncio.create_task(port.running.stop())
    await until(lambda: b"draining" in port.running.log.read_bytes(), what="the drain")
    gate.set()
    for reader, writer in streams:
        assert (await asyncio.wait_for(reader.read(), 10)).endswith(b"0\r\n\r\n")
        writer.close()
    assert await stopping == 0
    assert [record.outcome for record in spooled(port.running.data)] == ["ok"] * 100


async def test_sigterm_does_not_wait_for_idle_connections(port: Port) -> None:
    reader, writer = await port.open()
    writer.write(request())
    await reader.readuntil(b'{"ok":true}')
    began = time.monotonic()
    assert await port.running.stop() == 0
    assert time.monotonic() - began < 15  # the drain's own limit is 30 s
    assert await reader.read() == b""
    writer.close()


async def test_sigterm_lets_an_upload_end(port: Port) -> None:
    reader, writer = await port.open()
    writer.write(b"POST /openai/v1/files HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf")
    await writer.drain()
    await port.say(request("/nowhere/x"))  # the worker has looked at its sockets since
    stopping = asyncio.create_task(port.running.stop())
    await until(lambda: b"draining" in port.running.log.read_bytes(), what="the drain")
    writer.write(b" whole")
    got = await asyncio.wait_for(reader.read(), 10)
    assert got.startswith(b"HTTP/1.1 200")
    assert port.up.seen[0].body == b"half whole"
    assert await stopping == 0
    writer.close()
