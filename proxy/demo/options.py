"""What the demo can be told, and its command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass

MOST_SESSIONS = 50
EXAMPLE = """examples:
  orchtax demo                          play all patterns, show the tax side by side, keep serving on a terminal
  orchtax demo --sessions 1 --json      one session each, figures as JSON, then end
  orchtax demo --keep                   leave the data (configuration, store, logs, journal) where it was written
"""


@dataclass(frozen=True, slots=True)
class Options:
    """``stay``: keep serving after the report until interrupted (default: on a terminal, unless ``as_json``)."""

    sessions: int = 3
    as_json: bool = False
    keep: bool = False
    stay: bool | None = None

    @property
    def stays(self) -> bool:
        if self.stay is not None:
            return self.stay
        return not self.as_json and sys.stdin.isatty() and sys.stdout.isatty()


def parse(arguments: Sequence[str]) -> Options:
    """The command line of ``python -m proxy.demo``. Exits with a message on what it does not know."""
    parser = argparse.ArgumentParser(
        prog="orchtax demo",
        description="Real SDK agents in five patterns call scripted models and tools through orchtax, all on loopback; "
        "at the end the orchestration tax of each pattern stands side by side.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    yes_or_no = argparse.BooleanOptionalAction
    parser.add_argument("--sessions", type=_count, default=3, help="sessions of each pattern (default 3)")
    parser.add_argument("--json", action="store_true", help="print figures and report as JSON; progress goes to stderr")
    parser.add_argument("--keep", action=yes_or_no, default=False, help="leave the data directory (default: remove it)")
    parser.add_argument("--stay", action=yes_or_no, help="keep serving until Ctrl-C (default: on a terminal)")
    given = parser.parse_args(arguments)
    return Options(given.sessions, given.json, given.keep, given.stay)


def _count(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= MOST_SESSIONS:
        raise argparse.ArgumentTypeError(f"{text!r}: give a number from 1 to {MOST_SESSIONS}")
    return int(text)
