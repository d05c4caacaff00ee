"""Ollama's native API: hand-written exchanges."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from collectors.fingerprint import text_block
from collectors.records import Usage
from proxy.dialects import Observation
from proxy.dialects.ollama import DIALECT
from tests.reading import JSON, each_byte, head, observe

LINES_TYPE = "application/x-ndjson"
CALL = {"function": {"name": "look", "arguments": {"b": 1, "a": 2}}}
LAST = {"model": "m:7b", "done": True, "done_reason": "stop", "prompt_eval_count": 26, "eval_count": 9}
STREAM = b"".join(
    orjson.dumps(line) + b"\n"
    for line in (
        {"model": "m:7b", "message": {"role": "assistant", "content": "", "thinking": "Hm."}, "done": False},
        {"model": "m:7b", "message": {"role": "assistant", "content": "Grüße, "}, "done": False},
        {"model": "m:7b", "message": {"role": "assistant", "content": "世界", "tool_calls": [CALL]}, "done": False},
        {**LAST, "message": {"role": "assistant", "content": ""}},
    )
)
SEEN = Usage(input_tokens=26, output_tokens=9, source="reported")


def asked(path: str = "/api/chat", **body: Any) -> Any:
    return DIALECT.describe(head("ollama", path), orjson.dumps({"model": "m", **body}), False)


def answered(value: Any, path: str = "/api/chat", status: int = 200) -> Observation:
    return observe(DIALECT, asked(path, stream=False), [orjson.dumps(value)], JSON, status)


def test_an_answer_streams_unless_told_otherwise() -> None:
    assert asked().streamed
    assert not asked(stream=False).streamed
    assert not asked("/api/embed").streamed
    assert asked(options={"num_predict": 7}).max_output_tokens == 7
    assert asked(options={"num_predict": -1}).max_output_tokens is None


def test_a_stream_is_read_at_any_cut() -> None:
    seen = observe(DIALECT, asked(), [STREAM], LINES_TYPE)
    assert (seen.usage, seen.model, seen.finish_reason, seen.is_complete) == (SEEN, "m:7b", "stop", True)
    assert seen.emitted_tools == ("look",)
    assert seen.outputs == (
        text_block("Hm.", "assistant"),
        text_block("Grüße, 世界", "assistant"),
        text_block('{"a":2,"b":1}', "tool_call"),
    )
    for at in range(len(STREAM)):
        assert observe(DIALECT, asked(), [STREAM[:at], STREAM[at:]], LINES_TYPE) == seen
    assert observe(DIALECT, asked(), each_byte(STREAM), LINES_TYPE) == seen
    cut = observe(DIALECT, asked(), [STREAM[: STREAM.index(b'"done_reason"')]], LINES_TYPE)
    assert (cut.usage, cut.is_complete, cut.outputs) == (None, False, seen.outputs)


def test_a_whole_answer_is_one_line() -> None:
    seen = answered({**LAST, "message": {"role": "assistant", "content": "Hi"}})
    assert (seen.usage, seen.text, seen.is_complete) == (SEEN, "Hi", True)
    generated = answered({**LAST, "response": "Hi"}, "/api/generate")
    assert (generated.usage, generated.text) == (SEEN, "Hi")


def test_a_cached_prompt_is_not_told() -> None:
    usage = answered({"done": True, "eval_count": 9}).usage
    assert usage == Usage(output_tokens=9, source="reported")


@pytest.mark.parametrize("tokens", [-1, True, "3", 1.5, 10**12])
def test_impossible_figures_are_unknown(tokens: Any) -> None:
    assert answered({**LAST, "prompt_eval_count": tokens}).usage == Usage(output_tokens=9, source="reported")


def test_embeddings_have_no_output() -> None:
    value = {"model": "e", "embeddings": [[0.5] * 100_000], "prompt_eval_count": 8}
    seen = answered(value, "/api/embed")
    assert (seen.usage, seen.model) == (Usage(input_tokens=8, output_tokens=0, source="reported"), "e")
    assert answered({"embedding": [0.5]}, "/api/embeddings").usage is None
    assert DIALECT.prompt(asked("/api/embed", input=["a", "b"])).texts == ("a", "b")
    assert DIALECT.prompt(asked("/api/embeddings", prompt="a")).texts == ("a",)


def test_a_prompt_is_its_tools_and_messages_in_order() -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What?", "images": ["AAAA"]},
        {"role": "assistant", "content": "", "thinking": "Hm.", "tool_calls": [CALL]},
        {"role": "tool", "tool_name": "look", "content": "A cat."},
    ]
    prompt = DIALECT.prompt(asked(messages=messages, tools=[{"type": "function"}]))
    kinds = ["tool_def", "system", "user", "media", "assistant", "tool_call", "tool_result"]
    assert [block.kind for block in prompt.blocks] == kinds
    assert prompt.texts[1:] == ("Be brief.", "What?", "Hm.", '{"a":2,"b":1}', "A cat.")
    assert DIALECT.prompt(asked("/api/generate", system="S", prompt="P")).texts == ("S", "P")


def test_errors_are_seen() -> None:
    assert answered({"error": "model 'm' not found"}, status=404).error == "error"
    cut = STREAM[: STREAM.index(b"\n") + 1] + b'{"error":"out of memory"}\n'
    assert observe(DIALECT, asked(), [cut], LINES_TYPE).error == "error"
