"""Recorded exchanges with Bedrock: usage to the token, money to the nano-dollar, five binary streams cut at every byte.

Expected figures are another project's for the same answers; the rest is checked against the bodies, read the plain way
(streams by botocore).
"""

from __future__ import annotations

import base64
import gzip
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest
from botocore.eventstream import EventStreamBuffer

from collectors.pricing import Prices
from collectors.records import Usage
from proxy.dialects import Described, Observation
from proxy.dialects.bedrock import DIALECT
from tests.aws_stream import STREAM
from tests.reading import each_byte, head, observe

RECORDED = Path(__file__).parents[3].parent / "shared" / "data" / "recorded.jsonl.gz"
pytestmark = [
    pytest.mark.recorded,
    pytest.mark.skipif(not RECORDED.exists(), reason="the recorded exchanges are not beside the repository"),
]
AT_NS = 1_795_000_000 * 10**9  # November 2026
COSTS_THAT_DIFFER = {
    "models/test_bedrock/test_stream_cancel#0": (
        "the other project's client left the stream before its usage and books nothing; the recording holds it all"
    ),
}
"""By exchange, why the expected cost is not ours."""


@dataclass(frozen=True)
class Exchange:
    name: str
    described: Described
    status: int
    kind: str
    answer: bytes
    expected: dict[str, Any]

    def observe(self, pieces: list[bytes] | None = None) -> Observation:
        return observe(DIALECT, self.described, pieces or [self.answer], self.kind, self.status)

    def usage(self) -> Usage:
        return self.observe().usage or Usage()

    def values(self) -> list[Any]:
        """The JSON of the answer, or of each message of its stream, as botocore reads it."""
        if self.kind != STREAM:
            return [orjson.loads(self.answer)]
        reader = EventStreamBuffer()
        reader.add_data(self.answer)
        return [orjson.loads(one.payload) for one in reader]


@cache
def exchanges() -> list[Exchange]:
    with gzip.open(RECORDED) as lines:
        return [_exchange(row) for line in lines if (row := orjson.loads(line))["provider"] == "bedrock"]


def _exchange(row: dict[str, Any]) -> Exchange:
    is_binary = row["response_encoding"] == "base64"
    answer = base64.b64decode(row["response_body"]) if is_binary else row["response_body"].encode()
    assert DIALECT.claims("bedrock", row["method"], row["path"])
    return Exchange(
        name=row["id"],
        described=DIALECT.describe(head("bedrock", row["path"]), row["request_body"].encode(), True),
        status=row["status"],
        kind=row["response_headers"]["content-type"],
        answer=answer,
        expected=row.get("expected_usage") or {},
    )


def test_usage_agrees_to_the_token() -> None:
    checked = [one for one in exchanges() if "input_tokens" in one.expected]
    assert len(checked) >= 20
    for one in checked:
        usage = one.usage()
        told = (usage.input_tokens, usage.output_tokens)
        assert told == (one.expected["input_tokens"], one.expected["output_tokens"]), one.name
        assert one.expected.keys() <= {"input_tokens", "output_tokens", "cost"}


def test_cost_agrees_to_the_nano_dollar() -> None:
    prices, checked = Prices({}), 0
    for one in exchanges():
        if "cost" in one.expected:
            cost = prices.cost("aws", one.described.model, one.usage(), AT_NS)
            assert cost is not None, one.name
            is_equal = Decimal(cost.total_nano) == Decimal(one.expected["cost"]) * 10**9
            assert is_equal == (one.name not in COSTS_THAT_DIFFER), one.name
            checked += is_equal
    assert checked >= 20


def test_usage_in_the_body_is_usage_observed() -> None:
    checked = 0
    for one in exchanges():
        reports = [value["usage"] for value in one.values() if value.get("usage")]
        if one.status == 200 and reports:
            said, usage = reports[-1], one.usage()
            if "inputTokens" in said:
                assert (usage.input_tokens or 0) + (usage.output_tokens or 0) == said["totalTokens"], one.name
                assert usage.cache_read_tokens == said.get("cacheReadInputTokens"), one.name
                assert usage.cache_write_tokens == said.get("cacheWriteInputTokens"), one.name
                assert usage.output_tokens == said["outputTokens"], one.name
            else:
                names = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
                assert usage.input_tokens == sum(said[name] for name in names), one.name
            checked += 1
    assert checked >= 90


def test_every_model_call_yields_its_model_and_every_answer_its_text() -> None:
    for one in exchanges():
        assert one.described.model, one.name
        seen = one.observe()
        DIALECT.prompt(one.described)
        assert seen.is_complete, one.name
        assert bool(seen.error) == (one.status >= 400), one.name
        assert all(text.strip() in seen.text for text in texts(one)), one.name


def texts(one: Exchange) -> list[str]:
    """The text of each content block of Converse, whole or put together from its deltas."""
    found: dict[int, str] = {}
    for value in one.values():
        blocks = enumerate(((value.get("output") or {}).get("message") or {}).get("content") or [])
        for index, part in [*blocks, (value.get("contentBlockIndex", 0), value.get("delta") or {})]:
            found[index] = found.get(index, "") + part.get("text", "")
    return list(found.values())


def test_a_conversation_s_answers_are_found_in_its_next_request() -> None:
    pairs = 0
    for before, after in zip(exchanges(), exchanges()[1:], strict=False):
        if before.name.rpartition("#")[0] != after.name.rpartition("#")[0]:
            continue
        outputs = {block.digest for block in before.observe().outputs if block.kind == "tool_call"}
        if outputs:
            pairs += 1
            assert outputs <= {block.digest for block in DIALECT.prompt(after.described).blocks}, after.name
    assert pairs >= 8


def test_a_cut_at_any_byte_changes_nothing() -> None:
    streams = [one for one in exchanges() if one.kind == STREAM]
    assert len(streams) == 5
    for one in streams:
        whole = one.observe()
        assert whole.usage is not None
        for at in range(len(one.answer)):
            assert one.observe([one.answer[:at], one.answer[at:]]) == whole, one.name
        assert one.observe(each_byte(one.answer)) == whole, one.name
