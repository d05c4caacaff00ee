"""Cohere's API: chat, embed and rerank, version 2, and what is still asked of version 1.

Source: Cohere API reference, "Chat", "Chat with Streaming", "Embed", "Rerank", versions 2 and 1 (November 2026). No
answer names its model: the request's counts. Answers are read in ``cohere_answer.py``.
"""

from __future__ import annotations

import re

import orjson

from collectors.records import BlockKind
from proxy.dialects import Described, Dialect, Fault, Meter, Prompt, RequestHead, StreamFilter
from proxy.dialects.cohere_answer import EventMeter, LineMeter, VectorMeter, WholeMeter
from proxy.dialects.content import Content
from proxy.dialects.fields import Json, count, hash_object, label, parse_object, rows, table

_PATH = re.compile(r"/v[12]/(chat|embed|rerank)$")
_OPERATIONS = {"chat": "chat", "embed": "embeddings", "rerank": "rerank"}
_KINDS: dict[str, BlockKind] = {
    "system": "system",
    "developer": "system",
    "assistant": "assistant",
    "chatbot": "assistant",
    "tool": "tool_result",
}


class Cohere:
    """Its own API; the OpenAI-shaped one under ``/compatibility/v1`` is another format's."""

    name = "cohere"

    def claims(self, api: str, method: str, path: str) -> bool:
        return api == "cohere" and method == "POST" and _PATH.search(path) is not None

    def describe(self, head: RequestHead, body: bytes | None, ask_usage: bool) -> Described:
        found = _PATH.search(head.path)
        operation = _OPERATIONS[found[1]] if found else "chat"
        if body is None:
            return Described("model", operation=operation)
        parsed = parse_object(body)
        return Described(
            "model",
            operation=operation,
            model=label(parsed.get("model")) or None,
            streamed=parsed.get("stream") is True,
            max_output_tokens=count(parsed.get("max_tokens")),
            body_hash=hash_object(parsed),
            parsed=parsed,
        )

    def prompt(self, described: Described) -> Prompt:
        """Of reranking only the digests: it is sold by the search, so nobody needs its tokens counted."""
        body, content = described.parsed or {}, Content()
        if described.operation == "embeddings":
            _add_inputs(content, body)
            return content.prompt()
        if described.operation == "rerank":
            content.add_text(body.get("query"), "user")
            _add_documents(content, body)
            return Prompt(tuple(content.blocks))
        for tool in rows(body.get("tools")):
            content.add_json(tool, "tool_def")
        content.add_text(body.get("preamble"), "system")
        _add_documents(content, body)
        for message in map(table, rows(body.get("messages")) + rows(body.get("chat_history"))):
            _add_message(content, message)
        content.add_text(body.get("message"), "user")
        for result in map(table, rows(body.get("tool_results"))):
            content.add_json(result.get("outputs"), "tool_result")
        return content.prompt()

    def meter(self, described: Described, status: int, content_type: str) -> Meter:
        kind = content_type.lower()
        if described.operation != "chat" and status < 400:
            return VectorMeter()
        if "event-stream" in kind:
            return EventMeter()
        return LineMeter() if described.streamed and status < 400 else WholeMeter()

    def stream_filter(self, described: Described) -> StreamFilter | None:
        return None

    def error_body(self, fault: Fault, described: Described | None) -> tuple[str, bytes]:
        return "application/json", orjson.dumps({"message": fault.message, "code": fault.code})


def _add_message(content: Content, message: Json) -> None:
    kind = _KINDS.get(str(message.get("role")).lower(), "user")
    content.add_text(message.get("tool_plan"), "assistant")
    said = message.get("content", message.get("message"))
    content.add_text(said, kind)
    for part in map(table, rows(said)):
        _add_part(content, part, kind)
    for call in map(table, rows(message.get("tool_calls"))):
        function = table(call.get("function"))
        content.add_arguments(function.get("arguments") if function else call.get("parameters"))
    for result in map(table, rows(message.get("tool_results"))):
        content.add_json(result.get("outputs"), "tool_result")


def _add_part(content: Content, part: Json, kind: BlockKind) -> None:
    text = part.get("text", part.get("thinking"))
    if isinstance(text, str):
        content.add_text(text, kind)
    elif "document" in part:
        _add_document(content, part["document"])
    elif part:
        content.add_media(part)


def _add_documents(content: Content, body: Json) -> None:
    for document in rows(body.get("documents")):
        _add_document(content, document)


def _add_document(content: Content, document: object) -> None:
    """A text, or an object of which only ``data`` or the fields beside ``id`` are the document."""
    if isinstance(document, dict):
        data = document.get("data", {name: value for name, value in document.items() if name != "id"})
        document = data.get("text") if isinstance(data, dict) and list(data) == ["text"] else data
    if isinstance(document, str):
        content.add_text(document, "user")
    else:
        content.add_json(document, "user")


def _add_inputs(content: Content, body: Json) -> None:
    for text in rows(body.get("texts")):
        content.add_text(text, "user")
    for image in rows(body.get("images")):
        content.add_media(image)
    for entry in map(table, rows(body.get("inputs"))):
        for part in map(table, rows(entry.get("content"))):
            _add_part(content, part, "user")


DIALECT: Dialect = Cohere()
