"""The demo from start to end; importable without the extra, which it asks for by name when it is missing."""

from __future__ import annotations

import asyncio
import importlib.util
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress

from proxy.demo.options import Options, parse

NEEDED = ("openai", "anthropic", "mcp", "chdb")
INTERRUPTED = 130  # as a shell counts an end by Ctrl-C


def run(options: Options) -> int:
    """Plays the demo. Returns 0 when every pattern ran and every call is in the books, 1 when not, 2 when packages are
    missing, 130 when interrupted before the report."""
    absent = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if absent:
        remedy = "install them with: pip install 'orchtax[demo]'"
        sys.stderr.write(f"The demo needs packages that are not installed: {', '.join(absent)}; {remedy}\n")
        return 2
    return asyncio.run(_interruptible(options))


def main(arguments: Sequence[str]) -> int:
    """``orchtax demo ARGUMENTS``. Exits by itself on ``--help`` and on what it does not know."""
    return run(parse(arguments))


async def _interruptible(options: Options) -> int:
    """A signal cancels the show, which then ends its processes in order."""
    from proxy.demo.show import Show

    show = asyncio.create_task(Show(options).play(), name="demo")
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, show.cancel)
    with suppress(asyncio.CancelledError):
        return await show
    sys.stderr.write("Interrupted; everything that the demo started has ended.\n")
    return INTERRUPTED
