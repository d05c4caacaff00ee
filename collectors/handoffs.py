"""Handoffs: edges between stage-runs of different stages, their kinds, gaps, and the context that crossed.

Only calls to models stand in stages: agent, tool, the same agent is no handoff, and a loop of one stage has none by
construction. ``return``: the receiving stage stands above the handing one in its stack. ``fan_in``: several runs come
together. ``fan_out``: the receiving run overlaps a sibling of the same cause, or runs inside an agent used as a tool.
``forward``: the rest. The first that fits, in that order.

The gap of a call stands on one edge only, from its latest-ending cause, and repeated tokens on the edge from the stage
where they were first seen: rows are additive. Choice: a person is waiting when a call continues the very last thing
that happened with a user message never seen before, or when the gap exceeds 300 s.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from collectors.figures import Handoff, HandoffKind
from collectors.intervals import Intervals
from collectors.lineage import WEIGHTS, Edge, Lineage
from collectors.repetition import CROSS, Partition
from collectors.timeline import Timeline

IDLE_US = 300_000_000
"""A longer gap is a rest, not a wait for the next stage."""


@dataclass(frozen=True, slots=True)
class Woven:
    """A session's calls with what was found of them."""

    line: Timeline
    graph: Lineage
    partitions: Sequence[Partition]
    resent: Mapping[int, int] = field(default_factory=dict)  # failed call -> its resend


def is_crossing(line: Timeline, edge: Edge) -> bool:
    """Whether an edge joins two stages."""
    source, target = line.calls[edge.source], line.calls[edge.target]
    return source.kind == target.kind == "model" and source.stage != target.stage


def run_spans(line: Timeline, graph: Lineage) -> dict[int, tuple[int, int]]:
    """Each stage-run's first start and last end, in microseconds."""
    spans: dict[int, tuple[int, int]] = {}
    for i, run in enumerate(graph.runs):
        start, end = spans.get(run, (line.starts[i], 0))
        spans[run] = start, max(end, line.ends[i])
    return spans


def kinds(line: Timeline, graph: Lineage) -> dict[Edge, HandoffKind]:
    """The handoffs of a session, in call order, each with its kind."""
    crossing = [edge for edges in graph.incoming for edge in edges if is_crossing(line, edge)]
    back = {e for e in crossing if line.calls[e.target].stage in graph.stacks[e.source][:-1]}
    ahead = [edge for edge in crossing if edge not in back]
    joining: dict[int, set[int]] = defaultdict(set)
    for edge in ahead:
        joining[edge.target].add(graph.runs[edge.source])
    spreading = _spreading(line, graph, ahead)
    found: dict[Edge, HandoffKind] = {}
    for edge in crossing:
        if edge in back:
            found[edge] = "return"
        elif len(joining[edge.target]) > 1:
            found[edge] = "fan_in"
        else:
            found[edge] = "fan_out" if edge in spreading else "forward"
    return found


def _spreading(line: Timeline, graph: Lineage, ahead: Sequence[Edge]) -> set[Edge]:
    inside = {i for inner in graph.containers.values() for i in inner}
    found = {edge for edge in ahead if edge.target in inside}
    spans = run_spans(line, graph)
    by_source: dict[int, list[Edge]] = defaultdict(list)
    for edge in ahead:
        by_source[edge.source].append(edge)
    for siblings in by_source.values():
        siblings.sort(key=lambda edge: (spans[graph.runs[edge.target]], edge.target))
        longest = siblings[0]
        for edge in siblings[1:]:
            run, other = graph.runs[edge.target], graph.runs[longest.target]
            if run != other and spans[run][0] < spans[other][1]:
                found.update((edge, longest))
            if spans[run][1] > spans[other][1]:
                longest = edge
    return found


def rests(woven: Woven) -> frozenset[int]:
    """The calls before which a person spoke, or the session rested: the gap before them is nobody's tax."""
    line, graph = woven.line, woven.graph
    found = set()
    for i, edges in enumerate(graph.incoming):
        if not edges:
            continue
        last = max((edge.source for edge in edges), key=lambda p: (line.ends[p], p))
        before = line.calls[last]
        answered = last == graph.links[i].parent and before.outcome == "ok" and not before.emitted_tools
        if line.starts[i] - line.ends[last] > IDLE_US or (answered and woven.partitions[i].asks_anew):
            found.add(i)
    return frozenset(found)


def tool_time(line: Timeline, graph: Lineage) -> Intervals:
    """When tools ran. An agent used as a tool is no tool time: its own calls tell."""
    return Intervals(
        (line.starts[i], line.ends[i])
        for i, call in enumerate(line.calls)
        if call.kind == "tool" and call.outcome != "refused" and i not in graph.containers
    )


def handoffs(
    woven: Woven, kind_of: Mapping[Edge, HandoffKind], resting: Collection[int], version: int
) -> tuple[Handoff, ...]:
    """The rows of table ``handoffs``, in call order."""
    tools = tool_time(woven.line, woven.graph)
    by_target: dict[int, list[Edge]] = defaultdict(list)
    for edge in kind_of:
        by_target[edge.target].append(edge)
    found = []
    for target, edges in by_target.items():
        crossed = _crossed(woven, edges)
        for edge in edges:
            row = _row(woven, edge, kind_of[edge], crossed[edge])
            found.append(replace(_timed(row, woven, edge, tools), is_idle=target in resting, version=version))
    return tuple(found)


def _row(woven: Woven, edge: Edge, kind: HandoffKind, crossed: tuple[int, int]) -> Handoff:
    source, target = woven.line.calls[edge.source], woven.line.calls[edge.target]
    return Handoff(
        session_id=target.session_id,
        from_call=source.call_id,
        to_call=target.call_id,
        version=0,
        from_stage=source.stage,
        to_stage=target.stage,
        kind=kind,
        gap_us=0,
        net_gap_us=0,
        overlap_us=0,
        is_idle=False,
        cross_request_tokens=crossed[0],
        cross_output_tokens=crossed[1],
        method=edge.method,
        confidence=WEIGHTS[edge.method],
    )


def _timed(row: Handoff, woven: Woven, edge: Edge, tools: Intervals) -> Handoff:
    """With its gap, if this edge comes from the call's latest-ending cause."""
    line = woven.line
    causes = [e.source for e in woven.graph.incoming[edge.target] if line.calls[e.source].kind == "model"]
    if edge.source != max(causes, key=lambda p: (line.ends[p], p)):
        return row
    start, end = line.ends[edge.source], line.starts[edge.target]
    gap = max(0, end - start)
    return replace(row, gap_us=gap, net_gap_us=gap - tools.covered(start, end), overlap_us=max(0, start - end))


def _crossed(woven: Woven, edges: Sequence[Edge]) -> dict[Edge, tuple[int, int]]:
    """Repeated tokens of the receiving call by edge: (request, output). What comes from a stage that did not hand over
    here stands on the edge from the latest-ending cause. A failure that nobody read is represented by its resend."""
    line = woven.line
    last = max(edges, key=lambda edge: (line.ends[edge.source], edge.source))
    by_stage = {line.calls[e.source].stage: e for e in sorted(edges, key=lambda e: (line.ends[e.source], e.source))}
    totals = {edge: [0, 0] for edge in edges}
    target = last.target
    while not woven.partitions[target].spans and target in woven.resent:
        target = woven.resent[target]
    for span in woven.partitions[target].spans:
        if span.kind in CROSS:
            totals[by_stage.get(span.origin, last)][span.kind == "cross_output"] += span.tokens
    return {edge: (request, output) for edge, (request, output) in totals.items()}
