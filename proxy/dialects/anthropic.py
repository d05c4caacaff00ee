"""Anthropic's messages: ``POST …/v1/messages``.

Source: Anthropic API reference, "Messages", "Count tokens", "Errors" (November 2026). Counting tokens asks no model and
costs nothing: kind ``other``. Batches stay with ``opaque``. Answers are read in ``anthropic_answer.py``.
"""

from __future__ import annotations

import orjson

from collectors.records import BlockKind
from proxy.dialects import Described, Dialect, Fault, Meter, Prompt, RequestHead, StreamFilter
from proxy.dialects.anthropic_answer import StreamMeter, WholeMeter
from proxy.dialects.anthropic_content import add_parts, without_cache
from proxy.dialects.content import Content
from proxy.dialects.fields import count, hash_object, label, parse_object, rows, table

_COUNTING = "/v1/messages/count_tokens"
_KINDS: dict[str, BlockKind] = {"assistant": "assistant", "system": "system"}
_ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class Anthropic:
    """The messages API, at Anthropic itself or at a server that speaks it."""

    name = "anthropic"

    def claims(self, api: str, method: str, path: str) -> bool:
        return api == "anthropic" and method == "POST" and path.endswith(("/v1/messages", _COUNTING))

    def describe(self, head: RequestHead, body: bytes | None, ask_usage: bool) -> Described:
        if body is None:
            return Described("model", operation="chat")
        parsed = parse_object(body)
        is_counting = head.path.endswith(_COUNTING)
        return Described(
            "other" if is_counting else "model",
            operation="count_tokens" if is_counting else "chat",
            model=label(parsed.get("model")) or None,
            streamed=parsed.get("stream") is True,
            max_output_tokens=count(parsed.get("max_tokens")),
            body_hash=hash_object(parsed),
            parsed=parsed,
        )

    def prompt(self, described: Described) -> Prompt:
        body, content = described.parsed or {}, Content()
        for tool in rows(body.get("tools")):
            content.add_json(without_cache(table(tool)), "tool_def")
        add_parts(content, body.get("system"), "system")
        for message in map(table, rows(body.get("messages"))):
            kind = _KINDS.get(str(message.get("role")), "user")
            add_parts(content, message.get("content"), kind)
        return content.prompt()

    def meter(self, described: Described, status: int, content_type: str) -> Meter:
        kind = content_type.lower()  # some servers stream without saying so
        is_stream = "event-stream" in kind or (described.streamed and status == 200 and "json" not in kind)
        return StreamMeter() if is_stream else WholeMeter()

    def stream_filter(self, described: Described) -> StreamFilter | None:
        return None

    def error_body(self, fault: Fault, described: Described | None) -> tuple[str, bytes]:
        """``details.error_code`` is where the SDK reads the stable code from."""
        default = "api_error" if fault.status >= 500 else "invalid_request_error"
        kind = _ERROR_TYPES.get(fault.status, default)
        error = {"type": kind, "message": fault.message, "details": {"error_code": fault.code}}
        return "application/json", orjson.dumps({"type": "error", "error": error})


DIALECT: Dialect = Anthropic()
