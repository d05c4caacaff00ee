"""What the bench can be told, and its command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

EXAMPLE = """examples:
  make bench                                   the whole run, at most 6 minutes
  python -m tests.bench --quick                a minute, for trying: its spread is wide
  python -m tests.bench --json figures.json    every figure and every round as JSON, beside the tables
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long to measure. A round plays every subject closed loop (whole answers, then streams) and open loop at each
    rate (requests/s); ``calls`` is what orchtax's worker has carried when its memory is read for the last time."""

    rounds: int = 5
    whole_s: float = 3.0
    stream_s: float = 2.0
    open_s: float = 2.0
    rates: tuple[int, ...] = (100, 300)
    calls: int = 100_000
    fill_s: float = 140.0
    """Longest time for the calls that the rounds left missing."""
    connections: int = 32


QUICK = Plan(rounds=2, whole_s=1.5, stream_s=1.0, open_s=1.0, calls=8_000, fill_s=5.0)


@dataclass(frozen=True, slots=True)
class Options:
    plan: Plan
    json_file: Path | None


def parse(arguments: Sequence[str]) -> Options:
    """The command line of ``python -m tests.bench``. Exits with a message on what it does not know."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description="Latency, throughput and memory of one orchtax worker beside no proxy and beside a bare aiohttp "
        "pass-through, in one run, all on loopback.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds: under a minute")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures there")
    given = parser.parse_args(arguments)
    return Options(QUICK if given.quick else Plan(), given.json)
