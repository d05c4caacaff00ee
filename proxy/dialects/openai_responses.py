"""OpenAI's Responses API: ``POST …/responses`` and what hangs below it.

Source: OpenAI API reference, "Create a model response", "Get a model response", "Background mode", "Compact a
response", "Get input token counts" (November 2026); also spoken by OpenRouter and others. Answers are read in
``openai_responses_answer.py``. Only creating and compacting ask a model. Reading a response tells its usage once more,
and counts where it is the first to tell it: of a response made in the background it is.
"""

from __future__ import annotations

import re

import orjson

from proxy.dialects import Described, Dialect, Fault, Meter, Prompt, RequestHead, StreamFilter
from proxy.dialects.content import Content
from proxy.dialects.fields import Json, count, hash_object, label, parse_object, rows, table
from proxy.dialects.openai_responses_answer import CountMeter, StreamMeter, WholeMeter
from proxy.dialects.openai_responses_content import add_input

_PATH = re.compile(r"/responses(?:/(?P<id>[^/]+)(?:/(?P<verb>cancel|input_items))?)?$")
_CALLS = {"": "responses", "compact": "compact"}
_COUNT = "input_tokens"
_ERROR_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


class OpenAIResponses:
    """Claimed by path alone, since vendors put their own prefixes in front. A socket (``GET …/responses``) is not."""

    name = "openai_responses"

    def claims(self, api: str, method: str, path: str) -> bool:
        found = _PATH.search(path)
        if found is None or api in ("tool", "mcp", "agent"):
            return False
        return method == "POST" or (method in ("GET", "DELETE") and found["id"] is not None)

    def describe(self, head: RequestHead, body: bytes | None, ask_usage: bool) -> Described:
        name, verb = _names(head.path)
        operation = _CALLS.get(name)
        if head.method != "POST" or verb or operation is None:
            return _describe_other(head, name, verb, body)
        if body is None:
            return Described("model", operation=operation)
        parsed = parse_object(body)
        return Described(
            "model",
            operation=operation,
            model=label(parsed.get("model")) or None,
            streamed=parsed.get("stream") is True,
            max_output_tokens=count(parsed.get("max_output_tokens")),
            previous_id=label(parsed.get("previous_response_id")),
            body_hash=hash_object(parsed),
            parsed=parsed,
        )

    def prompt(self, described: Described) -> Prompt:
        """What this request brings. Of ``previous_response_id`` and ``conversation`` the provider holds the rest."""
        body, content = described.parsed or {}, Content()
        for tool in rows(body.get("tools")):
            content.add_json(tool, "tool_def")
        content.add_text(body.get("instructions"), "system")
        variables = table(table(body.get("prompt")).get("variables"))
        for value in variables.values():
            content.add_text(value, "user")
        add_input(content, body.get("input"))
        return content.prompt()

    def meter(self, described: Described, status: int, content_type: str) -> Meter:
        if described.operation in (_COUNT, "input_items"):
            return CountMeter()
        kind = content_type.lower()  # some servers stream without saying so
        is_stream = "event-stream" in kind or (described.streamed and status == 200 and "json" not in kind)
        return StreamMeter() if is_stream else WholeMeter()

    def stream_filter(self, described: Described) -> StreamFilter | None:
        return None

    def error_body(self, fault: Fault, described: Described | None) -> tuple[str, bytes]:
        default = "server_error" if fault.status >= 500 else "invalid_request_error"
        kind = _ERROR_TYPES.get(fault.status, default)
        error = {"message": fault.message, "type": kind, "param": None, "code": fault.code}
        return "application/json", orjson.dumps({"error": error})


def _names(path: str) -> tuple[str, str]:
    """What stands behind ``/responses``: ``(id or operation, verb)``."""
    found = _PATH.search(path)
    return (found["id"] or "", found["verb"] or "") if found else ("", "")


def _describe_other(head: RequestHead, name: str, verb: str, body: bytes | None) -> Described:
    if name == _COUNT:
        parsed: Json = parse_object(body) if body else {}
        return Described("other", operation=_COUNT, model=label(parsed.get("model")) or None, parsed=parsed)
    operation = verb or {"GET": "retrieve", "DELETE": "delete"}.get(head.method, head.method.lower())
    return Described("other", operation=operation, streamed="stream=true" in head.query.lower().split("&"))


DIALECT: Dialect = OpenAIResponses()
