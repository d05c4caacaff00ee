"""A scripted server for tests that answers in the vendors' shapes: Gemini, Cohere, Mistral, Ollama, OpenAI.

Every answer says ``TEXT``, calls tool ``weather`` where the request offers tools, and reports the figures of ``TOLD``.
The same question asked twice gets the same bytes; streams are cut at odd places.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
from aiohttp import web
from aiohttp.test_utils import TestServer

TEXT = "Grüße aus Köln, 世界!"
PIECES = ("Grüße ", "aus Köln, ", "世界!")
ARGUMENTS = {"place": "Köln"}
TOLD = {"input": 321, "output": 45, "cached": 64, "thoughts": 12}
Json = dict[str, Any]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def vendors() -> AsyncIterator[str]:
    """Serve until left; yields the URL."""
    app = web.Application()
    app.router.add_post("/{version:v1|v1beta}/models/{call}", _gemini)
    app.router.add_post("/v2/{call:chat|embed|rerank}", _cohere)
    app.router.add_post("/api/{call:chat|generate|embed}", _ollama)
    app.router.add_post("/v1/chat/completions", _mistral)
    app.router.add_post("/v1/embeddings", _embeddings)
    app.router.add_post("/v1/responses", _respond)
    app.router.add_get("/v1/responses/{id}", _retrieve)
    server = TestServer(app)
    await server.start_server()
    try:
        yield str(server.make_url("")).rstrip("/")
    finally:
        await server.close()


async def _stream(request: web.Request, body: bytes, kind: str = "text/event-stream") -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": kind})
    await response.prepare(request)
    for at in range(0, len(body), 61):
        await response.write(body[at : at + 61])
    await response.write_eof()
    return response


def _events(*values: Json, end: bytes = b"") -> bytes:
    return b"".join(b"data: " + orjson.dumps(value) + b"\n\n" for value in values) + end


async def _gemini(request: web.Request) -> web.StreamResponse:
    model, verb = request.match_info["call"].split(":")
    if verb == "countTokens":
        return web.json_response({"totalTokens": TOLD["input"]})
    if verb == "batchEmbedContents":
        vectors = [{"values": [0.5, 0.25]} for _ in (await request.json())["requests"]]
        return web.json_response({"embeddings": vectors, "usageMetadata": {"promptTokenCount": TOLD["input"]}})
    usage = {
        "promptTokenCount": TOLD["input"],
        "cachedContentTokenCount": TOLD["cached"],
        "candidatesTokenCount": TOLD["output"] - TOLD["thoughts"],
        "thoughtsTokenCount": TOLD["thoughts"],
        "totalTokenCount": TOLD["input"] + TOLD["output"],
    }
    parts: list[Json] = [{"text": piece} for piece in PIECES]
    if "tools" in await request.json():
        parts.append({"functionCall": {"name": "weather", "args": ARGUMENTS}})
    common = {"modelVersion": model, "responseId": "g1", "usageMetadata": usage}
    if verb == "generateContent":
        candidate = {"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}
        return web.json_response({"candidates": [candidate], **common})
    chunks: list[Json] = [
        {"candidates": [{"content": {"role": "model", "parts": [part]}, "index": 0}], **common} for part in parts
    ]
    chunks[-1]["candidates"][0]["finishReason"] = "STOP"
    return await _stream(request, _events(*chunks))


async def _cohere(request: web.Request) -> web.StreamResponse:
    body, call = await request.json(), request.match_info["call"]
    if call == "embed":
        meta = {"api_version": {"version": "2"}, "billed_units": {"input_tokens": TOLD["input"]}}
        vectors = {"float": [[0.5, 0.25] for _ in body["texts"]]}
        return web.json_response({"id": "e1", "embeddings": vectors, "texts": body["texts"], "meta": meta})
    if call == "rerank":
        meta = {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}}
        return web.json_response({"id": "r1", "results": [{"index": 0, "relevance_score": 0.5}], "meta": meta})
    usage = {
        "billed_units": {"input_tokens": 5, "output_tokens": 6},
        "tokens": {"input_tokens": TOLD["input"], "output_tokens": TOLD["output"]},
        "cached_tokens": TOLD["cached"],
    }
    if not body.get("stream"):
        message = {"role": "assistant", "content": [{"type": "text", "text": TEXT}]}
        return web.json_response({"id": "c1", "finish_reason": "COMPLETE", "message": message, "usage": usage})
    deltas: list[Json] = [
        {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": piece}}}} for piece in PIECES
    ]
    start: Json = {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}}
    ended: Json = {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": usage}}
    first: Json = {"type": "message-start", "id": "c1", "delta": {"message": {"role": "assistant"}}}
    last: Json = {"type": "content-end", "index": 0}
    values = (first, start, *deltas, last, ended)
    named = b"".join(b"event: %s\n" % value["type"].encode() + _events(value) for value in values)
    return await _stream(request, named + b"data: [DONE]\n\n")


async def _ollama(request: web.Request) -> web.StreamResponse:
    body, call = await request.json(), request.match_info["call"]
    told = {"prompt_eval_count": TOLD["input"], "eval_count": TOLD["output"], "total_duration": 5}
    if call == "embed":
        vectors = [[0.5, 0.25] for _ in body["input"]]
        return web.json_response({"model": body["model"], "embeddings": vectors, "prompt_eval_count": TOLD["input"]})

    def line(text: str, **more: Any) -> Json:
        said: Json = {"message": {"role": "assistant", "content": text}} if call == "chat" else {"response": text}
        return {"model": body["model"], "created_at": "2026-11-20T12:00:00Z", **said, **more}

    if body.get("stream") is False:
        return web.json_response(line(TEXT, done=True, done_reason="stop", **told))
    lines = [line(piece, done=False) for piece in PIECES] + [line("", done=True, done_reason="stop", **told)]
    return await _stream(request, b"\n".join(map(orjson.dumps, lines)) + b"\n", "application/x-ndjson")


async def _mistral(request: web.Request) -> web.StreamResponse:
    body = await request.json()
    usage = {
        "prompt_tokens": TOLD["input"],
        "completion_tokens": TOLD["output"],
        "total_tokens": TOLD["input"] + TOLD["output"],
        "num_cached_tokens": TOLD["cached"],
    }
    common = {"id": "m1", "created": 1, "model": body["model"]}
    if not body.get("stream"):
        choice = {"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}
        return web.json_response({**common, "object": "chat.completion", "choices": [choice], "usage": usage})
    chunks: list[Json] = [
        {**common, "choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]} for piece in PIECES
    ]
    chunks[-1]["choices"][0]["finish_reason"] = "stop"
    chunks[-1]["usage"] = usage
    return await _stream(request, _events(*chunks, end=b"data: [DONE]\n\n"))


async def _embeddings(request: web.Request) -> web.StreamResponse:
    body = await request.json()
    texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
    data = [{"object": "embedding", "index": i, "embedding": [0.5, 0.25]} for i in range(len(texts))]
    usage = {"prompt_tokens": TOLD["input"], "total_tokens": TOLD["input"]}
    return web.json_response({"id": "e1", "object": "list", "model": body["model"], "data": data, "usage": usage})


def _response(model: str, tools: bool, **more: Any) -> Json:
    message: Json = {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": TEXT, "annotations": []}],
    }
    call: Json = {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "call_1",
        "name": "weather",
        "arguments": orjson.dumps(ARGUMENTS).decode(),
        "status": "completed",
    }
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": model,
        "status": "completed",
        "output": [call] if tools else [message],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": TOLD["input"],
            "input_tokens_details": {"cached_tokens": TOLD["cached"], "cache_write_tokens": 0},
            "output_tokens": TOLD["output"],
            "output_tokens_details": {"reasoning_tokens": TOLD["thoughts"]},
            "total_tokens": TOLD["input"] + TOLD["output"],
        },
        **more,
    }


async def _respond(request: web.Request) -> web.StreamResponse:
    body = await request.json()
    whole = _response(body["model"], bool(body.get("tools")))
    waiting = {**whole, "status": "queued", "output": [], "usage": None}
    if body.get("background"):
        return web.json_response({**waiting, "background": True})
    if not body.get("stream"):
        return web.json_response(whole)
    item = whole["output"][0]
    empty = {**item, "status": "in_progress", **({"content": []} if item["type"] == "message" else {"arguments": ""})}
    where = {"item_id": item["id"], "output_index": 0}
    part = {"type": "output_text", "text": "", "annotations": []}
    values: list[Json] = [
        {"type": "response.created", "response": {**waiting, "status": "in_progress"}},
        {"type": "response.output_item.added", "output_index": 0, "item": empty},
    ]
    if item["type"] == "message":
        within = {**where, "content_index": 0}
        values.append({"type": "response.content_part.added", **within, "part": part})
        values += [{"type": "response.output_text.delta", **within, "delta": piece, "logprobs": []} for piece in PIECES]
        values.append({"type": "response.output_text.done", **within, "text": TEXT, "logprobs": []})
    else:
        values.append({"type": "response.function_call_arguments.delta", **where, "delta": item["arguments"]})
    values += [
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": whole},
    ]
    numbered = [{**value, "sequence_number": number} for number, value in enumerate(values)]
    named = b"".join(b"event: %s\n" % value["type"].encode() + _events(value) for value in numbered)
    return await _stream(request, named)


async def _retrieve(request: web.Request) -> web.StreamResponse:
    return web.json_response(_response("gpt-4.1", False, id=request.match_info["id"], background=True))
