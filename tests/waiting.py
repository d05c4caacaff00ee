"""Waiting for a condition, with a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def until(is_met: Callable[[], bool], timeout_s: float = 20.0) -> None:
    """Return as soon as ``is_met()``. Raises TimeoutError."""
    async with asyncio.timeout(timeout_s):
        while not is_met():
            await asyncio.sleep(0.005)
