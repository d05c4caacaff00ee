"""Framing against a reference that reads the whole stream at once, line by line, as the standard words it."""

from __future__ import annotations

import re
import tracemalloc
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.dialects.sse import MAX_EVENT_BYTES, Events, JsonEvents
from tests.reading import cut, each_byte

PIECES = [
    b"data: ",
    b"data:",
    b"data",
    b"event: x",
    b"event: x\ndata: y",
    b"data: \n\n",
    b"data: a\n\n",
    b": c",
    b"id",
    b"a",
    b'{"\xc3\xa9": 1}',
    b"\n",
    b"\r\n",
    b"\r",
    b"  ",
]
streams = st.lists(st.sampled_from(PIECES), max_size=30).map(b"".join)


def reference(stream: bytes) -> list[bytes]:
    """Data of each event; empty data is no event here, a last event needs no blank line."""
    found: list[list[bytes]] = [[]]
    for line in re.split(rb"\r\n|\n|\r", stream.removeprefix(b"\xef\xbb\xbf")):
        name, _, value = line.partition(b":")
        if not line:
            found.append([])
        elif name == b"data":
            found[-1].append(value.removeprefix(b" "))
    return [b"\n".join(lines) for lines in found if b"\n".join(lines)]


def read(chunks: list[bytes], limit: int = MAX_EVENT_BYTES) -> list[bytes]:
    events = Events(limit)
    found = [data for chunk in chunks for data in events.feed(chunk)]
    return found + events.finish()


@given(streams, st.lists(st.integers(0, 150), max_size=10), st.booleans())
@settings(max_examples=400, deadline=None)
def test_events_are_those_of_the_standard_however_cut(stream: bytes, cuts: list[int], has_bom: bool) -> None:
    stream = b"\xef\xbb\xbf" * has_bom + stream
    assert read(cut(stream, cuts)) == reference(stream)


@given(streams, st.lists(st.integers(0, 150), max_size=10), st.integers(1, 20), st.booleans())
@settings(max_examples=300, deadline=None)
def test_what_is_too_long_does_not_depend_on_cuts(stream: bytes, cuts: list[int], limit: int, has_bom: bool) -> None:
    stream = b"\xef\xbb\xbf" * has_bom + stream
    assert read(cut(stream, cuts), limit) == read([stream], limit)


def test_a_character_split_between_chunks_stays_whole() -> None:
    stream = 'data: {"text": "世界 🌍"}\n\n'.encode()
    assert [orjson.loads(data) for data in read(each_byte(stream))] == [{"text": "世界 🌍"}]


@pytest.mark.parametrize("step", [1_000, 65_536, 20_000_000])
def test_an_event_of_10_mb_is_read_in_bounded_memory(step: int) -> None:
    event = b"data: " + b"x" * 10_000_000 + b"\n\ndata: last\n\n"
    tracemalloc.start()
    found = read([event[at : at + step] for at in range(0, len(event), step)])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [len(data) for data in found] == [10_000_000, 4]
    assert peak < 6 * len(event)


def test_an_event_over_the_bound_is_skipped_and_counted_and_the_next_one_read() -> None:
    events = Events(max_event_bytes=1_000)
    chunks = [b"data: ", *[b"x" * 100] * 50, b"\n", b"\ndata: next\n\n"]
    assert [data for chunk in chunks for data in events.feed(chunk)] == [b"next"]
    assert events.skipped == 1


def test_data_that_is_not_json_is_passed_over() -> None:
    seen: list[Any] = []
    events = JsonEvents(seen.append)
    events.feed(b'data: {"a": 1}\n\ndata: {"b":\n\ndata: 1,2\n\ndata: [DONE]\n\ndata: {"c": 3}\n\n')
    events.finish()
    assert (seen, events.is_done) == ([{"a": 1}, {"c": 3}], True)


def test_many_events_come_in_order_and_without_waiting_for_the_end() -> None:
    seen: list[Any] = []
    events = JsonEvents(seen.append)
    for number in range(1_000):
        events.feed(b"data: %d\n\n" % number)
    assert len(seen) > 900
    events.finish()
    assert seen == list(range(1_000))
