"""HTTP/1.1 of upstreams, bytes in, values out: any cut means the same, and what is ambiguous is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire import MAX_LINE, Chunked, answer_head, request_head


def encoded(pieces: list[bytes], extension: bytes = b"", trailer: bytes = b"") -> bytes:
    chunks = b"".join(b"%X%s\r\n%s\r\n" % (len(piece), extension, piece) for piece in pieces if piece)
    return chunks + b"0\r\n" + trailer + b"\r\n"


@given(
    pieces=st.lists(st.binary(max_size=300), max_size=8),
    sizes=st.lists(st.integers(1, 50), max_size=60),
    extension=st.sampled_from([b"", b";name=value", b' ; a="b"']),
    trailer=st.sampled_from([b"", b"X-Sum: 1\r\n", b"A: 1\r\nB: 2\r\n"]),
    after=st.binary(max_size=20),
)
def test_chunked_bodies_in_any_cut(
    pieces: list[bytes], sizes: list[int], extension: bytes, trailer: bytes, after: bytes
) -> None:
    data, chunked, got = encoded(pieces, extension, trailer) + after, Chunked(), b""
    for size in [*sizes, len(data)]:
        if not chunked.is_done:
            got += b"".join(chunked.feed(data[:size]))
            data = data[size:]
    assert got == b"".join(pieces)
    assert chunked.is_done
    assert chunked.rest + data == after


@pytest.mark.parametrize(
    "data",
    [b"zz\r\n", b"-1\r\n", b"0x5\r\n", b"1_0\r\n", b"\r\n", b" 5\r\n", b"5\r\nhelloX\r\n", b"f" * 20 + b"\r\n"],
)
def test_odd_chunks_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="chunk"):
        Chunked().feed(data)


def test_endless_lines_and_trailers_are_refused() -> None:
    with pytest.raises(ValueError, match="endless"):
        Chunked().feed(b"1" * (MAX_LINE + 1))
    with pytest.raises(ValueError, match="endless"):
        Chunked().feed(b"0\r\n" + b"A: b\r\n" * 20_000)


@pytest.mark.parametrize(
    ("head", "length", "is_chunked", "is_kept_alive"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5", 5, False, True),
        (b"HTTP/1.1 200 \r\ncontent-length: 5\r\nContent-Length:5", 5, False, True),
        (b"HTTP/1.1 200", None, False, True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\nContent-Length: 5", None, True, True),
        (b"HTTP/1.1 200 OK\r\nConnection: Close", None, False, False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0", 0, False, False),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0", 0, False, True),
    ],
)
def test_framing(head: bytes, length: int | None, is_chunked: bool, is_kept_alive: bool) -> None:
    read = answer_head(head)
    assert (read.status, read.length, read.is_chunked, read.is_kept_alive) == (200, length, is_chunked, is_kept_alive)


def test_headers_keep_order_spelling_and_values() -> None:
    read = answer_head("HTTP/1.1 418 I'm a teapot\r\nX-B: é \r\nx-a:\r\nX-B: 2: 3".encode())
    assert (read.status, read.reason) == (418, "I'm a teapot")
    assert read.headers == [("X-B", "é"), ("x-a", ""), ("X-B", "2: 3")]
    assert answer_head(b"HTTP/1.1 200 OK\r\nX: \xe9").headers == [("X", "é")]


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"HTTP/2 200 OK",
        b"HTTP/1.1 OK",
        b"HTTP/1.1 2000 OK",
        b"ICY 200 OK",
        b"HTTP/1.1 200 OK\r\nno colon",
        b"HTTP/1.1 200 OK\r\n: no name",
        b"HTTP/1.1 200 OK\r\nA: b\r\n folded",
        b"HTTP/1.1 200 OK\r\nA : b",
        b"HTTP/1.1 200 OK\nA: b",
        b"HTTP/1.1 200 OK\r\nA: b\rc",
        b"HTTP/1.1 200 OK\r\nA: \0",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2",
        b"HTTP/1.1 200 OK\r\nContent-Length: +1",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1, 1",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    ],
)
def test_what_is_ambiguous_is_refused(head: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        answer_head(head)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_head_or_a_value_error(data: bytes) -> None:
    for head in (data, b"HTTP/1.1 200 OK\r\n" + data):
        try:
            answer_head(head)
        except ValueError:
            continue


def test_request_heads() -> None:
    headers = [("A", "1"), ("a", "é")]
    assert request_head("POST /x?y", "h:1", headers, 3) == (
        "POST /x?y HTTP/1.1\r\nHost: h:1\r\nA: 1\r\na: é\r\nContent-Length: 3\r\n\r\n".encode()
    )
    assert request_head("GET /", "h", [], None) == b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
