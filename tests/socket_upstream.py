"""A real loopback WebSocket server that plays what a test gives it, and scripted OpenAI sessions to play."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import WSMsgType, web

MAX_MESSAGE = 32 * 1024 * 1024


@dataclass(slots=True)
class Peer:
    """One socket as the server has it: ``got`` fills with the text it received."""

    ws: web.WebSocketResponse
    headers: Mapping[str, str]
    path: str
    got: list[dict[str, Any]] = field(default_factory=list)

    async def say(self, *events: Any) -> None:
        for event in events:
            await self.ws.send_bytes(b"") if event is None else await self.ws.send_str(orjson.dumps(event).decode())

    async def hear(self) -> dict[str, Any] | None:
        """The next JSON message, or None at the end."""
        message = await self.ws.receive()
        if message.type is not WSMsgType.TEXT:
            return None
        self.got.append(orjson.loads(message.data))
        return self.got[-1]


Play = Callable[[Peer], Awaitable[None]]


@dataclass(slots=True)
class SocketUpstream:
    """``url`` to point at; ``peers`` in the order of their coming; ``ended`` has the code of each socket that ended."""

    url: str = ""
    peers: list[Peer] = field(default_factory=list)
    ended: list[int | None] = field(default_factory=list)


@asynccontextmanager
async def socket_upstream(
    play: Play, protocols: tuple[str, ...] = (), refuse: web.Response | None = None
) -> AsyncIterator[SocketUpstream]:
    """Serve until left; ``refuse`` is answered in place of an upgrade."""
    state = SocketUpstream()

    async def connected(request: web.BaseRequest) -> web.StreamResponse:
        if refuse is not None:
            return web.Response(status=refuse.status, body=refuse.body, headers=refuse.headers)
        ws = web.WebSocketResponse(protocols=protocols, max_msg_size=MAX_MESSAGE)
        await ws.prepare(request)
        peer = Peer(ws, request.headers, request.path_qs)
        state.peers.append(peer)
        try:
            await play(peer)
            if not ws.closed:
                await ws.close()
        finally:
            state.ended.append(ws.close_code)
        return ws

    runner = web.ServerRunner(web.Server(connected, handler_cancellation=True), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    state.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield state
    finally:
        await asyncio.wait_for(runner.cleanup(), 5)


async def echo(peer: Peer) -> None:
    """Send back what comes, of the same kind."""
    async for message in peer.ws:
        if message.type is WSMsgType.TEXT:
            await peer.ws.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await peer.ws.send_bytes(message.data)


def usage(words_in: int, words_out: int, cached: int = 0) -> dict[str, Any]:
    return {
        "input_tokens": words_in,
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0},
        "output_tokens": words_out,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": words_in + words_out,
    }


def response(number: int, asked: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": f"resp_{number}",
        "object": "response",
        "created_at": 1,
        "model": f"{asked.get('model', 'gpt-5')}-2025-08-07",
        "output": [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "status": "in_progress",
        "previous_response_id": asked.get("previous_response_id"),
        **more,
    }


def answer_events(number: int, asked: dict[str, Any], text: str, told: dict[str, Any]) -> list[dict[str, Any]]:
    """The events of one response that says ``text``, as the server numbers them."""
    item = {"id": f"msg_{number}", "type": "message", "role": "assistant", "status": "completed"}
    part = {"type": "output_text", "text": text, "annotations": []}
    done = {**item, "content": [part]}
    at = {"item_id": item["id"], "output_index": 0}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": response(number, asked)},
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": []}},
        *({"type": "response.output_text.delta", **at, "content_index": 0, "delta": w, "logprobs": []} for w in text),
        {"type": "response.output_item.done", "output_index": 0, "item": done},
        {
            "type": "response.completed",
            "response": response(number, asked, status="completed", output=[done], usage=told),
        },
    ]
    lane = {"stream_id": asked["stream_id"]} if "stream_id" in asked else {}
    return [{**event, "sequence_number": n, **lane} for n, event in enumerate(events)]


def said(asked: dict[str, Any]) -> str:
    """All that a request brings, as text."""
    given = asked.get("input", "")
    return given if isinstance(given, str) else " ".join(str(item.get("content", "")) for item in given)


async def responses_server(peer: Peer) -> None:
    """Answers each ``response.create`` with its own input, upper case; a word is a token. History counts as input."""
    tokens: dict[str, int] = {}
    while (asked := await peer.hear()) is not None:
        before = asked.get("previous_response_id")
        if before is not None and before not in tokens:
            error = {"type": "invalid_request_error", "code": "previous_response_not_found", "message": "no"}
            await peer.say({"type": "error", "status": 400, "error": error})
            continue
        text = said(asked).upper()
        cached = tokens.get(before or "", 0)
        words = len(said(asked).split())
        number = len(peer.got)
        tokens[f"resp_{number}"] = cached + words + len(text.split())
        await peer.say(*answer_events(number, asked, text, usage(cached + words, len(text.split()), cached)))


async def realtime_server(peer: Peer) -> None:
    """A session in text: each ``response.create`` is answered with what was last said, upper case."""
    await peer.say(
        {"type": "session.created", "event_id": "e0", "session": {"type": "realtime", "model": "gpt-realtime"}}
    )
    spoken, number, total = "", 0, 0
    while (event := await peer.hear()) is not None:
        if event["type"] == "conversation.item.create":
            spoken = event["item"]["content"][0]["text"]
            await peer.say({"type": "conversation.item.added", "event_id": "e1", "item": event["item"]})
        elif event["type"] == "response.create":
            number += 1
            await peer.say(*realtime_events(number, spoken.upper(), total + len(spoken.split()), total))
            total += 2 * len(spoken.split())


def realtime_events(number: int, text: str, words_in: int, cached: int) -> list[dict[str, Any]]:
    name, item_id = f"resp_{number}", f"item_{number}"
    base = {"id": name, "object": "realtime.response", "conversation_id": "conv_1", "output": []}
    part = {"type": "output_text", "text": text}
    item = {"id": item_id, "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    told = {
        "input_tokens": words_in,
        "output_tokens": len(text.split()),
        "total_tokens": words_in + len(text.split()),
        "input_token_details": {"cached_tokens": cached, "text_tokens": words_in, "audio_tokens": 0},
        "output_token_details": {"text_tokens": len(text.split()), "audio_tokens": 0},
    }
    at = {"response_id": name, "item_id": item_id, "output_index": 0, "content_index": 0}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": {**base, "status": "in_progress"}},
        *({"type": "response.output_text.delta", **at, "delta": piece} for piece in text),
        {"type": "response.done", "response": {**base, "status": "completed", "output": [item], "usage": told}},
    ]
    return [{**event, "event_id": f"ev_{number}_{n}"} for n, event in enumerate(events)]
