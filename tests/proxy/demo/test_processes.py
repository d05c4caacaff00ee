"""Processes start, tell what went wrong, and end: by their handle, and by themselves when the parent is gone."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from proxy.demo.processes import ProcessFailed, running


async def test_a_child_that_dies_is_named_with_its_last_words(tmp_path: Path) -> None:
    words = ("-c", "import sys; sys.exit('the dog ate it')")
    async with running("models", words, tmp_path / "log", announces=True) as child:
        with pytest.raises(ProcessFailed, match="models did not start:\nthe dog ate it"):
            await child.announced_port(20)


async def test_leaving_ends_the_child(tmp_path: Path) -> None:
    async with running("sleeper", ("-c", "import signal; signal.pause()"), tmp_path / "log") as child:
        assert child.process.returncode is None
    assert child.process.returncode == -signal.SIGTERM


async def test_an_error_inside_ends_the_child_too(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="inside"):
        async with running("sleeper", ("-c", "import signal; signal.pause()"), tmp_path / "log") as child:
            raise ValueError("inside")
    assert child.process.returncode == -signal.SIGTERM


@pytest.mark.parametrize("which", ["models", "tools"])
async def test_a_server_ends_when_its_parent_is_gone(which: str, tmp_path: Path) -> None:
    arguments = ("-m", "proxy.demo.children", which, "--journal", str(tmp_path / "journal"))
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    await asyncio.wait_for(process.stdout.readline(), 30)
    process.stdin.close()
    assert await asyncio.wait_for(process.wait(), 20) == 0
