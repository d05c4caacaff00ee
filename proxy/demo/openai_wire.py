"""OpenAI chat completions, the server's side. Shapes: https://platform.openai.com/docs/api-reference/chat (November
2026): usage arrives in a last chunk with empty ``choices``, and only when ``stream_options.include_usage`` is set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from proxy.demo.play import Failure, read_caller
from proxy.demo.question import Question, Reply, pieces

Json = dict[str, Any]


def read(body: Json) -> Question:
    """Raises ``KeyError`` or ``TypeError`` on a body that is no chat request."""
    parts = [_canonical(tool) for tool in body.get("tools") or ()]
    for message in body["messages"]:
        parts.extend(_texts(message))
    options = body.get("stream_options") or {}
    return Question(
        api="openai",
        model=body["model"],
        caller=read_caller(body.get("user")),
        parts=tuple(parts),
        is_streamed=bool(body.get("stream")),
        wants_usage=bool(options.get("include_usage")),
        cached_until=len(parts),
    )


def _canonical(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def _texts(message: Json) -> Iterator[str]:
    content = message.get("content")
    if isinstance(content, str):
        yield content
    for part in content if isinstance(content, list) else ():
        yield part["text"]
    for call in message.get("tool_calls") or ():
        yield call["function"]["name"]
        yield call["function"]["arguments"]


def whole(question: Question, reply: Reply) -> bytes:
    """The answer in one body."""
    message: Json = {"role": "assistant", "content": reply.text or None, "refusal": None}
    if reply.asks:
        message["tool_calls"] = [_call(i, reply) for i in range(len(reply.asks))]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(reply)}
    return orjson.dumps(
        {**_head(question, reply, "chat.completion"), "choices": [choice], "usage": _usage(reply)},
    )


def events(question: Question, reply: Reply) -> Iterator[bytes]:
    """The answer as server-sent events, one an item."""
    head = _head(question, reply, "chat.completion.chunk")
    if question.wants_usage:
        head["usage"] = None
    yield _event(head, {"role": "assistant", "content": "" if reply.text else None})
    for piece in pieces(reply.text):
        yield _event(head, {"content": piece})
    for index in range(len(reply.asks)):
        yield _event(head, {"tool_calls": [{"index": index, **_call(index, reply)}]})
    yield _event(head, {}, _finish(reply))
    if question.wants_usage:
        yield _data({**head, "choices": [], "usage": _usage(reply)})
    yield b"data: [DONE]\n\n"


def failure(fault: Failure) -> bytes:
    kind = "rate_limit_exceeded" if fault.status == 429 else "server_error"
    return orjson.dumps({"error": {"message": fault.message, "type": kind, "param": None, "code": kind}})


def _head(question: Question, reply: Reply, kind: str) -> Json:
    return {"id": reply.id, "object": kind, "created": reply.created, "model": question.model}


def _call(index: int, reply: Reply) -> Json:
    ask = reply.asks[index]
    return {"id": ask.id, "type": "function", "function": {"name": ask.name, "arguments": ask.arguments}}


def _finish(reply: Reply) -> str:
    return "tool_calls" if reply.asks else "stop"


def _usage(reply: Reply) -> Json:
    counts = reply.counts
    return {
        "prompt_tokens": counts.prompt,
        "completion_tokens": counts.completion,
        "total_tokens": counts.prompt + counts.completion,
        "prompt_tokens_details": {"cached_tokens": counts.cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def _event(head: Json, delta: Json, finish: str | None = None) -> bytes:
    return _data({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})


def _data(value: Json) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\n\n"
