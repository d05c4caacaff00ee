"""Cohere: hand-written exchanges of both versions."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import orjson
import pytest

from collectors.fingerprint import text_block
from collectors.records import Usage
from proxy.dialects import Observation
from proxy.dialects.cohere import DIALECT
from tests.reading import JSON, SSE, each_byte, events, head, observe

USAGE = {
    "billed_units": {"input_tokens": 41, "output_tokens": 25},
    "tokens": {"input_tokens": 1441, "output_tokens": 54},
    "cached_tokens": 144,
}
SEEN = Usage(input_tokens=1441, output_tokens=54, cache_read_tokens=144, source="reported")
CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"q":"世界"}'}}
ANSWER = {
    "id": "a1",
    "finish_reason": "TOOL_CALL",
    "message": {"role": "assistant", "tool_plan": "I will look.", "tool_calls": [CALL]},
    "usage": USAGE,
}
STREAM = events(
    {"type": "message-start", "id": "a1", "delta": {"message": {"role": "assistant"}}},
    {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "I will "}}},
    {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "look."}}},
    {
        "type": "tool-call-start",
        "index": 0,
        "delta": {"message": {"tool_calls": {**CALL, "function": {"name": "look", "arguments": ""}}}},
    },
    {"type": "tool-call-delta", "index": 0, "delta": {"message": {"tool_calls": {"function": {"arguments": '{"q":'}}}}},
    {
        "type": "tool-call-delta",
        "index": 0,
        "delta": {"message": {"tool_calls": {"function": {"arguments": '"世界"}'}}}},
    },
    {"type": "tool-call-end", "index": 0},
    {"type": "message-end", "delta": {"finish_reason": "TOOL_CALL", "usage": USAGE}},
)
LINES: list[dict[str, Any]] = [
    {"event_type": "stream-start", "generation_id": "g1"},
    {"event_type": "text-generation", "text": "Grüße, "},
    {"event_type": "text-generation", "text": "世界"},
    {
        "event_type": "stream-end",
        "finish_reason": "COMPLETE",
        "response": {"text": "Grüße, 世界", "tool_calls": [{"name": "look", "parameters": {"q": 1}}], "meta": USAGE},
    },
]


def asked(path: str = "/v2/chat", **body: Any) -> Any:
    return DIALECT.describe(head("cohere", path), orjson.dumps({"model": "command", **body}), False)


def answered(value: Any, path: str = "/v2/chat", status: int = 200) -> Observation:
    return observe(DIALECT, asked(path), [json.dumps(value).encode()], JSON, status)


def test_a_request_is_described() -> None:
    told = asked(stream=True, max_tokens=9, messages=[])
    assert (told.kind, told.operation, told.model, told.streamed) == ("model", "chat", "command", True)
    assert told.max_output_tokens == 9
    assert asked("/v2/embed").operation == "embeddings"
    assert asked("/v1/rerank").operation == "rerank"


def test_an_answer_is_read_alike_whole_and_streamed_at_any_cut() -> None:
    whole = answered(ANSWER)
    assert (whole.usage, whole.response_id, whole.finish_reason) == (SEEN, "a1", "TOOL_CALL")
    assert whole.emitted_tools == ("look",)
    assert whole.outputs == (text_block("I will look.", "assistant"), text_block('{"q":"世界"}', "tool_call"))
    described, ended = asked(stream=True), replace(whole, has_ended=True)
    for at in range(len(STREAM)):
        assert observe(DIALECT, described, [STREAM[:at], STREAM[at:]], SSE) == ended
    assert observe(DIALECT, described, each_byte(STREAM), SSE) == ended
    cut = observe(DIALECT, described, [STREAM[: STREAM.index(b"tool-call-end")]], SSE)
    assert (cut.usage, cut.is_complete, cut.outputs) == (None, False, whole.outputs)


def test_version_1_streams_lines() -> None:
    stream = b"\n".join(map(orjson.dumps, LINES))
    described = asked("/v1/chat", stream=True)
    seen = observe(DIALECT, described, [stream], "application/stream+json")
    assert (seen.usage, seen.response_id, seen.emitted_tools, seen.is_complete) == (SEEN, "g1", ("look",), True)
    assert seen.outputs[0] == text_block("Grüße, 世界", "assistant")
    for at in range(len(stream)):
        assert observe(DIALECT, described, [stream[:at], stream[at:]], "application/stream+json") == seen
    whole = {**LINES[3]["response"], "generation_id": "g1", "finish_reason": "COMPLETE"}
    assert replace(answered(whole, "/v1/chat"), has_ended=True) == seen


def test_a_prompt_of_version_2() -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": [{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": "u"}}],
        },
        {"role": "assistant", "tool_plan": "I look.", "tool_calls": [CALL]},
        {
            "role": "tool",
            "tool_call_id": "c1",
            "content": [{"type": "document", "document": {"data": {"text": "A cat."}}}],
        },
    ]
    documents = ["one", {"id": "d", "data": {"text": "two"}}, {"title": "three", "id": "e"}]
    prompt = DIALECT.prompt(asked(messages=messages, documents=documents, tools=[{"type": "function"}]))
    kinds = ["tool_def", *["user"] * 3, "system", "user", "media", "assistant", "tool_call", "user"]
    assert [block.kind for block in prompt.blocks] == kinds
    assert prompt.texts[1:] == (
        "one",
        "two",
        '{"title":"three"}',
        "Be brief.",
        "What?",
        "I look.",
        '{"q":"世界"}',
        "A cat.",
    )


def test_a_prompt_of_version_1() -> None:
    history = [{"role": "USER", "message": "Hi"}, {"role": "CHATBOT", "message": "Hello"}]
    prompt = DIALECT.prompt(asked("/v1/chat", preamble="Be brief.", chat_history=history, message="What?"))
    expected = [("Be brief.", "system"), ("Hi", "user"), ("Hello", "assistant"), ("What?", "user")]
    assert list(prompt.blocks) == [text_block(text, kind) for text, kind in expected]  # type: ignore[arg-type]  # literals


def test_embeddings_are_counted_by_billed_units_and_reranking_not_at_all() -> None:
    meta = {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 4}}
    seen = answered({"id": "e1", "embeddings": {"float": [[0.5]]}, "texts": ["x"], "meta": meta}, "/v2/embed")
    assert (seen.usage, seen.response_id) == (Usage(input_tokens=4, output_tokens=0, source="reported"), "e1")
    ranked = {"id": "r1", "results": [], "meta": {"billed_units": {"search_units": 1}}}
    assert answered(ranked, "/v2/rerank").usage is None
    prompt = DIALECT.prompt(asked("/v2/rerank", query="q", documents=["a", "b"]))
    assert (len(prompt.blocks), prompt.texts) == (3, ())
    assert DIALECT.prompt(asked("/v2/embed", texts=["a", "b"])).texts == ("a", "b")


@pytest.mark.parametrize("tokens", [-1, True, "3", 1.5, 10**12])
def test_impossible_figures_are_unknown(tokens: Any) -> None:
    usage = answered({**ANSWER, "usage": {"tokens": {"input_tokens": tokens, "output_tokens": 3.0}}}).usage
    assert usage == Usage(output_tokens=3, source="reported")


def test_errors_are_seen() -> None:
    assert answered({"id": "x", "message": "invalid api token"}, status=401).error == "error"
    ended = events({"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "oops"}})
    assert observe(DIALECT, asked(stream=True), [ended], SSE).error == "oops"
