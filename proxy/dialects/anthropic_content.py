"""The content blocks of Anthropic messages, which look the same in an answer and in the next request's history.

``cache_control`` moves from turn to turn and citations are decoration, so neither enters a digest.
"""

from __future__ import annotations

from typing import Any

from collectors.records import BlockKind
from proxy.dialects.content import Content
from proxy.dialects.fields import Json, rows, table

CALLS = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})
_MEDIA = frozenset({"image", "document", "container_upload"})


def add_part(content: Content, part: Json, kind: BlockKind) -> None:
    """One content block of a message; ``kind`` is that of plain text there."""
    name = str(part.get("type"))
    if name in CALLS:
        content.add_arguments(part.get("input"))
    elif name in ("text", "thinking", "redacted_thinking"):
        content.add_text(part.get("text") or part.get("thinking") or part.get("data"), kind)
    elif name == "tool_result":
        add_parts(content, part.get("content"), "tool_result")
    elif name.endswith("_tool_result"):  # of tools that ran at the provider
        content.add_json(part.get("content"), "tool_result")
    elif name in _MEDIA:
        _add_media(content, part, kind)
    elif part:
        content.add_json(without_cache(part), "tool_def" if name.startswith("tool_") else kind)


def add_parts(content: Content, parts: Any, kind: BlockKind) -> None:
    """A message's content: a text, or a list of content blocks."""
    content.add_text(parts, kind)
    for part in rows(parts):
        add_part(content, table(part), kind)


def without_cache(part: Json) -> Json:
    """The part without its cache mark."""
    return {name: value for name, value in part.items() if name != "cache_control"}


def _add_media(content: Content, part: Json, kind: BlockKind) -> None:
    source = table(part.get("source"))
    if source.get("type") == "text":
        content.add_text(source.get("data"), kind)
    elif source.get("type") == "content":
        add_parts(content, source.get("content"), kind)
    else:
        content.add_media(source or without_cache(part))
