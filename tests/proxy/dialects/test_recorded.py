"""948 recorded exchanges of real clients and providers: nothing raises, and usage agrees to the token.

Expected figures are another project's for the same answers; what they leave open is checked against the bodies, read
here the plain way: all at once, field by field.
"""

from __future__ import annotations

import re

import pytest

from collectors.records import Usage
from proxy.dialects import Described
from tests.reading import DIALECTS, each_byte, observe
from tests.recorded import RECORDED, exchanges, of

pytestmark = [
    pytest.mark.recorded,
    pytest.mark.skipif(not RECORDED.exists(), reason="the recorded exchanges are not beside the repository"),
]
BACKGROUND = 3  # expected cases of which the answer comes with a later exchange


def test_every_exchange_is_read_without_an_error() -> None:
    seen = {name: len(of(name)) for name in DIALECTS}
    assert seen["openai_chat"] > 200
    assert seen["anthropic"] > 100
    assert seen["mcp"] > 10
    assert seen["gemini"] > 200
    assert seen["openai_responses"] > 150
    assert (seen["cohere"], seen["embeddings"]) == (8, 2)
    for one in of(*DIALECTS):
        described = one.describe(ask_usage=True)
        one.dialect.prompt(described)
        one.observe()


def test_usage_agrees_to_the_token() -> None:
    """All of the expected cases. Where one names no tokens, its cost tells (see ``test_recorded_costs.py``)."""
    checked = [one for one in exchanges() if one.expected is not None and not one.observe().is_interim]
    assert len(checked) == 131 - BACKGROUND
    for one in checked:
        expected, usage = one.expected or {}, one.observe().usage or Usage()
        if "input_tokens" not in expected:
            continue
        details = expected.get("details", {})
        reasoning = expected.get("output_reasoning_tokens", details.get("reasoning_tokens"))
        told = (usage.input_tokens, usage.output_tokens)
        assert told == (expected["input_tokens"], expected["output_tokens"]), one.name
        assert (usage.reasoning_tokens or None) == (reasoning or None), one.name
        assert (usage.cache_read_tokens or 0) == expected.get("cache_read_tokens", 0), one.name
        assert (usage.cache_write_tokens or 0) == expected.get("cache_write_tokens", 0), one.name


def test_a_background_response_tells_its_usage_when_it_is_read() -> None:
    made = [one for one in exchanges() if one.expected is not None and one.observe().is_interim]
    assert len(made) == BACKGROUND
    for one in made:
        assert one.describe().kind == "model"
        assert (one.observe().usage, one.observe().usage_id) == (None, "")
        polls = [poll for poll in exchanges() if poll.head.path.endswith(one.observe().response_id)]
        assert {poll.describe().kind for poll in polls} == {"other"}
        told = [poll.observe() for poll in polls if poll.observe().usage is not None]
        assert [seen.usage_id for seen in told] == [one.observe().response_id]
        usage, expected = told[0].usage or Usage(), one.expected or {}
        assert (usage.input_tokens, usage.output_tokens) == (expected["input_tokens"], expected["output_tokens"])


def test_every_answer_of_a_model_names_it_and_its_usage() -> None:
    """Whatever is missing is missing in the body."""
    for one in exchanges():
        if one.status >= 300 or not one.request or one.describe().kind != "model":
            continue
        seen = one.observe()
        assert seen.model or one.describe().model, one.name
        if seen.usage is None or seen.usage.input_tokens is None:
            body = one.answer.lower()
            counts = re.findall(rb'"(?:input|prompt|total)_?tokens?(?:count)?":\s*[1-9]', body)
            assert not counts or one.dialect.name == "opaque", one.name


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
    for one in of("openai_responses"):
        reports = [value.get("response", value).get("usage") for value in one.values()]
        if one.status == 200 and one.describe().operation != "input_tokens" and any(reports):
            usage, last = one.observe().usage, next(report for report in reversed(reports) if report)
            assert usage is not None, one.name
            assert (usage.input_tokens, usage.output_tokens) == (last["input_tokens"], last["output_tokens"]), one.name
            checked += 1
    for one in of("gemini"):
        reports = [value["usageMetadata"] for value in one.values() if "usageMetadata" in value]
        if one.status == 200 and reports:
            usage, last = one.observe().usage, reports[-1]
            assert usage is not None, one.name
            total = last.get("totalTokenCount", last["promptTokenCount"])
            assert (usage.input_tokens or 0) + (usage.output_tokens or 0) == total, one.name
            assert usage.input_tokens == last["promptTokenCount"] + last.get("toolUsePromptTokenCount", 0), one.name
            checked += 1
    assert checked > 700


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
    for one in of("openai_chat", "anthropic", "openai_responses", "gemini", "embeddings", "cohere"):
        if one.status >= 400:
            assert one.observe().error, one.name


def test_a_cut_at_any_byte_changes_nothing() -> None:
    """The shortest streams split in two at every byte, and all of them into single bytes."""
    names = ("openai_chat", "anthropic", "mcp", "openai_responses", "gemini")
    streams = sorted((one for one in of(*names) if one.is_stream), key=lambda stream: len(stream.answer))
    of_each = [next(one for one in streams if one.dialect.name == name) for name in names]
    for one in {one.name: one for one in streams[:12] + of_each}.values():
        described, whole = one.describe(), one.observe()
        for at in range(len(one.answer)):
            parts = [one.answer[:at], one.answer[at:]]
            assert observe(one.dialect, described, parts, one.content_type) == whole, one.name
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
