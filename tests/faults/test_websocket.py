"""WebSockets that end badly: each side learns how, no response is lost from the books, none is booked twice."""

from __future__ import annotations

import asyncio
import base64
import os
import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import WSMsgType

from collectors.records import CallRecord
from tests.serving import Serving, serving, spooled
from tests.socket_upstream import (
    Peer,
    Play,
    SocketUpstream,
    answer_events,
    echo,
    responses_server,
    socket_upstream,
    usage,
)
from tests.upstream import until

NO_STORE = {"url": "clickhouse://127.0.0.1:9/orchtax"}
LIMITS = {"max_message_bytes": 100_000, "write_timeout_s": 2}
CREATE = {"type": "response.create", "model": "gpt-5", "input": "hello there, what is new in the world"}
PATH = "/openai/v1/responses"


class Stand:
    """A scripted server, orchtax in front of it, and an agent."""

    def __init__(self, up: SocketUpstream, running: Serving, http: aiohttp.ClientSession) -> None:
        self.up, self.running, self.http = up, running, http

    async def connect(self, path: str = PATH, **more: Any) -> aiohttp.ClientWebSocketResponse:
        ws: aiohttp.ClientWebSocketResponse = await self.http.ws_connect(self.running.url + path, **more)
        return ws

    async def asked(self) -> aiohttp.ClientWebSocketResponse:
        """A socket whose response has begun to be told."""
        ws = await self.connect()
        await ws.send_json(CREATE)
        while (await ws.receive_json())["type"] != "response.output_text.delta":
            pass
        return ws

    async def records(self, count: int = 1) -> list[CallRecord]:
        await until(lambda: len(spooled(self.running.data)) >= count, what=f"{count} records")
        found = spooled(self.running.data)
        assert len(found) == count
        return found


@asynccontextmanager
async def standing(tmp: Path, play: Play, **settings: Any) -> AsyncIterator[Stand]:
    async with socket_upstream(play) as up:
        upstreams = {"openai": {"base_url": up.url, "timeouts": {"read_s": 1}}}
        settings = {"limits": LIMITS, **settings}
        async with (
            serving(tmp, store=NO_STORE, upstreams=upstreams, **settings) as running,
            aiohttp.ClientSession() as http,
        ):
            yield Stand(up, running, http)


def events(asked: dict[str, Any]) -> list[dict[str, Any]]:
    return answer_events(1, asked, "one two three", usage(8, 3))


async def half(peer: Peer) -> None:
    """Half an answer, then nothing more until the other side ends."""
    asked = await peer.hear()
    assert asked is not None
    await peer.say(*events(asked)[:9])
    while await peer.hear() is not None:
        pass


@pytest.mark.parametrize("how", ["closing", "vanishing"])
async def test_an_agent_that_leaves_in_mid_response(tmp_path: Path, how: str) -> None:
    async with standing(tmp_path, half) as stand:
        ws = await stand.asked()
        left_at = time.monotonic()
        if how == "closing":
            await ws.close(code=4000)
        else:
            ws.get_extra_info("socket").shutdown(2)
        await until(lambda: bool(stand.up.ended), what="the end at the upstream")
        assert time.monotonic() - left_at < 1.0
        assert stand.up.ended == [4000 if how == "closing" else 1001]
        record = (await stand.records())[0]
        assert (record.outcome, record.usage_source, record.streamed) == ("cancelled", "estimated", True)
        assert record.input_tokens
        assert record.output_tokens
        assert record.cost_nano
        assert record.outputs
        await ws.close()


async def test_an_agent_that_leaves_before_any_answer(tmp_path: Path) -> None:
    async def deaf(peer: Peer) -> None:
        while await peer.hear() is not None:
            pass

    async with standing(tmp_path, deaf) as stand:
        ws = await stand.connect()
        await ws.send_json(CREATE)
        await until(lambda: bool(stand.up.peers and stand.up.peers[0].got), what="the request at the upstream")
        await ws.close()
        record = (await stand.records())[0]
        assert (record.outcome, record.status, record.input_tokens, record.cost_nano) == ("cancelled", None, None, None)


@pytest.mark.parametrize("how", ["closing", "vanishing"])
async def test_an_upstream_that_dies_in_mid_response(tmp_path: Path, how: str) -> None:
    async def dying(peer: Peer) -> None:
        asked = await peer.hear()
        assert asked is not None
        await peer.say(*events(asked)[:9])
        if how == "closing":
            await peer.ws.close(code=1011, message=b"out of luck")
        else:
            peer.ws.get_extra_info("socket").shutdown(2)

    async with standing(tmp_path, dying) as stand:
        ws = await stand.asked()
        while (message := await ws.receive()).type is WSMsgType.TEXT:
            assert b"completed" not in message.data.encode()
        assert ws.close_code == (1011 if how == "closing" else 1006)
        if how == "closing":
            assert message.extra == "out of luck"
        record = (await stand.records())[0]
        assert (record.outcome, record.usage_source) == ("cut", "estimated")
        assert record.output_tokens


async def test_a_cut_response_counts_the_history_that_the_server_holds(tmp_path: Path) -> None:
    async def second_half(peer: Peer) -> None:
        first = await peer.hear()
        assert first is not None
        await peer.say(*answer_events(1, first, "one", usage(50_000, 700)))
        second = await peer.hear()
        assert second is not None
        await peer.say(*answer_events(2, second, "two", usage(1, 1))[:3])
        peer.ws.get_extra_info("socket").shutdown(2)

    async with standing(tmp_path, second_half) as stand:
        ws = await stand.asked()
        while (await ws.receive_json())["type"] != "response.completed":
            pass
        await ws.send_json(
            {"type": "response.create", "model": "gpt-5", "input": "x" * 400} | {"previous_response_id": "resp_1"}
        )
        while (await ws.receive()).type is WSMsgType.TEXT:
            pass
        whole, cut = await stand.records(2)
        assert (whole.input_tokens, whole.usage_source) == (50_000, "reported")
        assert (cut.input_tokens, cut.usage_source, cut.outcome) == (50_000 + 700 + 400 // 4, "estimated", "cut")


async def test_an_upstream_that_falls_silent_within_a_response_and_one_between_two(tmp_path: Path) -> None:
    async with standing(tmp_path, half) as stand:
        idle = await stand.connect()
        ws = await stand.asked()
        while (message := await ws.receive()).type is WSMsgType.TEXT:
            pass
        assert (ws.close_code, message.extra) == (1011, "the upstream fell silent within its response")
        assert (await stand.records())[0].outcome == "timeout"
        await idle.send_json(CREATE)  # it waited as long and longer
        assert (await idle.receive_json())["type"] == "response.created"
        await idle.close()


def _open_raw(stand: Stand) -> bytes:
    key = base64.b64encode(os.urandom(16)).decode()
    return (
        f"GET {PATH} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
    ).encode()


async def test_a_message_over_the_limit_closes_both_sides(tmp_path: Path) -> None:
    async with standing(tmp_path, echo) as stand:
        where = urlsplit(stand.running.url)
        reader, writer = await asyncio.open_connection(where.hostname, where.port)
        writer.write(_open_raw(stand))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
        writer.write(b"\x81\xff" + struct.pack(">Q", LIMITS["max_message_bytes"] + 1) + bytes(4))  # its first bytes do
        head = await asyncio.wait_for(reader.readexactly(4), 10)
        assert (head[0], struct.unpack(">H", head[2:])[0]) == (0x88, 1009)
        await until(lambda: stand.up.ended == [1009], what="the closing at the upstream")
        writer.close()
        ws = await stand.connect()
        await ws.send_str("x" * LIMITS["max_message_bytes"])  # just within it
        assert len(await ws.receive_str()) == LIMITS["max_message_bytes"]
        await ws.close()


async def test_an_upstream_s_message_over_the_limit_closes_both_sides(tmp_path: Path) -> None:
    async def loud(peer: Peer) -> None:
        await peer.hear()
        await peer.ws.send_str("x" * (LIMITS["max_message_bytes"] + 1))
        await peer.hear()

    async with standing(tmp_path, loud) as stand:
        ws = await stand.connect()
        await ws.send_json(CREATE)
        assert (await ws.receive()).type is WSMsgType.CLOSE
        assert ws.close_code == 1009
        assert (await stand.records())[0].outcome == "cut"


async def test_an_agent_that_does_not_read_pauses_the_upstream_and_is_cut(tmp_path: Path) -> None:
    async def flood(peer: Peer) -> None:
        while True:
            await peer.ws.send_bytes(bytes(65_536))

    async with standing(tmp_path, flood) as stand:
        where = urlsplit(stand.running.url)
        reader, writer = await asyncio.open_connection(where.hostname, where.port, limit=1024)
        writer.write(_open_raw(stand))
        await reader.readuntil(b"\r\n\r\n")
        await until(lambda: bool(stand.up.ended), 20, "the end of the flood")
        writer.close()
        record = (await stand.records())[0]
        assert record.outcome == "cancelled"
        assert record.response_bytes < 64 * 1024 * 1024


@pytest.mark.parametrize(
    "garbage", [b"\xc1\x80", b"\x83\x80\0\0\0\0", b"\x89\xfe\x00\xff\0\0\0\0", b"\x80\x80\0\0\0\0"]
)
async def test_broken_frames_end_the_socket(tmp_path: Path, garbage: bytes) -> None:
    """Reserved bits, an unknown kind, a ping of 255 bytes, a continuation of nothing."""
    async with standing(tmp_path, responses_server) as stand:
        where = urlsplit(stand.running.url)
        reader, writer = await asyncio.open_connection(where.hostname, where.port)
        writer.write(_open_raw(stand))
        await reader.readuntil(b"\r\n\r\n")
        writer.write(garbage)
        assert (await asyncio.wait_for(reader.read(), 10))[:1] in (b"\x88", b"")
        await until(lambda: bool(stand.up.ended), what="the end at the upstream")
        writer.close()
        await stand.records()
        assert b"Traceback" not in stand.running.log.read_bytes()


async def test_sigterm_ends_sockets_between_responses_and_waits_for_those_within(tmp_path: Path) -> None:
    gate = asyncio.Event()

    async def slow(peer: Peer) -> None:
        asked = await peer.hear()
        if asked is None:
            return
        told = events(asked)
        await peer.say(*told[:9])
        await gate.wait()
        await peer.say(*told[9:])
        await peer.hear()

    async with standing(tmp_path, slow) as stand:
        idle, busy = await stand.connect(), await stand.asked()
        stopping = asyncio.create_task(stand.running.stop())
        assert (await idle.receive()).type is WSMsgType.CLOSE
        assert idle.close_code == 1001
        assert not stopping.done()
        gate.set()
        texts = []
        while (message := await busy.receive()).type is WSMsgType.TEXT:
            texts.append(message.json()["type"])
        assert texts[-1] == "response.completed"
        assert (busy.close_code, message.extra) == (1001, "orchtax is stopping")
        assert await stopping == 0
        outcomes = {record.kind: record.outcome for record in await stand.records(2)}
        assert outcomes == {"model": "ok", "other": "cancelled"}
        assert stand.up.ended == [1001, 1001]


async def test_sigterm_ends_a_response_that_outlasts_the_grace(tmp_path: Path) -> None:
    async def endless(peer: Peer) -> None:
        asked = await peer.hear()
        assert asked is not None
        told = events(asked)
        await peer.say(*told[:2])
        while not peer.ws.closed:
            await peer.say(told[2])
            await asyncio.wait([asyncio.ensure_future(peer.ws.receive())], timeout=0.05)

    async with standing(tmp_path, endless, drain_s=1) as stand:
        ws = await stand.asked()
        stopping = asyncio.create_task(stand.running.stop())
        while (await ws.receive()).type is WSMsgType.TEXT:
            pass
        assert ws.close_code == 1001
        assert await stopping == 0
        record = (await stand.records())[0]
        assert (record.outcome, record.usage_source) == ("cancelled", "estimated")


async def test_a_response_is_on_record_before_the_agent_has_all_of_it(tmp_path: Path) -> None:
    async with standing(tmp_path, responses_server) as stand:
        ws = await stand.asked()
        while (await ws.receive_json())["type"] != "response.completed":
            pass
        assert [record.outcome for record in spooled(stand.running.data)] == ["ok"]
        await ws.close()
