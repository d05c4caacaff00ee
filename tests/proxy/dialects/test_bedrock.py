"""Bedrock's requests and Converse: hand-written exchanges."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from botocore.parsers import create_parser

from collectors.fingerprint import text_block
from collectors.records import Usage
from proxy.dialects import Fault
from proxy.dialects.bedrock import DIALECT
from tests.aws_stream import converse_stream
from tests.bedrock_calls import CONTENT, EVENTS, PROFILE, WHOLE, answered, asked, seen, streamed
from tests.reading import JSON, head

NORMAL = Usage(
    input_tokens=1_706,
    output_tokens=40,
    cache_read_tokens=1_500,
    cache_write_tokens=203,
    cache_write_1h_tokens=3,
    service_tier="flex",
    source="reported",
)


def prompted(operation: str = "converse", **body: Any) -> list[tuple[str, str | None]]:
    """Kind and text of each block; media have no text."""
    prompt = DIALECT.prompt(asked(operation, body))
    texts = iter(prompt.texts)
    return [(block.kind, None if block.kind == "media" else next(texts)) for block in prompt.blocks]


@pytest.mark.parametrize(
    ("path", "kind", "operation", "model", "is_streamed"),
    [
        ("/model/anthropic.claude-v2/converse", "model", "chat", "anthropic.claude-v2", False),
        ("/model/us.amazon.nova-lite-v1%3A0/converse-stream", "model", "chat", "us.amazon.nova-lite-v1:0", True),
        ("/model/eu.meta.llama3-v1:0/invoke", "model", "chat", "eu.meta.llama3-v1:0", False),
        ("/model/m/invoke-with-response-stream", "model", "chat", "m", True),
        ("/model/amazon.titan-embed-text-v2%3A0/invoke", "model", "embeddings", "amazon.titan-embed-text-v2:0", False),
        ("/model/m/count-tokens", "other", "count-tokens", "m", False),
        (
            "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fglobal.anthropic.claude-x-v1%3A0/converse",
            "model",
            "chat",
            "global.anthropic.claude-x-v1:0",
            False,
        ),
        (
            "/model/arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-x-v1:0/converse",
            "model",
            "chat",
            "anthropic.claude-x-v1:0",
            False,
        ),
        (f"/model/{PROFILE.replace(':', '%3A').replace('/', '%2F')}/converse", "model", "chat", PROFILE, False),
        ("/model/arn:aws:bedrock:us-east-1:1:provisioned-model/abc/converse", "model", "chat",
         "arn:aws:bedrock:us-east-1:1:provisioned-model/abc", False),
    ],
)  # fmt: skip
def test_the_url_tells_model_and_operation(path: str, kind: str, operation: str, model: str, is_streamed: bool) -> None:
    for body in (b"{}", None, b"{broken"):
        described = DIALECT.describe(head("bedrock", path), body, True)
        assert (described.kind, described.operation, described.model, described.streamed) == (
            kind,
            operation,
            model,
            is_streamed,
        )
    assert described.rewritten is None


def test_only_posts_to_models_of_bedrock_are_claimed() -> None:
    assert DIALECT.claims("bedrock", "POST", "/model/m/converse")
    assert not DIALECT.claims("bedrock", "GET", "/async-invoke")
    assert not DIALECT.claims("bedrock", "POST", "/openai/v1/chat/completions")
    assert not DIALECT.claims("openai", "POST", "/model/m/converse")


def test_equal_bodies_to_other_models_are_other_questions() -> None:
    body: dict[str, Any] = {"messages": []}
    assert asked("converse", body).body_hash == asked("converse-stream", body).body_hash
    assert asked("converse", body).body_hash != asked("converse", body, "m").body_hash


@pytest.mark.parametrize(
    "body",
    [
        {"inferenceConfig": {"maxTokens": 64}},
        {"inferenceConfig": {"max_new_tokens": 64}},
        {"textGenerationConfig": {"maxTokenCount": 64}},
        {"max_tokens": 64},
        {"max_gen_len": 64},
    ],
)
def test_every_vendor_says_how_long_the_answer_may_be(body: Any) -> None:
    assert asked("invoke", body).max_output_tokens == 64


def test_a_converse_prompt_is_its_tools_system_and_messages_in_order() -> None:
    tool = {"toolSpec": {"name": "look", "inputSchema": {"json": {}}}}
    mark = {"cachePoint": {"type": "default"}}
    result = [{"json": {"b": 1, "a": 2}}, {"text": "A cat."}, {"image": {"format": "png", "source": {"bytes": "AA"}}}]
    told = prompted(
        toolConfig={"tools": [tool, mark]},
        system=[{"text": "Be brief."}, mark, {"guardContent": {"text": {"text": "Guarded."}}}],
        messages=[
            {
                "role": "user",
                "content": [
                    {"image": {"format": "png", "source": {"bytes": "AAAA"}}},
                    {"document": {"name": "d", "format": "txt", "source": {"text": "Pets."}}},
                    {"document": {"name": "d", "format": "pdf", "source": {"bytes": "AAAA"}}},
                    {"text": "What?"},
                    mark,
                ],
            },
            {
                "role": "assistant",
                "content": [
                    {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "s"}}},
                    {"citationsContent": {"content": [{"text": "Cited."}], "citations": [{"title": "t"}]}},
                    {"toolUse": {"toolUseId": "t1", "name": "look", "input": {"b": 1, "a": 2}}},
                ],
            },
            {"role": "user", "content": [{"toolResult": {"toolUseId": "t1", "content": result, "status": "success"}}]},
        ],
    )
    assert told == [
        ("tool_def", '{"toolSpec":{"inputSchema":{"json":{}},"name":"look"}}'),
        ("system", "Be brief."),
        ("system", "Guarded."),
        ("media", None),
        ("user", "Pets."),
        ("media", None),
        ("user", "What?"),
        ("assistant", "Hm."),
        ("assistant", "Cited."),
        ("tool_call", '{"a":2,"b":1}'),
        ("tool_result", '{"a":2,"b":1}'),
        ("tool_result", "A cat."),
        ("media", None),
    ]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"inputText": "Hi"}, [("user", "Hi")]),
        ({"prompt": "Hi", "max_gen_len": 5}, [("user", "Hi")]),
        ({"texts": ["Hi", "Ho"], "input_type": "x"}, [("user", "Hi"), ("user", "Ho")]),
        ({"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": {"text": {"value": "Hi"}}}, [("user", "Hi")]),
        ({"system": [{"text": "S"}], "messages": [{"role": "user", "content": [{"text": "Hi"}]}]},
         [("system", "S"), ("user", "Hi")]),
        ({"anthropic_version": "bedrock-2023-05-31", "system": "S", "messages": [{"role": "user", "content": "Hi"},
          {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "x", "input": {"a": 1}}]},
          {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "R"}]}]},
         [("system", "S"), ("user", "Hi"), ("tool_call", '{"a":1}'), ("tool_result", "R")]),
        ({"messages": [{"role": "system", "content": "S"},
                       {"role": "user", "content": [{"type": "text", "text": "Hi"},
                                                    {"type": "image_url", "image_url": {"url": "data:,x"}}]},
                       {"role": "assistant", "tool_calls": [{"function": {"name": "x", "arguments": '{"a": 1}'}}]},
                       {"role": "tool", "content": "R"}]},
         [("system", "S"), ("user", "Hi"), ("media", None), ("tool_call", '{"a":1}'), ("tool_result", "R")]),
    ],
    ids=["titan", "llama", "cohere", "nova embeddings", "nova", "anthropic", "chat"],
)  # fmt: skip
def test_every_vendor_s_prompt_is_read(body: Any, told: Any) -> None:
    assert prompted("invoke", **body) == told


def test_a_whole_answer_is_recognised_when_it_comes_back() -> None:
    told = answered(WHOLE, x_amzn_requestid="r1")
    history = {"messages": [{"role": "assistant", "content": CONTENT}]}
    assert told.outputs == DIALECT.prompt(asked("converse", history)).blocks
    assert [block.kind for block in told.outputs] == ["assistant", "assistant", "tool_call", "tool_call"]
    assert told.outputs[1] == text_block("Let me 看.", "assistant")
    assert told.emitted_tools == ("look", "list")
    assert (told.response_id, told.model, told.finish_reason) == ("r1", None, "tool_use")
    assert (told.is_complete, told.usage) == (True, NORMAL)


def test_a_stream_tells_the_same_as_the_whole_answer() -> None:
    assert streamed(converse_stream(*EVENTS)) == answered(WHOLE)


def test_a_redacted_thought_and_a_server_tool_are_content_too() -> None:
    told = answered(
        {
            "output": {
                "message": {
                    "content": [
                        {"reasoningContent": {"redactedContent": "UlJS"}},
                        {"toolUse": {"toolUseId": "t", "name": "web", "input": {}, "type": "server_tool_use"}},
                        {"text": "Done."},
                    ]
                }
            },
            "stopReason": "end_turn",
        }
    )
    assert [block.kind for block in told.outputs] == ["assistant", "tool_call", "assistant"]
    assert told.outputs[0] == text_block("UlJS", "assistant")
    assert (told.emitted_tools, told.usage) == ((), None)


def test_a_prompt_router_says_which_model_answered() -> None:
    router = "arn:aws:bedrock:us-east-1:1:default-prompt-router/anthropic.claude:1"
    invoked = "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-3-5-sonnet-20240620-v1:0"
    value = {**WHOLE, "trace": {"promptRouter": {"invokedModelId": invoked}}}
    assert answered(value, model=router).model == "us.anthropic.claude-3-5-sonnet-20240620-v1:0"


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"inputTokens": 5, "outputTokens": 2, "totalTokens": 7}, Usage(5, 2, source="reported")),
        ({"inputTokens": 5}, Usage(5, source="reported")),
        ({"inputTokens": -5, "outputTokens": 2}, Usage(output_tokens=2, source="reported")),
        ({"inputTokens": 5, "cacheReadInputTokens": True}, Usage(source="reported")),
        ({"inputTokens": 5, "outputTokens": 2_000_000_000}, Usage(5, source="reported")),
        (
            {"inputTokens": 50, "outputTokens": 2, "totalTokens": 52, "cacheReadInputTokens": 30},
            Usage(50, 2, cache_read_tokens=30, source="reported"),
        ),
        (
            {"inputTokens": 50, "outputTokens": 2, "cacheReadInputTokens": 30},
            Usage(80, 2, cache_read_tokens=30, source="reported"),
        ),
        (
            {"inputTokens": 1, "cacheWriteInputTokens": 3, "cacheDetails": [{"inputTokens": 9, "ttl": "1h"}, 7]},
            Usage(4, cache_write_tokens=3, source="reported"),
        ),
        ({}, None),
        (None, None),
    ],
)
def test_impossible_figures_are_dropped(usage: Any, expected: Usage | None) -> None:
    assert answered({"output": {}, "usage": usage}).usage == expected


@pytest.mark.parametrize(
    ("body", "headers", "code"),
    [
        ({"message": "m"}, {"x_amzn_errortype": "ValidationException:http://internal/"}, "ValidationException"),
        ({"__type": "com.amazon#ThrottlingException", "message": "m"}, {}, "ThrottlingException"),
        ({"message": "m"}, {}, "error"),
        ("<html>", {}, "error"),
    ],
)
def test_an_error_is_named(body: Any, headers: dict[str, str], code: str) -> None:
    told = seen(asked("converse-stream"), [orjson.dumps(body)], JSON, 400, headers)
    assert (told.error, told.usage, told.outputs) == (code, None, ())


def test_a_validators_answer_gives_its_verdict() -> None:
    parts = [{"text": '{"pass": '}, {"text": "false}"}]
    assert answered({"output": {"message": {"content": parts}}}).verdict == "fail"
    assert answered({"generation": '{"pass": true}'}, "invoke").verdict == "pass"


@pytest.mark.parametrize(
    ("status", "name"),
    [(400, "ValidationException"), (401, "UnrecognizedClientException"), (404, "ResourceNotFoundException"),
     (413, "ValidationException"), (429, "ThrottlingException"), (502, "InternalServerException"),
     (503, "ServiceUnavailableException")],
)  # fmt: skip
def test_errors_of_orchtax_are_read_by_botocore(status: int, name: str) -> None:
    kind, body = DIALECT.error_body(Fault(status, "some_code", "What is wrong."), None)
    response = {"status_code": status, "headers": {"Content-Type": kind}, "body": body}
    parsed = create_parser("rest-json").parse(response, None)
    assert (parsed["Error"]["Code"], parsed["Error"]["Message"]) == (name, "What is wrong.")
