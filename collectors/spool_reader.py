"""The spool's reading end: find sealed segments, oldest first, read, acknowledge, set damage aside.

One reader a directory (the collector). Nothing here blocks the queue: whatever cannot be read is copied to
``quarantine/`` and the rest goes on. Counterpart: ``spool.py``.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from dataclasses import dataclass
from pathlib import Path

from collectors.frames import scan
from collectors.spool import NEW, OPEN, SEALED

QUARANTINE = "quarantine"
_QUARANTINE_BYTES = 256 * 1024**2
_STALE_S = 60  # a .new file lives for microseconds; an older one belongs to a dead writer


@dataclass(frozen=True, slots=True)
class Segment:
    """A sealed segment, read. ``name`` is its file name without the ending: unique, and the same at every replay.

    ``bad`` are frames with a wrong checksum and ``torn`` the bytes behind the last frame that could be delimited.
    """

    name: str
    payloads: tuple[bytes, ...]
    bad: tuple[bytes, ...]
    torn: bytes

    @property
    def is_torn(self) -> bool:
        return bool(self.torn)


@dataclass(frozen=True, slots=True)
class Recovered:
    """What :func:`recover` did: segments sealed for dead writers, and how many of them had a torn tail cut off."""

    sealed: int = 0
    torn: int = 0


def sealed_segments(directory: Path) -> list[Path]:
    """Oldest first; empty when the directory is missing."""
    return sorted(directory.glob(f"*{SEALED}"))


def read(path: Path) -> Segment:
    """Read a whole segment (some 4 MB).

    Raises:
        OSError: it cannot be read.
    """
    found = scan(path.read_bytes())
    return Segment(path.name.removesuffix(SEALED), found.payloads, found.bad, found.torn)


def acknowledge(path: Path) -> None:
    """The segment's rows are in the store: forget it. A power cut may bring it back; its token then keeps it single."""
    path.unlink(missing_ok=True)


def quarantine(directory: Path, name: str, data: bytes) -> bool:
    """Keep ``data`` under ``quarantine/name`` for a person to look at; the same name again replaces it.

    False when it could not be kept: the folder is full (256 MB) or the disk refuses. It never raises.
    """
    folder = directory / QUARANTINE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if sum(entry.stat().st_size for entry in os.scandir(folder)) + len(data) > _QUARANTINE_BYTES:
            return False
        (folder / name).write_bytes(data)
    except OSError:
        return False
    return True


def move_aside(path: Path) -> None:
    """Move a whole segment to ``quarantine/`` without reading it. It never raises: at worst the segment stays."""
    folder = path.parent / QUARANTINE
    with contextlib.suppress(OSError):
        folder.mkdir(exist_ok=True)
        path.rename(folder / path.name)


def recover(directory: Path) -> Recovered:
    """Seal what dead writers left open, a torn tail cut off first. Live writers hold their lock and are left alone."""
    sealed = torn = 0
    for path in sorted(directory.glob(f"*{OPEN}")):
        with contextlib.suppress(OSError):  # sealed by its writer meanwhile, or held by it
            torn += _seal_orphan(path)
            sealed += 1
    for path in directory.glob(f"*{NEW}"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _STALE_S:
                path.unlink()
    return Recovered(sealed, torn)


def _seal_orphan(path: Path) -> bool:
    """Whether a tail was cut. Raises BlockingIOError (an OSError) when the writer lives."""
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        data = path.read_bytes()
        found = scan(data)
        if found.torn:
            os.ftruncate(fd, found.good_end)
        if found.good_end:
            os.fdatasync(fd)
            os.rename(path, path.with_suffix(SEALED))
        else:
            path.unlink()
        return bool(found.torn)
    finally:
        os.close(fd)
