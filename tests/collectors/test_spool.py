"""The spool: whatever happens to the writer or to the disk, what was acknowledged comes out once and nothing else."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from collectors.frames import MAX_PAYLOAD, frame, scan
from collectors.spool import SpoolOptions, SpoolWriter, directory_bytes
from collectors.spool_reader import acknowledge, quarantine, read, recover, sealed_segments
from tests.waiting import until

payloads = st.binary(min_size=1, max_size=60)


def drained(directory: Path) -> list[bytes]:
    """Read and acknowledge everything sealed."""
    found: list[bytes] = []
    for path in sealed_segments(directory):
        found += read(path).payloads
        acknowledge(path)
    return found


class Turned:
    """A clock that tests turn."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Writing beyond ``size`` bytes of a file fails (EFBIG after a short write): a full disk, without a disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


# Frames


@given(st.lists(payloads, max_size=20))
def test_frames_come_apart_as_they_went_together(some: list[bytes]) -> None:
    found = scan(b"".join(map(frame, some)))
    assert (list(found.payloads), found.bad, found.torn) == (some, (), b"")


@given(st.lists(payloads, min_size=1, max_size=5))
def test_a_cut_anywhere_keeps_every_whole_frame(some: list[bytes]) -> None:
    data = b"".join(map(frame, some))
    ends = [len(b"".join(map(frame, some[:n]))) for n in range(len(some) + 1)]
    for cut in range(len(data) + 1):
        found = scan(data[:cut])
        whole = max(n for n, end in enumerate(ends) if end <= cut)
        assert list(found.payloads) == some[:whole]
        assert (found.bad, found.good_end, len(found.torn)) == ((), ends[whole], cut - ends[whole])


@given(st.lists(payloads, min_size=2, max_size=6), st.data())
def test_a_damaged_payload_costs_that_frame_only(some: list[bytes], data: st.DataObject) -> None:
    hit = data.draw(st.integers(0, len(some) - 1))
    framed = list(map(frame, some))
    damaged = bytearray(framed[hit])
    damaged[data.draw(st.integers(4, len(damaged) - 1))] ^= data.draw(st.integers(1, 255))
    framed[hit] = bytes(damaged)
    found = scan(b"".join(framed))
    assert list(found.payloads) == some[:hit] + some[hit + 1 :]
    assert (found.bad, found.torn) == ((bytes(damaged),), b"")


@given(st.binary(max_size=300))
def test_any_bytes_are_read_without_an_error(data: bytes) -> None:
    found = scan(data)
    assert data[found.good_end :] == found.torn


def test_a_tail_of_zeros_is_torn() -> None:
    found = scan(frame(b"x") + bytes(64))
    assert (found.payloads, found.torn) == ((b"x",), bytes(64))


@pytest.mark.parametrize("payload", [b"", bytes(MAX_PAYLOAD + 1)])
def test_no_frame_for_what_cannot_be_read_back(payload: bytes, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="payload"):
        frame(payload)
    writer = SpoolWriter(tmp_path, "w")
    assert not writer.append(payload)
    assert writer.counters.dropped == 1


# Any interleaving


class Interleaving(RuleBasedStateMachine):
    """Appends, ticks, kills, recoveries and readers, in any order; a killed writer never closes its segment."""

    def __init__(self) -> None:
        super().__init__()
        self.home = tempfile.TemporaryDirectory()
        self.directory = Path(self.home.name)
        self.clock = Turned()
        self.expected: list[bytes] = []
        self.found: list[bytes] = []
        self.abandoned: list[SpoolWriter] = []
        self.writer = self.new()

    def new(self) -> SpoolWriter:
        return SpoolWriter(self.directory, "w", SpoolOptions(1.0, segment_bytes=200, segment_rows=5), self.clock)

    @rule(payload=payloads)
    def append(self, payload: bytes) -> None:
        assert self.writer.append(payload)
        self.expected.append(payload)

    @rule(torn=st.binary(max_size=12))
    def kill(self, torn: bytes) -> None:
        """The process dies: the kernel closes its files; the disk may keep half a frame."""
        fd = self.writer._fd
        if fd >= 0:
            half = frame(b"never acknowledged")[: len(torn)]
            os.write(fd, half)
            os.close(fd)
        self.abandoned.append(self.writer)
        self.writer = self.new()

    @rule()
    def close(self) -> None:
        self.writer.close()
        self.writer.close()
        self.writer = self.new()

    @rule(seconds=st.floats(0, 2))
    def tick(self, seconds: float) -> None:
        self.clock.now += seconds
        self.writer.tick()

    @rule()
    def recover(self) -> None:
        recover(self.directory)

    @rule()
    def drain(self) -> None:
        self.found += drained(self.directory)

    @invariant()
    def nothing_is_made_up(self) -> None:
        assert not self.writer.is_degraded

    def teardown(self) -> None:
        self.writer.close()
        recover(self.directory)
        self.found += drained(self.directory)
        assert sorted(self.found) == sorted(self.expected)
        assert [path.name for path in self.directory.iterdir()] == []
        self.home.cleanup()


TestInterleaving = Interleaving.TestCase
TestInterleaving.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


# Sealing


def test_sealed_by_bytes_rows_and_age(tmp_path: Path) -> None:
    clock = Turned()
    writer = SpoolWriter(tmp_path, "w", SpoolOptions(seal_after_s=1, segment_bytes=100, segment_rows=3), clock)
    assert writer.append(bytes(range(1, 101)))
    assert len(sealed_segments(tmp_path)) == 1
    for _ in range(3):
        assert writer.append(b"r")
    assert len(sealed_segments(tmp_path)) == 2
    assert writer.append(b"old")
    clock.now += 0.9
    writer.tick()
    assert len(sealed_segments(tmp_path)) == 2
    clock.now += 0.1
    writer.tick()
    assert [read(path).payloads[-1] for path in sealed_segments(tmp_path)] == [bytes(range(1, 101)), b"r", b"old"]
    writer.close()


async def test_the_task_seals_and_syncs(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path, "w", SpoolOptions(seal_after_s=0.02, sync_every_s=0.01))
    task = asyncio.create_task(writer.run())
    assert writer.append(b"x")
    await until(lambda: bool(sealed_segments(tmp_path)))
    task.cancel()
    writer.close()
    assert drained(tmp_path) == [b"x"]
    assert writer.counters.errors == 0


def test_a_writer_that_never_wrote_leaves_nothing(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path / "spool", "w")
    writer.tick()
    writer.close()
    assert not (tmp_path / "spool").exists()
    assert sealed_segments(tmp_path / "spool") == []
    assert directory_bytes(tmp_path / "spool") == 0


def test_after_close_records_are_dropped_and_counted(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path, "w")
    writer.close()
    assert not writer.append(b"late")
    assert writer.counters.dropped == 1


# Orphans


def test_a_living_writers_segment_is_left_alone(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path, "w")
    assert writer.append(b"mine")
    assert recover(tmp_path).sealed == 0
    writer.close()
    assert drained(tmp_path) == [b"mine"]


def test_a_killed_process_loses_nothing_it_was_told_is_written(tmp_path: Path) -> None:
    script = f"""
import os, signal
from pathlib import Path
from collectors.spool import SpoolWriter
writer = SpoolWriter(Path({str(tmp_path)!r}), "w")
assert all(writer.append(b"%d" % n) for n in range(100))
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -signal.SIGKILL
    assert sealed_segments(tmp_path) == []
    assert recover(tmp_path).sealed == 1
    assert drained(tmp_path) == [b"%d" % n for n in range(100)]


# Disks that refuse


def test_a_full_disk_keeps_records_in_memory_then_drops_and_says_so(tmp_path: Path) -> None:
    clock = Turned()
    writer = SpoolWriter(tmp_path, "w", SpoolOptions(backlog_bytes=400, retry_s=1), clock)
    sent = [b"%03d" % n + b"." * 80 for n in range(20)]
    with file_size_limit(300):
        took = [writer.append(payload) for payload in sent]
        assert writer.is_degraded
    assert sum(took) == 3 + 4  # 300 bytes hold three frames of 91, the backlog four
    assert writer.counters.dropped == len(sent) - sum(took)
    clock.now += 1
    writer.tick()
    assert not writer.is_degraded
    writer.close()
    assert drained(tmp_path) == [payload for payload, is_taken in zip(sent, took, strict=True) if is_taken]


def test_no_part_of_a_frame_stays_in_the_middle(tmp_path: Path) -> None:
    for limit in range(20, 120, 7):
        directory, clock = tmp_path / str(limit), Turned()
        writer = SpoolWriter(directory, "w", SpoolOptions(retry_s=1), clock)
        with file_size_limit(limit):
            assert all(writer.append(b"%02d345678901234567" % n) for n in range(6))
        clock.now += 1
        assert writer.append(b"last")
        writer.close()
        segments = [read(path) for path in sealed_segments(directory)]
        assert not any(segment.bad or segment.torn for segment in segments)
        assert [p for s in segments for p in s.payloads] == [b"%02d345678901234567" % n for n in range(6)] + [b"last"]


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    writer = SpoolWriter(tmp_path / "file" / "spool", "w")
    assert writer.append(b"kept in memory")
    assert writer.is_degraded
    assert writer.counters.errors == 1
    writer.close()
    assert writer.counters.dropped == 1


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_the_stand_in_fails_as_a_full_disk_does() -> None:
    with open("/dev/full", "wb", buffering=0) as full, pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        full.write(b"x")


def test_the_cap_counts_every_writer_and_lifts_when_drained(tmp_path: Path) -> None:
    clock = Turned()
    options = SpoolOptions(max_bytes=1000, backlog_bytes=0, retry_s=1)
    first, second = (SpoolWriter(tmp_path, name, options, clock) for name in ("a", "b"))
    while first.append(bytes([1]) * 92):
        pass
    first.close()
    assert directory_bytes(tmp_path) == 1000
    assert not second.append(b"x")
    assert second.is_degraded
    assert len(drained(tmp_path)) == 10
    clock.now += 1
    assert second.append(b"y")
    second.close()
    assert drained(tmp_path) == [b"y"]


# Reading


def test_segments_come_oldest_first_whoever_wrote_them(tmp_path: Path) -> None:
    for name, payload in (("z", b"1"), ("a", b"2"), ("m", b"3")):
        writer = SpoolWriter(tmp_path, name)
        assert writer.append(payload)
        writer.close()
    assert drained(tmp_path) == [b"1", b"2", b"3"]


def test_quarantine_never_raises(tmp_path: Path) -> None:
    assert quarantine(tmp_path, "a.bad", b"one")
    assert quarantine(tmp_path, "a.bad", b"two")
    assert (tmp_path / "quarantine" / "a.bad").read_bytes() == b"two"
    (tmp_path / "file").write_text("")
    assert not quarantine(tmp_path / "file", "a.bad", b"lost")
