"""What an MCP server answers: JSON-RPC responses, alone, in a batch or in a stream between notifications.

Source: modelcontextprotocol.io specification, "Tools", revisions 2025-11-25 and 2026-07-28 (``resultType``).
"""

from __future__ import annotations

from typing import Any

from proxy.dialects import Observation
from proxy.dialects.content import Content
from proxy.dialects.fields import Body, Json, error_code, label, rows, table
from proxy.dialects.sse import JsonEvents

RequestId = str | int | None
_ASKS_BACK = "input_required"


def request_id(message: Json) -> RequestId:
    """The JSON-RPC id of a message; None when it has none (a notification) or an impossible one."""
    value = message.get("id")
    return value if isinstance(value, str) or type(value) is int else None


class _Answer:
    """Collects the responses to the requests that were sent. ``is_call`` says of each id whether it was a tool call."""

    def __init__(self, is_call: dict[RequestId, bool]) -> None:
        self._is_call = is_call
        self._open = set(is_call)
        self._content = Content()
        self._error = self._finish = ""
        self._is_served = False  # a tool did what it was called for

    def take(self, value: Any) -> None:
        for message in value if isinstance(value, list) else [value]:
            if isinstance(message, dict) and "method" not in message:
                self._take_response(message)

    def _take_response(self, message: Json) -> None:
        answered = request_id(message)
        if message.get("error"):
            self._error = f"jsonrpc_{error_code(message['error'])}"
            self._open.discard(answered)
        elif answered in self._open:
            self._open.discard(answered)
            if self._is_call[answered]:
                self._take_result(table(message.get("result")))

    def _take_result(self, result: Json) -> None:
        if result.get("isError") is True:
            self._error = self._error or "tool_error"
        self._finish = label(result.get("resultType"))
        self._is_served = self._is_served or self._finish != _ASKS_BACK
        parts = rows(result.get("content"))
        for part in map(table, parts):
            _add_part(self._content, part)
        if not parts and result.get("structuredContent") is not None:
            self._content.add_json(result["structuredContent"], "tool_result")

    def observe(self, is_refused: bool = False) -> Observation:
        return Observation(
            finish_reason=self._finish,
            error=self._error,
            outputs=tuple(self._content.blocks),
            is_complete=is_refused or not self._open,
            has_ended=not self._open,
            is_interim=self._finish == _ASKS_BACK and not self._is_served,
        )


def _add_part(content: Content, part: Json) -> None:
    kind = part.get("type")
    if kind == "text":
        content.add_text(part.get("text"), "tool_result")
    elif kind in ("image", "audio"):
        content.add_media(part.get("data"))
    elif kind == "resource" and "text" in table(part.get("resource")):
        content.add_text(part["resource"]["text"], "tool_result")
    elif part:
        content.add_json(part, "tool_result")


class WholeMeter:
    """An answer that is one JSON text. ``is_refused``: the HTTP status says that there will be no response."""

    def __init__(self, is_call: dict[RequestId, bool], is_refused: bool) -> None:
        self._answer = _Answer(is_call)
        self._is_refused = is_refused
        self._body = Body()

    def feed(self, chunk: bytes) -> None:
        self._body.feed(chunk)

    def finish(self) -> Observation:
        self._answer.take(self._body.parse())
        return self._answer.observe(self._is_refused or self._body.is_too_long)


class StreamMeter:
    """An answer as events: notifications and the server's own requests first, the response last."""

    def __init__(self, is_call: dict[RequestId, bool]) -> None:
        self._answer = _Answer(is_call)
        self._events = JsonEvents(self._answer.take)

    def feed(self, chunk: bytes) -> None:
        self._events.feed(chunk)

    def finish(self) -> Observation:
        self._events.finish()
        return self._answer.observe()


class NoMeter:
    """For a server's own stream, and for requests that were not read: nothing is expected."""

    def feed(self, chunk: bytes) -> None:
        return

    def finish(self) -> Observation:
        return Observation()
