"""The same text has the same digest, in one piece or in thousands, in a prompt or in an answer."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.fingerprint import text_block
from proxy.dialects.content import MAX_KEPT_CHARS, Allowance, Content, RunningText, canonical_arguments, verdict_of

pieces = st.lists(st.text(alphabet=" \n\tab世é\u2003", max_size=6), max_size=40)


@given(pieces, st.integers(1, 800))
@settings(max_examples=200, deadline=None)
def test_a_running_digest_is_that_of_the_joined_text(parts: list[str], repeats: int) -> None:
    running = RunningText(Allowance())
    for part in parts * repeats:
        running.add(part)
    whole = "".join(parts * repeats)
    assert running.finish("assistant") == (text_block(whole, "assistant"), whole)


@pytest.mark.parametrize("size", [1, 1_000, 300_000])
def test_a_long_text_is_digested_whole_but_kept_in_part(size: int) -> None:
    running = RunningText(Allowance())
    whole = ("ab 世 \n" * size)[: 2 * MAX_KEPT_CHARS]
    for start in range(0, len(whole), 9_999):
        running.add(whole[start : start + 9_999])
    block, kept = running.finish("assistant")
    assert (block, kept) == (text_block(whole, "assistant"), whole[:MAX_KEPT_CHARS])
    assert running.is_whole == (len(whole) <= MAX_KEPT_CHARS)


def test_arguments_have_one_form() -> None:
    forms: list[object] = [{"b": [1], "a": "é"}, '{"a": "\\u00e9", "b": [1]}', '\n{"b":[1],\n"a":"é"}']
    assert {canonical_arguments(form) for form in forms} == {'{"a":"é","b":[1]}'}
    assert [canonical_arguments(form) for form in (None, "", " ", "{}")] == ["{}"] * 4
    assert canonical_arguments("rm -r {") == "rm -r {"


def test_arguments_too_deep_to_be_written_are_left_as_text() -> None:
    deep = orjson.loads('{"a":' * 300 + "1" + "}" * 300)
    content = Content()
    content.add_arguments(deep)
    content.add_media(deep)
    assert content.blocks == []
    content.add_arguments('{"a":' * 300 + "1" + "}" * 300)
    assert [block.size for block in content.blocks] == [6 * 300 + 1]


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ('{"pass": true, "notes": "fine"}', "pass"),
        (' {"pass": false}\n', "fail"),
        ('{"pass": "no"}', None),
        ('{"pass": false', None),
        ('The answer is {"pass": false}', None),
        ('{"passed": true}', None),
        ("", None),
    ],
)
def test_a_verdict_is_a_boolean_pass(text: str, verdict: str | None) -> None:
    assert verdict_of(text) == verdict
