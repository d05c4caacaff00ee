"""What InvokeModel gives back: the vendor's own body, whole or in the chunks of a stream.

Bedrock passes each vendor's format through, so the answer's own shape decides how it is read: Anthropic's messages and
OpenAI's chat completions (also Mistral, Qwen, Jamba, gpt-oss) by those formats' second files, Nova as Converse, and the
plain texts of Titan, Llama, Mistral, Cohere and DeepSeek here. A stream's last chunk carries Bedrock's own figures.
Source: Amazon Bedrock user guide, "Inference request parameters and response fields" (November 2026).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from collectors.records import Usage
from proxy.dialects import Observation
from proxy.dialects.anthropic_answer import Answer as AnthropicAnswer
from proxy.dialects.bedrock_converse import ConverseAnswer
from proxy.dialects.bedrock_usage import METRICS, best, plain, read_metrics
from proxy.dialects.content import Allowance, Content, RunningText, verdict_of
from proxy.dialects.fields import Json, count, label, rows, table
from proxy.dialects.openai_chat_answer import Answer as ChatAnswer

_CONVERSE_EVENTS = (
    "messageStart",
    "contentBlockStart",
    "contentBlockDelta",
    "contentBlockStop",
    "messageStop",
    "metadata",
)
_TEXTS = ("outputText", "generation", "text", "completion")
_LISTS = ("results", "outputs", "generations", "choices")
_FINISHES = ("completionReason", "stop_reason", "finish_reason")
_INPUTS = ("inputTextTokenCount", "prompt_token_count")
_OUTPUTS = ("totalOutputTextTokenCount", "generation_token_count")


class _Anthropic:
    """Anthropic's messages."""

    def __init__(self) -> None:
        self._answer = AnthropicAnswer()
        self._is_whole = False

    def take(self, value: Json) -> None:
        if value.get("type") == "message":
            self._is_whole = True
            self._answer.take_message(value)
        else:
            self._answer.take_event(value)

    def observe(self) -> Observation:
        return self._answer.observe(self._is_whole or self._answer.is_done)


class _Chat:
    """OpenAI's chat completions."""

    def __init__(self) -> None:
        self._answer = ChatAnswer()

    def take(self, value: Json) -> None:
        self._answer.take(value)

    def observe(self) -> Observation:
        seen = self._answer.observe(is_complete=True)
        return replace(seen, is_complete=bool(seen.finish_reason))


class _Nova:
    """Amazon Nova: Converse's answer, or its events by their names."""

    def __init__(self) -> None:
        self._answer = ConverseAnswer()

    def take(self, value: Json) -> None:
        if "output" in value:
            self._answer.take_message(value)
        for name in _CONVERSE_EVENTS:
            if name in value:
                self._answer.take_event(name, value[name])

    def observe(self) -> Observation:
        return self._answer.observe(self._answer.is_done)


class _Plain:
    """Titan, Llama, Mistral, Cohere, DeepSeek: texts, counts beside them, and embeddings, which have no text."""

    def __init__(self) -> None:
        self._text = RunningText(Allowance())
        self._finish = ""
        self._given: int | None = None
        self._taken: int | None = None

    def take(self, value: Json) -> None:
        parts = [value, *(part for name in _LISTS for part in map(table, rows(value.get(name))))]
        for part in parts:
            for name in _TEXTS:
                if isinstance(part.get(name), str):
                    self._text.add(part[name])
            for name in _FINISHES:
                self._finish = label(part.get(name)) or self._finish
        self._given = _most(self._given, [value.get(name) for name in _INPUTS])
        listed = [count(part.get("tokenCount")) for part in parts[1:] if "tokenCount" in part]
        total = sum(one for one in listed if one is not None) if listed and None not in listed else None
        self._taken = _most(self._taken, [*(value.get(name) for name in _OUTPUTS), total])

    def observe(self) -> Observation:
        content = Content()
        if self._text:
            content.add_running(self._text, "assistant")
        text = "".join(content.texts)
        return Observation(
            usage=plain(self._given, self._taken),
            finish_reason=self._finish,
            outputs=tuple(content.blocks),
            text=text,
            verdict=verdict_of(text),
            is_complete=bool(self._finish),
        )


class VendorAnswer:
    """Takes a whole body, or each chunk of a stream, and says in the end what was seen."""

    def __init__(self) -> None:
        self._shape: _Anthropic | _Chat | _Nova | _Plain | None = None
        self._metrics: Usage | None = None

    def take(self, value: Any) -> None:
        body = table(value)
        if METRICS in body:
            self._metrics = read_metrics(body[METRICS])
        if self._shape is None and body.keys() - {METRICS}:
            self._shape = _shape_of(body)
        if self._shape is not None:
            self._shape.take(body)

    def observe(self) -> Observation:
        seen = self._shape.observe() if self._shape is not None else Observation(is_complete=False)
        usage = best([seen.usage, self._metrics])
        return replace(seen, usage=usage, is_complete=seen.is_complete or self._metrics is not None)


def _shape_of(body: Json) -> _Anthropic | _Chat | _Nova | _Plain:
    if isinstance(body.get("type"), str):
        return _Anthropic()
    if any("message" in choice or "delta" in choice for choice in map(table, rows(body.get("choices")))):
        return _Chat()
    if "output" in body or any(name in body for name in _CONVERSE_EVENTS):
        return _Nova()
    return _Plain()


def _most(known: int | None, said: list[Any]) -> int | None:
    """Counts grow while a stream goes on: the largest holds."""
    counts = [one for one in [known, *map(count, said)] if one is not None]
    return max(counts, default=None)
