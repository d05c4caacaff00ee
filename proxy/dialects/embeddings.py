"""Embeddings and reranking in OpenAI's shape: ``POST …/embeddings`` of OpenAI, Mistral, Voyage, vLLM and others.

Sources: OpenAI API reference, "Create embeddings"; Mistral and Voyage AI API references (November 2026; Voyage's
``/multimodalembeddings``, ``/contextualizedembeddings`` and ``/rerank`` tell usage in the same place). Only input is
counted: by ``prompt_tokens``, or by ``total_tokens`` where that is all there is.
"""

from __future__ import annotations

from typing import Any

import orjson

from collectors.records import Usage
from proxy.dialects import Described, Dialect, Fault, Meter, Observation, Prompt, RequestHead, StreamFilter
from proxy.dialects.content import Content
from proxy.dialects.ends import Ends
from proxy.dialects.fields import count, error_code, hash_object, label, parse_object, rows, table

_OPERATIONS = {
    "/embeddings": "embeddings",
    "/multimodalembeddings": "embeddings",
    "/contextualizedembeddings": "embeddings",
    "/rerank": "rerank",
}
_OWN_FORMATS = frozenset({"tool", "mcp", "agent", "cohere"})
_ERROR_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


class Embeddings:
    """Claimed by path, as vendors put their own prefixes in front."""

    name = "embeddings"

    def claims(self, api: str, method: str, path: str) -> bool:
        if method != "POST" or api in _OWN_FORMATS or (api == "ollama" and path.endswith("/api/embeddings")):
            return False
        return _operation(path) is not None

    def describe(self, head: RequestHead, body: bytes | None, ask_usage: bool) -> Described:
        operation = _operation(head.path) or "embeddings"
        if body is None:
            return Described("model", operation=operation)
        parsed = parse_object(body)
        return Described(
            "model",
            operation=operation,
            model=label(parsed.get("model")) or None,
            body_hash=hash_object(parsed),
            parsed=parsed,
        )

    def prompt(self, described: Described) -> Prompt:
        body, content = described.parsed or {}, Content()
        for name in ("query", "input", "inputs", "documents"):
            _add(content, body.get(name))
        return content.prompt()

    def meter(self, described: Described, status: int, content_type: str) -> Meter:
        return _Meter()

    def stream_filter(self, described: Described) -> StreamFilter | None:
        return None

    def error_body(self, fault: Fault, described: Described | None) -> tuple[str, bytes]:
        default = "server_error" if fault.status >= 500 else "invalid_request_error"
        kind = _ERROR_TYPES.get(fault.status, default)
        error = {"message": fault.message, "type": kind, "param": None, "code": fault.code}
        return "application/json", orjson.dumps({"error": error, "detail": fault.message})


def _operation(path: str) -> str | None:
    return next((name for suffix, name in _OPERATIONS.items() if path.endswith(suffix)), None)


def _add(content: Content, value: Any, depth: int = 0) -> None:
    """A text, texts, chunks of texts, or parts with a ``text``; token ids are digested as they are."""
    if isinstance(value, dict):
        parts = value.get("content")
        if isinstance(value.get("text"), str):
            content.add_text(value["text"], "user")
        elif isinstance(parts, list):
            _add(content, parts, depth + 1)
        else:
            content.add_media(value)
    elif rows(value) and type(value[0]) is int:
        content.add_media(value)
    elif depth < 4:
        content.add_text(value, "user")
        for part in rows(value):
            _add(content, part, depth + 1)


class _Meter:
    """Vectors, and ``model`` and ``usage`` before or behind them."""

    def __init__(self) -> None:
        self._ends = Ends("usage", "model")

    def feed(self, chunk: bytes) -> None:
        self._ends.feed(chunk)

    def finish(self) -> Observation:
        value, is_whole = self._ends.parse()
        said = table(value.get("usage"))
        tokens = count(said.get("prompt_tokens") if said.get("prompt_tokens") is not None else said.get("total_tokens"))
        return Observation(
            usage=None if tokens is None else Usage(input_tokens=tokens, output_tokens=0, source="reported"),
            model=label(value.get("model")) or None,
            response_id=label(value.get("id")),
            error=error_code(value["error"]) if value.get("error") else "",
            is_complete=is_whole,
        )


DIALECT: Dialect = Embeddings()
