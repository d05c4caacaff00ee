"""Agents that leave a stream, and servers that leave an agent waiting: how each is booked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import orjson
import pytest

from collectors.records import CallRecord
from tests.serving import Serving, serving, spooled
from tests.upstream import Seen, until, upstream

NO_STORE = {"url": "clickhouse://127.0.0.1:9/orchtax"}
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "look", "arguments": {}}}
PROGRESS = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progress": 1}}
RESULT = {"jsonrpc": "2.0", "id": 1, "result": {"content": [{"type": "text", "text": "seen"}]}}
FAILURE = {"jsonrpc": "2.0", "id": 1, "result": {"content": [], "isError": True}}


def chunk(message: object) -> bytes:
    data = b"data: " + orjson.dumps(message) + b"\n\n"
    return b"%x\r\n%s\r\n" % (len(data), data)


class Server:
    """Says ``pieces`` and then nothing, for as long as anyone listens."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    async def respond(self, _: Seen) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            yield piece
        for __ in range(3000):
            await asyncio.sleep(0.01)
            yield b""  # lets the fake notice that the other side has left


@pytest.fixture
async def server() -> Server:
    return Server()


@pytest.fixture
async def running(tmp_path: Path, server: Server) -> AsyncIterator[Serving]:
    async with upstream(server.respond) as up:
        desk = {"kind": "mcp", "base_url": up.url, "timeouts": {"read_s": 1.5}}
        async with serving(tmp_path, store=NO_STORE, upstreams={"desk": desk}) as served:
            yield served


async def booked(running: Serving) -> CallRecord:
    await until(lambda: bool(spooled(running.data)), what="the record")
    (record,) = spooled(running.data)
    return record


@pytest.mark.parametrize(
    ("told", "outcome", "error"),
    [([PROGRESS], "cancelled", ""), ([PROGRESS, RESULT], "ok", ""), ([FAILURE], "error", "tool_error")],
    ids=["before the answer", "after the answer", "after a failure"],
)
async def test_an_agent_that_leaves_a_call(
    running: Serving, server: Server, told: list[object], outcome: str, error: str
) -> None:
    server.pieces = [HEAD, *map(chunk, told)]
    last = b"data: " + orjson.dumps(told[-1])
    async with aiohttp.ClientSession() as http:
        answer = await http.post(f"{running.url}/mcp/desk", json=CALL)
        while last not in await answer.content.readuntil(b"\n\n"):
            continue
        answer.close()
    record = await booked(running)
    assert (record.outcome, record.error, record.status) == (outcome, error, 200)


async def test_an_agent_that_leaves_a_stream_it_listened_to(running: Serving, server: Server) -> None:
    server.pieces = [HEAD, chunk(PROGRESS)]
    async with aiohttp.ClientSession() as http:
        answer = await http.get(f"{running.url}/mcp/desk")
        await answer.content.readuntil(b"\n\n")
        answer.close()
    record = await booked(running)
    assert (record.operation, record.outcome, record.error) == ("listen", "ok", "")


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_server_that_never_begins_to_answer(running: Serving, method: str) -> None:
    async with (
        aiohttp.ClientSession() as http,
        http.request(method, f"{running.url}/mcp/desk", json=CALL if method == "POST" else None) as answer,
    ):
        assert answer.status == 504
        told = await answer.json()
        assert told["error"]["data"]["code"] == "upstream_timeout"
    assert (await booked(running)).outcome == "timeout"


async def test_a_call_that_falls_silent_is_still_cut(running: Serving, server: Server) -> None:
    server.pieces = [HEAD, chunk(PROGRESS)]
    async with aiohttp.ClientSession() as http, http.post(f"{running.url}/mcp/desk", json=CALL) as answer:
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()
    assert (await booked(running)).outcome == "timeout"
