"""The spool's writing end: append-only segments between a worker, which must never wait, and the collector.

A segment is ``NAME.open`` while it is written and ``NAME.seg`` once sealed; sealing is a rename, reading it to the end
and unlinking it is the acknowledgement. ``NAME`` sorts by time of opening, then writer. The open file is flock()ed: a
lock that can be had means the writer is dead (``spool_reader.recover``). Framing is in ``frames.py``.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from collectors.frames import frame

OPEN, SEALED, NEW = ".open", ".seg", ".new"


@dataclass(frozen=True, slots=True)
class SpoolOptions:
    """When a segment is sealed, how often it reaches the disk, and how much may wait."""

    seal_after_s: float = 1.0
    sync_every_s: float = 0.1  # 0: every record, synchronously
    max_bytes: int = 2 * 1024**3  # of all segments in the directory
    segment_bytes: int = 4 * 1024**2
    segment_rows: int = 5_000
    backlog_bytes: int = 4 * 1024**2  # kept in memory while the disk refuses
    retry_s: float = 0.5  # between two tries on a disk that refuses


@dataclass(frozen=True, slots=True)
class SpoolCounters:
    """Since the writer was made. ``dropped`` records are lost, each of them counted here."""

    written: int = 0
    dropped: int = 0
    errors: int = 0
    sealed: int = 0
    backlog: int = 0


def directory_bytes(directory: Path) -> int:
    """Bytes of all segments that wait, open or sealed; quarantine not counted. 0 when the directory is missing."""
    total = 0
    with contextlib.suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            if entry.name.endswith((OPEN, SEALED)):
                with contextlib.suppress(OSError):  # acknowledged between listing and asking
                    total += entry.stat().st_size
    return total


class SpoolWriter:
    """One writer of one process. Not thread-safe: all calls come from one loop.

    ``writer`` names the worker; process id and start time make it unique. Nothing is touched before the first append.
    """

    def __init__(
        self,
        directory: Path,
        writer: str,
        options: SpoolOptions | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._directory = directory
        self._writer = f"{writer}-{os.getpid()}-{time.time_ns():x}"
        self._options = options or SpoolOptions()
        self._clock = clock
        self._fd = -1
        self._name = ""
        self._sequence = 0
        self._size = 0
        self._rows = 0
        self._opened_at = 0.0
        self._is_dirty = False
        self._to_sync: list[int] = []  # sealed before they were synced
        self._others_bytes = 0  # of the directory without the open segment, as of the last look
        self._looked_at = float("-inf")
        self._backlog: deque[bytes] = deque()
        self._backlog_bytes = 0
        self._failed_at = float("-inf")
        self._written = self._dropped = self._errors = self._sealed = 0
        self._is_closed = False

    @property
    def is_degraded(self) -> bool:
        """The disk refuses: records wait in memory, or are being dropped."""
        return bool(self._backlog) or self._failed_at > float("-inf")

    @property
    def counters(self) -> SpoolCounters:
        return SpoolCounters(self._written, self._dropped, self._errors, self._sealed, len(self._backlog))

    def append(self, payload: bytes) -> bool:
        """Hand one record over: a single ``write()``. Never raises and never waits (unless ``sync_every_s`` is 0).

        True: it is written, or kept in memory while the disk refuses. False: dropped, and counted.
        """
        try:
            framed = frame(payload)
        except ValueError:
            return self._drop()
        if self._is_closed:
            return self._drop()
        if self.is_degraded:
            self._retry()
            if self.is_degraded:
                return self._keep(framed)
        return self._write(framed) or self._keep(framed)

    async def run(self) -> None:
        """Seal by age and sync, until cancelled. Give it a task; without one, only size and :meth:`close` seal."""
        pause = min(self._options.seal_after_s / 4, self._options.sync_every_s or 0.1)
        while True:
            await asyncio.sleep(pause)
            self.tick()
            await self.sync()

    def tick(self) -> None:
        """Retry what waits; seal the open segment if it is old enough."""
        if self.is_degraded:
            self._retry()
        if self._rows and self._clock() - self._opened_at >= self._options.seal_after_s:
            self._seal()

    async def sync(self) -> None:
        """``fdatasync`` what is not on the disk yet, in a thread."""
        descriptors, self._to_sync = self._to_sync, []
        if self._is_dirty:
            self._is_dirty = False
            descriptors.append(os.dup(self._fd))
        if descriptors:
            failed = await asyncio.to_thread(_sync_and_close, descriptors)
            self._errors += failed

    def close(self) -> None:
        """Write what waits, sync, seal. Safe twice; afterwards :meth:`append` drops."""
        if self._is_closed:
            return
        if self._backlog:
            self._failed_at = float("-inf")
            self._retry()
        self._is_closed = True
        self._dropped += len(self._backlog)
        self._backlog.clear()
        if self._fd >= 0:
            self._seal()
        self._errors += _sync_and_close(self._to_sync)
        self._to_sync = []

    def _write(self, framed: bytes) -> bool:
        try:
            if not self._has_room(len(framed)):
                return False
            if self._fd < 0:
                self._open()
            self._write_whole(framed)
        except OSError:
            self._fail()
            return False
        self._written += 1
        self._rows += 1
        self._size += len(framed)
        if self._size >= self._options.segment_bytes or self._rows >= self._options.segment_rows:
            self._seal()
        return True

    def _write_whole(self, framed: bytes) -> None:
        """Raises OSError, and then no part of the frame stands in the segment (or the segment ends there)."""
        done = -1
        try:
            done = os.write(self._fd, framed)
            if done == len(framed):
                self._is_dirty = True
                if not self._options.sync_every_s:
                    os.fdatasync(self._fd)
                    self._is_dirty = False
                return
            raise OSError("short write")
        except OSError:
            if done != 0:
                try:
                    os.ftruncate(self._fd, self._size)
                except OSError:
                    self._seal()  # the reader cuts a torn tail
            raise

    def _has_room(self, size: int) -> bool:
        now = self._clock()
        if now - self._looked_at >= 1.0:
            self._looked_at = now
            self._others_bytes = max(0, directory_bytes(self._directory) - self._size)
        if self._others_bytes + self._size + size <= self._options.max_bytes:
            return True
        self._failed_at = now
        return False

    def _open(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        name = f"{time.time_ns():020d}.{self._writer}.{self._sequence:08d}"
        new = self._directory / f"{name}{NEW}"
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            # Locked before it is called .open: recover() must never find a live segment unlocked.
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.rename(new, self._directory / f"{name}{OPEN}")
        except OSError:
            os.close(fd)
            raise
        self._fd, self._name, self._sequence = fd, name, self._sequence + 1
        self._size = self._rows = 0
        self._opened_at = self._clock()

    def _seal(self) -> None:
        path = self._directory / self._name
        try:
            os.rename(f"{path}{OPEN}", f"{path}{SEALED}")
            self._sealed += 1
        except OSError:
            self._errors += 1  # it stays .open and unlocked: recover() finds it
        self._to_sync.append(self._fd) if self._is_dirty else os.close(self._fd)
        self._others_bytes += self._size
        self._fd, self._size, self._rows, self._is_dirty = -1, 0, 0, False

    def _retry(self) -> None:
        """Write what waits, oldest first, unless the last failure is too recent."""
        if self._clock() - self._failed_at < self._options.retry_s:
            return
        self._failed_at = float("-inf")
        while self._backlog and self._write(self._backlog[0]):
            self._backlog_bytes -= len(self._backlog.popleft())

    def _keep(self, framed: bytes) -> bool:
        if self._backlog_bytes + len(framed) > self._options.backlog_bytes:
            return self._drop()
        self._backlog.append(framed)
        self._backlog_bytes += len(framed)
        return True

    def _drop(self) -> bool:
        self._dropped += 1
        return False

    def _fail(self) -> None:
        self._errors += 1
        self._failed_at = self._clock()


def _sync_and_close(descriptors: list[int]) -> int:
    """How many of them could not be synced."""
    failed = 0
    for fd in descriptors:
        try:
            os.fdatasync(fd)
        except OSError:
            failed += 1
        finally:
            os.close(fd)
    return failed
