"""Chat completions as they come back: one assembler for whole answers and for streams of deltas.

Source: OpenAI API reference, "The chat completion object" and "The chat completion chunk object" (November 2026); for
``reasoning``, ``reasoning_content`` and content as a list: Groq, DeepSeek, OpenRouter, Mistral.
"""

from __future__ import annotations

from typing import Any

from proxy.dialects import Observation
from proxy.dialects.content import Allowance, Content, RunningText, canonical, verdict_of
from proxy.dialects.fields import Body, Json, error_code, label, rows, table
from proxy.dialects.openai_chat_usage import read_usage, tier_of
from proxy.dialects.sse import JsonEvents

_MAX_PARTS = 256  # choices, and tool calls of a choice: twice what the API allows


class _Call:
    """One tool call under way."""

    __slots__ = ("arguments", "id", "name")

    def __init__(self, call_id: str, allowance: Allowance) -> None:
        self.id = call_id
        self.name = ""
        self.arguments = RunningText(allowance)


class _Choice:
    """One message under way. A whole message is taken like a single delta."""

    __slots__ = ("_allowance", "_at_index", "calls", "reasoning", "refusal", "text")

    def __init__(self, allowance: Allowance) -> None:
        self._allowance = allowance
        self.text = RunningText(allowance)
        self.reasoning: RunningText | None = None  # made when they occur: most answers are text alone
        self.refusal: RunningText | None = None
        self.calls: list[_Call] = []
        self._at_index: dict[int, _Call] = {}

    def take(self, delta: Json) -> None:
        content = delta.get("content")
        if isinstance(content, str):
            self.text.add(content)
            if len(delta) == 1:
                return  # as almost every delta
        elif content:
            self._take_parts(rows(content))
        self._take_rest(delta)

    def _take_rest(self, delta: Json) -> None:
        thought = delta.get("reasoning_content") or delta.get("reasoning")
        if isinstance(thought, str):
            self._think(thought)
        refusal = delta.get("refusal")
        if isinstance(refusal, str):
            self.refusal = self.refusal or RunningText(self._allowance)
            self.refusal.add(refusal)
        transcript = table(delta.get("audio")).get("transcript")
        if isinstance(transcript, str):
            self.text.add(transcript)
        calls = delta.get("tool_calls")
        if calls:
            for position, call in enumerate(rows(calls)):
                self._take_call(table(call), position)
        if "function_call" in delta:  # the form before tools
            self._take_call({"function": delta["function_call"]}, 0)

    def _take_parts(self, parts: list[Any]) -> None:
        for part in map(table, parts):
            if isinstance(part.get("text"), str):
                self.text.add(part["text"])
            for thought in map(table, rows(part.get("thinking"))):
                if isinstance(thought.get("text"), str):
                    self._think(thought["text"])

    def _think(self, thought: str) -> None:
        self.reasoning = self.reasoning or RunningText(self._allowance)
        self.reasoning.add(thought)

    def _take_call(self, part: Json, position: int) -> None:
        function = table(part.get("function") or part.get("custom"))
        if not function:
            return
        call = self._call(part.get("index"), position, label(part.get("id")))
        call.name = call.name or label(function.get("name"))
        arguments = function.get("arguments", function.get("input"))
        if arguments is not None:  # an object where a server skips the JSON text in between
            call.arguments.add(arguments if isinstance(arguments, str) else canonical(arguments) or "")

    def _call(self, index: Any, position: int, call_id: str) -> _Call:
        """The call that a delta belongs to. Some servers give every call index 0 and only the id tells them apart."""
        key = index if type(index) is int else position
        call = self._at_index.get(key)
        if call is None or (call_id and call.id and call_id != call.id):
            call = _Call(call_id, self._allowance)
            if len(self.calls) < _MAX_PARTS:
                self.calls.append(call)
                self._at_index[key] = call
        call.id = call.id or call_id
        return call


class Answer:
    """Takes chunks, or one whole completion, and says in the end what was seen."""

    __slots__ = ("_allowance", "_choices", "_error", "_finish", "_id", "_model", "_tier", "_usage")

    def __init__(self) -> None:
        self._allowance = Allowance()
        self._choices: dict[int, _Choice] = {}
        self._id = self._model = self._tier = self._finish = self._error = ""
        self._usage: Json = {}

    def take(self, chunk: Any) -> None:
        if not isinstance(chunk, dict):
            return
        for choice in rows(chunk.get("choices")):
            if isinstance(choice, dict):
                self._take_choice(choice)
        usage = chunk.get("usage")
        if not usage and "x_groq" in chunk:
            usage = table(chunk["x_groq"]).get("usage")
        if usage:
            self._usage = table(usage)
        if not self._id or not self._model:
            self._id = self._id or label(chunk.get("id"))
            self._model = self._model or label(chunk.get("model"))
        tier = chunk.get("service_tier")
        if tier and tier != self._tier:
            self._tier = tier_of(tier) or self._tier
        if chunk.get("error"):
            self._error = error_code(chunk["error"])

    def _take_choice(self, choice: Json) -> None:
        index = choice.get("index")
        key = index if type(index) is int else 0
        state = self._choices.get(key)
        if state is None:
            if len(self._choices) >= _MAX_PARTS:
                return
            state = self._choices[key] = _Choice(self._allowance)
        delta = choice.get("delta") or choice.get("message")
        if isinstance(delta, dict):
            state.take(delta)
        finish = choice.get("finish_reason")
        if finish:
            self._finish = label(finish) or self._finish

    def observe(self, is_complete: bool) -> Observation:
        content = Content()
        names: list[str] = []
        verdict = None
        for _, choice in sorted(self._choices.items()):
            if choice.reasoning:
                content.add_running(choice.reasoning, "assistant")
            if choice.text:
                content.add_running(choice.text, "assistant")
                verdict = verdict or (verdict_of(content.texts[-1]) if content.texts else None)
            if choice.refusal:
                content.add_running(choice.refusal, "assistant")
            for call in choice.calls:
                content.add_running(call.arguments, "tool_call")
                names.append(call.name)
        return Observation(
            usage=read_usage(self._usage, self._tier) if self._usage else None,
            model=self._model or None,
            response_id=self._id,
            finish_reason=self._finish,
            error=self._error,
            outputs=tuple(content.blocks),
            emitted_tools=tuple(names),
            text="\n".join([*names, *content.texts]),
            verdict=verdict,
            is_complete=is_complete,
        )


class WholeMeter:
    """An answer that is one JSON text."""

    def __init__(self) -> None:
        self._body = Body()

    def feed(self, chunk: bytes) -> None:
        self._body.feed(chunk)

    def finish(self) -> Observation:
        value = self._body.parse()
        answer = Answer()
        answer.take(value)
        return answer.observe(is_complete=value is not None or self._body.is_too_long)


class StreamMeter:
    """An answer that is a stream of chunks, ended by ``[DONE]``."""

    def __init__(self) -> None:
        self._answer = Answer()
        self._events = JsonEvents(self._answer.take)

    def feed(self, chunk: bytes) -> None:
        self._events.feed(chunk)

    def finish(self) -> Observation:
        self._events.finish()
        return self._answer.observe(self._events.is_done)
