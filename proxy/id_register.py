"""Which call made or used an id: a bounded table on disk, shared by all workers, there again after a restart.

The file is an array of slots, eight to a page; an id's hash chooses the page, its oldest slot gives way. Reading is one
``pread`` of a page and writing one ``pwrite`` of a slot, both in the system's page cache: a worker sees at once
what another wrote, nothing is queued, and a killed process loses nothing. A checksum tells a slot that two
workers wrote at the same time; it counts as empty. Ids are kept as hashes only.
"""

from __future__ import annotations

import os
import struct
import time
from dataclasses import dataclass
from pathlib import Path

import xxhash

PAGES = 8192
"""Pages of a new file: 65 536 ids in 32 MB, of which only pages in use take room."""

_SLOT = 512
_PAGE = 4096
_HEAD = struct.Struct("<16sQQBHH")  # key, checksum, time_ns, confidence in percent, length of session and of stage
_ROOM = _SLOT - _HEAD.size


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose an id is, and how sure that is (whole percents). ``session_id`` is empty when two sessions used it: then it
    tells nothing."""

    session_id: str
    stage: str
    confidence: float


class IdRegister:
    """Ids and their owners. ``close`` gives the file back; several processes may have it open."""

    def __init__(self, path: Path, pages: int = PAGES) -> None:
        """Open or create the file.

        Raises:
            OSError: the folder cannot be written.
        """
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._pages = pages

    def close(self) -> None:
        os.close(self._fd)

    def find(self, scope: str, name: str) -> Owner | None:
        """The owner of an id within a scope (who may speak of it), or None.

        Raises:
            OSError: the disk failed.
        """
        key, page = self._place(scope, name)
        slots = os.pread(self._fd, _PAGE, page)
        at = _slot_of(slots, key)
        return None if at is None else _owner(slots, at)

    def put(self, scope: str, name: str, owner: Owner) -> None:
        """Make an id its owner's; the latest stage of a session counts. Of two sessions the surer one has it; two as
        sure make it nobody's. An owner too long for a slot is not kept.

        Raises:
            OSError: the disk failed or is full.
        """
        key, page = self._place(scope, name)
        slots = os.pread(self._fd, _PAGE, page)
        at = _slot_of(slots, key)
        known = None if at is None else _owner(slots, at)
        if known is not None:
            owner = _surer(known, owner)
            if owner == known:
                return
        data = _slot(key, owner)
        if data is not None:
            at = _oldest(slots) if at is None else at
            os.pwrite(self._fd, data, page + at)

    def _place(self, scope: str, name: str) -> tuple[bytes, int]:
        key = xxhash.xxh3_128_digest(f"{scope}\0{name}".encode("utf-8", "surrogatepass"))
        return key, int.from_bytes(key[:8], "little") % self._pages * _PAGE


def _surer(known: Owner, owner: Owner) -> Owner:
    """Of one session the latest named stage, as sure as it ever was; of two the surer, or nobody."""
    confidence = max(known.confidence, owner.confidence)
    if known.session_id == owner.session_id:
        return Owner(owner.session_id, owner.stage or known.stage, confidence)
    if known.confidence == owner.confidence:
        return Owner("", "", confidence)
    return owner if owner.confidence == confidence else known


def _slot_of(slots: bytes, key: bytes) -> int | None:
    at = slots.find(key)
    while at >= 0 and at % _SLOT:
        at = slots.find(key, at + 1)
    return at if at >= 0 else None


def _owner(slots: bytes, at: int) -> Owner | None:
    """The owner in a slot; None when its checksum is wrong."""
    data = slots[at : at + _SLOT]
    if len(data) < _HEAD.size:
        return None
    key, checksum, _, confidence, session, stage = _HEAD.unpack_from(data)
    text = data[_HEAD.size : _HEAD.size + session + stage]
    if checksum != _checksum(key, confidence, session, text):
        return None
    return Owner(text[:session].decode(), text[session:].decode(), confidence / 100)


def _slot(key: bytes, owner: Owner) -> bytes | None:
    session, stage = owner.session_id.encode(), owner.stage.encode()
    if len(session) + len(stage) > _ROOM:
        return None
    confidence = round(owner.confidence * 100)
    checksum = _checksum(key, confidence, len(session), session + stage)
    head = _HEAD.pack(key, checksum, time.time_ns(), confidence, len(session), len(stage))
    return (head + session + stage).ljust(_SLOT, b"\0")


def _checksum(key: bytes, confidence: int, session: int, text: bytes) -> int:
    return xxhash.xxh3_64_intdigest(b"%b%d %d %b" % (key, confidence, session, text))


def _oldest(slots: bytes) -> int:
    """Where the slot stands that was written longest ago; a page not yet there has only empty ones."""
    if len(slots) < _PAGE:
        slots = slots.ljust(_PAGE, b"\0")
    return min(range(0, _PAGE, _SLOT), key=lambda at: int(_HEAD.unpack_from(slots, at)[2]))
