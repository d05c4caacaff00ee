"""Cohere's answers as they come back: whole, as events (version 2), as JSON lines (version 1), or vectors.

Source: Cohere API reference, "Chat with Streaming", versions 2 and 1 (November 2026).
"""

from __future__ import annotations

from typing import Any

from proxy.dialects import Observation
from proxy.dialects.cohere_usage import read_usage
from proxy.dialects.content import Allowance, Content, RunningText, canonical, verdict_of
from proxy.dialects.ends import Ends
from proxy.dialects.fields import Body, Json, label, rows, table
from proxy.dialects.json_lines import JsonLines
from proxy.dialects.sse import JsonEvents

_MAX_CALLS = 256


class Answer:
    """Takes events, or one whole answer, and says in the end what was seen."""

    def __init__(self) -> None:
        self._allowance = Allowance()
        self._plan, self._thinking, self._text = (RunningText(self._allowance) for _ in range(3))
        self._calls: list[RunningText] = []
        self._names: list[str] = []
        self._usage: Any = None
        self._id = self._finish = self._error = ""
        self.is_done = False

    def take_event(self, event: Any) -> None:
        """An event of version 2."""
        event = table(event)
        delta = table(event.get("delta"))
        message = table(delta.get("message"))
        match event.get("type"):
            case "message-start":
                self._id = label(event.get("id"))
            case "content-start" | "content-delta":
                self._take_content(table(message.get("content")))
            case "tool-plan-delta":
                _say(self._plan, message.get("tool_plan"))
            case "tool-call-start":
                self._start_call(table(message.get("tool_calls")))
            case "tool-call-delta":
                if self._calls:
                    _say(self._calls[-1], table(table(message.get("tool_calls")).get("function")).get("arguments"))
            case "message-end":
                self._end(delta, delta.get("usage"))

    def take_line(self, event: Any) -> None:
        """An event of version 1."""
        event = table(event)
        match event.get("event_type"):
            case "stream-start":
                self._id = label(event.get("generation_id"))
            case "text-generation":
                _say(self._text, event.get("text"))
            case "stream-end":
                response = table(event.get("response"))
                self._take_calls(response)
                self._end({**response, **event}, response.get("meta"))
            case None:
                self.take_message(event)  # an error, or a server that did not stream after all

    def take_message(self, value: Any) -> None:
        """A whole answer of either version, or the error that stands in its place."""
        value = table(value)
        message = value.get("message")
        if isinstance(message, str):
            self._error = label(value.get("code")) or "error"
            return
        self._id = label(value.get("id")) or label(value.get("generation_id"))
        said = table(message) or value
        _say(self._plan, said.get("tool_plan"))
        _say(self._text, said.get("text"))
        for part in map(table, rows(said.get("content"))):
            self._take_content(part)
        self._take_calls(said)
        self._end(value, value.get("usage") or value.get("meta"))

    def _take_content(self, part: Json) -> None:
        _say(self._text, part.get("text"))
        _say(self._thinking, part.get("thinking"))

    def _take_calls(self, said: Json) -> None:
        for call in map(table, rows(said.get("tool_calls"))):
            self._start_call(call)

    def _start_call(self, call: Json) -> None:
        if len(self._calls) < _MAX_CALLS:
            function = table(call.get("function")) or call
            arguments = function.get("arguments", function.get("parameters"))
            running = RunningText(self._allowance)
            _say(running, arguments if isinstance(arguments, str) or arguments is None else canonical(arguments))
            self._calls.append(running)
            self._names.append(label(function.get("name")))

    def _end(self, value: Json, usage: Any) -> None:
        self._finish = label(value.get("finish_reason"))
        self._usage = usage
        if self._finish.startswith("ERROR"):
            self._error = label(value.get("error"))[:64] or self._finish.lower()
        self.is_done = True

    def observe(self, is_complete: bool, has_ended: bool = False) -> Observation:
        content = Content()
        for running in (self._plan, self._thinking, self._text):
            before = len(content.texts)
            content.add_running(running, "assistant")
        verdict = verdict_of("".join(content.texts[before:]))
        for running in self._calls:
            content.add_running(running, "tool_call")
        return Observation(
            usage=read_usage(self._usage, is_chat=True),
            response_id=self._id,
            finish_reason=self._finish,
            error=self._error,
            outputs=tuple(content.blocks),
            emitted_tools=tuple(self._names),
            text="\n".join([*self._names, *content.texts]),
            verdict=verdict,
            is_complete=is_complete,
            has_ended=has_ended,
        )


def _say(running: RunningText, text: Any) -> None:
    if isinstance(text, str):
        running.add(text)


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


class EventMeter:
    """A stream of events, ended by ``message-end``."""

    def __init__(self) -> None:
        self._answer = Answer()
        self._events = JsonEvents(self._answer.take_event)

    def feed(self, chunk: bytes) -> None:
        self._events.feed(chunk)

    def finish(self) -> Observation:
        self._events.finish()
        return self._answer.observe(self._answer.is_done, has_ended=self._answer.is_done)


class LineMeter:
    """A stream of JSON lines, ended by ``stream-end``."""

    def __init__(self) -> None:
        self._answer = Answer()
        self._lines = JsonLines(self._answer.take_line)

    def feed(self, chunk: bytes) -> None:
        self._lines.feed(chunk)

    def finish(self) -> Observation:
        self._lines.finish()
        return self._answer.observe(self._answer.is_done, has_ended=self._answer.is_done)


class VectorMeter:
    """Embeddings or a ranking, with ``meta`` somewhere near an end."""

    def __init__(self) -> None:
        self._ends = Ends("meta", "id")

    def feed(self, chunk: bytes) -> None:
        self._ends.feed(chunk)

    def finish(self) -> Observation:
        value, is_whole = self._ends.parse()
        usage = read_usage(value.get("meta"), is_chat=False)
        return Observation(usage=usage, response_id=label(value.get("id")), is_complete=is_whole)
