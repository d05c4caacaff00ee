"""Ollama's answers as they come back: JSON lines of which the last says ``"done": true``; unstreamed, it stands alone.

Source: Ollama, docs/api.md (November 2026). ``prompt_eval_count`` may be left out when the whole prompt was cached: the
input is then unknown. Nothing is billed by the cache, so none is told.
"""

from __future__ import annotations

from typing import Any

from collectors.records import Usage
from proxy.dialects import Observation
from proxy.dialects.content import Allowance, Content, RunningText, verdict_of
from proxy.dialects.ends import Ends
from proxy.dialects.fields import Json, count, label, rows, table
from proxy.dialects.json_lines import JsonLines

_MAX_CALLS = 256


class LineMeter:
    """Chat and generate, streamed or not."""

    def __init__(self) -> None:
        self._lines = JsonLines(self._take)
        self._allowance = Allowance()
        self._text, self._thinking = RunningText(self._allowance), RunningText(self._allowance)
        self._calls = Content()
        self._names: list[str] = []
        self._usage: Usage | None = None
        self._model = self._finish = self._error = ""
        self._is_done = False

    def feed(self, chunk: bytes) -> None:
        self._lines.feed(chunk)

    def _take(self, line: Any) -> None:
        line = table(line)
        message = table(line.get("message")) or line
        for running, name in ((self._text, "content"), (self._text, "response"), (self._thinking, "thinking")):
            if isinstance(message.get(name), str):
                running.add(message[name])
        for call in map(table, rows(message.get("tool_calls"))):
            self._take_call(table(call.get("function")))
        self._model = label(line.get("model")) or self._model
        if "error" in line:
            self._error = "error"  # a sentence, no code
        if line.get("done") is True:
            self._is_done = True
            self._finish = label(line.get("done_reason"))
            self._usage = _usage(line, count(line.get("eval_count")))

    def _take_call(self, function: Json) -> None:
        if len(self._names) < _MAX_CALLS:
            one = Content()
            one.add_arguments(function.get("arguments"))
            self._calls.take(one, self._allowance)
            self._names.append(label(function.get("name")))

    def finish(self) -> Observation:
        self._lines.finish()
        content = Content()
        content.add_running(self._thinking, "assistant")
        before = len(content.texts)
        content.add_running(self._text, "assistant")
        verdict = verdict_of("".join(content.texts[before:]))
        content.blocks += self._calls.blocks
        content.texts += self._calls.texts
        return Observation(
            usage=self._usage,
            model=self._model or None,
            finish_reason=self._finish,
            error=self._error,
            outputs=tuple(content.blocks),
            emitted_tools=tuple(self._names),
            text="\n".join([*self._names, *content.texts]),
            verdict=verdict,
            is_complete=self._is_done or bool(self._error),
            has_ended=self._is_done,
        )


class VectorMeter:
    """Embeddings, with the prompt's count behind them; the older path tells none."""

    def __init__(self) -> None:
        self._ends = Ends("model", "prompt_eval_count")

    def feed(self, chunk: bytes) -> None:
        self._ends.feed(chunk)

    def finish(self) -> Observation:
        value, is_whole = self._ends.parse()
        return Observation(usage=_usage(value, 0), model=label(value.get("model")) or None, is_complete=is_whole)


def _usage(line: Json, output_tokens: int | None) -> Usage | None:
    """None when nothing was reported; a ``0`` that only means "no output" is no report."""
    input_tokens = count(line.get("prompt_eval_count"))
    if input_tokens is None and not output_tokens:
        return None
    return Usage(input_tokens=input_tokens, output_tokens=output_tokens, source="reported")
