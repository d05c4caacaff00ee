"""A scripted loopback server for the Responses API, stateless: the request alone decides the answer.

A tool that is offered and was not yet called is called; else the answer is ``TEXT``. Token counts are true for the
texts, counted with the demo provider's tokenizer; each answer given is told in ``told``, in the order of answering.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.proxy.demo.scripted import tokens

TEXT = "Grüße aus Köln, 世界! Twelve degrees, and rain until the evening."
ARGUMENTS = {"weather": '{"place":"Köln"}'}
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Told:
    """What one answer reported."""

    id: str
    input_tokens: int
    output_tokens: int
    streamed: bool
    tools: tuple[str, ...]


@dataclass(slots=True)
class ResponsesProvider:
    """``url`` to point at; ``told`` fills with every answer."""

    url: str = ""
    told: list[Told] = field(default_factory=list)
    serial: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    async def respond(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        item = _item(asked, next(self.serial))
        response = _response(asked, item)
        name, usage = item.get("name"), response["usage"]
        streamed = asked.get("stream") is True
        tools = (name,) if name else ()
        self.told.append(Told(response["id"], usage["input_tokens"], usage["output_tokens"], streamed, tools))
        if not streamed:
            return web.json_response(response)
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        for event in _events(response, item):
            await answer.write(event)
        await answer.write_eof()
        return answer


@asynccontextmanager
async def responses_provider() -> AsyncIterator[ResponsesProvider]:
    """Serve until left."""
    provider = ResponsesProvider()
    app = web.Application()
    app.router.add_post("/v1/responses", provider.respond)
    server = TestServer(app)
    await server.start_server()
    provider.url = str(server.make_url("")).rstrip("/")
    try:
        yield provider
    finally:
        await server.close()


def _item(asked: Json, serial: int) -> Json:
    """The one item of the answer: a call of the first tool that was not called yet, else words."""
    said = asked["input"] if isinstance(asked["input"], list) else []
    called = {item.get("name") for item in said if item.get("type") == "function_call"}
    wanted = [tool["name"] for tool in asked.get("tools") or () if tool["name"] not in called]
    if wanted:
        call = {"id": f"fc_{serial}", "call_id": f"call_{serial}", "name": wanted[0]}
        return {"type": "function_call", "status": "completed", "arguments": ARGUMENTS.get(wanted[0], "{}"), **call}
    part = {"type": "output_text", "text": TEXT, "annotations": []}
    return {"type": "message", "id": f"msg_{serial}", "status": "completed", "role": "assistant", "content": [part]}


def _response(asked: Json, item: Json) -> Json:
    prompt = tokens([orjson.dumps(asked.get(key)).decode() for key in ("instructions", "tools", "input")])
    completion = tokens([item.get("name", ""), item.get("arguments", "")] if "name" in item else [TEXT])
    usage = {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": completion,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": prompt + completion,
    }
    return {
        "id": f"resp_{item['id']}",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": asked.get("instructions"),
        "metadata": {},
        "model": asked["model"],
        "output": [item],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": asked.get("tools") or [],
        "usage": usage,
    }


def _events(response: Json, item: Json) -> Iterator[bytes]:
    numbers = itertools.count()

    def event(kind: str, **fields: Any) -> bytes:
        value = {"type": kind, "sequence_number": next(numbers), **fields}
        return f"event: {kind}\n".encode() + b"data: " + orjson.dumps(value) + b"\n\n"

    at: Json = {"output_index": 0, "item_id": item["id"]}
    pending = {**response, "status": "in_progress", "output": [], "usage": None}
    yield event("response.created", response=pending)
    if "name" in item:
        yield event("response.output_item.added", output_index=0, item={**item, "arguments": ""})
        yield event("response.function_call_arguments.delta", **at, delta=item["arguments"])
        yield event("response.function_call_arguments.done", **at, arguments=item["arguments"], name=item["name"])
    else:
        empty = {**item["content"][0], "text": ""}
        yield event("response.output_item.added", output_index=0, item={**item, "content": []})
        yield event("response.content_part.added", **at, content_index=0, part=empty)
        for piece in TEXT.split(" "):
            yield event("response.output_text.delta", **at, content_index=0, delta=f"{piece} ", logprobs=[])
        yield event("response.output_text.done", **at, content_index=0, text=TEXT, logprobs=[])
        yield event("response.content_part.done", **at, content_index=0, part=item["content"][0])
    yield event("response.output_item.done", output_index=0, item=item)
    yield event("response.completed", response=response)
