"""948 recorded exchanges of real clients and providers: nothing raises, and usage agrees to the token.

Expected figures are another project's for the same answers; what they leave open is checked against the bodies, read
here the plain way: all at once, field by field.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest

from collectors.records import Usage
from proxy.dialects import Described, Dialect, Observation, RequestHead, choose
from tests.reading import DIALECTS, each_byte, observe

RECORDED = Path(__file__).parents[3].parent / "shared" / "data" / "recorded.jsonl.gz"
pytestmark = [
    pytest.mark.recorded,
    pytest.mark.skipif(not RECORDED.exists(), reason="the recorded exchanges are not beside the repository"),
]


@dataclass(frozen=True)
class Exchange:
    name: str
    dialect: Dialect
    request: bytes
    status: int
    content_type: str
    answer: bytes
    expected: dict[str, Any] | None
    head: RequestHead

    def describe(self, ask_usage: bool = False) -> Described:
        return self.dialect.describe(self.head, self.request, ask_usage)

    def observe(self) -> Observation:
        return observe(self.dialect, self.describe(), [self.answer], self.content_type, self.status)

    @property
    def is_stream(self) -> bool:
        return "event-stream" in self.content_type

    def values(self) -> list[dict[str, Any]]:
        """The JSON of the answer, or of each of its events."""
        if not self.is_stream:
            return [orjson.loads(self.answer)]
        lines = [
            line[5:].strip() for line in self.answer.replace(b"\r", b"\n").split(b"\n") if line.startswith(b"data:")
        ]
        return [orjson.loads(line) for line in lines if line != b"[DONE]"]


@cache
def exchanges() -> list[Exchange]:
    with gzip.open(RECORDED) as lines:
        return [_exchange(orjson.loads(line)) for line in lines]


def _exchange(row: dict[str, Any]) -> Exchange:
    path = row["path"].partition("?")[0]
    api = row["provider"] if row["provider"] in ("anthropic", "mcp", "bedrock", "gemini") else "openai"
    kinds = [value for name, value in row["response_headers"].items() if name.lower() == "content-type"]
    return Exchange(
        name=row["id"],
        dialect=choose(DIALECTS, api, row["method"], path),
        request=row["request_body"].encode(),
        status=row["status"],
        content_type=kinds[0] if kinds else "",
        answer=row["response_body"].encode(),
        expected=row.get("expected_usage"),
        head=RequestHead(api, row["method"], path, "", row["request_headers"]),
    )


def of(*names: str) -> list[Exchange]:
    """Exchanges of these dialects; one has an empty request body, which is no chat request."""
    return [one for one in exchanges() if one.dialect.name in names and (one.request or one.dialect.name == "opaque")]


def test_every_exchange_is_read_without_an_error() -> None:
    seen = {name: len(of(name)) for name in DIALECTS}
    assert seen["openai_chat"] > 200
    assert seen["anthropic"] > 100
    assert seen["mcp"] > 10
    for one in of(*DIALECTS):
        described = one.describe(ask_usage=True)
        one.dialect.prompt(described)
        one.observe()


def test_usage_agrees_to_the_token() -> None:
    checked = [one for one in of("openai_chat", "anthropic") if one.expected is not None]
    assert len(checked) >= 45
    for one in checked:
        expected, usage = one.expected or {}, one.observe().usage or Usage()
        details = expected.get("details", {})
        reasoning = expected.get("output_reasoning_tokens", details.get("reasoning_tokens"))
        told = (usage.input_tokens, usage.output_tokens)
        assert told == (expected.get("input_tokens"), expected.get("output_tokens")), one.name
        assert (usage.reasoning_tokens or None) == (reasoning or None), one.name


def test_usage_in_the_body_is_usage_observed() -> None:
    """Read the plain way: OpenAI's own field names, the last report of a stream; Anthropic's parts added."""
    checked = 0
    for one in of("openai_chat"):
        reports = [value["usage"] for value in one.values() if value.get("usage")]
        if one.status == 200 and reports:
            usage, last = one.observe().usage, reports[-1]
            assert usage is not None, one.name
            assert (usage.input_tokens, usage.output_tokens) == (last["prompt_tokens"], last["completion_tokens"])
            checked += 1
    for one in of("anthropic"):
        values = one.values()
        reports = [value["usage"] for value in values if value.get("usage")]
        reports += [value["message"]["usage"] for value in values if value.get("type") == "message_start"]
        if one.status == 200 and reports:
            usage = one.observe().usage
            assert usage is not None, one.name
            names = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
            parts = [max(report.get(name) or 0 for report in reports) for name in names]
            assert usage.input_tokens == sum(parts), one.name
            assert usage.output_tokens == max(report["output_tokens"] for report in reports), one.name
            checked += 1
    assert checked > 350


def test_tools_texts_and_ids_are_those_of_the_answers() -> None:
    for one in of("openai_chat"):
        if one.status != 200:
            continue
        seen, names, text = one.observe(), [], ""
        for value in one.values():
            for choice in value.get("choices") or []:
                part = choice.get("message") or choice.get("delta") or {}
                text += part["content"] if isinstance(part.get("content"), str) else ""
                calls = part.get("tool_calls") or []
                names += [call["function"]["name"] for call in calls if call["function"].get("name")]
        assert list(seen.emitted_tools) == names, one.name
        assert text in seen.text, one.name
        assert seen.response_id == one.values()[0]["id"], one.name


def test_a_conversations_answers_are_found_in_its_next_request() -> None:
    """Most clients send an answer back as it was; its digests must then stand in the next prompt."""
    pairs = found = 0
    for before, after in zip(exchanges(), exchanges()[1:], strict=False):
        is_next = before.name.rpartition("#")[0] == after.name.rpartition("#")[0]
        if not is_next or before.dialect is not after.dialect or before.dialect.name == "opaque" or not after.request:
            continue
        outputs = {block.digest for block in before.observe().outputs if block.kind == "tool_call" and block.size > 2}
        if outputs:
            pairs += 1
            found += outputs <= {block.digest for block in after.dialect.prompt(after.describe()).blocks}
    assert pairs > 50
    assert found / pairs > 0.9


def test_errors_are_seen() -> None:
    for one in of("openai_chat", "anthropic"):
        if one.status >= 400:
            assert one.observe().error, one.name


def test_a_cut_at_any_byte_changes_nothing() -> None:
    """The shortest streams split in two at every byte, and all of them into single bytes."""
    streams = sorted(
        (one for one in of("openai_chat", "anthropic", "mcp") if one.is_stream), key=lambda s: len(s.answer)
    )
    for one in streams[:12]:
        described, whole = one.describe(), one.observe()
        for at in range(len(one.answer)):
            parts = [one.answer[:at], one.answer[at:]]
            assert observe(one.dialect, described, parts, one.content_type) == whole, one.name
    assert {one.dialect.name for one in streams[:12]} == {"openai_chat", "anthropic", "mcp"}
    for one in streams:
        assert observe(one.dialect, one.describe(), each_byte(one.answer), one.content_type) == one.observe(), one.name


def test_a_filter_leaves_recorded_streams_as_they_are_but_for_the_usage_chunk() -> None:
    taken = 0
    for one in of("openai_chat"):
        if not one.is_stream:
            continue
        stream_filter = one.dialect.stream_filter(Described("model", streamed=True, hides_usage=True))
        assert stream_filter is not None
        passed = b"".join(map(stream_filter.feed, each_byte(one.answer))) + stream_filter.finish()
        extra = [value for value in one.values() if value.get("choices") == [] and value.get("usage")]
        if extra:
            start = one.answer.rindex(b"data: ", 0, one.answer.index(b'"choices":[]'))
            end = one.answer.index(b"\n\n", start) + 2
            assert passed == one.answer[:start] + one.answer[end:], one.name
            taken += 1
        else:
            assert passed == one.answer, one.name
    assert taken > 10
