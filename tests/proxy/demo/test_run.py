"""The demo as a process: what it started ends with it, also when it is interrupted amid the work."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

DEADLINE_S = 60


def processes_naming(text: str) -> list[str]:
    """Command lines of living processes that contain a text."""
    lines = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(entry.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:  # it ended while we looked
            continue
    return [line for line in lines if text in line]


async def until_calls_are_logged(folder: Path) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not any(file.stat().st_size for file in folder.glob("*/journal.jsonl")):
            await asyncio.sleep(0.05)


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_interrupted_amid_the_work_it_leaves_nothing(number: signal.Signals, tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "proxy.demo", "--no-stay"),
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        await until_calls_are_logged(tmp_path)
        assert len(processes_naming(str(tmp_path))) >= 3  # models, tools, orchtax
        process.send_signal(number)
        out, errors = await asyncio.wait_for(process.communicate(), DEADLINE_S)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 130, out + errors
    assert b"Interrupted" in errors
    assert b"Traceback" not in out + errors
    assert processes_naming(str(tmp_path)) == []
    assert list(tmp_path.iterdir()) == []
