"""The SDKs' marks of a resend, and which bodies count as the same question."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from proxy.dialects import Json, RequestHead, load
from proxy.retry_marks import client_retry, retry_key

DIALECTS = load()


@pytest.mark.parametrize(
    ("name", "value", "count"),
    [
        ("x-stainless-retry-count", "0", 0),
        ("X-Stainless-Retry-Count", "2", 2),
        ("x-stainless-retry-count", "999999", 255),
        ("x-stainless-retry-count", "-1", 0),
        ("x-stainless-retry-count", "²", 0),
        ("x-stainless-retry-count", "1" * 5000, 0),
        ("amz-sdk-request", "attempt=1", 0),
        ("amz-sdk-request", "attempt=2; max=5", 1),
        ("amz-sdk-request", "ttl=20261104T101500Z; attempt=3; max=5", 2),
        ("amz-sdk-request", "attempt=0", 0),
        ("amz-sdk-request", "attempt=x; max=5", 0),
        ("amz-sdk-request", "max=5", 0),
    ],
)
def test_the_clients_count(name: str, value: str, count: int) -> None:
    assert client_retry(CIMultiDict({name: value})) == count


def test_all_sendings_of_a_call_share_their_key_and_it_is_not_kept_in_clear() -> None:
    first = retry_key(CIMultiDict({"amz-sdk-invocation-id": "one", "amz-sdk-request": "attempt=1"}))
    again = retry_key(CIMultiDict({"Amz-Sdk-Invocation-Id": "one", "amz-sdk-request": "attempt=2; max=5"}))
    other = retry_key(CIMultiDict({"Idempotency-Key": "other"}))
    assert first == again
    assert len({first, other, ""}) == 3
    assert "one" not in first
    assert retry_key(CIMultiDict({"Idempotency-Key": ""})) == ""


@given(st.text(max_size=40))
@settings(max_examples=50)
def test_no_mark_raises(value: str) -> None:
    headers = CIMultiDict({"x-stainless-retry-count": value, "amz-sdk-request": value, "Idempotency-Key": value})
    assert 0 <= client_retry(headers) <= 255
    assert retry_key(headers).isalnum() == bool(value)


QUESTION: Json = {
    "model": "m",
    "max_tokens": 9,
    "messages": [{"role": "user", "content": "hello"}],
    "tools": [{"type": "function", "name": "f", "function": {"name": "f", "parameters": {"a": 1, "b": 2}}}],
}
VOLATILE: Json = {"stream": True, "seed": 7, "user": "u", "metadata": {"n": "1"}}


def digest(dialect: str, body: Json) -> str:
    api, path = {"openai_chat": ("openai", "/v1/chat/completions"), "anthropic": ("anthropic", "/v1/messages")}[dialect]
    head = RequestHead(api, "POST", path, "", CIMultiDict())
    return DIALECTS[dialect].describe(head, orjson.dumps(body), False).body_hash


def turned(value: Any) -> Any:
    """The same JSON with the keys of every object in the other order."""
    if isinstance(value, dict):
        return {key: turned(value[key]) for key in reversed(value)}
    return [turned(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("dialect", ["openai_chat", "anthropic"])
def test_the_same_question_has_the_same_hash(dialect: str) -> None:
    first = digest(dialect, QUESTION)
    assert len(first) == 16
    assert digest(dialect, turned(QUESTION)) == first
    for name, value in VOLATILE.items():
        assert digest(dialect, {**QUESTION, name: value}) == first, name


@pytest.mark.parametrize("dialect", ["openai_chat", "anthropic"])
def test_another_question_has_another_hash(dialect: str) -> None:
    changes: tuple[Json, ...] = (
        {"model": "n"},
        {"max_tokens": 10},
        {"temperature": 0.5},
        {"tools": []},
        {"messages": [{"role": "user", "content": "hello "}]},
    )
    others = [digest(dialect, {**QUESTION, **change}) for change in changes]
    assert len({digest(dialect, QUESTION), *others}) == 1 + len(changes)


@given(st.dictionaries(st.sampled_from([*VOLATILE, "stream_options"]), st.integers(0, 2**53) | st.text(max_size=5)))
@settings(max_examples=30)
def test_what_may_differ_between_two_sends_never_counts(extra: Json) -> None:
    assert digest("openai_chat", {**extra, **QUESTION}) == digest("openai_chat", QUESTION)
