"""What an A2A agent answers: a task or a message, whole or as a stream of updates.

Sources: a2a-protocol.org, specification 1.0 and 0.3.0, "Task", "Artifact", "StreamResponse" (read November 2026). 1.0
names the kind of an answer by its field (``task``, ``statusUpdate``), 0.3 by ``kind``; the HTTP+JSON binding of 0.3
writes ``content`` for a message's ``parts``. The texts of one artifact are one block, since a stream cuts them
anywhere; the ``history`` of a task repeats what was sent, and is passed over.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from collectors.fingerprint import json_block
from collectors.records import Block
from proxy.dialects import Observation
from proxy.dialects.content import Allowance, Content, RunningText
from proxy.dialects.fields import Body, Json, error_code, label, rows, table
from proxy.dialects.sse import JsonEvents

_MAX_PARTS = 1024  # runs of text, data and files of one answer: memory per answer stays bounded
_FAILED = {"failed": "task_failed", "rejected": "task_rejected"}
_RESTING = frozenset({"completed", "failed", "canceled", "rejected", "input-required", "auth-required"})
"""States in which an agent has nothing more to say until it is asked again."""

Part = RunningText | Block


def part_value(part: Json) -> tuple[str, Any]:
    """``("text" | "data" | "file" | "", value)`` of a part, in the spellings of both revisions and bindings."""
    if isinstance(part.get("text"), str):
        return "text", part["text"]
    if "data" in part:
        data = part["data"]
        is_wrapped = "kind" not in part and isinstance(data, dict) and data.keys() == {"data"}  # HTTP+JSON of 0.3
        return "data", data["data"] if is_wrapped else data
    for name in ("raw", "url", "file"):
        if part.get(name):
            return "file", part[name]
    return "", None


def parts_of(message: Json) -> list[Json]:
    return [table(part) for part in rows(message.get("parts") or message.get("content"))]


def state_of(status: Json) -> str:
    """``completed``, ``input-required`` …: the spelling of 0.3 for ``TASK_STATE_INPUT_REQUIRED`` of 1.0 too."""
    state = label(status.get("state")).removeprefix("TASK_STATE_").lower().replace("_", "-")
    return "canceled" if state == "cancelled" else state


class Answer:
    """Takes whole answers and stream events alike. ``is_work``: the answer is the agent's work on a message, not the
    reading of a task, whose content was or will be booked where it was made."""

    def __init__(self, is_work: bool) -> None:
        self._is_work = is_work
        self._allowance = Allowance()
        self._items: dict[str, list[Part]] = {}  # artifacts and messages by id, in order of appearance
        self._left = _MAX_PARTS
        self._id = self._context = self._state = self._error = ""
        self.has_ended = False

    def take(self, value: Any) -> None:
        if not isinstance(value, dict):
            return
        if value.get("error"):
            self._error = _code(value)
            self.has_ended = True
            return
        payload = table(value["result"]) if "result" in value else value
        kind = label(payload.get("kind"))
        for name in ("task", "message", "statusUpdate", "artifactUpdate"):
            if isinstance(payload.get(name), dict):
                payload, kind = payload[name], name
                break
        match kind:
            case "message":
                self._take_message(payload)
                self._name(payload.get("taskId") or payload.get("messageId"), payload)
                self.has_ended = True
            case "statusUpdate" | "status-update":
                self._name(payload.get("taskId"), payload)
                self._take_status(table(payload.get("status")))
                self.has_ended = self.has_ended or payload.get("final") is True
            case "artifactUpdate" | "artifact-update":
                self._name(payload.get("taskId"), payload)
                self._take_artifact(table(payload.get("artifact")), payload.get("append") is True)
            case _:
                self._take_task(payload)

    def _take_task(self, task: Json) -> None:
        if not isinstance(task.get("status"), dict):
            return
        self._name(task.get("id"), task)
        for artifact in map(table, rows(task.get("artifacts"))):
            self._take_artifact(artifact, is_more=False)
        self._take_status(task["status"])

    def _take_status(self, status: Json) -> None:
        self._state = state_of(status) or self._state
        self.has_ended = self._state in _RESTING
        self._take_message(table(status.get("message") or status.get("update")))

    def _take_message(self, message: Json) -> None:
        self._put("message " + label(message.get("messageId")), parts_of(message), is_more=False)

    def _take_artifact(self, artifact: Json, is_more: bool) -> None:
        self._put("artifact " + label(artifact.get("artifactId")), parts_of(artifact), is_more)

    def _put(self, name: str, parts: list[Json], is_more: bool) -> None:
        if not parts or not self._is_work:
            return
        if not is_more:
            self._left += len(self._items.get(name, ()))
            self._items[name] = []
        item = self._items.setdefault(name, [])
        for part in parts:
            kind, value = part_value(part)
            if kind == "text" and item and isinstance(item[-1], RunningText):
                item[-1].add(value)
            elif kind and self._left > 0:
                self._left -= 1
                item.append(self._part(kind, value))

    def _part(self, kind: str, value: Any) -> Part:
        if kind == "text":
            running = RunningText(self._allowance)
            running.add(value)
            return running
        try:
            return json_block(value, "assistant" if kind == "data" else "media")
        except TypeError:
            return Block(0, "media", 0)  # nested too deeply to be written: dropped in the end

    def _name(self, answer_id: Any, owner: Json) -> None:
        self._id = label(answer_id) or self._id
        self._context = label(owner.get("contextId")) or self._context

    def observe(self, is_complete: bool) -> Observation:
        content = Content()
        for item in self._items.values():
            for part in item:
                if isinstance(part, RunningText):
                    content.add_running(part, "assistant")
                elif part.size:
                    content.blocks.append(part)
        failed = _FAILED.get(self._state, "") if self._is_work else ""
        return Observation(
            response_id=self._id,
            ids=(self._context,) if self._context else (),
            finish_reason=self._state,
            error=self._error or failed,
            outputs=tuple(content.blocks),
            text="\n".join(content.texts),
            is_complete=is_complete,
        )


def _code(answer: Json) -> str:
    """JSON-RPC: its number. HTTP+JSON: the reason that 1.0 gives in ``google.rpc.ErrorInfo``, else the status."""
    error = table(answer["error"])
    if "jsonrpc" in answer:
        return f"jsonrpc_{error_code(error)}"
    reasons = (label(detail.get("reason")) for detail in map(table, rows(error.get("details"))))
    return next(filter(None, reasons), "")[:64] or label(error.get("status"))[:64] or error_code(error)


class WholeMeter:
    """An answer that is one JSON text."""

    def __init__(self, is_work: bool) -> None:
        self._is_work = is_work
        self._body = Body()

    def feed(self, chunk: bytes) -> None:
        self._body.feed(chunk)

    def finish(self) -> Observation:
        value, answer = self._body.parse(), Answer(self._is_work)
        answer.take(value)
        return answer.observe(is_complete=value is not None or self._body.is_too_long)


class StreamMeter:
    """An answer as events, which ends when the task rests."""

    def __init__(self, is_work: bool) -> None:
        self._answer = Answer(is_work)
        self._events = JsonEvents(self._answer.take)

    def feed(self, chunk: bytes) -> None:
        self._events.feed(chunk)

    def finish(self) -> Observation:
        self._events.finish()
        seen = self._answer.observe(is_complete=self._answer.has_ended)
        return replace(seen, has_ended=self._answer.has_ended)
