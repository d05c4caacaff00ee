"""Bedrock's streams and the vendors behind InvokeModel: hand-written exchanges."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.fingerprint import text_block
from collectors.records import Usage
from tests.aws_stream import STREAM, chunks, converse_stream, message
from tests.bedrock_calls import EVENTS, METRICS, PROFILE, WHOLE, answered, asked, seen, streamed
from tests.reading import cut

COUNTED = {"x-amzn-bedrock-input-token-count": "21", "x-amzn-bedrock-output-token-count": "8"}
FEW = Usage(21, 8, source="reported")


def test_nova_speaks_converse_behind_invoke_too() -> None:
    usage = {"inputTokens": 3, "outputTokens": 40, "cacheReadInputTokenCount": 1_500, "cacheWriteInputTokenCount": 203}
    usual = Usage(1_706, 40, cache_read_tokens=1_500, cache_write_tokens=203, source="reported")
    told = answered({**WHOLE, "usage": usage, "serviceTier": None}, "invoke")
    assert (told.outputs, told.usage) == (answered(WHOLE).outputs, usual)
    parts = [{name: value} for name, value in EVENTS[:-1]]
    metrics = {"amazon-bedrock-invocationMetrics": METRICS}
    stream = chunks(*parts, {"metadata": {"usage": usage}, **metrics})
    assert streamed(stream, "invoke-with-response-stream") == told


CLAUDE = {
    "id": "msg_bdrk_1",
    "type": "message",
    "model": "claude-haiku-4-5-20251001",
    "role": "assistant",
    "content": [{"type": "text", "text": "Grüße"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 11, "cache_read_input_tokens": 10, "output_tokens": 8},
}
CLAUDE_EVENTS = [
    {"type": "message_start", "message": {**CLAUDE, "content": [], "usage": {"input_tokens": 11, "output_tokens": 1,
     "cache_read_input_tokens": 10}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Grüße"}},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 8}},
    {"type": "message_stop", "amazon-bedrock-invocationMetrics": METRICS},
]  # fmt: skip
CHAT = {
    "id": "chatcmpl-1",
    "model": "openai.gpt-oss-120b-1:0",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Grüße"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 21, "completion_tokens": 8, "total_tokens": 29},
}
TEXT = "Grüße"
WITH_METRICS = {"amazon-bedrock-invocationMetrics": METRICS}


@pytest.mark.parametrize(
    ("whole", "parts"),
    [
        (
            {"inputTextTokenCount": 21, "results": [{"tokenCount": 8, "outputText": TEXT, "completionReason": "end"}]},
            [
                {"outputText": "Grü", "index": 0, "totalOutputTextTokenCount": 4, "completionReason": None,
                 "inputTextTokenCount": 21},
                {"outputText": "ße", "index": 0, "totalOutputTextTokenCount": 8, "completionReason": "end"},
            ],
        ),
        (
            {"generation": "Grüße", "prompt_token_count": 21, "generation_token_count": 8, "stop_reason": "end"},
            [
                {"generation": "Grü", "prompt_token_count": 21, "generation_token_count": 4, "stop_reason": None},
                {"generation": "ße", "prompt_token_count": None, "generation_token_count": 8, "stop_reason": "end"},
            ],
        ),
        (
            {"outputs": [{"text": "Grüße", "stop_reason": "end"}]},
            [
                {"outputs": [{"text": "Grü", "stop_reason": None}]},
                {"outputs": [{"text": "ße", "stop_reason": "end"}], **WITH_METRICS},
            ],
        ),
        (
            {"text": "Grüße", "generation_id": "g", "finish_reason": "end", "chat_history": [{"message": "old"}]},
            [
                {"event_type": "text-generation", "text": "Grüße"},
                {"event_type": "stream-end", "finish_reason": "end", "response": {"text": "Grüße"}, **WITH_METRICS},
            ],
        ),
        (
            {"choices": [{"text": "Grüße", "stop_reason": "end"}]},
            [{"choices": [{"text": "Grüße", "stop_reason": "end"}]}, WITH_METRICS],
        ),
    ],
    ids=["titan", "llama", "mistral", "cohere", "deepseek"],
)  # fmt: skip
def test_plain_vendors_give_text_and_counts(whole: Any, parts: list[Any]) -> None:
    """Where the body has no counts, headers have them, or the stream's own figures."""
    told = answered(whole, "invoke", **COUNTED)
    assert (told.usage, told.text, told.finish_reason, told.is_complete) == (FEW, "Grüße", "end", True)
    assert told.outputs == (text_block("Grüße", "assistant"),)
    assert streamed(chunks(*parts), "invoke-with-response-stream") == told


def test_anthropic_s_body_counts_before_bedrock_s_own_figures() -> None:
    usual = Usage(21, 8, cache_read_tokens=10, source="reported")
    told = answered(CLAUDE, "invoke", **COUNTED)
    assert (told.usage, told.response_id, told.text) == (usual, "msg_bdrk_1", "Grüße")
    assert streamed(chunks(*CLAUDE_EVENTS), "invoke-with-response-stream", **COUNTED) == told


def test_a_vendor_s_model_name_counts_only_where_the_url_hides_it() -> None:
    """The bare name has lost its geography, and with it its price."""
    assert answered(CLAUDE, "invoke").model is None
    assert answered(CLAUDE, "invoke", PROFILE).model == "claude-haiku-4-5-20251001"


def test_openai_s_format_is_read_where_a_vendor_speaks_it() -> None:
    told = answered(CHAT, "invoke")
    assert (told.usage, told.text, told.finish_reason) == (FEW, "Grüße", "stop")
    delta = {"id": "chatcmpl-1", "choices": [{"index": 0, "delta": {"content": "Grüße"}}]}
    end = {"id": "chatcmpl-1", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], **WITH_METRICS}
    assert streamed(chunks(delta, end), "invoke-with-response-stream") == told


@pytest.mark.parametrize("value", [{"embedding": [0.5], "inputTextTokenCount": 21}, {"embeddings": [[0.5]]}])
def test_embeddings_have_no_output(value: Any) -> None:
    told = answered(value, "invoke", "cohere.embed-v4:0", x_amzn_bedrock_input_token_count="21")
    assert told.usage == Usage(21, 0, source="reported")
    assert (told.outputs, told.is_complete) == ((), True)


@pytest.mark.parametrize("value", ["-1", "1e3", "", "9" * 5_000, "²"])
def test_a_header_that_is_no_count_is_not_booked(value: str) -> None:
    told = answered({"outputs": []}, "invoke", **{**COUNTED, "x-amzn-bedrock-input-token-count": value})
    assert told.usage == Usage(output_tokens=8, source="reported")


def test_headers_tell_the_cache_and_the_tier() -> None:
    told = answered(
        {"outputs": []},
        "invoke",
        **COUNTED,
        x_amzn_bedrock_cache_read_input_token_count="100",
        x_amzn_bedrock_cache_write_input_token_count="7",
        x_amzn_bedrock_service_tier="priority",
    )
    assert told.usage == Usage(
        128, 8, cache_read_tokens=100, cache_write_tokens=7, service_tier="priority", source="reported"
    )


def test_a_stream_cut_before_its_end_is_not_complete() -> None:
    told = streamed(converse_stream(*EVENTS[:-2]))
    assert (told.is_complete, told.usage, told.emitted_tools) == (False, None, ("look", "list"))
    assert not streamed(chunks(*CLAUDE_EVENTS[:-1]), "invoke-with-response-stream").is_complete
    assert not streamed(b"").is_complete


@pytest.mark.parametrize("kind", ["exception", "error"])
def test_an_error_inside_a_stream_is_seen(kind: str) -> None:
    stream = converse_stream(*EVENTS[:7]) + message("throttlingException", b'{"message":"m"}', kind)
    told = streamed(stream)
    assert (told.error, told.is_complete) == ("throttlingException", False)
    assert "Let me 看." in told.text


STREAMS = [converse_stream(*EVENTS), chunks(*CLAUDE_EVENTS), chunks({"outputs": [{"text": "x"}]}, WITH_METRICS)]


@given(st.sampled_from(STREAMS), st.lists(st.integers(0, 2_000), max_size=10))
@settings(max_examples=60, deadline=None)
def test_cuts_change_nothing(stream: bytes, at: list[int]) -> None:
    described = asked("converse-stream")
    assert seen(described, cut(stream, at), STREAM) == seen(described, [stream], STREAM)


@given(st.sampled_from(STREAMS), st.data())
@settings(max_examples=60, deadline=None)
def test_noise_in_a_stream_is_survived(stream: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(stream)))
    noise = data.draw(st.binary(max_size=60))
    seen(asked("converse-stream"), [stream[:at] + noise + stream[at:]], STREAM)


ODD = [b"", b"{", b"null", b"7", b"[" * 50_000, b'{"bytes": 7}', b'{"bytes": "*"}', b'{"bytes": "e30"}',
       b'{"bytes": "W10="}',
       b'{"contentBlockIndex": [], "delta": 3}', b'{"delta": {"text": 5, "toolUse": 7}}', b'{"usage": [1]}',
       b'{"start": {"toolUse": 3}}', b'{"trace": {"promptRouter": 1}, "serviceTier": []}']  # fmt: skip


@pytest.mark.parametrize("payload", ODD, ids=range(len(ODD)))
def test_odd_messages_are_passed_over(payload: bytes) -> None:
    names = ["chunk", "messageStart", "contentBlockStart", "contentBlockDelta", "messageStop", "metadata", "new"]
    told = streamed(b"".join(message(name, payload) for name in names if name != "chunk"))
    assert (told.usage, told.emitted_tools) == (None, ())
    told = streamed(message("chunk", payload) + chunks(WITH_METRICS))
    assert told.usage == FEW


def test_blocks_without_end_are_bounded() -> None:
    event = {"contentBlockIndex": 0, "delta": {"text": "x"}}
    stream = converse_stream(*[("contentBlockDelta", {**event, "contentBlockIndex": at}) for at in range(3_000)])
    told = seen(asked("converse-stream"), [stream], STREAM)
    assert len(told.outputs) == 1_024
