"""AWS event stream framing, against botocore's own reader."""

from __future__ import annotations

import tracemalloc

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.dialects.eventstream import MAX_MESSAGE_BYTES, Message, Messages
from tests.aws_stream import frame, message, string_header, typed_header
from tests.reading import cut, each_byte

NUMBERS = b"".join(
    typed_header(f"h{kind}", kind, value)
    for kind, value in enumerate(
        [b"", b"", b"\1", b"\0\2", b"\0\0\0\3", bytes(8), b"\0\2ab", b"\0\1c", bytes(8), bytes(16)]
    )
)
kinds = st.sampled_from(["event", "exception", "error"])
messages = st.lists(st.tuples(st.text(max_size=12), st.binary(max_size=60), kinds), max_size=6)
cuts = st.lists(st.integers(0, 500), max_size=12)


def read(pieces: list[bytes], limit: int = MAX_MESSAGE_BYTES) -> tuple[list[Message], int, bool]:
    reader = Messages(limit)
    found = [one for piece in pieces for one in reader.feed(piece)]
    return found, reader.skipped, reader.is_whole


@given(messages, cuts)
@settings(max_examples=80, deadline=None)
def test_messages_are_botocore_s_however_cut(told: list[tuple[str, bytes, str]], at: list[int]) -> None:
    stream = b"".join(message(name, payload, kind) for name, payload, kind in told)
    found, skipped, is_whole = read(cut(stream, at))
    reference = EventStreamBuffer()
    reference.add_data(stream)
    assert [(m.payload, m.kind) for m in found] == [(r.payload, r.headers[":message-type"]) for r in reference]
    assert [m.name for m in found] == [name for name, _, _ in told]
    assert (skipped, is_whole) == (0, True)


def test_headers_of_every_type_are_passed_over() -> None:
    headers = NUMBERS + string_header(":message-type", "event") + string_header(":event-type", "chunk") + NUMBERS
    assert read(each_byte(frame(headers, b"x"))) == ([Message("event", "chunk", b"x")], 0, True)


@given(st.integers(0, 10_000), st.integers(1, 255), cuts)
@settings(max_examples=80, deadline=None)
def test_a_flipped_bit_is_never_read(at: int, flip: int, edges: list[int]) -> None:
    """In a message it loses that one; in its prelude, all that follows."""
    whole = [message("a", b"first"), message("b", b"second" * 9), message("c", b"third")]
    damaged = bytearray(whole[1])
    at %= len(damaged)
    damaged[at] ^= flip
    found, skipped, is_whole = read(cut(whole[0] + bytes(damaged) + whole[2], edges))
    assert [one.name for one in found] == (["a"] if at < 12 else ["a", "c"])
    assert (skipped, is_whole) == ((0, False) if at < 12 else (1, True))


@given(st.integers(0, 150), st.integers(40, 120), cuts)
@settings(max_examples=60, deadline=None)
def test_what_is_too_long_is_skipped_whatever_the_cuts(size: int, limit: int, edges: list[int]) -> None:
    long = message("long", b"x" * size)
    last = frame(b"", b"last")
    found, skipped, is_whole = read(cut(long + last, edges), limit)
    is_kept = len(long) <= limit
    assert [one.payload for one in found] == ([b"x" * size] if is_kept else []) + [b"last"]
    assert (skipped, is_whole) == (0 if is_kept else 1, True)


@pytest.mark.parametrize(
    "headers",
    [b"\x05ab", b"\x01a\x63", b"\x01a\x07\x00\x09abc", b"\x01a\x07\x00", b"\x01a\x05\x00", b"\xff"],
    ids=["name cut", "unknown type", "value cut", "length cut", "number cut", "nothing"],
)
def test_headers_that_are_not_well_formed_lose_their_message_alone(headers: bytes) -> None:
    found, skipped, _ = read([frame(headers, b"x") + message("next", b"")])
    assert ([one.name for one in found], skipped) == (["next"], 1)


def test_a_length_that_cannot_be_ends_the_reading() -> None:
    short = Messages()
    assert short.feed(frame(b"", b"")[:3] + b"\x0f" + bytes(20)) == []
    assert short.is_lost
    assert short.feed(message("a", b"")) == []


def test_a_cut_stream_is_not_whole() -> None:
    stream = message("a", b"first")
    for end in range(1, len(stream)):
        assert read([stream[:end]]) == ([], 0, False)


@pytest.mark.parametrize("step", [1_000, 65_536, 20_000_000])
def test_a_message_of_10_mb_is_read_in_bounded_memory(step: int) -> None:
    stream = message("big", b"x" * 10_000_000) + message("last", b"")
    tracemalloc.start()
    found, _, _ = read([stream[at : at + step] for at in range(0, len(stream), step)])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [(one.name, len(one.payload)) for one in found] == [("big", 10_000_000), ("last", 0)]
    assert peak < 6 * len(stream)


@given(st.binary(max_size=200))
@settings(max_examples=60, deadline=None)
def test_noise_is_survived(noise: bytes) -> None:
    assert read([noise])[0] == read(each_byte(noise))[0]
