"""HTTP/1.1 towards upstreams as bytes in, values out: request heads written, answer heads and chunked bodies read.

RFC 9112. Strict where a lenient reading could end an answer elsewhere than its sender meant: bare line feeds, folded
headers, conflicting lengths and odd chunk sizes raise ``ValueError``. Sockets are in ``links.py``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_CHUNK_SIZE = re.compile(rb"[0-9a-fA-F]{1,15}")
_VERSIONS = ("HTTP/1.1", "HTTP/1.0")
MAX_LINE = 16 * 1024
MAX_TRAILERS = 64 * 1024

Pairs = list[tuple[str, str]]


@dataclass(slots=True)
class Head:
    """An answer's head. ``length`` is the body's by ``Content-Length``; None with ``is_chunked`` false: until the
    connection closes."""

    status: int
    reason: str
    headers: Pairs
    length: int | None
    is_chunked: bool
    is_kept_alive: bool


def request_head(first: str, host: str, headers: Iterable[tuple[str, str]], length: int | None) -> bytes:
    """A request's head. ``first`` is method and target; ``length`` None: no body."""
    lines = [f"{first} HTTP/1.1\r\nHost: {host}\r\n"]
    lines += [f"{name}: {value}\r\n" for name, value in headers]
    lines.append("\r\n" if length is None else f"Content-Length: {length}\r\n\r\n")
    return "".join(lines).encode("utf-8", "surrogateescape")


def answer_head(data: bytes) -> Head:
    """An answer's head from its bytes, the empty line left off.

    Raises:
        ValueError: it is not one.
    """
    first, *lines = _text(data).split("\r\n")
    version, _, rest = first.partition(" ")
    code, _, reason = rest.partition(" ")
    if version not in _VERSIONS or len(code) != 3 or not (code.isascii() and code.isdigit()):
        raise ValueError("no HTTP/1 status line")
    headers: Pairs = []
    lengths, codings, options = set(), [], ""
    for line in lines:
        name, colon, value = line.partition(":")
        value = value.strip(" \t")
        if not colon or not name or name != name.strip() or " " in name:
            raise ValueError("a malformed header line")
        headers.append((name, value))
        match name.lower():
            case "content-length":
                lengths.add(value)
            case "transfer-encoding":
                codings.append(value.lower())
            case "connection":
                options += "," + value.lower()
    is_chunked = _is_chunked(codings)
    alive = "close" not in options and (version == "HTTP/1.1" or "keep-alive" in options)
    return Head(int(code), reason, headers, None if is_chunked else _length(lengths), is_chunked, alive)


def _text(data: bytes) -> str:
    if data.count(b"\n") != data.count(b"\r\n") or data.count(b"\r") != data.count(b"\r\n") or b"\0" in data:
        raise ValueError("a control character in the head")
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _is_chunked(codings: list[str]) -> bool:
    if codings and codings != ["chunked"]:
        raise ValueError("a transfer coding other than chunked")
    return bool(codings)


def _length(lengths: set[str]) -> int | None:
    if not lengths:
        return None
    (length, *more) = lengths
    if more or not (length.isascii() and length.isdigit()):
        raise ValueError("no or several lengths")
    return int(length)


class Chunked:
    """Undoes the chunked coding, fed in any cut. Trailers are passed over. ``rest`` is what follows the end."""

    __slots__ = ("_held", "_is_after", "_is_trailer", "_left", "_trailers", "is_done")

    def __init__(self) -> None:
        self.is_done = False
        self._held = b""
        self._left = 0
        self._is_after = False  # of a chunk's data: its line end is due
        self._is_trailer = False
        self._trailers = 0

    @property
    def rest(self) -> bytes:
        return self._held if self.is_done else b""

    def feed(self, data: bytes) -> list[bytes]:
        """The payload in ``data``.

        Raises:
            ValueError: the coding is broken.
        """
        pieces: list[bytes] = []
        if self._held:
            data = self._held + data
        at, end = 0, len(data)
        while not self.is_done:
            if self._left:
                piece = data[at : at + self._left]
                if not piece:
                    break
                pieces.append(piece)
                at += len(piece)
                self._left -= len(piece)
                self._is_after = not self._left
                continue
            line_end = data.find(b"\r\n", at)
            if line_end < 0:
                if end - at > MAX_LINE:
                    raise ValueError("an endless line in a chunked body")
                break
            self._line(data[at:line_end])
            at = line_end + 2
        self._held = data[at:]
        return pieces

    def _line(self, line: bytes) -> None:
        if self._is_after:
            if line:
                raise ValueError("a chunk is longer than its size")
            self._is_after = False
        elif self._is_trailer:
            self._trailers += len(line)
            if self._trailers > MAX_TRAILERS:
                raise ValueError("endless trailers")
            self.is_done = not line
        else:
            size = line.partition(b";")[0].rstrip(b" \t")
            if not _CHUNK_SIZE.fullmatch(size):
                raise ValueError("no chunk size")
            self._left = int(size, 16)
            self._is_trailer = not self._left
