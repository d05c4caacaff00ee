"""The framing of a spool segment: bytes in, payloads out. ``spool.py`` writes it, ``spool_reader.py`` reads it.

A segment is a run of frames, nothing else. A frame is the payload's length (u32, little endian), the CRC-32 of length
and payload (u32), and the payload. A payload is never empty, so that a tail of zero bytes (what some file systems leave
after a power cut) is no frame.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from zlib import crc32

_HEAD = struct.Struct("<II")
MAX_PAYLOAD = 64 * 1024 * 1024
"""Bytes. A longer length field is damage, not a frame."""


@dataclass(frozen=True, slots=True)
class Scan:
    """What stands in a segment. ``good_end`` is the offset behind the last frame that could be delimited; ``bad`` are
    the frames whose checksum is wrong, whole with their head; ``torn`` is what follows ``good_end``."""

    payloads: tuple[bytes, ...]
    bad: tuple[bytes, ...]
    good_end: int
    torn: bytes


def frame(payload: bytes) -> bytes:
    """One frame around a payload of 1 to :data:`MAX_PAYLOAD` bytes.

    Raises:
        ValueError: empty or too long.
    """
    size = len(payload)
    if not 0 < size <= MAX_PAYLOAD:
        raise ValueError(f"a payload has 1 to {MAX_PAYLOAD} bytes, not {size}")
    return _HEAD.pack(size, _checksum(size, payload)) + payload


def scan(data: bytes) -> Scan:
    """Take a segment apart. Damage inside one frame costs that frame only; a damaged length ends the scan."""
    payloads: list[bytes] = []
    bad: list[bytes] = []
    at = 0
    while at + _HEAD.size <= len(data):
        size, checksum = _HEAD.unpack_from(data, at)
        end = at + _HEAD.size + size
        if not 0 < size <= MAX_PAYLOAD or end > len(data):
            break
        payload = data[at + _HEAD.size : end]
        if _checksum(size, payload) == checksum:
            payloads.append(payload)
        else:
            bad.append(data[at:end])
        at = end
    return Scan(tuple(payloads), tuple(bad), at, data[at:])


def _checksum(size: int, payload: bytes) -> int:
    # The length is covered too: a frame cut elsewhere must not pass by chance.
    return crc32(payload, size)
