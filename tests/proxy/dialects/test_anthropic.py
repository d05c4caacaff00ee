"""Anthropic messages: hand-written exchanges."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from collectors.fingerprint import text_block
from collectors.records import Usage
from proxy.dialects import Observation
from proxy.dialects.anthropic import DIALECT
from tests.reading import JSON, SSE, each_byte, head, named_events, observe

HEAD = head("anthropic", "/v1/messages")
QUESTION = {"model": "claude-x", "max_tokens": 64, "messages": [{"role": "user", "content": "Hello"}]}
USAGE = {
    "input_tokens": 10,
    "cache_read_input_tokens": 200,
    "cache_creation_input_tokens": 30,
    "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
    "output_tokens": 50,
    "output_tokens_details": {"thinking_tokens": 28},
    "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 0},
    "service_tier": "standard",
}
NORMAL = Usage(
    input_tokens=240,
    output_tokens=50,
    cache_read_tokens=200,
    cache_write_tokens=30,
    cache_write_1h_tokens=20,
    reasoning_tokens=28,
    web_searches=2,
    service_tier="standard",
    source="reported",
)


def answered(value: Any, status: int = 200) -> Observation:
    described = DIALECT.describe(HEAD, orjson.dumps(QUESTION), False)
    return observe(DIALECT, described, [orjson.dumps(value)], JSON, status)


def streamed(*values: Any) -> Observation:
    described = DIALECT.describe(HEAD, orjson.dumps({**QUESTION, "stream": True}), False)
    return observe(DIALECT, described, each_byte(named_events(*values)), SSE)


def prompted(**body: Any) -> list[tuple[str, str | None]]:
    """Kind and text of each block; media have no text."""
    prompt = DIALECT.prompt(DIALECT.describe(HEAD, orjson.dumps(body), False))
    texts = iter(prompt.texts)
    return [(block.kind, None if block.kind == "media" else next(texts)) for block in prompt.blocks]


def test_a_request_is_described() -> None:
    described = DIALECT.describe(HEAD, orjson.dumps({**QUESTION, "stream": True}), True)
    assert (described.kind, described.operation, described.model) == ("model", "chat", "claude-x")
    assert (described.streamed, described.max_output_tokens) == (True, 64)
    assert (described.rewritten, described.hides_usage, described.expects_usage) == (None, False, True)


def test_a_prompt_is_its_tools_system_and_messages_in_order() -> None:
    source = {"type": "base64", "media_type": "image/png", "data": "AAAA"}
    told = prompted(
        tools=[{"name": "look", "input_schema": {}, "cache_control": {"type": "ephemeral"}}],
        system=[{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        messages=[
            {"role": "user", "content": [{"type": "image", "source": source}, {"type": "text", "text": "What?"}]},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "Hm.", "signature": "s"},
                    {"type": "tool_use", "id": "t1", "name": "look", "input": {"b": 1, "a": 2}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "t1", "content": "A cat."},
                    {"type": "tool_result", "tool_use_id": "t2", "content": [{"type": "text", "text": "A dog."}]},
                    {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Pets."}},
                ],
            },
        ],
    )
    assert told == [
        ("tool_def", '{"input_schema":{},"name":"look"}'),
        ("system", "Be brief."),
        ("media", None),
        ("user", "What?"),
        ("assistant", "Hm."),
        ("tool_call", '{"a":2,"b":1}'),
        ("tool_result", "A cat."),
        ("tool_result", "A dog."),
        ("user", "Pets."),
    ]


def test_the_system_prompt_may_be_a_string_and_a_message_too() -> None:
    told = prompted(
        system="Be brief.", messages=[{"role": "user", "content": "Hi"}, {"role": "system", "content": "!"}]
    )
    assert told == [("system", "Be brief."), ("user", "Hi"), ("system", "!")]


def test_a_cache_mark_that_moves_changes_no_digest() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    image = {"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}}
    tool = {"name": "look", "input_schema": {}}

    def blocks(extra: dict[str, Any]) -> Any:
        content = [{"type": "text", "text": "Hi", **extra}, {**image, **extra}]
        body = {"tools": [{**tool, **extra}], "messages": [{"role": "user", "content": content}]}
        return DIALECT.prompt(DIALECT.describe(HEAD, orjson.dumps(body), False)).blocks

    assert blocks({}) == blocks(mark)


def test_a_whole_answer_is_recognised_when_it_comes_back() -> None:
    content = [
        {"type": "thinking", "thinking": "Hm.", "signature": "s"},
        {"type": "text", "text": "Let me look.", "citations": None},
        {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "cats"}},
        {"type": "web_search_tool_result", "tool_use_id": "s1", "content": [{"type": "web_search_result", "url": "u"}]},
        {"type": "tool_use", "id": "t1", "name": "look", "input": {"q": "x", "n": 1}},
    ]
    seen = answered(
        {
            "type": "message",
            "id": "m1",
            "model": "claude-x-1",
            "content": content,
            "stop_reason": "tool_use",
            "usage": USAGE,
        }
    )
    history = {"messages": [{"role": "assistant", "content": content}]}
    assert seen.outputs == DIALECT.prompt(DIALECT.describe(HEAD, orjson.dumps(history), False)).blocks
    assert [block.kind for block in seen.outputs] == ["assistant", "assistant", "tool_call", "tool_result", "tool_call"]
    assert seen.outputs[1] == text_block("Let me look.", "assistant")
    assert seen.emitted_tools == ("look",)
    assert (seen.response_id, seen.model, seen.finish_reason) == ("m1", "claude-x-1", "tool_use")
    assert (seen.is_complete, seen.usage) == (True, NORMAL)


def test_a_stream_tells_the_same_as_the_whole_answer() -> None:
    content: list[dict[str, Any]] = [
        {"type": "thinking", "thinking": "Hm.", "signature": "s"},
        {"type": "text", "text": "Let me 看."},
        {"type": "tool_use", "id": "t1", "name": "look", "input": {"q": "世界"}},
        {"type": "tool_use", "id": "t2", "name": "list", "input": {}},
        {"type": "web_search_tool_result", "tool_use_id": "s1", "content": [{"url": "u"}]},
    ]
    frame = {"type": "message", "id": "m1", "model": "claude-x-1"}
    start_usage = {**USAGE, "output_tokens": 1, "output_tokens_details": None}
    starts = [
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "text", "text": ""},
        {**content[2], "input": {}},
        content[3],
        content[4],
    ]
    deltas = [
        (0, {"type": "thinking_delta", "thinking": "Hm."}),
        (0, {"type": "signature_delta", "signature": "s"}),
        (1, {"type": "text_delta", "text": "Let "}),
        (1, {"type": "text_delta", "text": "me 看."}),
        (2, {"type": "input_json_delta", "partial_json": ""}),
        (2, {"type": "input_json_delta", "partial_json": '{"q": "世'}),
        (2, {"type": "input_json_delta", "partial_json": '界"}'}),
    ]
    seen = streamed(
        {"type": "message_start", "message": {**frame, "content": [], "usage": start_usage}},
        {"type": "ping"},
        *[{"type": "content_block_start", "index": at, "content_block": part} for at, part in enumerate(starts)],
        *[{"type": "content_block_delta", "index": at, "delta": delta} for at, delta in deltas],
        *[{"type": "content_block_stop", "index": at} for at in range(len(starts))],
        {
            "type": "message_delta",
            "delta": {"stop_reason": "tool_use"},
            "usage": {"output_tokens": 50, "output_tokens_details": {"thinking_tokens": 28}},
        },
        {"type": "message_stop"},
    )
    whole = {**frame, "content": content, "stop_reason": "tool_use", "usage": USAGE}
    assert seen == answered(whole)


def start(**usage: Any) -> dict[str, Any]:
    return {"type": "message_start", "message": {"id": "m1", "model": "claude-x-1", "usage": usage}}


def delta(**usage: Any) -> dict[str, Any]:
    return {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage}


def test_stream_usage_is_the_maximum_of_each_field() -> None:
    seen = streamed(
        start(input_tokens=700, cache_read_input_tokens=50, output_tokens=1),
        delta(input_tokens=1_500, cache_read_input_tokens=0, output_tokens=90),
        delta(input_tokens=-4, output_tokens=80),
        {"type": "message_stop"},
    )
    assert seen.usage is not None
    assert (seen.usage.input_tokens, seen.usage.cache_read_tokens, seen.usage.output_tokens) == (1_550, 50, 90)


def test_the_placeholder_of_a_cut_stream_is_not_booked_as_output() -> None:
    seen = streamed(start(input_tokens=700, output_tokens=1))
    assert seen.usage == Usage(input_tokens=700, source="reported")
    assert not seen.is_complete


def test_an_error_inside_a_stream_is_seen() -> None:
    seen = streamed(start(input_tokens=7), {"type": "error", "error": {"type": "overloaded_error", "message": "m"}})
    assert (seen.error, seen.is_complete) == ("overloaded_error", False)


def test_an_error_body_gives_its_type() -> None:
    seen = answered({"type": "error", "error": {"type": "invalid_request_error", "message": "m"}}, 400)
    assert (seen.error, seen.usage, seen.outputs) == ("invalid_request_error", None, ())


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"input_tokens": 5}, Usage(input_tokens=5, source="reported")),
        ({"input_tokens": -5, "output_tokens": 2}, Usage(output_tokens=2, source="reported")),
        ({"input_tokens": 5, "cache_read_input_tokens": True}, Usage(source="reported")),
        ({"input_tokens": 5, "output_tokens": 2_000_000_000}, Usage(input_tokens=5, source="reported")),
        (
            {"input_tokens": 5, "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 4}},
            Usage(input_tokens=12, cache_write_tokens=7, cache_write_1h_tokens=4, source="reported"),
        ),
        (
            {
                "input_tokens": 5,
                "cache_creation_input_tokens": 3,
                "cache_creation": {"ephemeral_1h_input_tokens": 4},
                "output_tokens": 1,
                "output_tokens_details": {"thinking_tokens": 2},
            },
            Usage(input_tokens=8, output_tokens=1, cache_write_tokens=3, source="reported"),
        ),
        ({}, None),
        (None, None),
    ],
)
def test_impossible_figures_are_dropped(usage: Any, expected: Usage | None) -> None:
    assert answered({"content": [], "usage": usage}).usage == expected


def test_iterations_neither_add_nor_hide_tokens() -> None:
    inner = {"type": "advisor_message", "model": "other", "input_tokens": 55_000, "output_tokens": 900}
    seen = answered({"content": [], "usage": {**USAGE, "iterations": [inner, {"type": "message", **USAGE}]}})
    assert seen.usage == NORMAL


def test_a_validators_answer_gives_its_verdict() -> None:
    parts = [{"type": "text", "text": '{"pass": '}, {"type": "text", "text": "true}"}]
    assert answered({"content": parts}).verdict == "pass"


def test_counting_tokens_asks_no_model() -> None:
    counting = head("anthropic", "/v1/messages/count_tokens")
    described = DIALECT.describe(counting, orjson.dumps(QUESTION), False)
    assert (described.kind, described.operation, described.model) == ("other", "count_tokens", "claude-x")
    assert observe(DIALECT, described, [b'{"input_tokens": 12}'], JSON, 200).usage is None
