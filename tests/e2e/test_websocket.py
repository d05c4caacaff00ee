"""WebSockets through orchtax: the vendor's own client and Codex's way of speaking, and the books of both."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType, web
from openai import AsyncOpenAI

from collectors.records import CallRecord
from tests.serving import Serving, serving, spooled
from tests.socket_upstream import SocketUpstream, echo, realtime_server, responses_server, socket_upstream
from tests.upstream import until

NO_STORE = {"url": "clickhouse://127.0.0.1:9/orchtax"}
CODEX = {
    "User-Agent": "codex_cli_rs/0.99.0 (Debian 13.0.0; x86_64)",
    "originator": "codex_cli_rs",
    "session-id": "0199-codex",
    "Authorization": "Bearer sk-test",
    "OpenAI-Beta": "responses_websockets=2026-02-06",
}


@asynccontextmanager
async def running(tmp: Path, up: SocketUpstream, **settings: Any) -> AsyncIterator[Serving]:
    upstreams = {"openai": {"base_url": up.url}, "dead": {"base_url": "http://127.0.0.1:1"}}
    async with serving(tmp, store=NO_STORE, upstreams=upstreams, **settings) as serve:
        yield serve


async def records(serve: Serving, count: int) -> list[CallRecord]:
    await until(lambda: len(spooled(serve.data)) >= count, what=f"{count} records")
    found = sorted(spooled(serve.data), key=lambda record: record.ts_ns)
    assert len(found) == count
    return found


async def converse(client: AsyncOpenAI) -> list[tuple[str, str, int]]:
    """Three turns on one socket, each after the one before: ``(id, text, input tokens)``."""
    turns: list[tuple[str, str, int]] = []
    async with client.responses.connect() as connection:
        for question in ("what is new", "tell me more of it", "thanks"):
            more: dict[str, Any] = {"previous_response_id": turns[-1][0]} if turns else {}
            await connection.response.create(model="gpt-5", input=question, **more)
            text = ""
            async for event in connection:
                if event.type == "response.output_text.delta":
                    text += event.delta
                if event.type == "response.completed":
                    assert event.response.usage is not None
                    turns.append((event.response.id, text, event.response.usage.input_tokens))
                    break
    return turns


async def test_the_sdk_s_responses_socket(tmp_path: Path) -> None:
    async with socket_upstream(responses_server) as up, running(tmp_path, up) as serve:
        async with AsyncOpenAI(api_key="k", base_url=f"{up.url}/v1") as client:
            straight = await converse(client)
        through_url = f"{serve.url}/session/s1/stage/writer/openai/v1"
        async with AsyncOpenAI(api_key="k", base_url=through_url) as client:
            through = await converse(client)
        assert through == straight
        found = await records(serve, 3)
        assert [(r.response_id, r.input_tokens) for r in found] == [(turn[0], turn[2]) for turn in through]
        assert [r.output_tokens for r in found] == [len(turn[1].split()) for turn in through]
        assert [r.previous_id for r in found] == ["", through[0][0], through[1][0]]
        assert {(r.kind, r.outcome, r.usage_source, r.streamed) for r in found} == {("model", "ok", "reported", True)}
        assert {(r.session_id, r.stage, r.model, r.response_model) for r in found} == {
            ("s1", "writer", "gpt-5", "gpt-5-2025-08-07")
        }
        assert len({r.call_id for r in found}) == 3
        assert all(r.cost_nano and r.blocks and r.outputs and r.ttfb_us for r in found)
        assert found[1].cache_read_tokens == found[0].input_tokens + found[0].output_tokens  # type: ignore[operator]  # both are reported
        assert [peer.path for peer in up.peers] == ["/v1/responses"] * 2


async def talk(client: AsyncOpenAI) -> list[tuple[str, str]]:
    """Two turns of a Realtime session, in text."""
    done = []
    async with client.realtime.connect(model="gpt-realtime") as connection:
        for question in ("good morning to you", "and good night"):
            content: Any = [{"type": "input_text", "text": question}]
            await connection.conversation.item.create(item={"type": "message", "role": "user", "content": content})
            await connection.response.create()
            async for event in connection:
                if event.type == "response.done":
                    output: Any = (event.response.output or [])[0]
                    done.append((event.response.id or "", output.content[0].text))
                    break
    return done


async def test_the_sdk_s_realtime_socket(tmp_path: Path) -> None:
    async with socket_upstream(realtime_server) as up, running(tmp_path, up) as serve:
        async with AsyncOpenAI(api_key="k", base_url=f"{up.url}/v1") as client:
            straight = await talk(client)
        async with AsyncOpenAI(api_key="k", base_url=f"{serve.url}/openai/v1") as client:
            through = await talk(client)
        assert through == straight
        first, second = await records(serve, 2)
        assert (first.dialect, first.model, first.operation) == ("realtime", "gpt-realtime", "realtime")
        assert (first.input_tokens, first.output_tokens, first.cache_read_tokens) == (4, 4, 0)
        assert (second.input_tokens, second.output_tokens, second.cache_read_tokens) == (8 + 3, 3, 8)
        assert (first.previous_id, second.previous_id) == ("", first.response_id)
        assert [block.size for block in second.blocks] == [len("and good night")]
        assert first.cost_nano
        assert first.request_bytes > len("good morning to you")
        assert up.peers[1].path == "/v1/realtime?model=gpt-realtime"


async def test_codex_s_socket(tmp_path: Path) -> None:
    """Several frames on one socket, each with its own metadata; the handshake's headers go up, the answer's down."""

    async with socket_upstream(responses_server) as up, running(tmp_path, up) as serve, aiohttp.ClientSession() as http:
        async with http.ws_connect(f"{serve.url}/openai/v1/responses", headers=CODEX, compress=15) as ws:
            assert ws.compress == 0
            for turn in range(3):
                metadata = {"session_id": "0199-codex", "thread_id": "t-1", "turn_id": f"turn-{turn}"}
                message = {"type": "message", "role": "user", "content": f"do step {turn}"}
                create = {
                    "type": "response.create",
                    "model": "gpt-5-codex",
                    "instructions": "You are Codex.",
                    "tools": [{"type": "function", "name": "shell", "parameters": {"type": "object"}}],
                    "input": [message],
                    "store": False,
                    "client_metadata": {"x-codex-turn-metadata": json.dumps(metadata)},
                    **({"previous_response_id": f"resp_{turn}"} if turn else {}),
                }
                await ws.send_json(create)
                while (event := await ws.receive_json())["type"] != "response.completed":
                    assert event["type"].startswith("response.")
                assert event["response"]["id"] == f"resp_{turn + 1}"
        found = await records(serve, 3)
        assert {(r.session_id, r.stage, r.agent_id, r.tool) for r in found} == {("0199-codex", "main", "t-1", "")}
        assert [r.previous_id for r in found] == ["", "resp_1", "resp_2"]
        assert [[block.kind for block in r.blocks] for r in found] == [["tool_def", "system", "user"]] * 3
        assert all(r.cost_nano for r in found)
        sent = up.peers[0].headers
        assert {name: sent[name] for name in CODEX} == CODEX
        assert "Sec-WebSocket-Extensions" not in sent
        assert not [name for name in sent if name.lower().startswith("x-orchtax")]
        await until(lambda: up.ended == [1000], what="the closing at the upstream")


async def test_two_lanes_at_once_and_a_refused_response(tmp_path: Path) -> None:
    async with socket_upstream(responses_server) as up, running(tmp_path, up) as serve, aiohttp.ClientSession() as http:
        async with http.ws_connect(f"{serve.url}/openai/v1/responses") as ws:
            for lane in ("a", "b"):
                await ws.send_json({"type": "response.create", "model": "gpt-5", "input": lane, "stream_id": lane})
            await ws.send_json({"type": "response.create", "model": "gpt-5", "previous_response_id": "no"})
            while (await ws.receive_json())["type"] != "error":
                pass
        found = await records(serve, 3)
        assert [(r.outcome, r.status) for r in found] == [("ok", 101), ("ok", 101), ("error", 400)]
        assert found[2].error == "previous_response_not_found"
        assert (found[2].cost_nano, found[2].input_tokens) == (None, None)


async def test_a_socket_that_nobody_understands_is_one_call(tmp_path: Path) -> None:
    async with (
        socket_upstream(echo, ("chat.v2",)) as up,
        running(tmp_path, up) as serve,
        aiohttp.ClientSession() as http,
    ):
        offered = ("chat.v3", "chat.v2")
        async with http.ws_connect(f"{serve.url}/session/s9/openai/v1/other?a=b", protocols=offered) as ws:
            assert ws.protocol == "chat.v2"
            await ws.send_str("Grüße")
            assert await ws.receive_str() == "Grüße"
            await ws.send_bytes(b"\x00\xff")
            assert await ws.receive_bytes() == b"\x00\xff"
            await ws.close(code=4001, message=b"done here")
        record = (await records(serve, 1))[0]
        size = len("Grüße".encode()) + 2
        assert (record.kind, record.outcome, record.status, record.operation) == ("other", "ok", 101, "websocket")
        assert (record.request_bytes, record.response_bytes, record.session_id) == (size, size, "s9")
        assert (record.cost_nano, record.usage_source) == (None, "none")
        await until(lambda: up.ended == [4001], what="the closing at the upstream")
        assert up.peers[0].path == "/v1/other?a=b"


async def test_messages_pass_in_order_whatever_their_size(tmp_path: Path) -> None:
    sizes = [0, 1, 125, 126, 127, 4096, 65_535, 65_536, 1_000_000, 3, 5_000_000, 17_000_000, 2]
    sent = [bytes([65 + number]) * size for number, size in enumerate(sizes)]
    async with socket_upstream(echo) as up, running(tmp_path, up) as serve, aiohttp.ClientSession() as http:
        async with http.ws_connect(f"{serve.url}/openai/v1/responses", max_msg_size=0) as ws:
            for number, data in enumerate(sent):
                await (ws.send_str(data.decode()) if number % 2 else ws.send_bytes(data))
            got = [await ws.receive() for _ in sent]
        assert [m.data.encode() if m.type is WSMsgType.TEXT else m.data for m in got] == sent
        assert [m.type is WSMsgType.TEXT for m in got] == [bool(number % 2) for number in range(len(sent))]
        assert [r.request_bytes for r in await records(serve, 1)] == [sum(sizes)]


async def test_pings_pass_and_are_answered_from_end_to_end(tmp_path: Path) -> None:
    async def pinging(peer: Any) -> None:
        await peer.ws.ping(b"there?")
        await echo(peer)

    async with (
        socket_upstream(pinging) as up,
        running(tmp_path, up) as serve,
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{serve.url}/openai/v1/other", autoping=False) as ws,
    ):
        message = await ws.receive()
        assert (message.type, bytes(message.data)) == (WSMsgType.PING, b"there?")
        await ws.ping(b"here")
        message = await ws.receive()
        assert (message.type, bytes(message.data)) == (WSMsgType.PONG, b"here")


@pytest.mark.parametrize("status", [401, 404, 426, 302])
async def test_an_upstream_that_refuses_the_upgrade_is_heard(tmp_path: Path, status: int) -> None:
    refusal = web.Response(
        status=status,
        body=b'{"error":{"message":"no sockets"}}',
        headers={"Content-Type": "application/json", "X-Request-Id": "r1", "Location": "http://169.254.169.254/"},
    )
    async with (
        socket_upstream(echo, refuse=refusal) as up,
        running(tmp_path, up) as serve,
        aiohttp.ClientSession() as http,
    ):
        url = f"{serve.url}/openai/v1/responses"
        asking = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
        asking["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZQ=="
        async with http.get(url, headers=asking, allow_redirects=False) as response:
            assert (response.status, await response.read()) == (status, refusal.body)
            assert response.headers["X-Request-Id"] == "r1"
        record = (await records(serve, 1))[0]
        assert (record.kind, record.status, record.dialect) == ("other", status, "responses_socket")
        assert record.outcome == ("ok" if status < 400 else "error")


async def test_an_upstream_that_is_not_there_is_told_in_the_caller_s_dialect(tmp_path: Path) -> None:
    async with socket_upstream(echo) as up, running(tmp_path, up) as serve, aiohttp.ClientSession() as http:
        for name in ("dead", "nowhere"):
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await http.ws_connect(f"{serve.url}/{name}/v1/responses")
            assert caught.value.status == {"dead": 502, "nowhere": 404}[name]
        asking = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
        asking["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZQ=="
        async with http.get(f"{serve.url}/dead/v1/responses", headers=asking) as response:
            assert (await response.json())["error"]["code"] == "upstream_unreachable"
        assert [r.outcome for r in await records(serve, 2)] == ["unreachable"] * 2


async def test_other_upgrades_are_ignored(tmp_path: Path) -> None:
    """``h2c`` and half-made openings go on as plain requests; a malformed opening is refused here."""
    plain = web.Response(status=418, body=b"plain")
    async with socket_upstream(echo, refuse=plain) as up, running(tmp_path, up) as serve:
        async with aiohttp.ClientSession() as http:
            upgrade = {"Upgrade": "h2c", "Connection": "Upgrade, HTTP2-Settings", "HTTP2-Settings": "AAMAAABkAAQ"}
            for headers in (upgrade, {"Upgrade": "websocket"}):
                async with http.get(f"{serve.url}/openai/v1/models", headers=headers) as response:
                    assert (response.status, await response.read()) == (418, b"plain")
            bad = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": "short"}
            async with http.get(f"{serve.url}/openai/v1/responses", headers=bad) as response:
                assert response.status == 400
                assert "malformed_request" in await response.text()
        assert up.peers == []


async def test_a_key_offered_as_a_subprotocol_leaves_no_trace(tmp_path: Path) -> None:
    """Browsers cannot set headers, so they put the key there."""
    canary = "sk-canary-4711"
    offered = ("realtime", f"openai-insecure-api-key.{canary}")
    for chosen in ((), ("realtime",)):
        folder = tmp_path / f"chosen-{len(chosen)}"
        folder.mkdir()
        async with socket_upstream(echo, chosen) as up, running(folder, up) as serve:
            url = f"{serve.url}/openai/v1/realtime"
            async with aiohttp.ClientSession() as http, http.ws_connect(url, protocols=offered) as ws:
                assert ws.protocol == (chosen[0] if chosen else None)
            assert canary in up.peers[0].headers["Sec-WebSocket-Protocol"]
            await records(serve, 1)
            for path in [serve.log, *serve.data.rglob("*")]:
                if path.is_file():
                    assert canary.encode() not in path.read_bytes(), path


async def test_many_sockets_at_once(tmp_path: Path) -> None:
    async with socket_upstream(responses_server) as up, running(tmp_path, up) as serve, aiohttp.ClientSession() as http:

        async def ask(number: int) -> str:
            async with http.ws_connect(f"{serve.url}/session/s{number}/openai/v1/responses") as ws:
                await ws.send_json({"type": "response.create", "model": "gpt-5", "input": f"call {number}"})
                while (event := await ws.receive_json())["type"] != "response.completed":
                    pass
                return str(event["response"]["output"][0]["content"][0]["text"])

        assert await asyncio.gather(*map(ask, range(40))) == [f"CALL {number}" for number in range(40)]
        assert {r.session_id for r in await records(serve, 40)} == {f"s{number}" for number in range(40)}
