"""The Responses API: hand-written exchanges."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest

from collectors.fingerprint import text_block
from collectors.records import Usage
from proxy.dialects import Described, Observation
from proxy.dialects.openai_responses import DIALECT
from tests.reading import JSON, SSE, each_byte, head, named_events, observe

PATH = "/v1/responses"
QUESTION = {"model": "gpt-x", "input": "Hello"}
REASONING = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}], "encrypted_content": "zzz"}
CALL = {"type": "function_call", "call_id": "c1", "name": "look", "arguments": '{"b": 1, "a": 2}'}
MESSAGE = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Grüße, 世界"}]}
SEARCH = {"type": "web_search_call", "action": {"type": "search", "query": "q"}}
OPENED = {"type": "web_search_call", "action": {"type": "open_page", "url": "u"}}
USAGE = {
    "input_tokens": 100,
    "output_tokens": 40,
    "input_tokens_details": {"cached_tokens": 64, "cache_write_tokens": 10},
    "output_tokens_details": {"reasoning_tokens": 30},
    "total_tokens": 140,
}
RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "model": "gpt-x-1",
    "status": "completed",
    "service_tier": "flex",
    "output": [REASONING, CALL, MESSAGE, SEARCH, OPENED],
    "usage": USAGE,
}
SEEN = Usage(
    input_tokens=100,
    output_tokens=40,
    cache_read_tokens=64,
    cache_write_tokens=10,
    reasoning_tokens=30,
    web_searches=1,
    service_tier="flex",
    source="reported",
)
STREAM = named_events(
    {"type": "response.created", "response": {**RESPONSE, "status": "in_progress", "output": [], "usage": None}},
    {"type": "response.output_item.added", "output_index": 0, "item": {"type": "reasoning", "summary": []}},
    {"type": "response.reasoning_summary_text.delta", "output_index": 0, "delta": "Hm."},
    {"type": "response.output_item.done", "output_index": 0, "item": REASONING},
    {"type": "response.output_item.added", "output_index": 1, "item": {**CALL, "arguments": ""}},
    {"type": "response.function_call_arguments.delta", "output_index": 1, "delta": '{"b": 1, '},
    {"type": "response.function_call_arguments.delta", "output_index": 1, "delta": '"a": 2}'},
    {"type": "response.output_item.done", "output_index": 1, "item": CALL},
    {"type": "response.output_item.added", "output_index": 2, "item": {**MESSAGE, "content": []}},
    {"type": "response.output_text.delta", "output_index": 2, "delta": "Grüße, "},
    {"type": "response.output_text.delta", "output_index": 2, "delta": "世界"},
    {"type": "response.output_item.done", "output_index": 2, "item": MESSAGE},
    {"type": "response.completed", "response": RESPONSE},
)


def asked(body: Any = QUESTION, path: str = PATH, method: str = "POST") -> Described:
    return DIALECT.describe(head("openai", path, method), orjson.dumps(body), False)


def answered(value: Any, described: Described | None = None) -> Observation:
    return observe(DIALECT, described or asked(), [json.dumps(value).encode()], JSON)


def test_a_request_is_described() -> None:
    told = asked({**QUESTION, "stream": True, "max_output_tokens": 7, "previous_response_id": "resp_0"})
    assert (told.kind, told.operation, told.model, told.streamed) == ("model", "responses", "gpt-x", True)
    assert (told.max_output_tokens, told.previous_id) == (7, "resp_0")
    assert DIALECT.describe(head("openai", PATH), None, True).kind == "model"


@pytest.mark.parametrize(
    ("method", "path", "kind", "operation"),
    [
        ("POST", "/v1/responses/compact", "model", "compact"),
        ("POST", "/v1/responses/input_tokens", "other", "input_tokens"),
        ("POST", "/v1/responses/resp_1/cancel", "other", "cancel"),
        ("GET", "/v1/responses/resp_1", "other", "retrieve"),
        ("GET", "/v1/responses/resp_1/input_items", "other", "input_items"),
        ("DELETE", "/v1/responses/resp_1", "other", "delete"),
    ],
)
def test_only_creating_and_compacting_ask_a_model(method: str, path: str, kind: str, operation: str) -> None:
    assert DIALECT.claims("openai", method, path)
    told = asked(path=path, method=method)
    assert (told.kind, told.operation) == (kind, operation)


def test_an_answer_is_read_alike_whole_and_streamed_at_any_cut() -> None:
    whole, described = answered(RESPONSE), asked({**QUESTION, "stream": True})
    assert (whole.usage, whole.model, whole.response_id, whole.usage_id) == (SEEN, "gpt-x-1", "resp_1", "resp_1")
    assert (whole.emitted_tools, whole.finish_reason, whole.is_complete) == (("look",), "completed", True)
    expected = [("Hm.", "assistant"), ('{"a":2,"b":1}', "tool_call"), ("Grüße, 世界", "assistant")]
    assert [text_block(text, kind) for text, kind in expected] == list(whole.outputs[:3])  # type: ignore[arg-type]  # literals
    streamed = observe(DIALECT, described, [STREAM], SSE)
    fields = ("usage", "model", "response_id", "emitted_tools", "finish_reason", "outputs", "text", "is_complete")
    assert [getattr(streamed, name) for name in fields] == [getattr(whole, name) for name in fields]
    assert streamed.has_ended
    for at in range(len(STREAM)):
        assert observe(DIALECT, described, [STREAM[:at], STREAM[at:]], SSE) == streamed
    assert observe(DIALECT, described, each_byte(STREAM), SSE) == streamed


def test_a_cut_stream_tells_what_its_deltas_told() -> None:
    cut = STREAM[: STREAM.rindex(b"event: response.output_item.done")]
    seen = observe(DIALECT, asked({**QUESTION, "stream": True}), [cut], SSE)
    assert (seen.usage, seen.is_complete, seen.has_ended) == (None, False, False)
    assert seen.outputs == answered(RESPONSE).outputs[:3]


def test_an_answer_comes_back_in_the_next_request_with_the_same_digests() -> None:
    history = [{"role": "user", "content": "Hello"}, *RESPONSE["output"], {"role": "user", "content": "And?"}]
    prompt = DIALECT.prompt(asked({**QUESTION, "input": history}))
    assert prompt.blocks[1:-1] == answered(RESPONSE).outputs


def test_a_prompt_is_its_tools_instructions_and_items_in_order() -> None:
    tool = {"type": "function", "name": "look", "parameters": {}}
    items = [
        {"role": "developer", "content": "Be brief."},
        {
            "role": "user",
            "content": [{"type": "input_text", "text": "What?"}, {"type": "input_image", "image_url": "u"}],
        },
        {"type": "reasoning", "summary": [], "encrypted_content": "zzz"},
        {"type": "custom_tool_call", "name": "run", "input": "not json"},
        {"type": "function_call_output", "call_id": "c1", "output": "A cat."},
        {"type": "function_call_output", "output": [{"type": "input_text", "text": "A dog."}]},
        {"type": "mcp_call", "name": "m", "arguments": "{}", "output": "A cow."},
        {"type": "tool_search_output", "tools": [tool]},
        {"type": "compaction", "encrypted_content": "yyy"},
        {"type": "item_reference", "id": "x"},
    ]
    prompt = DIALECT.prompt(asked({**QUESTION, "tools": [tool], "instructions": "Be kind.", "input": items}))
    kinds = ["tool_def", "system", "system", "user", "media", "media", "tool_call", "tool_result", "tool_result"]
    assert [b.kind for b in prompt.blocks] == [*kinds, "tool_call", "tool_result", "tool_def", "media"]
    assert prompt.texts[1:8] == ("Be kind.", "Be brief.", "What?", "not json", "A cat.", "A dog.", "{}")


@pytest.mark.parametrize("status", ["queued", "in_progress"])
def test_a_background_response_has_yet_to_tell_its_usage(status: str) -> None:
    waiting = {**RESPONSE, "background": True, "status": status, "output": [], "usage": None}
    for seen in (answered(waiting), answered(waiting, asked(path="/v1/responses/resp_1", method="GET"))):
        assert (seen.usage, seen.usage_id, seen.is_interim, seen.response_id) == (None, "", True, "resp_1")


def test_a_background_stream_that_is_cut_has_yet_to_tell_too() -> None:
    head_alone = named_events(
        {"type": "response.created", "response": {**RESPONSE, "background": True, "status": "queued"}}
    )
    assert observe(DIALECT, asked({**QUESTION, "stream": True}), [head_alone], SSE).is_interim


@pytest.mark.parametrize("kind", ["completed", "incomplete", "failed"])
def test_each_end_of_a_stream_carries_usage(kind: str) -> None:
    response = {**RESPONSE, "status": kind, "error": {"code": "server_error"} if kind == "failed" else None}
    response["incomplete_details"] = {"reason": "max_output_tokens"} if kind == "incomplete" else None
    seen = observe(DIALECT, asked(), [named_events({"type": f"response.{kind}", "response": response})], SSE)
    assert (seen.usage, seen.is_complete) == (SEEN, True)
    assert seen.finish_reason == ("max_output_tokens" if kind == "incomplete" else kind)
    assert seen.error == ("server_error" if kind == "failed" else "")


def test_errors_are_seen() -> None:
    error = {"error": {"code": "model_not_found", "type": "invalid_request_error", "message": "no"}}
    assert answered(error).error == "model_not_found"
    assert observe(DIALECT, asked(), [named_events({"type": "error", "code": "overloaded"})], SSE).error == "overloaded"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"input_tokens": -1}, (None, 40, 64)),
        ({"output_tokens": True}, (100, None, 64)),
        ({"input_tokens_details": {"cached_tokens": 101}}, (100, 40, None)),
        ({"input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 60}}, (100, 40, None)),
        ({"input_tokens_details": None, "output_tokens": 10**12}, (100, None, None)),
    ],
)
def test_impossible_figures_are_unknown(changes: dict[str, Any], told: tuple[Any, ...]) -> None:
    usage = answered({**RESPONSE, "usage": {**USAGE, **changes}}).usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens) == told


def test_the_provider_s_own_cost_and_count_of_searches_are_taken() -> None:
    tools = {"web_search": {"num_requests": 3}}
    usage = answered({**RESPONSE, "tool_usage": tools, "usage": {**USAGE, "cost": 0.0000113}}).usage
    assert usage is not None
    assert (usage.provider_cost_nano, usage.web_searches) == (11_300, 3)
