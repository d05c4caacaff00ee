"""The items of the Responses API, which look the same in an answer and in the next request's input.

Source: OpenAI API reference, "Create a model response", ``input`` and ``output`` (November 2026).
"""

from __future__ import annotations

from typing import Any

from collectors.records import BlockKind
from proxy.dialects.content import Content
from proxy.dialects.fields import Json, label, rows, table

_KINDS: dict[str, BlockKind] = {"system": "system", "developer": "system", "assistant": "assistant"}
# Calls that the agent is to carry out, and where their arguments stand. The last column names those without a name.
_AGENT_CALLS = {
    "function_call": ("arguments", ""),
    "custom_tool_call": ("input", ""),
    "local_shell_call": ("action", "local_shell"),
    "shell_call": ("action", "shell"),
    "apply_patch_call": ("operation", "apply_patch"),
    "computer_call": ("action", "computer"),
    "tool_search_call": ("arguments", "tool_search"),
}
# Calls that ran at the provider, with where their arguments and their results stand.
_HOSTED_CALLS = {
    "web_search_call": ("action", ""),
    "file_search_call": ("queries", "results"),
    "code_interpreter_call": ("code", "outputs"),
    "mcp_call": ("arguments", "output"),
    "image_generation_call": ("", ""),
}
_TOOL_LISTS = frozenset({"mcp_list_tools", "tool_search_output", "additional_tools"})


def add_input(content: Content, value: Any) -> None:
    """A request's input: a text, or a list of items."""
    content.add_text(value, "user")
    for item in map(table, rows(value)):
        add_item(content, item)


def add_item(content: Content, item: Json) -> None:
    """One item, of a request or of an answer."""
    name = str(item.get("type", "message"))
    if name == "message":
        add_parts(content, item.get("content"), _KINDS.get(str(item.get("role")), "user"))
    elif name in _AGENT_CALLS and not (name == "tool_search_call" and item.get("execution") == "server"):
        content.add_arguments(item.get(_AGENT_CALLS[name][0]))
    elif name in _HOSTED_CALLS:
        _add_hosted(content, item, *_HOSTED_CALLS[name])
    elif name == "reasoning":
        _add_reasoning(content, item)
    elif name in _TOOL_LISTS:
        for tool in rows(item.get("tools")):
            content.add_json(tool, "tool_def")
    elif name.endswith("_output"):
        _add_output(content, item.get("output"))
    elif "encrypted_content" in item:  # a compaction: only the provider can read it
        content.add_media(item["encrypted_content"])


def emitted_tool(item: Json) -> str | None:
    """The name of the tool that an item asks the agent to use; None for every other item."""
    name = str(item.get("type"))
    if name not in _AGENT_CALLS or (name == "tool_search_call" and item.get("execution") == "server"):
        return None
    return label(item.get("name")) or _AGENT_CALLS[name][1]


def add_parts(content: Content, parts: Any, kind: BlockKind) -> None:
    """A message's content: a text, or a list of parts."""
    content.add_text(parts, kind)
    for part in map(table, rows(parts)):
        text = part.get("text", part.get("refusal"))
        if isinstance(text, str):
            content.add_text(text, kind)
        elif part:
            content.add_media({name: value for name, value in part.items() if name != "detail"})


def _add_reasoning(content: Content, item: Json) -> None:
    before = len(content.blocks)
    add_parts(content, item.get("summary"), "assistant")
    add_parts(content, item.get("content"), "assistant")
    if len(content.blocks) == before and item.get("encrypted_content"):
        content.add_media(item["encrypted_content"])


def _add_hosted(content: Content, item: Json, asked: str, answered: str) -> None:
    if item.get(asked) is not None:
        content.add_arguments(item[asked])
    result = item.get(answered)
    if isinstance(result, str):
        content.add_text(result, "tool_result")
    elif result:
        content.add_json(result, "tool_result")


def _add_output(content: Content, output: Any) -> None:
    content.add_text(output, "tool_result")
    if isinstance(output, dict):
        content.add_json(output, "tool_result")
    add_parts(content, rows(output), "tool_result")
