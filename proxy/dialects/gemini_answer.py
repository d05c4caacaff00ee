"""Gemini's answers as they come back: whole, as events, or as a JSON array in pieces.

Source: Gemini API reference, "GenerateContentResponse" (November 2026). Every chunk of a stream carries cumulative
usage; the last one counts.
"""

from __future__ import annotations

from typing import Any

from proxy.dialects import Observation
from proxy.dialects.content import Allowance, Content, RunningText, verdict_of
from proxy.dialects.ends import Ends
from proxy.dialects.fields import Body, Json, error_code, label, rows, table
from proxy.dialects.gemini_content import add_part
from proxy.dialects.gemini_usage import read_usage
from proxy.dialects.json_array import JsonArray
from proxy.dialects.sse import JsonEvents

_MAX_PARTS = 1024
_MAX_CANDIDATES = 64


class _Candidate:
    """One answer under way: finished parts, and the text that may still go on."""

    __slots__ = ("_allowance", "_is_thought", "_text", "content", "names", "searches", "spoken")

    def __init__(self, allowance: Allowance) -> None:
        self._allowance = allowance
        self._text: RunningText | None = None
        self._is_thought = False
        self.content = Content()
        self.names: list[str] = []
        self.spoken: list[str] = []
        self.searches = 0

    def take(self, candidate: Json) -> None:
        for part in map(table, rows(table(candidate.get("content")).get("parts"))):
            text = part.get("text")
            if isinstance(text, str):
                self._say(text, part.get("thought") is True)
            elif len(self.content.blocks) < _MAX_PARTS:
                self._add(part)
        queries = rows(table(candidate.get("groundingMetadata")).get("webSearchQueries"))
        self.searches = max(self.searches, len(queries))

    def _say(self, text: str, is_thought: bool) -> None:
        if self._text is None or is_thought != self._is_thought:
            self.end_text()
            self._text, self._is_thought = RunningText(self._allowance), is_thought
        self._text.add(text)

    def _add(self, part: Json) -> None:
        self.end_text()
        one = Content()
        add_part(one, part, "assistant")
        self.content.take(one, self._allowance)
        name = label(table(part.get("functionCall")).get("name"))
        if name:
            self.names.append(name)

    def end_text(self) -> None:
        running, self._text = self._text, None
        if running is not None and len(self.content.blocks) < _MAX_PARTS:
            before = len(self.content.texts)
            self.content.add_running(running, "assistant")
            if not self._is_thought:
                self.spoken += self.content.texts[before:]


class Answer:
    """Takes chunks, or one whole answer, and says in the end what was seen."""

    def __init__(self) -> None:
        self._allowance = Allowance()
        self._candidates: dict[int, _Candidate] = {}
        self._usage: Json = {}
        self._id = self._model = self._finish = self._error = ""

    def take(self, chunk: Any) -> None:
        chunk = table(chunk)
        if "error" in chunk:
            self._error = _error_code(chunk["error"])
        for candidate in map(table, rows(chunk.get("candidates"))):
            self._take_candidate(candidate)
        self._usage = table(chunk.get("usageMetadata")) or self._usage
        self._id = self._id or label(chunk.get("responseId"))
        self._model = label(chunk.get("modelVersion")) or self._model
        self._finish = label(table(chunk.get("promptFeedback")).get("blockReason")) or self._finish

    def _take_candidate(self, candidate: Json) -> None:
        index = candidate.get("index")
        key = index if type(index) is int else 0
        if key not in self._candidates and len(self._candidates) < _MAX_CANDIDATES:
            self._candidates[key] = _Candidate(self._allowance)
        if key in self._candidates:
            self._candidates[key].take(candidate)
        self._finish = label(candidate.get("finishReason")) or self._finish

    @property
    def is_finished(self) -> bool:
        """A reason to stop was told: the format has no other end mark."""
        return bool(self._finish or self._error)

    def observe(self, is_complete: bool) -> Observation:
        content = Content()
        names: list[str] = []
        spoken: list[str] = []
        searches = 0
        for _, candidate in sorted(self._candidates.items()):
            candidate.end_text()
            content.blocks += candidate.content.blocks
            content.texts += candidate.content.texts
            names += candidate.names
            spoken = spoken or candidate.spoken
            searches += candidate.searches
        return Observation(
            usage=read_usage(self._usage, searches) if self._usage else None,
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


def _error_code(error: Any) -> str:
    """Google's name of a status says more than its number."""
    return label(table(error).get("status"))[:64] or error_code(error)


class WholeMeter:
    """An answer that is one JSON text; an error of the array form stands in a list."""

    def __init__(self) -> None:
        self._body = Body()

    def feed(self, chunk: bytes) -> None:
        self._body.feed(chunk)

    def finish(self) -> Observation:
        value = self._body.parse()
        answer = Answer()
        for part in value if isinstance(value, list) else [value]:
            answer.take(part)
        return answer.observe(is_complete=value is not None or self._body.is_too_long)


class EventMeter:
    """A stream of events (``alt=sse``)."""

    def __init__(self) -> None:
        self._answer = Answer()
        self._events = JsonEvents(self._answer.take)

    def feed(self, chunk: bytes) -> None:
        self._events.feed(chunk)

    def finish(self) -> Observation:
        self._events.finish()
        return self._answer.observe(self._answer.is_finished)


class ArrayMeter:
    """A stream that is one JSON array."""

    def __init__(self) -> None:
        self._answer = Answer()
        self._array = JsonArray(self._answer.take)

    def feed(self, chunk: bytes) -> None:
        self._array.feed(chunk)

    def finish(self) -> Observation:
        return self._answer.observe(self._array.is_done)


class EmbeddingMeter:
    """Vectors, and behind them the prompt's count. The Gemini API leaves it out for its older models."""

    def __init__(self) -> None:
        self._ends = Ends("usageMetadata")

    def feed(self, chunk: bytes) -> None:
        self._ends.feed(chunk)

    def finish(self) -> Observation:
        value, is_whole = self._ends.parse()
        said = table(value.get("usageMetadata"))
        error = _error_code(value["error"]) if "error" in value else ""
        usage = read_usage(said, 0, is_embedding=True) if said else None
        return Observation(usage=usage, error=error, is_complete=is_whole)
