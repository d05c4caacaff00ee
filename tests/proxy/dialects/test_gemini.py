"""Gemini and Vertex AI: hand-written exchanges."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest

from collectors.fingerprint import text_block
from collectors.records import Usage
from proxy.dialects import Fault, Observation
from proxy.dialects.gemini import DIALECT
from tests.reading import JSON, SSE, each_byte, events, head, observe

PATH = "/v1beta/models/gemini-x:"
QUESTION = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}
USAGE = {
    "promptTokenCount": 100,
    "cachedContentTokenCount": 60,
    "toolUsePromptTokenCount": 7,
    "candidatesTokenCount": 30,
    "thoughtsTokenCount": 12,
    "totalTokenCount": 149,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 80}, {"modality": "AUDIO", "tokenCount": 20}],
    "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 5}],
    "serviceTier": "standard",
}
CHUNKS: list[dict[str, Any]] = [
    {"candidates": [{"content": {"parts": [{"text": "Hm, ", "thought": True}]}}], "responseId": "g1"},
    {"candidates": [{"content": {"parts": [{"text": "why?", "thought": True}, {"text": 'Grüße "}'}]}}]},
    {"candidates": [{"content": {"parts": [{"text": "]世界\\"}]}}], "usageMetadata": {"promptTokenCount": 100}},
    {
        "candidates": [
            {
                "content": {"parts": [{"functionCall": {"name": "look", "args": {"q": "x"}}, "thoughtSignature": "s"}]},
                "finishReason": "STOP",
            }
        ],
        "usageMetadata": USAGE,
        "modelVersion": "gemini-x-001",
    },
]
SEEN = Usage(
    input_tokens=107,
    output_tokens=42,
    cache_read_tokens=60,
    reasoning_tokens=12,
    input_audio_tokens=20,
    output_audio_tokens=5,
    service_tier="standard",
    source="reported",
)


def asked(verb: str, body: Any = QUESTION) -> Any:
    return DIALECT.describe(head("gemini", PATH + verb), orjson.dumps(body), False)


def answered(value: Any, verb: str = "generateContent", status: int = 200) -> Observation:
    return observe(DIALECT, asked(verb), [json.dumps(value).encode()], JSON, status)


def usage_of(said: Any) -> Usage | None:
    return answered({"candidates": [], "usageMetadata": said}).usage


@pytest.mark.parametrize(
    ("path", "kind", "operation", "model", "streamed"),
    [
        ("/v1beta/models/gemini-x:generateContent", "model", "chat", "gemini-x", False),
        ("/v1/models/gemini-x:streamGenerateContent", "model", "chat", "gemini-x", True),
        ("/v1beta/models/gemini-x%3AcountTokens", "other", "count_tokens", "gemini-x", False),
        ("/v1/projects/p/locations/l/publishers/google/models/e:embedContent", "model", "embeddings", "e", False),
        ("/v1beta/models/e:batchEmbedContents", "model", "embeddings", "e", False),
        ("/v1/projects/p/locations/l/endpoints/123:generateContent", "model", "chat", None, False),
    ],
)
def test_the_path_tells_what_is_asked(path: str, kind: str, operation: str, model: str | None, streamed: bool) -> None:
    assert DIALECT.claims("gemini", "POST", path)
    for body in (orjson.dumps(QUESTION), None):
        told = DIALECT.describe(head("gemini", path), body, True)
        assert (told.kind, told.operation, told.model, told.streamed) == (kind, operation, model, streamed)


def test_the_same_body_to_another_model_is_another_question() -> None:
    one, other = (
        DIALECT.describe(head("gemini", f"/v1beta/models/{m}:generateContent"), orjson.dumps(QUESTION), False)
        for m in "ab"
    )
    assert one.body_hash != other.body_hash


@pytest.mark.parametrize("name", ["maxOutputTokens", "max_output_tokens"])
def test_fields_may_be_spelled_either_way(name: str) -> None:
    config = "generationConfig" if name == "maxOutputTokens" else "generation_config"
    assert asked("generateContent", {**QUESTION, config: {name: 9}}).max_output_tokens == 9


def test_a_prompt_is_its_tools_system_and_contents_in_order() -> None:
    function = {"name": "look", "parameters": {"type": "OBJECT"}}
    contents = [
        {"parts": [{"text": "What is this?"}, {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]},
        {"role": "model", "parts": [{"function_call": {"name": "look", "args": {"b": 1, "a": 2}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "look", "response": {"result": "A cat."}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "look", "response": {"n": 1, "ok": True}}}]},
        {"role": "model", "parts": [{"executableCode": {"code": "1+1"}}, {"codeExecutionResult": {"output": "2"}}]},
    ]
    body = {
        "contents": contents,
        "tools": {"function_declarations": [function]},
        "system_instruction": {"parts": [{"text": "Be brief."}]},
    }
    prompt = DIALECT.prompt(asked("generateContent", body))
    kinds = ["tool_def", "system", "user", "media", "tool_call", *["tool_result"] * 2, "assistant", "tool_result"]
    assert [block.kind for block in prompt.blocks] == kinds
    assert orjson.loads(prompt.texts[0]) == function
    assert prompt.texts[1:] == (
        "Be brief.",
        "What is this?",
        '{"a":2,"b":1}',
        "A cat.",
        '{"n":1,"ok":true}',
        "1+1",
        "2",
    )


def test_texts_to_embed_are_the_prompt() -> None:
    requests = [{"content": {"parts": [{"text": text}]}} for text in ("one", "two")]
    assert DIALECT.prompt(asked("batchEmbedContents", {"requests": requests})).texts == ("one", "two")
    assert DIALECT.prompt(asked("embedContent", requests[0])).texts == ("one",)


def test_streams_are_read_alike_as_events_and_as_an_array_at_any_cut() -> None:
    array = b"[" + b",\r\n".join(map(orjson.dumps, CHUNKS)) + b"\r\n]"
    pretty = json.dumps(CHUNKS, indent=2, ensure_ascii=False).encode()
    described = asked("streamGenerateContent")
    seen = observe(DIALECT, described, [events(*CHUNKS, done=False)], SSE)
    assert seen.usage == SEEN
    assert (seen.response_id, seen.model, seen.finish_reason) == ("g1", "gemini-x-001", "STOP")
    assert seen.emitted_tools == ("look",)
    expected = [text_block(t, "assistant") for t in ("Hm, why?", 'Grüße "}]世界\\')] + [
        text_block('{"q":"x"}', "tool_call")
    ]
    assert list(seen.outputs) == expected
    assert seen.is_complete
    for stream, kind in ((events(*CHUNKS, done=False), SSE), (array, JSON), (pretty, JSON)):
        for at in range(len(stream) + 1):
            assert observe(DIALECT, described, [stream[:at], stream[at:]], kind) == seen
        assert observe(DIALECT, described, each_byte(stream), kind) == seen


@pytest.mark.parametrize("kind", [SSE, JSON])
def test_a_cut_stream_keeps_what_was_told_last(kind: str) -> None:
    stream = events(*CHUNKS[:3], done=False) if kind == SSE else b"[" + b",".join(map(orjson.dumps, CHUNKS[:3])) + b","
    seen = observe(DIALECT, asked("streamGenerateContent"), [stream], kind)
    assert not seen.is_complete
    assert seen.usage == Usage(input_tokens=100, source="reported")
    assert "世界" in seen.text


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"promptTokenCount": 5, "totalTokenCount": 5}, (5, 0, None)),
        ({"promptTokenCount": 5, "thoughtsTokenCount": 71, "totalTokenCount": 76}, (5, 71, 71)),
        ({"promptTokenCount": 5}, (5, None, None)),
        ({"promptTokenCount": -5, "candidatesTokenCount": 3}, (None, 3, None)),
        ({"promptTokenCount": True, "candidatesTokenCount": 10**12}, (None, None, None)),
        ({"promptTokenCount": 5, "candidatesTokenCount": "3", "thoughtsTokenCount": 4}, (5, None, 4)),
    ],
)
def test_zeros_are_left_out_and_impossible_figures_unknown(said: Any, told: tuple[Any, ...]) -> None:
    usage = usage_of(said)
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens, usage.reasoning_tokens) == told


@pytest.mark.parametrize(
    ("said", "tier"),
    [
        ({"trafficType": "ON_DEMAND"}, None),
        ({"trafficType": "ON_DEMAND_FLEX"}, "flex"),
        ({"trafficType": "PROVISIONED_THROUGHPUT"}, None),
        ({"serviceTier": "PRIORITY"}, "priority"),
    ],
)
def test_the_service_tier_is_told_in_two_ways(said: Any, tier: str | None) -> None:
    usage = usage_of({"promptTokenCount": 1, **said})
    assert usage is not None
    assert usage.service_tier == tier


def test_web_queries_are_searches() -> None:
    grounding = {"webSearchQueries": ["a", "b"]}
    value = {"candidates": [{"groundingMetadata": grounding}], "usageMetadata": {"promptTokenCount": 1}}
    usage = answered(value).usage
    assert usage is not None
    assert usage.web_searches == 2


def test_errors_are_named_by_their_status() -> None:
    error = {"error": {"code": 429, "message": "quota", "status": "RESOURCE_EXHAUSTED"}}
    assert answered(error, status=429).error == "RESOURCE_EXHAUSTED"
    assert answered([error], "streamGenerateContent", 429).error == "RESOURCE_EXHAUSTED"
    assert answered({"promptFeedback": {"blockReason": "SAFETY"}}).finish_reason == "SAFETY"


def test_vectors_are_not_parsed_and_their_usage_is_found() -> None:
    vectors = [{"values": [0.125] * 3072}] * 40
    value = {"embeddings": vectors, "usageMetadata": {"promptTokenCount": 11, "promptTokenDetails": []}}
    assert len(orjson.dumps(value)) > 512 * 1024
    for size in (1, 40):
        seen = answered({**value, "embeddings": vectors[:size]}, "batchEmbedContents")
        assert seen.usage == Usage(input_tokens=11, output_tokens=0, source="reported")
        assert seen.is_complete
    assert answered({"embeddings": vectors[:1]}, "batchEmbedContents").usage is None


def test_an_error_of_orchtax_is_google_s_status() -> None:
    error = orjson.loads(DIALECT.error_body(Fault(404, "unknown_upstream", "no such"), None)[1])["error"]
    assert (error["code"], error["status"], error["message"]) == (404, "NOT_FOUND", "no such")
    assert error["details"][0]["reason"] == "unknown_upstream"
