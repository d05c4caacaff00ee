"""The pattern of one session, tried in this order: single, hierarchical, parallel, peer, routing, sequential, mixed.

Resends and samples are left out, and stages with less than 5 % of the tokens whose answers nobody used. What a
validator hands back is rework and makes no peers. The confidence is the mean weight of the handoffs' evidence; one
session never shows that a route depends on its input, so ``routing`` stays at 0.5 or below.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from collectors.figures import HandoffKind, Pattern
from collectors.handoffs import run_spans
from collectors.lineage import WEIGHTS, Edge, Lineage
from collectors.receipt import Standing
from collectors.timeline import Timeline, takes_part

_NEGLIGIBLE = 0.05
_HUB_SHARE = 0.8
_MIN_OVERLAP_US = 50_000
_MIN_OVERLAP_SHARE = 0.05
_ROUTER_OUTPUT_SHARE = 0.1
_ROUTING_CONFIDENCE = 0.5


@dataclass(frozen=True, slots=True)
class Traffic:
    """What a pattern is read from."""

    line: Timeline
    graph: Lineage
    kinds: Mapping[Edge, HandoffKind]
    standings: Sequence[Standing]

    def stage(self, i: int) -> str:
        """The stage of call ``i``."""
        return self.line.calls[i].stage

    def is_validator(self, i: int) -> bool:
        """Whether call ``i`` validates."""
        return self.standings[i].role == "validate"


def pattern(traffic: Traffic) -> tuple[Pattern, float]:
    """The session's pattern and a confidence, 0-1."""
    stages = _live_stages(traffic)
    edges = [e for e in traffic.kinds if traffic.stage(e.source) in stages and traffic.stage(e.target) in stages]
    confidence = fmean(WEIGHTS[e.method] for e in edges) if edges else WEIGHTS["temporal"]
    if len(stages) < 2:
        return "single", 1.0
    if _is_hierarchical(traffic, stages, edges):
        return "hierarchical", confidence
    if _is_parallel(traffic, stages, edges):
        return "parallel", confidence
    steps = {(traffic.stage(e.source), traffic.stage(e.target)) for e in edges if not _is_rework(traffic, e)}
    is_reciprocal = any((b, a) in steps for a, b in steps)
    if is_reciprocal and not _has_role(traffic, "coordinate"):
        return "peer", confidence
    if _is_routing(traffic, edges):
        return "routing", min(_ROUTING_CONFIDENCE, confidence)
    is_chain = bool(edges) and all(traffic.kinds[e] != "return" or _is_rework(traffic, e) for e in edges)
    return ("sequential" if is_chain else "mixed"), confidence


def _live_stages(traffic: Traffic) -> set[str]:
    tokens: Counter[str] = Counter()
    for i in _first_sendings(traffic):
        tokens[traffic.stage(i)] += traffic.line.calls[i].tokens
    used = {traffic.stage(edge.source) for edge in traffic.kinds}
    return {s for s, spent in tokens.items() if s in used or spent >= _NEGLIGIBLE * tokens.total()}


def _first_sendings(traffic: Traffic) -> list[int]:
    return [
        i
        for i, call in enumerate(traffic.line.calls)
        if call.kind == "model" and takes_part(call) and traffic.standings[i].repeat.kind not in ("retry", "sampling")
    ]


def _is_rework(traffic: Traffic, edge: Edge) -> bool:
    return traffic.kinds[edge] == "return" and traffic.is_validator(edge.source)


def _has_role(traffic: Traffic, role: str) -> bool:
    return any(standing.role == role for standing in traffic.standings)


def _is_hierarchical(traffic: Traffic, stages: set[str], edges: Sequence[Edge]) -> bool:
    """At least three stages, and a hub on most handoffs that runs three times and hands to two workers."""
    touched = Counter(stage for e in edges for stage in (traffic.stage(e.source), traffic.stage(e.target)))
    if len(stages) < 3 or not touched:
        return False
    hub = min(touched, key=lambda stage: (-touched[stage], stage))
    entered = {e.target for e in edges if traffic.stage(e.target) == hub}
    first = next(i for i in _first_sendings(traffic) if traffic.stage(i) == hub)
    workers = {
        traffic.stage(e.target) for e in edges if traffic.stage(e.source) == hub and not traffic.is_validator(e.target)
    }
    has_return = any(traffic.kinds[e] == "return" and traffic.stage(e.target) == hub for e in edges)
    runs = len(entered) + (first not in entered)
    return touched[hub] >= _HUB_SHARE * len(edges) and runs >= 3 and len(workers) >= 2 and has_return


def _is_parallel(traffic: Traffic, stages: set[str], edges: Sequence[Edge]) -> bool:
    """Runs of one cause, or of none, that overlap by more than 50 ms and 5 % of the shorter."""
    spans = run_spans(traffic.line, traffic.graph)
    first = _first_sendings(traffic)
    once = set(first)
    by_cause: dict[int, set[int]] = defaultdict(set)
    for edge in edges:
        if edge.target in once:
            by_cause[edge.source].add(traffic.graph.runs[edge.target])
    for i in first:
        if not traffic.graph.incoming[i] and traffic.stage(i) in stages:
            by_cause[-1].add(traffic.graph.runs[i])
    return any(_overlap([spans[run] for run in runs]) for runs in by_cause.values())


def _overlap(spans: Sequence[tuple[int, int]]) -> bool:
    for (start, end), (next_start, next_end) in pairwise(sorted(spans)):
        shared = min(end, next_end) - next_start
        shorter = min(end - start, next_end - next_start)
        if shared > max(_MIN_OVERLAP_US, _MIN_OVERLAP_SHARE * shorter):
            return True
    return False


def _is_routing(traffic: Traffic, edges: Sequence[Edge]) -> bool:
    """A stage whose role is to route, or a first call that says little and names its successor."""
    if _has_role(traffic, "route"):
        return True
    first = next(iter(_first_sendings(traffic)), -1)
    if first < 0 or not edges:
        return False
    call = traffic.line.calls[first]
    said = sum(traffic.line.calls[i].output_tokens or 0 for i in _first_sendings(traffic))
    names = [name.lower() for name in call.emitted_tools]
    successors = {traffic.stage(e.target).lower() for e in edges if e.source == first} - {""}
    is_brief = (call.output_tokens or 0) <= _ROUTER_OUTPUT_SHARE * said
    return is_brief and any(successor in name for successor in successors for name in names)
