"""Google's generative models: ``…/models/{model}:generateContent`` and its kin, at the Gemini API and at Vertex AI.

Source: Gemini API reference, "Generating content", "Embeddings", "Token counting"; Vertex AI reference, "Method:
models.generateContent" (November 2026). The model stands in the URL alone. A stream comes as server-sent events with
``alt=sse``, else as one JSON array. Requests may spell their fields in camel or snake case, as protobuf JSON allows.
Answers are read in ``gemini_answer.py``.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

import orjson

from proxy.dialects import Described, Dialect, Fault, Meter, Prompt, RequestHead, StreamFilter
from proxy.dialects.content import Content
from proxy.dialects.fields import Json, count, hash_object, label, parse_object, table
from proxy.dialects.gemini_answer import ArrayMeter, EmbeddingMeter, EventMeter, WholeMeter
from proxy.dialects.gemini_content import add_content, field, listed

_PATH = re.compile(r"/(?P<name>[^:?]+):(?P<verb>\w+)$")
_MODEL = re.compile(r"(?:^|/)models/([^/]+)$")
_OPERATIONS = {
    "generateContent": "chat",
    "streamGenerateContent": "chat",
    "embedContent": "embeddings",
    "batchEmbedContents": "embeddings",
    "countTokens": "count_tokens",
}
_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class Gemini:
    """Claimed by the verb behind the colon, which no other format has."""

    name = "gemini"

    def claims(self, api: str, method: str, path: str) -> bool:
        return method == "POST" and api not in ("tool", "mcp", "agent") and _split(path)[1] in _OPERATIONS

    def describe(self, head: RequestHead, body: bytes | None, ask_usage: bool) -> Described:
        model, verb = _split(head.path)
        operation = _OPERATIONS.get(verb, "chat")
        parsed = None if body is None else parse_object(body)
        config = table(field(parsed or {}, "generationConfig"))
        return Described(
            "other" if operation == "count_tokens" else "model",
            operation=operation,
            model=model,
            streamed=verb == "streamGenerateContent",
            max_output_tokens=count(field(config, "maxOutputTokens")),
            body_hash="" if parsed is None else hash_object({**parsed, "model": model}),  # the body does not name it
            parsed=parsed,
        )

    def prompt(self, described: Described) -> Prompt:
        body, content = described.parsed or {}, Content()
        if described.operation == "embeddings":
            for request in listed(body.get("requests")) or [body]:
                add_content(content, table(request.get("content")))
            return content.prompt()
        for tool in listed(body.get("tools")):
            _add_tool(content, tool)
        system = field(body, "systemInstruction")
        if isinstance(system, str):
            content.add_text(system, "system")
        add_content(content, {**table(system), "role": "system"})
        for entry in listed(body.get("contents")):
            add_content(content, entry)
        return content.prompt()

    def meter(self, described: Described, status: int, content_type: str) -> Meter:
        if described.operation == "embeddings" and status < 400:
            return EmbeddingMeter()
        if "event-stream" in content_type.lower():
            return EventMeter()
        return ArrayMeter() if described.streamed else WholeMeter()

    def stream_filter(self, described: Described) -> StreamFilter | None:
        return None

    def error_body(self, fault: Fault, described: Described | None) -> tuple[str, bytes]:
        """``google.rpc.Status`` as JSON; the stable code is the ``reason`` of its ``ErrorInfo``."""
        status = _STATUSES.get(fault.status, "INTERNAL" if fault.status >= 500 else "INVALID_ARGUMENT")
        info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": fault.code, "domain": "orchtax"}
        error = {"code": fault.status, "message": fault.message, "status": status, "details": [info]}
        return "application/json", orjson.dumps({"error": error})


def _split(path: str) -> tuple[str | None, str]:
    """``(model, verb)``; the model is None where the path names another resource (a tuned endpoint, by number)."""
    found = _PATH.search(path.replace("%3A", ":").replace("%3a", ":"))
    if found is None:
        return None, ""
    model = _MODEL.search(unquote(found["name"]))
    return (label(model[1]) or None if model else None), found["verb"]


def _add_tool(content: Content, tool: Json) -> None:
    """A function counts as one definition each, a hosted tool as a whole."""
    functions = listed(field(tool, "functionDeclarations"))
    for function in functions:
        content.add_json(function, "tool_def")
    if tool and not functions:
        content.add_json(tool, "tool_def")


DIALECT: Dialect = Gemini()
