"""Runs one exchange through Bedrock's dialect, as the exchange does, headers included."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from multidict import CIMultiDict

from proxy.dialects import Described, Observation
from proxy.dialects.bedrock import DIALECT
from tests.aws_stream import STREAM
from tests.reading import JSON, each_byte, head

MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
PROFILE = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/otnfa2ysixqd"
USAGE = {
    "inputTokens": 3,
    "outputTokens": 40,
    "totalTokens": 1_746,
    "cacheReadInputTokens": 1_500,
    "cacheWriteInputTokens": 203,
    "cacheDetails": [{"inputTokens": 200, "ttl": "5m"}, {"inputTokens": 3, "ttl": "1h"}],
}
METRICS = {"inputTokenCount": 21, "outputTokenCount": 8, "invocationLatency": 900, "firstByteLatency": 200}


def asked(operation: str, body: Any = None, model: str = MODEL) -> Described:
    encoded = model.replace(":", "%3A").replace("/", "%2F")
    path = f"/model/{encoded}/{operation}"
    return DIALECT.describe(head("bedrock", path), orjson.dumps({} if body is None else body), False)


def seen(
    described: Described,
    pieces: list[bytes],
    kind: str = JSON,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Observation:
    meter = DIALECT.meter(described, status, kind)
    told = {name.replace("_", "-"): value for name, value in (headers or {}).items()}
    meter.take_headers(CIMultiDict(told))  # type: ignore[attr-defined]  # HeaderReader, which this format's meters are
    for piece in pieces:
        meter.feed(piece)
    return meter.finish()


def answered(value: Any, operation: str = "converse", model: str = MODEL, **headers: str) -> Observation:
    return seen(asked(operation, model=model), [orjson.dumps(value)], headers=headers)


def streamed(stream: bytes, operation: str = "converse-stream", model: str = MODEL, **headers: str) -> Observation:
    return seen(asked(operation, model=model), each_byte(stream), STREAM, headers=headers)


CONTENT: list[dict[str, Any]] = [
    {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "s"}}},
    {"text": "Let me 看."},
    {"toolUse": {"toolUseId": "t1", "name": "look", "input": {"q": "世界"}}},
    {"toolUse": {"toolUseId": "t2", "name": "list", "input": {}}},
]
WHOLE = {
    "output": {"message": {"role": "assistant", "content": CONTENT}},
    "stopReason": "tool_use",
    "usage": USAGE,
    "metrics": {"latencyMs": 5},
    "serviceTier": {"type": "flex"},
}
EVENTS: list[tuple[str, Any]] = [
    ("messageStart", {"role": "assistant"}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"text": "H"}}}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"text": "m."}}}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"signature": "s"}}}),
    ("contentBlockStop", {"contentBlockIndex": 0}),
    ("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"text": "Let me "}}),
    ("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"text": "看."}}),
    ("contentBlockStart", {"contentBlockIndex": 2, "start": {"toolUse": {"toolUseId": "t1", "name": "look"}}}),
    ("contentBlockDelta", {"contentBlockIndex": 2, "delta": {"toolUse": {"input": '{"q": "世'}}}),
    ("contentBlockDelta", {"contentBlockIndex": 2, "delta": {"toolUse": {"input": '界"}'}}}),
    ("contentBlockStart", {"contentBlockIndex": 3, "start": {"toolUse": {"toolUseId": "t2", "name": "list"}}}),
    ("messageStop", {"stopReason": "tool_use"}),
    ("metadata", {"usage": USAGE, "metrics": {"latencyMs": 5}, "serviceTier": {"type": "flex"}}),
]
