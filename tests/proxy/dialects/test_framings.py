"""JSON lines, a JSON array in pieces, and both ends of a long answer, each against a reading of the whole at once."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.dialects.ends import HEAD_BYTES, TAIL_BYTES, Ends
from proxy.dialects.json_array import JsonArray
from proxy.dialects.json_lines import JsonLines
from tests.reading import cut

texts = st.text(alphabet='ab"\\{}[],: \né世', max_size=12)
objects = st.dictionaries(
    texts, texts | st.lists(texts, max_size=3) | st.dictionaries(texts, texts, max_size=2), max_size=3
)
cuts = st.lists(st.integers(0, 400), max_size=10)


def from_array(chunks: list[bytes], limit: int = 10_000) -> tuple[list[Any], bool]:
    found: list[Any] = []
    array = JsonArray(found.append, limit)
    for chunk in chunks:
        array.feed(chunk)
    return found, array.is_done


def from_lines(chunks: list[bytes], limit: int = 10_000) -> list[Any]:
    found: list[Any] = []
    lines = JsonLines(found.append, limit)
    for chunk in chunks:
        lines.feed(chunk)
    lines.finish()
    return found


@given(st.lists(objects, max_size=5), cuts, st.sampled_from([None, 2]))
@settings(max_examples=150, deadline=None)
def test_an_array_s_objects_come_one_by_one_however_cut(values: list[Any], at: list[int], indent: int | None) -> None:
    text = json.dumps(values, indent=indent, ensure_ascii=False).encode()
    assert from_array(cut(text, at)) == (values, True)


@given(st.lists(objects, max_size=5), cuts)
@settings(max_examples=100, deadline=None)
def test_lines_come_one_by_one_however_cut(values: list[Any], at: list[int]) -> None:
    text = b"\r\n\n".join(map(orjson.dumps, values))
    assert from_lines(cut(text, at)) == values


@given(st.binary(max_size=80) | st.text(alphabet='{}[]",\\1a', max_size=60).map(str.encode), cuts)
@settings(max_examples=150, deadline=None)
def test_garbage_reads_alike_however_cut(text: bytes, at: list[int]) -> None:
    assert from_array(cut(text, at), 20) == from_array([text], 20)
    assert from_lines(cut(text, at), 20) == from_lines([text], 20)


def test_an_object_alone_is_handed_out() -> None:
    assert from_array([b' {"error": {"code": 4', b"04}}\n"]) == ([{"error": {"code": 404}}], True)


def test_what_is_longer_than_the_bound_is_skipped_and_the_next_one_read() -> None:
    long = orjson.dumps({"a": "x" * 200})
    assert from_array([b"[" + long + b",", b'{"b": 1}]'], 100) == ([{"b": 1}], True)
    assert from_lines([long[:150], long[150:] + b'\n{"b": 1}'], 100) == [{"b": 1}]


def test_what_is_not_json_is_passed_over() -> None:
    assert from_array([b'[{"a":}, {"b": 1}]'])[0] == [{"b": 1}]
    assert from_lines([b'oops\n{"b": 1}\n']) == [{"b": 1}]


@pytest.mark.parametrize("step", [1_000, 99_991, 10_000_000])
def test_both_ends_are_found_however_long_the_middle(step: int) -> None:
    quoted = '"usage": {"n": 1}'
    middle = [0.5] * 200_000
    body = orjson.dumps({"model": "m", "data": middle, "usage": {"n": [{"x": 2}]}, "texts": [quoted]})
    assert len(body) > HEAD_BYTES + TAIL_BYTES
    ends = Ends("model", "usage", "absent")
    for at in range(0, len(body), step):
        ends.feed(body[at : at + step])
    assert ends.parse() == ({"model": "m", "usage": {"n": [{"x": 2}]}}, True)


def test_a_field_s_name_repeated_without_end_is_given_up_soon() -> None:
    ends = Ends("usage")
    ends.feed(b"x" * HEAD_BYTES + b'"usage":[' * 200_000)
    assert ends.parse() == ({}, False)
