"""The critical path of a session: where its wall time went.

From the last-ending call, step to the cause with the latest end, until a call without cause. ``W`` is the path's call
time plus its gaps (asserted), without the rests in which a person spoke or nothing happened. On the path:

- a call's time stands on its role's line; rework, and a failed call that was sent again, on ``retry``,
- a gap before a resend is back-off (``retry``), a gap within rework ``retry``, between stages ``handoff`` without the
  part that tools covered (that part is the handing stage's own), within a stage the stage's line.

A resend that succeeded is not tax in time: the failed call and the back-off are what it cost. A cause that ends after
its effect has begun (an explicit parent still streaming) counts up to that moment. An agent used as a tool is left out
for the calls inside it, here and in the busy time, which would count them twice.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from collectors.figures import LINES
from collectors.handoffs import run_spans, tool_time
from collectors.lineage import Lineage
from collectors.receipt import Standing
from collectors.timeline import Timeline, takes_part


@dataclass(frozen=True, slots=True)
class Path:
    """``calls`` on the path by index; ``wall_us`` = W = sum of ``lines_us`` (keys: the lines of a receipt)."""

    calls: frozenset[int]
    wall_us: int
    lines_us: dict[str, int]


def critical_path(line: Timeline, graph: Lineage, standings: Sequence[Standing], resting: Collection[int]) -> Path:
    """Walk the path back from the last-ending call."""
    nodes = [i for i, call in enumerate(line.calls) if takes_part(call) and i not in graph.containers]
    lines = dict.fromkeys(LINES, 0)
    if not nodes:
        return Path(frozenset(), 0, lines)
    walk = _Walk(line, graph, standings)
    i = max(nodes, key=lambda node: (line.ends[node], node))
    cursor = end = line.ends[i]
    rested, on_path = 0, {i}
    while True:
        lines[walk.time_line(i)] += cursor - line.starts[i]
        cause = walk.cause(i)
        if cause < 0:
            break
        cursor = min(line.ends[cause], line.starts[i])
        if i in resting:
            rested += line.starts[i] - cursor
        else:
            for name, length in walk.gap(cause, i):
                lines[name] += length
        i = cause
        on_path.add(i)
    wall = end - line.starts[i] - rested
    assert sum(lines.values()) == wall, "the critical path does not sum to the wall time"
    return Path(frozenset(on_path), wall, lines)


def busy_us(line: Timeline, graph: Lineage) -> int:
    """Sum of all call durations: speed-up = busy / W."""
    return sum(
        line.ends[i] - line.starts[i]
        for i, call in enumerate(line.calls)
        if takes_part(call) and i not in graph.containers
    )


def barrier_us(line: Timeline, graph: Lineage) -> int:
    """How long finished runs waited for the slowest of those that ran beside it, wherever runs come together."""
    spans = run_spans(line, graph)
    waited = 0
    for i, edges in enumerate(graph.incoming):
        ends: dict[int, int] = {}  # run -> its latest end that leads here
        for edge in edges:
            if line.calls[edge.source].kind == "model" and line.calls[i].kind == "model":
                run = graph.runs[edge.source]
                ends[run] = max(ends.get(run, 0), min(line.ends[edge.source], line.starts[i]))
        if len(ends) > 1:
            slowest = max(ends, key=lambda run: (ends[run], run))
            waited += sum(ends[slowest] - end for end in ends.values() if end > spans[slowest][0])
    return waited


class _Walk:
    """Answers for one step of the walk."""

    def __init__(self, line: Timeline, graph: Lineage, standings: Sequence[Standing]) -> None:
        self._line, self._graph, self._standings = line, graph, standings
        self._tools = tool_time(line, graph)
        self._sent_again = {standing.repeat.of for standing in standings if standing.is_retry}

    def cause(self, i: int) -> int:
        """A parent that is no part of the work (a handshake, a refused call) is nobody's cause in time."""
        sources = (edge.source for edge in self._graph.incoming[i] if edge.source not in self._graph.containers)
        causes = [source for source in sources if takes_part(self._line.calls[source])]
        return max(causes, key=lambda p: (self._line.ends[p], p), default=-1)

    def time_line(self, i: int) -> str:
        standing = self._standings[i]
        is_lost = standing.is_rework or self._line.calls[i].call_id in self._sent_again
        return "retry" if is_lost else standing.line

    def gap(self, cause: int, i: int) -> list[tuple[str, int]]:
        """The gap between two calls of the path, by line."""
        call, before, standing = self._line.calls[i], self._line.calls[cause], self._standings[i]
        start, end = self._line.ends[cause], self._line.starts[i]
        length = max(0, end - start)
        if standing.is_rework or (standing.is_retry and standing.repeat.of == before.call_id):
            return [("retry", length)]
        if call.kind == "model" and call.stage != before.stage:
            covered = self._tools.covered(start, end)
            return [("handoff", length - covered), (self._standings[cause].line, covered)]
        return [(standing.line, length)]
