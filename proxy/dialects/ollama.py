"""Ollama's native API: ``POST …/api/chat``, ``/api/generate``, ``/api/embed`` and the older ``/api/embeddings``.

Source: Ollama, docs/api.md (November 2026). An answer streams unless the request says ``"stream": false``. Its
``/v1/…`` paths speak OpenAI's formats. Answers are read in ``ollama_answer.py``.
"""

from __future__ import annotations

import orjson

from collectors.records import BlockKind
from proxy.dialects import Described, Dialect, Fault, Meter, Prompt, RequestHead, StreamFilter
from proxy.dialects.content import Content
from proxy.dialects.fields import Json, count, hash_object, label, parse_object, rows, table
from proxy.dialects.ollama_answer import LineMeter, VectorMeter

_OPERATIONS = {
    "/api/chat": "chat",
    "/api/generate": "completion",
    "/api/embed": "embeddings",
    "/api/embeddings": "embeddings",
}
_KINDS: dict[str, BlockKind] = {"system": "system", "assistant": "assistant", "tool": "tool_result"}


class Ollama:
    """Only of upstreams that are said to be Ollama: ``/api/chat`` is a path that others have too."""

    name = "ollama"

    def claims(self, api: str, method: str, path: str) -> bool:
        return api == "ollama" and method == "POST" and _operation(path) is not None

    def describe(self, head: RequestHead, body: bytes | None, ask_usage: bool) -> Described:
        operation = _operation(head.path) or "chat"
        if body is None:
            return Described("model", operation=operation)
        parsed = parse_object(body)
        return Described(
            "model",
            operation=operation,
            model=label(parsed.get("model")) or None,
            streamed=operation != "embeddings" and parsed.get("stream") is not False,
            max_output_tokens=count(table(parsed.get("options")).get("num_predict")),
            body_hash=hash_object(parsed),
            parsed=parsed,
        )

    def prompt(self, described: Described) -> Prompt:
        body, content = described.parsed or {}, Content()
        for tool in rows(body.get("tools")):
            content.add_json(tool, "tool_def")
        content.add_text(body.get("system"), "system")
        for message in map(table, rows(body.get("messages"))):
            _add_message(content, message)
        content.add_text(body.get("prompt"), "user")
        content.add_text(body.get("suffix"), "user")
        content.add_text(body.get("input"), "user")
        for text in rows(body.get("input")):
            content.add_text(text, "user")
        _add_images(content, body)
        return content.prompt()

    def meter(self, described: Described, status: int, content_type: str) -> Meter:
        return VectorMeter() if described.operation == "embeddings" and status < 400 else LineMeter()

    def stream_filter(self, described: Described) -> StreamFilter | None:
        return None

    def error_body(self, fault: Fault, described: Described | None) -> tuple[str, bytes]:
        return "application/json", orjson.dumps({"error": fault.message, "code": fault.code})


def _operation(path: str) -> str | None:
    return next((name for suffix, name in _OPERATIONS.items() if path.endswith(suffix)), None)


def _add_message(content: Content, message: Json) -> None:
    kind = _KINDS.get(str(message.get("role")), "user")
    content.add_text(message.get("thinking"), kind)
    content.add_text(message.get("content"), kind)
    _add_images(content, message)
    for call in map(table, rows(message.get("tool_calls"))):
        content.add_arguments(table(call.get("function")).get("arguments"))


def _add_images(content: Content, body: Json) -> None:
    for image in rows(body.get("images")):
        content.add_media(image)


DIALECT: Dialect = Ollama()
