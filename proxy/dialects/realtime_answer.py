"""One Realtime response as its events come in.

Source: OpenAI API reference, "Realtime server events" (November 2026; the event names of the beta are taken too).
``response.done`` repeats every item, so deltas count only where it never came. Audio is not looked at: its transcript
is what the model said.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from collectors.records import BlockKind
from proxy.dialects import Described, Observation
from proxy.dialects.content import Allowance, Content, RunningText
from proxy.dialects.fields import Json, error_code, label, rows, table
from proxy.dialects.realtime_usage import read_usage

_DELTAS: dict[str, BlockKind] = {
    "response.output_text.delta": "assistant",
    "response.text.delta": "assistant",
    "response.output_audio_transcript.delta": "assistant",
    "response.audio_transcript.delta": "assistant",
    "response.function_call_arguments.delta": "tool_call",
}
_ROLES: dict[str, BlockKind] = {"system": "system", "assistant": "assistant"}


@dataclass(slots=True)
class Turn:
    """A response asked for (its id is empty until the server has begun it), and what was seen of it."""

    number: int
    asked: Described
    model: str
    is_beside: bool = False  # out of band: it leaves the conversation as it is
    event_id: str = ""  # the agent's own id of the event that asked
    id: str = ""
    said: RunningText = field(default_factory=lambda: RunningText(Allowance()))
    arguments: RunningText = field(default_factory=lambda: RunningText(Allowance()))

    def take_delta(self, event: Json) -> None:
        """Keep a delta of what is said or asked of a tool; any other event is passed over."""
        kind, text = _DELTAS.get(str(event.get("type"))), event.get("delta")
        if kind is not None and isinstance(text, str):
            (self.said if kind == "assistant" else self.arguments).add(text)

    def done(self, response: Json) -> Observation:
        """What ``response.done`` says."""
        content, items = Content(), [table(item) for item in rows(response.get("output"))]
        for item in items:
            add_item(content, item)
        status = table(response.get("status_details"))
        tools = tuple(label(item.get("name")) for item in items if item.get("type") == "function_call")
        return Observation(
            usage=read_usage(table(response.get("usage"))),
            model=self.model or None,
            response_id=self.id,
            ids=tuple(filter(None, (label(response.get("conversation_id")),))),
            finish_reason=label(status.get("reason")) or label(response.get("status")),
            error=error_code(status["error"]) if status.get("error") else "",
            outputs=tuple(content.blocks),
            emitted_tools=tools,
            text="\n".join([*tools, *content.texts]),
        )

    def cut(self, error: str = "") -> Observation:
        """What was seen of a response that never was done."""
        content = Content()
        content.add_running(self.said, "assistant")
        if self.arguments:
            content.add_running(self.arguments, "tool_call")
        seen = Observation(model=self.model or None, response_id=self.id, error=error, is_complete=bool(error))
        return replace(seen, outputs=tuple(content.blocks), text="\n".join(content.texts))


def add_item(content: Content, item: Json) -> None:
    """A conversation item, of the agent's or of the model's."""
    kind = item.get("type")
    if kind == "message":
        for part in map(table, rows(item.get("content"))):
            text = part.get("text", part.get("transcript"))
            if isinstance(text, str):
                content.add_text(text, _ROLES.get(str(item.get("role")), "user"))
            elif part:
                content.add_media(part)
    elif kind == "function_call":
        content.add_arguments(item.get("arguments"))
    elif kind == "function_call_output":
        content.add_text(item.get("output"), "tool_result")
