"""Content decoding for the meter: a copy of the answer is decompressed piece by piece, the agent gets the original.

Bounded: no more than :data:`MAX_DECODED` bytes are ever produced for one answer (a compressed bomb costs no more than
that); beyond it, or on broken data, decoding stops and the meter sees what came before. RFC 9110 §8.4.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Iterator

import brotli

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MAX_DECODED = 64 * 1024 * 1024
_STEP = 1024 * 1024


class Decoder:
    """One answer's body. ``feed`` never raises; ``is_broken`` tells that the meter missed something."""

    def __init__(self, encoding: str) -> None:
        decode = _DECODERS.get(encoding)
        self._decode = decode() if decode else None
        self._left = MAX_DECODED
        self.is_broken = self._decode is None

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The decoded bytes of this chunk in pieces of at most 1 MB, possibly none yet."""
        if self.is_broken or self._decode is None:
            return
        try:
            for piece in self._decode(chunk):
                self._left -= len(piece)
                yield piece
                if self._left <= 0:
                    self.is_broken = True
                    return
        except (zlib.error, brotli.error, zstd.ZstdError, EOFError):
            self.is_broken = True


def decoder_for(encoding: str | None) -> Decoder | None:
    """None where the content is not encoded: the common case costs nothing."""
    encoding = (encoding or "").strip().lower()
    return Decoder(encoding) if encoding and encoding != "identity" else None


Decode = Callable[[bytes], Iterator[bytes]]


def _inflate(window: int) -> Decode:
    inflater = zlib.decompressobj(window)

    def feed(chunk: bytes) -> Iterator[bytes]:
        while piece := inflater.decompress(chunk, _STEP):
            yield piece
            chunk = inflater.unconsumed_tail

    return feed


def _brotli() -> Decode:
    decompressor = brotli.Decompressor()

    def feed(chunk: bytes) -> Iterator[bytes]:
        while piece := decompressor.process(chunk, output_buffer_limit=_STEP):
            yield piece
            chunk = b""

    return feed


def _zstd() -> Decode:
    decompressor = zstd.ZstdDecompressor()

    def feed(chunk: bytes) -> Iterator[bytes]:
        while not decompressor.eof and (piece := decompressor.decompress(chunk, _STEP)):
            yield piece
            chunk = b""

    return feed


_DECODERS: dict[str, Callable[[], Decode]] = {
    "gzip": lambda: _inflate(zlib.MAX_WBITS | 16),
    "x-gzip": lambda: _inflate(zlib.MAX_WBITS | 16),
    "deflate": lambda: _inflate(zlib.MAX_WBITS),
    "br": _brotli,
    "zstd": _zstd,
}
