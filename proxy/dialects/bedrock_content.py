"""The content of Bedrock requests: Converse's own blocks, and the bodies of the vendors behind InvokeModel.

Source: Amazon Bedrock API reference, "ContentBlock", and user guide, "Inference request parameters" (November 2026).
Converse's blocks are unions: each has one key that names it. ``cachePoint`` marks move from turn to turn and are no
content. Anthropic's body is Anthropic's messages format, read by that format's own second file.
"""

from __future__ import annotations

from typing import Any

from collectors.records import BlockKind
from proxy.dialects import Prompt
from proxy.dialects.anthropic_content import add_parts, without_cache
from proxy.dialects.content import Content
from proxy.dialects.fields import Json, rows, table

_MARKS = frozenset({"cachePoint"})
_CHAT_MEDIA = frozenset({"image_url", "input_audio", "file"})  # of OpenAI's chat format
_TEXTS = ("inputText", "prompt", "message", "preamble", "texts", "inputTexts")  # Titan, Llama and Mistral, Cohere
_KINDS: dict[str, BlockKind] = {
    "system": "system",
    "developer": "system",
    "assistant": "assistant",
    "tool": "tool_result",
}


def prompt_of(body: Json) -> Prompt:
    """A request's content in prompt order: tools, system, messages, bare texts."""
    content = Content()
    config = table(body.get("toolConfig"))
    for tool in map(table, rows(config.get("tools")) + rows(body.get("tools"))):
        if not _MARKS & tool.keys():
            content.add_json(without_cache(tool), "tool_def")
    add_converse(content, body.get("system"), "system")
    is_anthropic = "anthropic_version" in body
    for message in map(table, rows(body.get("messages"))):
        kind = _KINDS.get(str(message.get("role")), "user")
        if is_anthropic:
            add_parts(content, message.get("content"), kind)
        else:
            add_converse(content, message.get("content"), kind)
            _add_calls(content, message)
    for name in _TEXTS:
        for text in [body.get(name)] if isinstance(body.get(name), str) else rows(body.get(name)):
            content.add_text(text, "user")
    _add_embedded(content, body)
    return content.prompt()


def add_converse(content: Content, parts: Any, kind: BlockKind) -> None:
    """A message's content: a list of blocks, or (other vendors) a text."""
    content.add_text(parts, kind)
    for part in map(table, rows(parts)):
        if part.get("type") in _CHAT_MEDIA:
            content.add_media(part)
        elif "type" in part:
            add_parts(content, [part], kind)  # other vendors' parts name their type
        else:
            add_block(content, part, kind)


def add_block(content: Content, block: Json, kind: BlockKind) -> None:
    """One of Converse's content blocks; ``kind`` is that of plain text there."""
    for name, value in block.items():
        match name:
            case "text":
                content.add_text(value, kind)
            case "toolUse":
                content.add_arguments(table(value).get("input"))
            case "toolResult":
                _add_result(content, table(value))
            case "reasoningContent":
                content.add_text(thought_of(table(value)), kind)
            case "citationsContent" | "searchResult":
                add_converse(content, table(value).get("content"), kind)
            case "guardContent":
                content.add_text(table(table(value).get("text")).get("text"), kind)
            case "document":
                _add_document(content, table(value), kind)
            case "image" | "video" | "audio":
                content.add_media(table(value).get("source") or value)
            case "json":
                content.add_json(value, kind)
            case "cachePoint":
                continue
            case _:
                content.add_json({name: value}, kind)


def thought_of(reasoning: Json) -> Any:
    """The text of a thought; a redacted one is a text that nobody can read, but it is sent all the same."""
    return table(reasoning.get("reasoningText")).get("text") or reasoning.get("redactedContent")


def _add_result(content: Content, result: Json) -> None:
    for part in map(table, rows(result.get("content"))):
        add_block(content, part, "tool_result")


def _add_document(content: Content, document: Json, kind: BlockKind) -> None:
    source = table(document.get("source"))
    if isinstance(source.get("text"), str):
        content.add_text(source["text"], kind)
    elif source.get("content"):
        add_converse(content, source["content"], kind)
    else:
        content.add_media(source or document)


def _add_calls(content: Content, message: Json) -> None:
    """Tool calls of the vendors that speak OpenAI's chat format."""
    for call in map(table, rows(message.get("tool_calls"))):
        content.add_arguments(table(call.get("function")).get("arguments"))


def _add_embedded(content: Content, body: Json) -> None:
    """What Nova is asked to embed."""
    params = table(body.get("singleEmbeddingParams") or body.get("segmentedEmbeddingParams"))
    content.add_text(table(params.get("text")).get("value"), "user")
