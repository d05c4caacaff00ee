"""Converse answers, whole or as events; Nova's bodies behind InvokeModel have the same form.

Source: Amazon Bedrock API reference, "Converse" and "ConverseStream" (November 2026). A stream ends with
``messageStop`` and then ``metadata``, which carries the usage.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from collectors.records import BlockKind, Usage
from proxy.dialects import Observation
from proxy.dialects.bedrock_content import add_block, thought_of
from proxy.dialects.bedrock_usage import read_usage, tier_of
from proxy.dialects.content import Allowance, Content, RunningText, verdict_of
from proxy.dialects.fields import Json, label, rows, table

_MAX_PARTS = 1024


class _Part:
    """One content block under way: what its start or the whole message said, and the text that its deltas added."""

    __slots__ = ("_running", "block", "is_speech")

    def __init__(self, block: Json, allowance: Allowance) -> None:
        self.block = block
        self.is_speech = False
        self._running = RunningText(allowance)
        self.take(block)

    def take(self, delta: Json) -> None:
        text = delta.get("text")
        if isinstance(text, str):
            self.is_speech = True
        elif "reasoningContent" in delta:
            thought = table(delta["reasoningContent"])
            text = thought.get("text") or thought_of(thought)
        elif "toolUse" in delta and delta is not self.block:
            text = table(delta["toolUse"]).get("input")
        if isinstance(text, str):
            self._running.add(text)

    @property
    def tool(self) -> str:
        """The tool that the agent is to call; tools that run at the provider are not its business."""
        use = table(self.block.get("toolUse"))
        return "" if use.get("type") == "server_tool_use" else label(use.get("name"))

    def add_to(self, content: Content) -> None:
        kind: BlockKind = "tool_call" if "toolUse" in self.block else "assistant"
        if self._running:
            content.add_running(self._running, kind)
        else:
            add_block(content, self.block, "assistant")


class ConverseAnswer:
    """Takes stream events, or one whole answer, and says in the end what was seen."""

    def __init__(self) -> None:
        self._allowance = Allowance()
        self._parts: dict[int, _Part] = {}
        self._usage: Usage | None = None
        self._tier: str | None = None
        self._finish = self._model = ""
        self.is_done = False

    def take_event(self, name: str, value: Any) -> None:
        event = table(value)
        index = event.get("contentBlockIndex")
        index = index if type(index) is int else 0
        match name:
            case "contentBlockDelta":
                self._part(index).take(table(event.get("delta")))
            case "contentBlockStart":
                self._part(index, table(event.get("start")))
            case "messageStop":
                self._finish = label(event.get("stopReason"))
                self.is_done = True
            case "metadata":
                self._take_figures(event)

    def take_message(self, answer: Json) -> None:
        """A whole answer."""
        for index, block in enumerate(rows(table(table(answer.get("output")).get("message")).get("content"))):
            self._part(index, table(block))
        self._finish = label(answer.get("stopReason"))
        self._take_figures(answer)
        self.is_done = True

    def _take_figures(self, told: Json) -> None:
        self._usage = read_usage(told.get("usage"))
        self._tier = tier_of(table(told.get("serviceTier")).get("type"))
        self._model = label(table(table(told.get("trace")).get("promptRouter")).get("invokedModelId"))

    def _part(self, index: int, block: Json | None = None) -> _Part:
        part = self._parts.get(index)
        if part is None:
            part = _Part(block or {}, self._allowance)
            if len(self._parts) < _MAX_PARTS:
                self._parts[index] = part
        return part

    def observe(self, is_complete: bool) -> Observation:
        content = Content()
        names: list[str] = []
        spoken: list[str] = []
        for _, part in sorted(self._parts.items()):
            before = len(content.texts)
            part.add_to(content)
            if part.tool:
                names.append(part.tool)
            elif part.is_speech:
                spoken += content.texts[before:]
        usage = self._usage
        return Observation(
            usage=replace(usage, service_tier=self._tier) if usage and self._tier else usage,
            model=self._model or None,
            finish_reason=self._finish,
            outputs=tuple(content.blocks),
            emitted_tools=tuple(names),
            text="\n".join([*names, *content.texts]),
            verdict=verdict_of("".join(spoken)),
            is_complete=is_complete,
        )
