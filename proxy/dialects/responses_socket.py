"""OpenAI's Responses over a WebSocket, as Codex speaks it: ``GET …/responses``, upgraded.

Each ``response.create`` frame is a request with the fields of the HTTP body; the answer is its stream's events, one a
frame, up to ``response.completed``, ``.incomplete``, ``.failed`` or ``error``. Frames with a ``stream_id`` form lanes
of their own; within a lane responses come one after the other. After ``response.steer`` the server begins a further
response by itself. Source: OpenAI API reference, "WebSocket mode" and openai-python 3.52 (November 2026).
"""

from __future__ import annotations

import re
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import orjson

from collectors.records import Usage
from collectors.tokens import estimate
from proxy.dialects import (
    WEBSOCKET,
    Described,
    Dialect,
    Fault,
    Frame,
    FrameMeter,
    Meter,
    Observation,
    Prompt,
    RequestHead,
    StreamFilter,
)
from proxy.dialects.content import Content
from proxy.dialects.fields import Json, count, hash_object, label, parse_object, rows, table
from proxy.dialects.openai_responses_answer import Answer
from proxy.dialects.openai_responses_content import add_input

_ENDS = frozenset({"response.completed", "response.incomplete", "response.failed", "response.cancelled", "error"})
_MAY_END = re.compile(rb'"response\.(?:completed|incomplete|failed|cancelled)"|"error"')
_ENVELOPE = frozenset({"type", "stream_id"})
_MAX_OPEN = 64  # responses of one socket at the same time; a server allows a few
_MAX_KNOWN = 1024  # finished responses whose length is remembered
_ERROR_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


class ResponsesSocket:
    """Claimed by path, since vendors put their own prefixes in front."""

    name = "responses_socket"

    def claims(self, api: str, method: str, path: str) -> bool:
        return method == WEBSOCKET and path.endswith("/responses") and api not in ("tool", "mcp", "agent")

    def describe(self, head: RequestHead, body: bytes | None, ask_usage: bool) -> Described:
        """The opening request, which has no body, or a ``response.create`` frame."""
        return described(parse_object(body)) if body else Described("other", operation="websocket")

    def prompt(self, described: Described) -> Prompt:
        """What this frame brings; the server keeps what ``previous_response_id`` names."""
        body, content = described.parsed or {}, Content()
        for tool in rows(body.get("tools")):
            content.add_json(tool, "tool_def")
        content.add_text(body.get("instructions"), "system")
        add_input(content, body.get("input"))
        return content.prompt()

    def meter(self, described: Described, status: int, content_type: str) -> Meter:
        return _Refusal()

    def frames(self, opening: Described) -> FrameMeter:
        return ResponseFrames(self.prompt)

    def stream_filter(self, described: Described) -> StreamFilter | None:
        return None

    def error_body(self, fault: Fault, described: Described | None) -> tuple[str, bytes]:
        default = "server_error" if fault.status >= 500 else "invalid_request_error"
        kind = _ERROR_TYPES.get(fault.status, default)
        error = {"message": fault.message, "type": kind, "param": None, "code": fault.code}
        return "application/json", orjson.dumps({"error": error})


def described(frame: Json) -> Described:
    """A ``response.create`` frame, less its envelope.

    Raises:
        ValueError: nested too deeply to be hashed.
    """
    body = {name: value for name, value in frame.items() if name not in _ENVELOPE}
    return Described(
        "model",
        operation="responses",
        model=label(body.get("model")) or None,
        streamed=True,
        max_output_tokens=count(body.get("max_output_tokens")),
        previous_id=label(body.get("previous_response_id")),
        body_hash=hash_object(body),
        parsed=body,
    )


class _Refusal:
    """The HTTP answer to an upgrade that was refused: nothing in it is measured."""

    def feed(self, chunk: bytes) -> None:
        return

    def finish(self) -> Observation:
        return Observation()


@dataclass(slots=True)
class _Turn:
    number: int
    asked: Described
    answer: Answer = field(default_factory=Answer)
    has_begun: bool = False


class ResponseFrames:
    """The responses of one socket, by lane."""

    def __init__(self, prompt: Callable[[Described], Prompt]) -> None:
        self._prompt = prompt
        self._lanes: dict[str, deque[_Turn]] = {}
        self._turns = self._open = 0
        self._tokens: OrderedDict[str, int] = OrderedDict()  # of finished responses: what a follower starts from
        self._steering: OrderedDict[str, list[object]] = OrderedDict()

    def sent(self, text: bytes) -> Frame | None:
        frame = _object(text)
        if frame.get("type") == "response.steer":
            self._keep_steering(frame)
        if frame.get("type") != "response.create" or self._open >= _MAX_OPEN:
            return None
        try:
            return self._begin(label(frame.get("stream_id")), described(frame))
        except ValueError:
            return None  # nested too deeply for a server to take it

    def may_end(self, text: bytes) -> bool:
        return _MAY_END.search(text) is not None

    def received(self, text: bytes) -> Frame | None:
        event = _object(text)
        kind, lane = event.get("type"), label(event.get("stream_id"))
        begun: Described | None = None
        turn = self._current(lane)
        if turn is None and kind == "response.created" and self._open < _MAX_OPEN:
            begun = self._successor(table(event.get("response")))
            self._begin(lane, begun)
            turn = self._current(lane)
        if turn is None:
            return None
        status = _status(event, turn.has_begun) if kind == "error" else None
        turn.has_begun = turn.has_begun or "response" in event
        turn.answer.take_event(event)
        seen = self._end(lane, turn) if kind in _ENDS else None
        return Frame(turn.number, begun, seen, status)

    def finish(self) -> Iterator[Frame]:
        for turn in [turn for lane in self._lanes.values() for turn in lane]:
            seen = turn.answer.observe(False)
            yield Frame(turn.number, ends=replace(seen, usage=seen.usage or self._history(turn.asked)))
        self._lanes.clear()

    def _current(self, lane: str) -> _Turn | None:
        turns = self._lanes.get(lane)
        return turns[0] if turns else None

    def _begin(self, lane: str, asked: Described) -> Frame:
        self._turns += 1
        self._open += 1
        self._lanes.setdefault(lane, deque()).append(_Turn(self._turns, asked))
        return Frame(self._turns, begins=asked)

    def _end(self, lane: str, turn: _Turn) -> Observation:
        self._lanes[lane].popleft()
        self._open -= 1
        if not self._lanes[lane]:
            del self._lanes[lane]
        seen = turn.answer.observe(True)
        if seen.usage and seen.usage.input_tokens is not None and seen.response_id:
            self._tokens[seen.response_id] = seen.usage.input_tokens + (seen.usage.output_tokens or 0)
            if len(self._tokens) > _MAX_KNOWN:
                self._tokens.popitem(last=False)
        return seen

    def _history(self, asked: Described) -> Usage | None:
        """Input of a response that was cut: what the one before it came to, of which the server keeps the text, and
        what this request added."""
        before = self._tokens.get(asked.previous_id)
        if before is None:
            return None
        return Usage(input_tokens=before + estimate(sum(map(len, self._prompt(asked).texts))))

    def _keep_steering(self, frame: Json) -> None:
        known = self._steering.setdefault(label(frame.get("previous_response_id")), [])
        given = frame.get("input")
        known += given if isinstance(given, list) else [{"role": "user", "content": given}]
        if len(self._steering) > _MAX_OPEN or len(known) > _MAX_KNOWN:
            self._steering.popitem(last=False)

    def _successor(self, response: Mapping[str, object]) -> Described:
        """A response that the server began by itself: it goes on from the one before with what was steered in."""
        previous = label(response.get("previous_response_id"))
        steered = self._steering.pop(previous, [])
        body: Json = {"model": response.get("model"), "previous_response_id": previous, "input": steered}
        return described({name: value for name, value in body.items() if value})


def _status(event: Json, has_begun: bool) -> int | None:
    """What an error frame says of itself; one before any event of a response refuses it."""
    told = count(event.get("status"))
    return told if told is not None and 400 <= told < 600 else None if has_begun else 400


def _object(text: bytes) -> Json:
    try:
        return table(orjson.loads(text))
    except ValueError:
        return {}


DIALECT: Dialect = ResponsesSocket()
