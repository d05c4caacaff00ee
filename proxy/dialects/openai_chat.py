"""OpenAI's chat completions, spoken by most model servers: ``POST …/chat/completions``.

Source: OpenAI API reference, "Create chat completion" (November 2026). The answers are read in
``openai_chat_answer.py``, their usage in ``openai_chat_usage.py``; ``openai_chat_ask.py`` asks streams for usage.
"""

from __future__ import annotations

from typing import Any

import orjson

from collectors.records import BlockKind
from proxy.dialects import Described, Dialect, Fault, Meter, Prompt, RequestHead, StreamFilter
from proxy.dialects.content import Content
from proxy.dialects.fields import Json, count, hash_object, label, parse_object, rows, table
from proxy.dialects.openai_chat_answer import StreamMeter, WholeMeter
from proxy.dialects.openai_chat_ask import UsageFilter, ask_for_usage

_KINDS: dict[str, BlockKind] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool_result",
    "function": "tool_result",
}
_ERROR_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    429: "rate_limit_error",
}


class OpenAIChat:
    """Claimed by path alone, since vendors put their own prefixes in front (``/openai/v1``, ``/api/v1`` …)."""

    name = "openai_chat"

    def claims(self, api: str, method: str, path: str) -> bool:
        return method == "POST" and path.endswith("/chat/completions") and api not in ("tool", "mcp", "agent")

    def describe(self, head: RequestHead, body: bytes | None, ask_usage: bool) -> Described:
        if body is None:
            return Described("model", operation="chat")
        parsed = parse_object(body)
        streamed = parsed.get("stream") is True
        may_ask = streamed and ask_usage and "stream_options" not in parsed
        limit = parsed.get("max_completion_tokens")
        return Described(
            "model",
            operation="chat",
            model=label(parsed.get("model")) or None,
            streamed=streamed,
            max_output_tokens=count(parsed.get("max_tokens") if limit is None else limit),
            body_hash=hash_object(parsed),
            parsed=parsed,
            rewritten=ask_for_usage(body) if may_ask else None,
            hides_usage=may_ask,
            expects_usage=not streamed or not _refuses_usage(parsed),
        )

    def prompt(self, described: Described) -> Prompt:
        body, content = described.parsed or {}, Content()
        for tool in rows(body.get("tools")) + rows(body.get("functions")):
            content.add_json(tool, "tool_def")
        for message in rows(body.get("messages")):
            if isinstance(message, dict):
                _add_message(content, message)
        return content.prompt()

    def meter(self, described: Described, status: int, content_type: str) -> Meter:
        kind = content_type.lower()  # some servers stream without saying so
        is_stream = "event-stream" in kind or (described.streamed and status == 200 and "json" not in kind)
        return StreamMeter() if is_stream else WholeMeter()

    def stream_filter(self, described: Described) -> StreamFilter | None:
        return UsageFilter() if described.hides_usage else None

    def error_body(self, fault: Fault, described: Described | None) -> tuple[str, bytes]:
        default = "server_error" if fault.status >= 500 else "invalid_request_error"
        kind = _ERROR_TYPES.get(fault.status, default)
        error = {"message": fault.message, "type": kind, "param": None, "code": fault.code}
        return "application/json", orjson.dumps({"error": error})


def _refuses_usage(body: Json) -> bool:
    """The agent spoke about ``stream_options`` and did not ask for usage: its wish stands, tokens are then counted."""
    return "stream_options" in body and table(body["stream_options"]).get("include_usage") is not True


def _add_message(content: Content, message: Json) -> None:
    kind = _KINDS.get(str(message.get("role")), "user")
    if kind == "assistant":
        content.add_text(message.get("reasoning_content") or message.get("reasoning"), kind)
    _add_parts(content, message.get("content"), kind)
    if kind == "assistant":
        content.add_text(message.get("refusal"), kind)
        for call in rows(message.get("tool_calls")):
            _add_call(content, table(call))
        if message.get("function_call"):
            _add_call(content, {"function": message["function_call"]})


def _add_parts(content: Content, parts: Any, kind: BlockKind) -> None:
    content.add_text(parts, kind)
    for part in map(table, rows(parts)):
        text = part.get("text", part.get("refusal"))
        if isinstance(text, str):
            content.add_text(text, kind)
        elif "thinking" in part:
            _add_parts(content, part["thinking"], kind)
        elif part:
            content.add_media(part)


def _add_call(content: Content, call: Json) -> None:
    function = table(call.get("function") or call.get("custom"))
    if function:
        content.add_arguments(function.get("arguments", function.get("input")))


DIALECT: Dialect = OpenAIChat()
