"""The meter's copy of a compressed answer."""

from __future__ import annotations

import gzip
import sys
import zlib

import brotli
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.decoding import MAX_DECODED, decoder_for

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ENCODERS = {"gzip": gzip.compress, "deflate": zlib.compress, "br": brotli.compress, "zstd": zstd.compress}


@pytest.mark.parametrize("encoding", ENCODERS)
@given(data=st.binary(max_size=5000), cuts=st.lists(st.integers(1, 200), max_size=40))
def test_any_cut_decodes_to_the_original(encoding: str, data: bytes, cuts: list[int]) -> None:
    encoded, decoder, decoded = ENCODERS[encoding](data), decoder_for(encoding), b""
    assert decoder is not None
    for cut in [*cuts, len(encoded)]:
        decoded += b"".join(decoder.feed(encoded[:cut]))
        encoded = encoded[cut:]
    decoded += b"".join(decoder.feed(encoded))
    assert decoded == data
    assert not decoder.is_broken


@pytest.mark.parametrize("encoding", ENCODERS)
def test_a_bomb_stops_at_the_bound_in_small_pieces(encoding: str) -> None:
    bomb = ENCODERS[encoding](bytes(MAX_DECODED * 2))
    decoder = decoder_for(encoding)
    assert decoder is not None
    sizes = [len(piece) for piece in decoder.feed(bomb)]
    assert MAX_DECODED <= sum(sizes) <= MAX_DECODED + 2 * 1024 * 1024
    assert max(sizes) <= 2 * 1024 * 1024
    assert decoder.is_broken
    assert list(decoder.feed(b"more")) == []


@pytest.mark.parametrize("encoding", [*ENCODERS, "compress", "gzip, br"])
def test_garbage_and_unknown_codings_break_quietly(encoding: str) -> None:
    decoder = decoder_for(encoding)
    assert decoder is not None
    assert list(decoder.feed(b"\xffnot this at all" * 8)) == []
    assert decoder.is_broken


@pytest.mark.parametrize("encoding", [None, "", "identity", " Identity "])
def test_plain_content_needs_no_decoder(encoding: str | None) -> None:
    assert decoder_for(encoding) is None
