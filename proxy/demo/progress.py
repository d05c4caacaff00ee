"""How far the fleets are: moving bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from rich import progress as bars
from rich.console import Console

from proxy.demo.fleets import Fleet


class Progress(Protocol):
    def played(self, fleet: Fleet) -> None:
        """One more session of the fleet is over."""


@contextmanager
def progress(out: Console, fleets: Sequence[Fleet], sessions: int) -> Iterator[Progress]:
    """Bars while the block runs when ``out`` is a terminal, else a line for each session."""
    if not out.is_terminal:
        yield _Lines(out, sessions)
        return
    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TimeElapsedColumn(),
    )
    with bars.Progress(*columns, console=out) as shown:
        yield _Bars(shown, {fleet.name: shown.add_task(fleet.title, total=sessions) for fleet in fleets})


class _Bars:
    def __init__(self, shown: bars.Progress, tasks: dict[str, bars.TaskID]) -> None:
        self._shown = shown
        self._tasks = tasks

    def played(self, fleet: Fleet) -> None:
        self._shown.advance(self._tasks[fleet.name])


class _Lines:
    def __init__(self, out: Console, sessions: int) -> None:
        self._out = out
        self._sessions = sessions
        self._played: Counter[str] = Counter()

    def played(self, fleet: Fleet) -> None:
        self._played[fleet.name] += 1
        self._out.print(f"{fleet.title}: session {self._played[fleet.name]} of {self._sessions} played")
