"""How values are written: JSON in a header, tags, lists of named values, W3C baggage and trace context."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

import orjson

from proxy.evidence import Reader, Told, What, clean

MEANINGS: Mapping[str, What] = {
    "session_id": "session",
    "sessionid": "session",
    "session": "session",
    "thread_id": "session",
    "threadid": "session",
    "conversation_id": "session",
    "conversationid": "session",
    "stage": "stage",
    "agent_name": "stage",
    "agentname": "stage",
    "agent": "stage",
    "task_id": "task",
    "task": "task",
    "tenant_id": "tenant",
    "tenant": "tenant",
}
"""What people call things where they may choose the name (properties, dimensions, metadata, tags); the first of a kind
wins. Who the end user is, is never read: a user has many sessions."""

_MAX_NAMED = 64
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?")


def json_object(value: object) -> dict[str, Any]:
    """The JSON object in a text.

    Raises:
        ValueError: there is none.
    """
    if not isinstance(value, str):
        raise ValueError("not text")
    found = orjson.loads(value.encode("utf-8", "surrogateescape"))
    if not isinstance(found, dict):
        raise ValueError("JSON, but no object")
    return found


def named_values(value: object) -> Iterator[Told]:
    """An object of names that people chose, by :data:`MEANINGS`.

    Raises:
        ValueError: no object, or a value under a known name that is not short printable text.
    """
    if not isinstance(value, dict):
        raise ValueError("no object")
    by_name = {str(name).lower().replace("-", "_"): name for name in list(value)[:_MAX_NAMED]}
    for name, what in MEANINGS.items():
        if name in by_name:
            yield Told(what, clean(value[by_name[name]]))


def named_json(value: object) -> Iterable[Told]:
    """:func:`named_values` of an object written as text."""
    return named_values(json_object(value))


def named_header(value: tuple[str, str]) -> Iterable[Told]:
    """A header whose name ends in a name that somebody chose: ``(that name, value)``."""
    return named_values({value[0]: value[1]})


def tags(value: object) -> Iterable[Told]:
    """``stage:router,team:a``: tags that are pairs; plain tags say nothing."""
    pairs = (tag.partition(":")[::2] for tag in str(value).split(",")[:_MAX_NAMED])
    return named_values({name.strip(): said for name, said in pairs if said})


def fields(**meanings: What) -> Reader:
    """A reader of an object's fields, by their exact names."""

    def read(value: object) -> Iterator[Told]:
        if not isinstance(value, dict):
            raise ValueError("no object")
        for name, what in meanings.items():
            if value.get(name):
                yield Told(what, clean(value[name]))

    return read


def fixed(what: What, text: str) -> Reader:
    """A header whose presence tells, whatever its value."""

    def read(value: object) -> Iterable[Told]:
        return (Told(what, text),) if value else ()

    return read


def namespaced(what: What, space: str) -> Reader:
    """An id of some space (``agent``, ``mcp``, ``id``), kept apart from equal ids of others."""

    def read(value: object) -> Iterable[Told]:
        kept = clean(value)
        return (Told(what, f"{space}:{kept}"),) if kept else ()

    return read


def baggage(value: object) -> Iterator[Told]:
    """W3C Baggage (w3.org/TR/baggage, 2024): ``name=value;property,…``, values percent-encoded. Names are those of
    OpenTelemetry (``session.id``, ``gen_ai.*``) and Langfuse."""
    meanings: Mapping[str, What] = {
        "session.id": "session",
        "gen_ai.conversation.id": "session",
        "langfuse_session_id": "session",
        "gen_ai.agent.name": "stage",
    }
    members = (member.partition(";")[0].partition("=")[::2] for member in str(value).split(",")[:_MAX_NAMED])
    said = {name.strip(): unquote(text.strip()) for name, text in members}
    for name, what in meanings.items():
        if name in said:
            yield Told(what, clean(said[name]))


def traceparent(value: object) -> Iterable[Told]:
    """W3C Trace Context (w3.org/TR/trace-context, 2021): ``version-trace-span-flags`` in lower-case hex."""
    found = _TRACEPARENT.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None or not found[1].strip("0") or not found[2].strip("0"):
        raise ValueError("no traceparent")
    return Told("trace", found[1]), Told("span", found[2])
