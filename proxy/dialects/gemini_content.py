"""The parts of Gemini's contents, which look the same in an answer and in the next request's history.

A thought signature is bookkeeping and enters no digest. Names come in camel or snake case.
"""

from __future__ import annotations

import re
from typing import Any

from collectors.records import BlockKind
from proxy.dialects.content import Content
from proxy.dialects.fields import Json, rows, table

_HUMP = re.compile(r"(?=[A-Z])")
_KINDS: dict[str, BlockKind] = {"model": "assistant", "system": "system"}
_BOOKKEEPING = frozenset({"thoughtSignature", "thought_signature", "thought", "videoMetadata", "video_metadata"})


def field(value: Json, name: str) -> Any:
    """The field of that camel-case name, however it is spelled."""
    return value[name] if name in value else value.get(_HUMP.sub("_", name).lower())


def listed(value: Any) -> list[Json]:
    """The objects of a repeated field; one alone may stand without its list."""
    found = [value] if isinstance(value, dict) else rows(value)
    return [entry for entry in found if isinstance(entry, dict)]


def add_content(content: Content, entry: Json) -> None:
    """One turn: its role and its parts."""
    kind = _KINDS.get(str(entry.get("role")), "user")
    for part in listed(entry.get("parts")):
        add_part(content, part, kind)


def add_part(content: Content, part: Json, kind: BlockKind) -> None:
    """One part of a turn; ``kind`` is that of plain text there."""
    for name, add in (("functionCall", _add_call), ("functionResponse", _add_response)):
        value = field(part, name)
        if value is not None:
            add(content, table(value))
            return
    if isinstance(part.get("text"), str):
        content.add_text(part["text"], kind)
    elif (media := field(part, "inlineData") or field(part, "fileData")) is not None:
        content.add_media(media)
    elif (code := field(part, "executableCode")) is not None:
        content.add_text(table(code).get("code"), kind)
    elif (result := field(part, "codeExecutionResult")) is not None:
        content.add_text(table(result).get("output"), "tool_result")
    else:
        _add_other(content, part, kind)


def _add_call(content: Content, call: Json) -> None:
    content.add_arguments(call.get("args"))


def _add_response(content: Content, response: Json) -> None:
    """A result that clients wrap into an object of one text (``{"result": "…"}``) counts as that text: so it is
    recognised where another format carries it bare."""
    value = response.get("response")
    wrapped = list(value.values()) if isinstance(value, dict) else []
    if len(wrapped) == 1 and isinstance(wrapped[0], str):
        content.add_text(wrapped[0], "tool_result")
    elif value is not None:
        content.add_json(value, "tool_result")
    for part in listed(response.get("parts")):
        add_part(content, part, "tool_result")


def _add_other(content: Content, part: Json, kind: BlockKind) -> None:
    """Hosted tools' calls and answers, and what is newer than this file."""
    said = {name: value for name, value in part.items() if name not in _BOOKKEEPING}
    if "toolResponse" in said:
        content.add_json(said["toolResponse"], "tool_result")
    elif "toolCall" in said:
        content.add_json(said["toolCall"], "tool_call")
    elif said:
        content.add_json(said, kind)
