"""Responses as they come back, whole or as a stream of events; the same events also come through a WebSocket.

Source: OpenAI API reference, "The response object" and "Streaming events" (November 2026). An item counts as its
``output_item.done`` tells it; of one that was cut off before, what its deltas told.
"""

from __future__ import annotations

from typing import Any

from collectors.records import BlockKind
from proxy.dialects import Observation
from proxy.dialects.content import Allowance, Content, RunningText, verdict_of
from proxy.dialects.fields import Body, Json, error_code, label, rows, table
from proxy.dialects.openai_responses_content import add_item, emitted_tool
from proxy.dialects.openai_responses_usage import read_usage
from proxy.dialects.sse import JsonEvents

_MAX_ITEMS = 1024
_ENDS = frozenset({"response.completed", "response.incomplete", "response.failed", "response.done"})
_HEADS = frozenset({"response.created", "response.queued", "response.in_progress"})
_UNFINISHED = frozenset({"queued", "in_progress"})


class _Item:
    """One output item: under way (deltas), or done (its content)."""

    __slots__ = ("_allowance", "content", "is_done", "name", "running", "start")

    def __init__(self, start: Json, allowance: Allowance) -> None:
        self.start = start
        self.running = RunningText(allowance)
        self.content = Content()
        self.name: str | None = None
        self.is_done = False
        self._allowance = allowance

    def end(self, item: Json) -> None:
        one = Content()
        add_item(one, item)
        self.content = Content()
        self.content.take(one, self._allowance)
        self.name, self.is_done = emitted_tool(item), True
        self.start = {"type": item.get("type"), "action": {"type": table(item.get("action")).get("type")}}

    def settle(self) -> None:
        """Of a cut item, what was seen of it."""
        if not self.is_done:
            self.name = emitted_tool(self.start)
            kind: BlockKind = "assistant" if self.name is None else "tool_call"
            self.content.add_running(self.running, kind)

    @property
    def is_search(self) -> bool:
        """A web search that costs; opening one of its pages does not."""
        action = table(self.start.get("action")).get("type")
        return self.start.get("type") == "web_search_call" and action in (None, "search")


class Answer:
    """Takes stream events, or one whole response, and says in the end what was seen."""

    def __init__(self) -> None:
        self._allowance = Allowance()
        self._items: dict[int, _Item] = {}
        self._response: Json = {}
        self._error = ""
        self.is_done = False

    def take_event(self, event: Any) -> None:
        event = table(event)
        name = str(event.get("type"))
        if name.endswith(".delta"):
            item = self._items.get(_index(event))
            if item is not None and isinstance(event.get("delta"), str):
                item.running.add(event["delta"])
        elif name == "response.output_item.added":
            self._start(_index(event), table(event.get("item")))
        elif name == "response.output_item.done":
            self._end_item(_index(event), table(event.get("item")))
        elif name in _ENDS:
            self.take_response(event.get("response"))
            self.is_done = True
        elif name in _HEADS:
            self._take_head(table(event.get("response")))
        elif name == "error" or "error" in event:
            self._error = error_code(event.get("error") or event)

    def take_response(self, value: Any) -> None:
        """A whole response, or the error that stands in its place."""
        response = table(value)
        self._take_head(response)
        for index, item in enumerate(map(table, rows(response.get("output")))):
            known = self._items.get(index)
            if known is None or not known.is_done:
                self._end_item(index, item)

    def _take_head(self, response: Json) -> None:
        self._response = {**self._response, **{name: v for name, v in response.items() if name != "output"}}
        if response.get("error"):
            self._error = error_code(response["error"])

    def _start(self, index: int, item: Json) -> _Item | None:
        if index not in self._items and len(self._items) < _MAX_ITEMS:
            self._items[index] = _Item(item, self._allowance)
        return self._items.get(index)

    def _end_item(self, index: int, item: Json) -> None:
        known = self._start(index, item)
        if known is not None:
            known.end(item)

    def observe(self, is_complete: bool) -> Observation:
        content = Content()
        names: list[str] = []
        spoken: list[str] = []
        for _, item in sorted(self._items.items()):
            item.settle()
            content.blocks += item.content.blocks
            content.texts += item.content.texts
            if item.name is not None:
                names.append(item.name)
            elif item.start.get("type") == "message":
                spoken += item.content.texts
        status, response_id = label(self._response.get("status")), label(self._response.get("id"))
        is_waiting = status in _UNFINISHED and self._response.get("background") is True
        searches = sum(item.is_search for item in self._items.values())
        return Observation(
            usage=read_usage(self._response, searches),
            model=label(self._response.get("model")) or None,
            response_id=response_id,
            usage_id="" if is_waiting else response_id,
            finish_reason=label(table(self._response.get("incomplete_details")).get("reason")) or status,
            error=self._error,
            outputs=tuple(content.blocks),
            emitted_tools=tuple(names),
            text="\n".join([*names, *content.texts]),
            verdict=verdict_of("".join(spoken)),
            is_complete=is_complete,
            has_ended=self.is_done,
            is_interim=is_waiting,
        )


def _index(event: Json) -> int:
    index = event.get("output_index")
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
        answer.take_response(value)
        return answer.observe(is_complete=value is not None or self._body.is_too_long)


class StreamMeter:
    """An answer that is a stream of events; the last one carries the response with its usage."""

    def __init__(self) -> None:
        self._answer = Answer()
        self._events = JsonEvents(self._answer.take_event)

    def feed(self, chunk: bytes) -> None:
        self._events.feed(chunk)

    def finish(self) -> Observation:
        self._events.finish()
        return self._answer.observe(self._answer.is_done)


class CountMeter:
    """Token counts and lists of items: nothing was generated, so nothing is read but an error."""

    def __init__(self) -> None:
        self._body = Body()

    def feed(self, chunk: bytes) -> None:
        self._body.feed(chunk)

    def finish(self) -> Observation:
        error = table(self._body.parse()).get("error")
        return Observation(error=error_code(error) if error else "")
