"""Chat completions: hand-written exchanges."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest

from collectors.fingerprint import text_block
from collectors.records import Usage
from proxy.dialects import Observation
from proxy.dialects.openai_chat import DIALECT
from proxy.dialects.openai_chat_ask import ask_for_usage
from tests.reading import JSON, SSE, each_byte, events, head, observe

HEAD = head("openai", "/v1/chat/completions")
QUESTION = {"model": "gpt-x", "messages": [{"role": "user", "content": "Hello"}]}
USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 40,
    "total_tokens": 140,
    "prompt_tokens_details": {"cached_tokens": 64, "cache_write_tokens": 10, "audio_tokens": 2},
    "completion_tokens_details": {"reasoning_tokens": 30, "audio_tokens": 1},
}


def answered(value: Any, status: int = 200) -> Observation:
    described = DIALECT.describe(HEAD, orjson.dumps(QUESTION), False)
    return observe(DIALECT, described, [json.dumps(value).encode()], JSON, status)


def streamed(stream: bytes) -> Observation:
    described = DIALECT.describe(HEAD, orjson.dumps({**QUESTION, "stream": True}), False)
    return observe(DIALECT, described, [stream], SSE)


def usage_of(usage: Any, **rest: Any) -> Usage | None:
    return answered({"usage": usage, **rest}).usage


def test_a_request_is_described() -> None:
    body = orjson.dumps({**QUESTION, "max_tokens": 7})
    described = DIALECT.describe(HEAD, body, True)
    assert (described.kind, described.operation, described.model) == ("model", "chat", "gpt-x")
    assert (described.streamed, described.max_output_tokens, described.expects_usage) == (False, 7, True)
    assert described.rewritten is None
    assert len(described.body_hash) == 16


def test_max_completion_tokens_wins_over_its_old_name() -> None:
    body = orjson.dumps({**QUESTION, "max_tokens": 7, "max_completion_tokens": 9})
    assert DIALECT.describe(HEAD, body, False).max_output_tokens == 9


def test_a_body_too_large_to_read_is_still_a_model_call() -> None:
    described = DIALECT.describe(HEAD, None, True)
    assert (described.kind, described.model, described.rewritten) == ("model", None, None)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"model=x"])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"JSON|object|empty|unexpected|end of|line"):
        DIALECT.describe(HEAD, body, True)


@pytest.mark.parametrize("start", [b"{", b" \n{", b"\xef\xbb\xbf{ "])
def test_asking_for_usage_changes_no_byte_of_the_agents(start: bytes) -> None:
    rest = b'"model" : "gpt-x",\n"stream":true , "n":1.50}\n'
    described = DIALECT.describe(HEAD, start + rest, True)
    assert described.hides_usage
    assert described.rewritten is not None
    assert described.rewritten.replace(b'"stream_options":{"include_usage":true},', b"") == start + rest
    sent = orjson.loads(described.rewritten.removeprefix(b"\xef\xbb\xbf"))
    assert sent == {"stream_options": {"include_usage": True}, "model": "gpt-x", "stream": True, "n": 1.5}


@pytest.mark.parametrize("body", [b"{}", b" { } "])
def test_the_wish_fits_into_an_empty_object(body: bytes) -> None:
    assert orjson.loads(ask_for_usage(body)) == {"stream_options": {"include_usage": True}}


@pytest.mark.parametrize(
    ("extra", "ask", "asks", "expects"),
    [
        ({"stream": True}, True, True, True),
        ({"stream": True}, False, False, True),
        ({"stream": False}, True, False, True),
        ({"stream": True, "stream_options": {"include_usage": True}}, True, False, True),
        ({"stream": True, "stream_options": {"include_usage": False}}, True, False, False),
        ({"stream": True, "stream_options": None}, True, False, False),
    ],
)
def test_usage_is_asked_for_only_where_the_agent_left_it_open(
    extra: dict[str, Any], ask: bool, asks: bool, expects: bool
) -> None:
    described = DIALECT.describe(HEAD, orjson.dumps({**QUESTION, **extra}), ask)
    assert (described.rewritten is not None, described.hides_usage, described.expects_usage) == (asks, asks, expects)


def test_a_prompt_is_its_tools_and_messages_in_order() -> None:
    tool = {"type": "function", "function": {"name": "look", "parameters": {}}}
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"b": 1, "a": 2}'}}
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "What is this?"}, image]},
        {"role": "assistant", "content": None, "reasoning_content": "Hm.", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "A cat."},
    ]
    body = orjson.dumps({"model": "m", "tools": [tool], "messages": messages})
    prompt = DIALECT.prompt(DIALECT.describe(HEAD, body, False))
    kinds = ["tool_def", "system", "user", "media", "assistant", "tool_call", "tool_result"]
    assert [block.kind for block in prompt.blocks] == kinds
    assert prompt.texts[1:] == ("Be brief.", "What is this?", "Hm.", '{"a":2,"b":1}', "A cat.")
    assert orjson.loads(prompt.texts[0]) == tool
    assert prompt.blocks[1:3] == (text_block("Be brief.", "system"), text_block("What is this?", "user"))


def test_key_order_and_text_form_do_not_change_a_digest() -> None:
    def digests(content: Any, tool: dict[str, Any]) -> list[int]:
        body = orjson.dumps({"tools": [tool], "messages": [{"role": "user", "content": content}]})
        return [block.digest for block in DIALECT.prompt(DIALECT.describe(HEAD, body, False)).blocks]

    parts = [{"type": "text", "text": "Hi\n"}]
    assert digests("Hi", {"a": 1, "b": 2}) == digests(parts, {"b": 2, "a": 1})


def test_an_answer_is_recognised_when_it_comes_back_as_history() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"q": "x", "n": 1}'}}
    seen = answered({"choices": [{"message": {"role": "assistant", "content": "Let me look.", "tool_calls": [call]}}]})
    again = {**call, "function": {"name": "look", "arguments": '{"n":1,"q":"x"}'}}
    history = [{"role": "assistant", "content": [{"type": "text", "text": "Let me look."}], "tool_calls": [again]}]
    described = DIALECT.describe(HEAD, orjson.dumps({"messages": history}), False)
    assert DIALECT.prompt(described).blocks == seen.outputs
    assert seen.emitted_tools == ("look",)


def test_a_whole_answer() -> None:
    message = {"role": "assistant", "content": "Hi.", "reasoning": "Greet.", "refusal": None, "tool_calls": None}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    seen = answered(
        {"id": "c1", "model": "gpt-x-1", "choices": [choice], "usage": USAGE, "service_tier": "flex", "error": None}
    )
    assert (seen.response_id, seen.model, seen.finish_reason, seen.error) == ("c1", "gpt-x-1", "stop", "")
    assert seen.outputs == (text_block("Greet.", "assistant"), text_block("Hi.", "assistant"))
    assert seen.text == "Greet.\nHi."
    assert seen.is_complete
    assert seen.usage == Usage(
        input_tokens=100,
        output_tokens=40,
        cache_read_tokens=64,
        cache_write_tokens=10,
        reasoning_tokens=30,
        input_audio_tokens=2,
        output_audio_tokens=1,
        service_tier="flex",
        source="reported",
    )


def test_a_stream_tells_the_same_as_the_whole_answer() -> None:
    call = {"id": "c9", "type": "function", "function": {"name": "look", "arguments": '{"q": "世界"}'}}
    other = {"id": "c8", "type": "function", "function": {"name": "list", "arguments": ""}}
    message = {"role": "assistant", "content": "Let me look.", "tool_calls": [call, other]}
    frame = {"id": "c1", "model": "gpt-x-1", "service_tier": "default"}
    whole = {**frame, "choices": [{"message": message, "finish_reason": "tool_calls"}], "usage": USAGE}
    deltas: list[dict[str, Any]] = [
        {"role": "assistant", "content": ""},
        {"content": "Let me"},
        {"content": " look."},
        {"tool_calls": [{"index": 0, "id": "c9", "function": {"name": "look", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"q": "世'}}]},
        {"tool_calls": [{"index": 1, "id": "c8", "function": {"name": "list", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '界"}'}}]},
    ]
    chunks = [{**frame, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    end = {**frame, "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}], "usage": None}
    assert streamed(events(*chunks, end, {**frame, "choices": [], "usage": USAGE})) == answered(whole)


def test_calls_that_share_an_index_are_told_apart_by_id() -> None:
    def part(call_id: str, name: str) -> dict[str, Any]:
        return {"index": 0, "id": call_id, "function": {"name": name, "arguments": "{}"}}

    chunks = [{"choices": [{"delta": {"tool_calls": [part(*call)]}}]} for call in (("a", "look"), ("b", "list"))]
    assert streamed(events(*chunks)).emitted_tools == ("look", "list")


def test_a_cut_stream_is_not_complete() -> None:
    seen = streamed(events({"choices": [{"delta": {"content": "Hel"}}]}, done=False))
    assert (seen.is_complete, seen.usage, seen.text) == (False, None, "Hel")


def test_an_error_inside_a_stream_is_seen() -> None:
    error = {"message": "too much", "type": "server_error", "code": "overloaded"}
    seen = streamed(events({"choices": [{"delta": {"content": "Hel"}}]}, {"error": error}, done=False))
    assert (seen.error, seen.is_complete) == ("overloaded", False)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ({"message": "m", "type": "invalid_request_error", "code": None}, "invalid_request_error"),
        ({"message": "m", "code": 429}, "429"),
        ("model not found", "error"),
        ({"code": "a\nb"}, "error"),
        ({"code": "x" * 500}, "x" * 64),
    ],
)
def test_an_error_body_gives_a_short_code(error: Any, code: str) -> None:
    assert answered({"error": error}, 400).error == code


@pytest.mark.parametrize(
    ("usage", "field", "expected"),
    [
        ({"prompt_tokens": 9, "prompt_cache_hit_tokens": 5, "prompt_cache_miss_tokens": 4}, "cache_read_tokens", 5),
        ({"prompt_tokens": 9, "num_cached_tokens": 6}, "cache_read_tokens", 6),
        ({"prompt_tokens": 9, "cached_tokens": 7}, "cache_read_tokens", 7),
        ({"prompt_tokens": 9}, "cache_read_tokens", None),
        ({"prompt_tokens": 9, "num_cached_tokens": 10}, "cache_read_tokens", None),
        ({"prompt_tokens": -1}, "input_tokens", None),
        ({"prompt_tokens": True}, "input_tokens", None),
        ({"prompt_tokens": 1.5}, "input_tokens", None),
        ({"prompt_tokens": "12"}, "input_tokens", None),
        ({"prompt_tokens": 10**9}, "input_tokens", 10**9),
        ({"prompt_tokens": 10**9 + 1}, "input_tokens", None),
        ({"prompt_tokens": 10**30}, "input_tokens", None),
        ({"cost": 0.0133176}, "provider_cost_nano", 13_317_600),
        ({"cost": 0}, "provider_cost_nano", 0),
        ({"cost": -1}, "provider_cost_nano", None),
        ({"cost": True}, "provider_cost_nano", None),
        ({"cost": {"total": 1}}, "provider_cost_nano", None),
        (
            {"cost": 0.001, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.02}},
            "provider_cost_nano",
            21_000_000,
        ),
        ({"cost": 0.001, "is_byok": True}, "provider_cost_nano", None),
        ({"server_tool_use_details": {"web_search_requests": 2}, "prompt_tokens": 1}, "web_searches", 2),
    ],
)
def test_figures_of_other_vendors_and_impossible_ones(usage: Any, field: str, expected: int | None) -> None:
    seen = usage_of(usage)
    assert seen is not None
    assert getattr(seen, field) == expected


def test_cache_parts_larger_than_the_input_are_both_dropped() -> None:
    seen = usage_of({"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 6, "cache_write_tokens": 6}})
    assert seen == Usage(input_tokens=10, source="reported")


def test_reasoning_is_counted_once() -> None:
    inside = {"prompt_tokens": 32, "completion_tokens": 300, "total_tokens": 332}
    beside = {"prompt_tokens": 32, "completion_tokens": 5, "total_tokens": 332}
    for said in (inside, beside):
        seen = usage_of({**said, "completion_tokens_details": {"reasoning_tokens": 295}})
        assert seen is not None
        assert (seen.output_tokens, seen.reasoning_tokens) == (300, 295)


@pytest.mark.parametrize("usage", [None, [], {}, 7, "x"])
def test_no_usage_is_none(usage: Any) -> None:
    assert usage_of(usage) is None


def test_groq_hides_usage_in_its_own_field() -> None:
    seen = streamed(events({"choices": [], "x_groq": {"id": "r", "usage": USAGE}}))
    assert seen.usage is not None
    assert seen.usage.input_tokens == 100


def test_a_validators_answer_gives_its_verdict() -> None:
    assert answered({"choices": [{"message": {"content": '{"pass": false, "why": "x"}'}}]}).verdict == "fail"


class TestFilter:
    """The extra chunk goes, the rest stays."""

    EXTRA = events({"id": "c1", "choices": [], "usage": USAGE}, done=False)
    TEXT = events({"choices": [{"delta": {"content": "Hi"}}], "usage": None}, done=False)
    DONE = events()

    def passed(self, stream: bytes, chunks: list[bytes] | None = None) -> bytes:
        body = orjson.dumps({**QUESTION, "stream": True})
        stream_filter = DIALECT.stream_filter(DIALECT.describe(HEAD, body, True))
        assert stream_filter is not None
        out = b"".join(map(stream_filter.feed, [stream] if chunks is None else chunks))
        return out + stream_filter.finish()

    @pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
    def test_the_extra_chunk_is_taken_out_however_cut(self, end: bytes) -> None:
        parts = [part.replace(b"\n", end) for part in (b": hi\n\n" + self.TEXT, self.EXTRA, self.DONE)]
        stream = b"".join(parts)
        for at in range(len(stream)):
            assert self.passed(stream, [stream[:at], stream[at:]]) == parts[0] + parts[2]
        assert self.passed(stream, each_byte(stream)) == parts[0] + parts[2]

    def test_white_space_does_not_hide_it(self) -> None:
        extra = b'data: {"usage" : {"prompt_tokens": 1}, "choices" : [ ] }\n\n'
        assert self.passed(self.TEXT + extra + self.DONE) == self.TEXT + self.DONE

    def test_it_may_be_the_last_thing_and_unfinished(self) -> None:
        assert self.passed(self.TEXT + self.EXTRA.rstrip(b"\n")) == self.TEXT

    @pytest.mark.parametrize(
        "event",
        [
            {"choices": [{"delta": {}}], "usage": USAGE},
            {"choices": [], "usage": None},
            {"choices": [], "prompt_filter_results": [{"index": 0}]},
            {"note": '"choices":[]', "usage": USAGE},
        ],
    )
    def test_other_events_stay(self, event: Any) -> None:
        stream = self.TEXT + events(event)
        assert self.passed(stream) == stream
        assert self.passed(stream, each_byte(stream)) == stream

    def test_only_one_is_taken_out(self) -> None:
        assert self.passed(self.EXTRA * 2) == self.EXTRA

    def test_a_long_event_does_not_wait_for_its_end(self) -> None:
        long = b'data: {"choices":[],"usage":{"x":"' + b"y" * 100_000 + b'"}}\n\n'
        stream = long + self.EXTRA + self.DONE
        step = 1_000
        chunks = [stream[at : at + step] for at in range(0, len(stream), step)]
        assert self.passed(stream, chunks) == self.passed(stream) == long + self.DONE

    def test_whole_events_pass_at_once(self) -> None:
        body = orjson.dumps({**QUESTION, "stream": True})
        stream_filter = DIALECT.stream_filter(DIALECT.describe(HEAD, body, True))
        assert stream_filter is not None
        assert stream_filter.feed(self.TEXT) == self.TEXT
