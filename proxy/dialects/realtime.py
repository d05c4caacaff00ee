"""OpenAI's Realtime API: ``GET …/realtime?model=…``, upgraded. Each response, and each transcription of what was said
to it, is a call.

A session holds the conversation, so a request carries only what is new: the items since the last response, with the
session's instructions and tools; each response names the one before it as its predecessor. With voice detection on, the
server begins responses by itself. Source: OpenAI API reference, "Realtime" (November 2026).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import parse_qs

import orjson

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
from proxy.dialects.fields import Json, count, error_code, hash_object, label, rows, table
from proxy.dialects.realtime_answer import Turn, add_item
from proxy.dialects.realtime_usage import read_usage

_AUDIO = re.compile(rb'"(?:input_audio_buffer\.append|response\.(?:output_)?audio\.delta)"')
_MAY_END = re.compile(rb'"response\.done"|"error"|"conversation\.item\.input_audio_transcription\.')
_TRANSCRIBED = "conversation.item.input_audio_transcription.completed"
_TYPE_WITHIN = 256  # bytes: of a frame of audio, its type stands at the start
_MAX_OPEN = 64
_MAX_ITEMS = 1024
_MAX_ITEM_BYTES = 4 * 1024 * 1024  # of the items between two responses


class Realtime:
    """Claimed by path, since vendors put their own prefixes in front."""

    name = "realtime"

    def claims(self, api: str, method: str, path: str) -> bool:
        return method == WEBSOCKET and path.endswith("/realtime") and api not in ("tool", "mcp", "agent")

    def describe(self, head: RequestHead, body: bytes | None, ask_usage: bool) -> Described:
        """The opening request; ``deployment`` is Azure's word for the model."""
        query = parse_qs(head.query)
        model = [*query.get("model", []), *query.get("deployment", []), ""][0]
        return Described("other", operation="websocket", model=label(model) or None)

    def prompt(self, described: Described) -> Prompt:
        body, content = described.parsed or {}, Content()
        for tool in rows(body.get("tools")):
            content.add_json(tool, "tool_def")
        content.add_text(body.get("instructions"), "system")
        for item in map(table, rows(body.get("input"))):
            add_item(content, item)
        return content.prompt()

    def meter(self, described: Described, status: int, content_type: str) -> Meter:
        return _Refusal()

    def frames(self, opening: Described) -> FrameMeter:
        return RealtimeFrames(opening.model or "")

    def stream_filter(self, described: Described) -> StreamFilter | None:
        return None

    def error_body(self, fault: Fault, described: Described | None) -> tuple[str, bytes]:
        kind = "server_error" if fault.status >= 500 else "invalid_request_error"
        error = {"message": fault.message, "type": kind, "param": None, "code": fault.code}
        return "application/json", orjson.dumps({"error": error})


class _Refusal:
    """The HTTP answer to an upgrade that was refused: nothing in it is measured."""

    def feed(self, chunk: bytes) -> None:
        return

    def finish(self) -> Observation:
        return Observation()


class RealtimeFrames:
    """The session of one socket, and its responses."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._session: Json = {}
        self._items: list[Json] = []
        self._item_bytes = 0
        self._turns = 0
        self._last_id = ""
        self._open: list[Turn] = []

    def sent(self, text: bytes) -> Frame | None:
        event = _event(text)
        match event.get("type"):
            case "session.update":
                self._update(table(event.get("session")))
            case "conversation.item.create":
                self._item_bytes += len(text)
                if self._item_bytes <= _MAX_ITEM_BYTES and len(self._items) < _MAX_ITEMS:
                    self._items.append(table(event.get("item")))
            case "response.create" if len(self._open) < _MAX_OPEN:
                turn = self._begin(table(event.get("response")))
                turn.event_id = label(event.get("event_id"))
                return Frame(turn.number, begins=turn.asked)
        return None

    def may_end(self, text: bytes) -> bool:
        return _MAY_END.search(text, 0, _TYPE_WITHIN) is not None

    def received(self, text: bytes) -> Frame | None:
        event = _event(text)
        kind = event.get("type")
        if kind in ("session.created", "session.updated"):
            self._update(table(event.get("session")))
        elif kind == "error":
            return self._refused(table(event.get("error")))
        elif kind == _TRANSCRIBED:
            return self._transcribed(event)
        elif kind in ("response.created", "response.done"):
            return self._answered(table(event.get("response")), is_done=kind == "response.done")
        elif turn := self._find(label(event.get("response_id"))):
            turn.take_delta(event)
            return Frame(turn.number)
        return None

    def finish(self) -> Iterator[Frame]:
        for turn in self._open:
            yield Frame(turn.number, ends=turn.cut())
        self._open.clear()

    def _update(self, session: Json) -> None:
        named: Json = {name: session[name] for name in ("instructions", "tools") if name in session}
        told = table(table(table(session.get("audio")).get("input")).get("transcription"))
        told = told or table(session.get("input_audio_transcription"))  # in the beta
        if told.get("model"):
            named["transcriber"] = label(told["model"])
        self._session |= named
        self._model = label(session.get("model")) or self._model

    def _begin(self, asked: Json) -> Turn:
        """A response in the conversation takes the items that are new there; one beside it has its own."""
        is_beside = asked.get("conversation") == "none"
        body: Json = {name: self._session[name] for name in ("instructions", "tools") if self._session.get(name)}
        body |= {name: asked[name] for name in ("instructions", "tools", "metadata") if asked.get(name)}
        body["input"] = asked.get("input") or self._items
        if not is_beside:
            self._items, self._item_bytes = [], 0
            if self._last_id:
                body["previous_response_id"] = self._last_id
        self._turns += 1
        turn = Turn(self._turns, _described(body, self._model, asked), self._model, is_beside)
        self._open.append(turn)
        return turn

    def _answered(self, response: Json, is_done: bool) -> Frame | None:
        """``response.created`` goes to the first request that has no response yet; without one, the server began it."""
        response_id, begun = label(response.get("id")), None
        turn = self._find(response_id)
        if turn is None:
            turn = next((turn for turn in self._open if not turn.id), None)
            if turn is None:
                turn = self._begin({})
                begun = turn.asked
            turn.id = response_id
            if not turn.is_beside:
                self._last_id = response_id
        if not is_done:
            return Frame(turn.number, begun)
        self._open.remove(turn)
        return Frame(turn.number, begun, turn.done(response))

    def _find(self, response_id: str) -> Turn | None:
        return next((turn for turn in self._open if response_id and turn.id == response_id), None)

    def _refused(self, error: Json) -> Frame | None:
        """An error that answers a request for a response: by the event's id where the agent gave one."""
        waiting = [turn for turn in self._open if not turn.id]
        event_id = label(error.get("event_id"))
        turn = next((turn for turn in waiting if turn.event_id == event_id), None)
        if turn is None:
            return None
        self._open.remove(turn)
        return Frame(turn.number, ends=turn.cut(error_code(error)), status=400)

    def _transcribed(self, event: Json) -> Frame:
        """A transcription is another model's work, billed by itself; one sold by the second has no tokens to count."""
        self._turns += 1
        usage, content = read_usage(table(event.get("usage"))), Content()
        content.add_text(event.get("transcript"), "user")
        model = str(self._session.get("transcriber", "")) or None
        asked = Described("model" if usage else "other", operation="transcription", model=model, streamed=True)
        seen = Observation(usage=usage, outputs=tuple(content.blocks), text="\n".join(content.texts))
        return Frame(self._turns, begins=asked, ends=seen)


def _described(body: Json, model: str, asked: Json) -> Described:
    try:
        digest = hash_object(body)
    except ValueError:
        digest = ""  # nested too deeply to be hashed
    return Described(
        "model",
        operation="realtime",
        model=model or None,
        streamed=True,
        max_output_tokens=count(asked.get("max_output_tokens")),
        previous_id=label(body.get("previous_response_id")),
        body_hash=digest,
        parsed=body,
    )


def _event(text: bytes) -> Json:
    """The frame's object; of a frame of audio, nothing."""
    if _AUDIO.search(text, 0, _TYPE_WITHIN):
        return {}
    try:
        return table(orjson.loads(text))
    except ValueError:
        return {}


DIALECT: Dialect = Realtime()
