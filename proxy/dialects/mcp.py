"""The Model Context Protocol over streamable HTTP, in both revisions.

Sources: modelcontextprotocol.io specification, "Transports", revisions 2025-11-25 (POST, GET for a server's own stream,
DELETE to end a session) and 2026-07-28 (stateless; method and name repeated in ``Mcp-Method`` and ``Mcp-Name``;
``subscriptions/listen`` instead of the GET; a tool that wants input answers ``input_required`` and is called again).
Only ``tools/call`` is a tool call; all other methods, notifications and streams are protocol and count as ``other``: so
what a stream replays after ``Last-Event-ID`` is never counted again. Answers are read in ``mcp_answer.py``.
"""

from __future__ import annotations

import base64
from typing import Any

import orjson

from proxy.dialects import Described, Dialect, Fault, Meter, Prompt, RequestHead, StreamFilter
from proxy.dialects.content import Content
from proxy.dialects.fields import Json, hash_object, label, parse, rows, table
from proxy.dialects.mcp_answer import NoMeter, StreamMeter, WholeMeter, request_id

_CALL = "tools/call"
_BATCH = "batch"
_LISTEN = "subscriptions/listen"
_PROXY_ERROR = -32000  # first of the codes that JSON-RPC leaves to implementations


class Mcp:
    """Everything that goes to an upstream of kind ``mcp``."""

    name = "mcp"

    def claims(self, api: str, method: str, path: str) -> bool:
        return api == "mcp"

    def describe(self, head: RequestHead, body: bytes | None, ask_usage: bool) -> Described:
        """A batch (revisions before 2025-06-18) stands in ``parsed`` under ``batch``."""
        if head.method != "POST":
            return _without_message(head)
        if body is None:
            return _from_headers(head)
        message = parse(body)
        if isinstance(message, list):
            return _describe_batch([table(entry) for entry in message])
        if not isinstance(message, dict):
            raise ValueError("the body is JSON, but no JSON-RPC message")
        operation = label(message.get("method")) or "response"
        is_call = operation == _CALL
        return Described(
            "tool" if is_call else "other",
            operation=operation,
            tool=_tool(message) if is_call else "",
            streamed=operation == _LISTEN,
            body_hash=hash_object(_lasting(message), is_tool=True),
            parsed=message,
            is_listening=operation == _LISTEN,
        )

    def prompt(self, described: Described) -> Prompt:
        content = Content()
        for message in _messages(described):
            if message.get("method") == _CALL:
                content.add_arguments(table(message.get("params")).get("arguments"))
        return content.prompt()

    def meter(self, described: Described, status: int, content_type: str) -> Meter:
        if described.parsed is None:
            return NoMeter()
        messages = _messages(described)
        is_call = {request_id(message): message.get("method") == _CALL for message in messages if "method" in message}
        is_call.pop(None, None)  # notifications are not answered
        if content_type.lower().startswith("text/event-stream"):
            return StreamMeter(is_call)
        return WholeMeter(is_call, is_refused=status >= 400)

    def stream_filter(self, described: Described) -> StreamFilter | None:
        return None

    def error_body(self, fault: Fault, described: Described | None) -> tuple[str, bytes]:
        """A JSON-RPC error; of a batch it has no id, as the specification wants of an error that concerns it whole."""
        data = {"code": fault.code, "status": fault.status}
        error = {"code": _PROXY_ERROR, "message": fault.message, "data": data}
        known = request_id(described.parsed) if described and described.parsed else None
        return "application/json", orjson.dumps({"jsonrpc": "2.0", "id": known, "error": error})


def _without_message(head: RequestHead) -> Described:
    """A GET opens the server's own stream, or goes on with one that broke off; a DELETE ends the session."""
    if head.method != "GET":
        return Described("other", operation="close" if head.method == "DELETE" else head.method.lower())
    operation = "resume" if head.headers.get("Last-Event-ID") else "listen"
    return Described("other", operation=operation, streamed=True, is_listening=True)


def _messages(described: Described) -> list[Json]:
    parsed = described.parsed or {}
    return [table(entry) for entry in rows(parsed[_BATCH])] if _BATCH in parsed else [parsed]


def _describe_batch(messages: list[Json]) -> Described:
    calls = [message for message in messages if message.get("method") == _CALL]
    return Described(
        "tool" if calls else "other",
        operation=_BATCH,
        tool=_tool(calls[0]) if calls else "",
        body_hash=hash_object({_BATCH: [_lasting(message) for message in messages]}, is_tool=True),
        parsed={_BATCH: messages},
    )


def _tool(message: Json) -> str:
    return label(table(message.get("params")).get("name"))


def _lasting(message: Json) -> Json:
    """What stays the same when a message is sent again: not its id, nor trace context and progress token."""
    params = {name: value for name, value in table(message.get("params")).items() if name != "_meta"}
    return {"method": message.get("method"), "params": params}


def _from_headers(head: RequestHead) -> Described:
    """A body too large to read: since 2026-07-28 the headers tell."""
    operation = label(head.headers.get("Mcp-Method"))
    if operation != _CALL:
        return Described("other", operation=operation, is_listening=operation == _LISTEN)
    return Described("tool", operation=operation, tool=label(_decoded(head.headers.get("Mcp-Name"))))


def _decoded(value: Any) -> Any:
    """A header value that needed more than printable ASCII stands as ``=?base64?…?=``."""
    if not isinstance(value, str) or not (value.startswith("=?base64?") and value.endswith("?=")):
        return value
    try:
        return base64.b64decode(value[9:-2], validate=True).decode()
    except ValueError:
        return ""


DIALECT: Dialect = Mcp()
