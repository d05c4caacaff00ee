"""Anthropic messages as they come back, whole or as a stream of events.

Source: Anthropic API reference, "Messages" and "Streaming messages" (November 2026).
"""

from __future__ import annotations

from typing import Any

from proxy.dialects import Observation
from proxy.dialects.anthropic_content import CALLS, add_part
from proxy.dialects.anthropic_usage import UsageSeen
from proxy.dialects.content import Allowance, Content, RunningText, verdict_of
from proxy.dialects.fields import Body, Json, error_code, label, rows, table
from proxy.dialects.sse import JsonEvents

_MAX_PARTS = 1024
_DELTA_FIELDS = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}


class _Part:
    """One content block under way: what its start said, and the text that its deltas added."""

    __slots__ = ("running", "start")

    def __init__(self, start: Json, allowance: Allowance) -> None:
        self.start = start
        self.running = RunningText(allowance)
        for name in ("text", "thinking"):
            if isinstance(start.get(name), str):
                self.running.add(start[name])

    def take(self, delta: Json) -> None:
        text = delta.get(_DELTA_FIELDS.get(str(delta.get("type")), ""))
        if isinstance(text, str):
            self.running.add(text)

    def add_to(self, content: Content) -> None:
        kind = self.start.get("type")
        if kind in ("text", "thinking"):
            content.add_running(self.running, "assistant")
        elif kind in CALLS and self.running:
            content.add_running(self.running, "tool_call")
        else:
            add_part(content, self.start, "assistant")


class Answer:
    """Takes stream events, or one whole message, and says in the end what was seen."""

    def __init__(self) -> None:
        self._allowance = Allowance()
        self._parts: dict[int, _Part] = {}
        self._usage = UsageSeen()
        self._id = self._model = self._finish = self._error = ""
        self.is_done = False

    def take_event(self, event: Any) -> None:
        event = table(event)
        match event.get("type"):
            case "content_block_delta":
                part = self._parts.get(_index(event))
                if part is not None:
                    part.take(table(event.get("delta")))
            case "content_block_start":
                self._start(_index(event), table(event.get("content_block")))
            case "message_start":
                message = table(event.get("message"))
                self._take_head(message)
                self._usage.take_start(message.get("usage"))
            case "message_delta":
                self._usage.take(event.get("usage"))
                self._finish = label(table(event.get("delta")).get("stop_reason")) or self._finish
            case "message_stop":
                self.is_done = True
            case "error":
                self._error = error_code(event.get("error"))

    def take_message(self, message: Any) -> None:
        """A whole answer, or the error that stands in its place."""
        message = table(message)
        if message.get("type") == "error" or "error" in message:
            self._error = error_code(message.get("error"))
            return
        self._take_head(message)
        self._usage.take(message.get("usage"))
        self._finish = label(message.get("stop_reason"))
        for index, part in enumerate(rows(message.get("content"))):
            self._start(index, table(part))

    def _take_head(self, message: Json) -> None:
        self._id = label(message.get("id"))
        self._model = label(message.get("model"))

    def _start(self, index: int, part: Json) -> None:
        if len(self._parts) < _MAX_PARTS:
            self._parts[index] = _Part(part, self._allowance)

    def observe(self, is_complete: bool) -> Observation:
        content = Content()
        names: list[str] = []
        spoken: list[str] = []
        for _, part in sorted(self._parts.items()):
            before = len(content.texts)
            part.add_to(content)
            if part.start.get("type") == "tool_use":
                names.append(label(part.start.get("name")))
            elif part.start.get("type") == "text":
                spoken += content.texts[before:]
        return Observation(
            usage=self._usage.usage(),
            model=self._model or None,
            response_id=self._id,
            finish_reason=self._finish,
            error=self._error,
            outputs=tuple(content.blocks),
            emitted_tools=tuple(names),
            text="\n".join([*names, *content.texts]),
            verdict=verdict_of("".join(spoken)),
            is_complete=is_complete,
        )


def _index(event: Json) -> int:
    index = event.get("index")
    return index if type(index) is int else 0


class WholeMeter:
    """An answer that is one JSON text."""

    def __init__(self) -> None:
        self._body = Body()

    def feed(self, chunk: bytes) -> None:
        self._body.feed(chunk)

    def finish(self) -> Observation:
        value = self._body.parse()
        answer = Answer()
        answer.take_message(value)
        return answer.observe(is_complete=value is not None or self._body.is_too_long)


class StreamMeter:
    """An answer that is a stream of events, ended by ``message_stop``."""

    def __init__(self) -> None:
        self._answer = Answer()
        self._events = JsonEvents(self._answer.take_event)

    def feed(self, chunk: bytes) -> None:
        self._events.feed(chunk)

    def finish(self) -> Observation:
        self._events.finish()
        return self._answer.observe(self._answer.is_done)
