"""Anthropic messages, the server's side. Shapes: https://docs.anthropic.com/en/api/messages (November 2026):
``input_tokens`` is what neither came from the cache nor went into it; a stream tells input first, output last."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from proxy.demo.play import Failure, read_caller
from proxy.demo.question import Question, Reply, pieces

Json = dict[str, Any]


def read(body: Json) -> Question:
    """Raises ``KeyError`` or ``TypeError`` on a body that is no messages request."""
    parts: list[str] = []
    cached_until = 0
    for block in _blocks(body):
        parts.extend(_texts(block))
        if block.get("cache_control"):
            cached_until = len(parts)
    return Question(
        api="anthropic",
        model=body["model"],
        caller=read_caller((body.get("metadata") or {}).get("user_id")),
        parts=tuple(parts),
        is_streamed=bool(body.get("stream")),
        wants_usage=True,
        cached_until=cached_until,
    )


def _blocks(body: Json) -> Iterator[Json]:
    yield from ({**tool, "type": "tool"} for tool in body.get("tools") or ())
    yield from _content(body.get("system") or "")
    for message in body["messages"]:
        yield from _content(message["content"])


def _content(content: str | list[Json]) -> list[Json]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return content


def _texts(block: Json) -> Iterator[str]:
    match block["type"]:
        case "text":
            yield block["text"]
        case "tool_use":
            yield block["name"]
            yield _canonical(block["input"])
        case "tool_result":
            yield from (part["text"] for part in _content(block.get("content") or ""))
        case _:
            yield _canonical({k: v for k, v in block.items() if k not in ("type", "cache_control")})


def _canonical(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def whole(question: Question, reply: Reply) -> bytes:
    """The answer in one body."""
    content: list[Json] = [{"type": "text", "text": reply.text}] if reply.text else []
    content += [_tool_use(index, reply, orjson.loads(ask.arguments)) for index, ask in enumerate(reply.asks)]
    usage = {**_input_usage(reply), "output_tokens": reply.counts.completion}
    return orjson.dumps({**_head(question, reply), "content": content, "stop_reason": _stop(reply), "usage": usage})


def events(question: Question, reply: Reply) -> Iterator[bytes]:
    """The answer as server-sent events, one an item."""
    usage = {**_input_usage(reply), "output_tokens": 1}
    yield _event("message_start", message={**_head(question, reply), "usage": usage})
    first_tool = 1 if reply.text else 0
    if reply.text:
        yield from _block(0, {"type": "text", "text": ""}, "text_delta", "text", pieces(reply.text))
    for index, ask in enumerate(reply.asks):
        start = _tool_use(index, reply, {})
        yield from _block(first_tool + index, start, "input_json_delta", "partial_json", [ask.arguments])
    delta = {"stop_reason": _stop(reply), "stop_sequence": None}
    yield _event("message_delta", delta=delta, usage={"output_tokens": reply.counts.completion})
    yield _event("message_stop")


def failure(fault: Failure) -> bytes:
    kind = "rate_limit_error" if fault.status == 429 else "api_error"
    return orjson.dumps({"type": "error", "error": {"type": kind, "message": fault.message}})


def _block(index: int, start: Json, kind: str, key: str, parts: list[str]) -> Iterator[bytes]:
    yield _event("content_block_start", index=index, content_block=start)
    for part in parts:
        yield _event("content_block_delta", index=index, delta={"type": kind, key: part})
    yield _event("content_block_stop", index=index)


def _head(question: Question, reply: Reply) -> Json:
    return {
        "id": reply.id,
        "type": "message",
        "role": "assistant",
        "model": question.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def _tool_use(index: int, reply: Reply, value: Json) -> Json:
    ask = reply.asks[index]
    return {"type": "tool_use", "id": ask.id, "name": ask.name, "input": value}


def _stop(reply: Reply) -> str:
    return "tool_use" if reply.asks else "end_turn"


def _input_usage(reply: Reply) -> Json:
    counts = reply.counts
    return {
        "input_tokens": counts.prompt - counts.cached - counts.written,
        "cache_read_input_tokens": counts.cached,
        "cache_creation_input_tokens": counts.written,
        "cache_creation": {"ephemeral_5m_input_tokens": counts.written, "ephemeral_1h_input_tokens": 0},
        "service_tier": "standard",
    }


def _event(kind: str, **fields: Any) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + orjson.dumps({"type": kind, **fields}) + b"\n\n"
