"""Ids of the protocols themselves. They tell a session once orchtax saw them in a call whose session it knew.

Sources (November 2026): OpenAI API reference, "Create a model response" (``previous_response_id``, ``conversation``);
Anthropic (``thread``, ``diagnostics``); Gemini "Interactions"; MCP 2025-11-25 "Session Management"; A2A 0.3 and 1.0,
"Message" (``contextId``, ``taskId``, ``referenceTaskIds``).
"""

from __future__ import annotations

from collections.abc import Iterator

from proxy.evidence import Rule, Told, What, clean
from proxy.evidence.wording import namespaced

STEP = 7
_SURE = 0.95
_MAX_REFERENCES = 16


def _id(what: What, value: object) -> Iterator[Told]:
    if value:
        yield Told(what, f"id:{clean(value)}")


def _previous(value: object) -> Iterator[Told]:
    yield from _id("follows", value)


def _previous_message(value: object) -> Iterator[Told]:
    if isinstance(value, dict):
        yield from _id("follows", value.get("previous_message_id"))


def _conversation(value: object) -> Iterator[Told]:
    yield from _id("within", value.get("id") if isinstance(value, dict) else value)


def _a2a_message(value: object) -> Iterator[Told]:
    """A message of A2A: the task it goes on with, the context it stands in, the tasks it speaks of."""
    if not isinstance(value, dict):
        return
    yield from _id("within", value.get("taskId"))
    yield from _id("within", value.get("contextId"))
    references = value.get("referenceTaskIds")
    for reference in references[:_MAX_REFERENCES] if isinstance(references, list) else ():
        yield from _id("follows", reference)


def _a2a_params(value: object) -> Iterator[Told]:
    """``params`` of a JSON-RPC request: a message, or a task to be read, followed or ended by its ``id``."""
    if isinstance(value, dict):
        yield from _a2a_message(value.get("message"))
        yield from _a2a_message({"taskId": value.get("taskId"), "contextId": value.get("contextId")})
        yield from _id("within", value.get("id"))


HEADERS = (Rule("mcp-session-id", namespaced("within", "mcp"), "mcp", _SURE, "protocol"),)

BODY = (
    Rule("previous_response_id", _previous, "responses", _SURE, "protocol"),
    Rule("conversation", _conversation, "responses", _SURE, "protocol"),
    Rule("thread", _previous_message, "anthropic", _SURE, "protocol"),
    Rule("diagnostics", _previous_message, "anthropic", _SURE, "protocol"),
    Rule("previous_interaction_id", _previous, "interactions", _SURE, "protocol"),
    Rule("message", _a2a_message, "a2a", _SURE, "protocol", on=("agent",)),
    Rule("params", _a2a_params, "a2a", _SURE, "protocol", on=("agent",)),
)

PATHS = (
    Rule(r"/(?:responses|interactions)/([^/:]+)", _previous, "path_id", _SURE, "protocol"),
    Rule(r"/conversations/([^/:]+)", _conversation, "path_id", _SURE, "protocol"),
    Rule(r"/tasks/([^/:]+)", _conversation, "a2a", _SURE, "protocol", on=("agent",)),
)

ANSWER = (("Mcp-Session-Id", "mcp"),)
"""Headers of answers that give out such an id, and its space."""
