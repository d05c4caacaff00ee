"""The Agent2Agent protocol, revisions 1.0 and 0.3, over JSON-RPC and over HTTP+JSON.

Sources: a2a-protocol.org, specification 1.0 and 0.3.0 (read November 2026). Sending a message is a call of an agent;
all else (reading or following a task, cards, notification settings) is ``other``, so that an agent's work is counted
once. Names of operations are in ``a2a_operations.py``, answers in ``a2a_answer.py``, the rewriting of cards in
``a2a_card.py``. An agent that speaks neither binding is still one: a POST to it counts as a call whose content is
unknown.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson

from collectors.records import BlockKind
from proxy.dialects import Described, Dialect, Fault, Meter, Prompt, RequestHead, StreamFilter
from proxy.dialects.a2a_answer import StreamMeter, WholeMeter, part_value, parts_of
from proxy.dialects.a2a_card import CardFilter
from proxy.dialects.a2a_operations import CARD, SENDS, STREAMS, SUBSCRIBE, of_method, of_path
from proxy.dialects.content import Content
from proxy.dialects.fields import Json, hash_object, label, parse_object, rows, table

_PROXY_ERROR = -32000  # first of the codes that JSON-RPC leaves to implementations; A2A's own begin at -32001
_ERROR_INFO = "type.googleapis.com/google.rpc.ErrorInfo"
_CAMEL = {
    "message_id": "messageId",
    "context_id": "contextId",
    "task_id": "taskId",
    "reference_task_ids": "referenceTaskIds",
}
_RPC_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class A2a:
    """Everything that goes to an upstream of kind ``agent``."""

    name = "a2a"

    def claims(self, api: str, method: str, path: str) -> bool:
        return api == "agent"

    def describe(self, head: RequestHead, body: bytes | None, ask_usage: bool) -> Described:
        operation, task_id = of_path(head.method, head.path)
        if operation == CARD:
            return Described("other", operation=CARD, address=head.address)
        if not body:
            return _unread(head, operation, task_id)
        parsed = parse_object(body)
        if "jsonrpc" in parsed and isinstance(parsed.get("method"), str):
            return _described(of_method(parsed["method"]), table(parsed.get("params")), parsed)
        if operation:
            parsed = _respelled(parsed)
            return _described(operation, parsed, parsed, task_id)
        digest = hash_object(parsed, is_tool=True)
        return replace(_unread(head, "", ""), operation=head.method, body_hash=digest, parsed=parsed)

    def prompt(self, described: Described) -> Prompt:
        content = Content()
        if described.operation in SENDS:
            _add_message(content, table(_params(described).get("message")))
        return content.prompt()

    def meter(self, described: Described, status: int, content_type: str) -> Meter:
        is_work = described.kind == "agent"
        if content_type.lower().startswith("text/event-stream"):
            return StreamMeter(is_work)
        return WholeMeter(is_work)

    def stream_filter(self, described: Described) -> StreamFilter | None:
        return CardFilter(described.address) if described.address else None

    def error_body(self, fault: Fault, described: Described | None) -> tuple[str, bytes]:
        """In the caller's binding; JSON-RPC where it is not known. ``google.rpc.ErrorInfo`` tells our code in both."""
        told = {"code": fault.code, "status": str(fault.status)}
        detail = {"@type": _ERROR_INFO, "reason": fault.code.upper(), "domain": "orchtax", "metadata": told}
        if described is not None and described.operation and not _is_rpc(described):
            status = _RPC_STATUS.get(fault.status, "UNKNOWN")
            error = {"code": fault.status, "status": status, "message": fault.message, "details": [detail]}
            return "application/json", orjson.dumps({"error": error})
        known = (described.parsed or {}).get("id") if described else None
        known = known if isinstance(known, str) or type(known) is int else None
        rpc_error = {"code": _PROXY_ERROR, "message": fault.message, "data": [detail]}
        return "application/json", orjson.dumps({"jsonrpc": "2.0", "id": known, "error": rpc_error})


def _is_rpc(described: Described) -> bool:
    return described.parsed is not None and "jsonrpc" in described.parsed


def _params(described: Described) -> Json:
    parsed = described.parsed or {}
    return table(parsed.get("params")) if _is_rpc(described) else parsed


def _unread(head: RequestHead, operation: str, task_id: str) -> Described:
    """No body, or one too large to read: what JSON-RPC asks is then unknown, but only messages are that large."""
    is_send = operation in SENDS or (not operation and head.method == "POST")
    return Described(
        "agent" if is_send else "other",
        operation=operation,
        streamed=operation in STREAMS,
        previous_id=task_id,
        is_listening=operation == SUBSCRIBE,
    )


def _described(operation: str, params: Json, parsed: Json, task_id: str = "") -> Described:
    return Described(
        "agent" if operation in SENDS else "other",
        operation=operation,
        streamed=operation in STREAMS,
        previous_id=task_id or _continued(params),
        body_hash=hash_object({"method": operation, "params": _lasting(params)}, is_tool=True),
        parsed=parsed,
        is_listening=operation == SUBSCRIBE,
    )


def _respelled(body: Json) -> Json:
    """The Python SDK writes HTTP+JSON of 0.3 with the field names of its protobuf file: ``request`` for ``message``,
    ``task_id`` for ``taskId``. Whoever reads the body later finds the specification's names."""
    message = body.get("request")
    if "message" in body or not isinstance(message, dict):
        return body
    rest = {name: value for name, value in body.items() if name != "request"}
    return {**rest, "message": {_CAMEL.get(name, name): value for name, value in message.items()}}


def _continued(params: Json) -> str:
    """The task that a request goes on with or reads, else the first that its message speaks of."""
    message = table(params.get("message"))
    references = (label(reference) for reference in rows(message.get("referenceTaskIds")))
    named = (label(value) for value in (message.get("taskId"), params.get("taskId"), params.get("id")))
    return next(filter(None, [*named, *references]), "")


def _lasting(params: Json) -> Json:
    """What stays the same when a message is sent again: not the id that each sending gets."""
    message: Any = params.get("message")
    if not isinstance(message, dict):
        return params
    return {**params, "message": {name: value for name, value in message.items() if name != "messageId"}}


def _add_message(content: Content, message: Json) -> None:
    """``user`` and ``agent`` in 0.3, ``ROLE_USER`` and ``ROLE_AGENT`` in 1.0."""
    role: BlockKind = "assistant" if label(message.get("role")).lower().endswith("agent") else "user"
    for part in parts_of(message):
        kind, value = part_value(part)
        if kind == "text":
            content.add_text(value, role)
        elif kind == "data":
            content.add_json(value, role)
        elif kind:
            content.add_media(value)


DIALECT: Dialect = A2a()
