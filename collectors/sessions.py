"""One session, analysed: every figure that is derived of its calls, in one pass over the measuring plane's ideas.

Read top to bottom: order the calls, find repeats, threads and lineage, partition the prompts, tell roles, find
handoffs, rests and rework, walk the critical path, write the receipts. Pure: the same calls give the same figures,
whatever order they arrived in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from collectors.critical_path import Path, barrier_us, busy_us, critical_path
from collectors.figures import Handoff, Pattern, Receipt, SessionAnalysis, SessionFigures
from collectors.handoffs import Woven, handoffs, kinds, rests
from collectors.lineage import lineage
from collectors.pattern import Traffic, pattern
from collectors.receipt import Standing, receipt
from collectors.records import CallRecord
from collectors.repetition import partitions
from collectors.retries import Repeat, free_so_far, repeats
from collectors.rework import Judged, rework
from collectors.roles import RoleRules, roles
from collectors.threads import threads
from collectors.timeline import Timeline, takes_part, timeline


def analyse(calls: Sequence[CallRecord], rules: RoleRules, version: int) -> SessionAnalysis:
    """All figures of one session, from all its calls known so far, in any order.

    ``version`` is written on every row: a later analysis replaces an earlier one. All calls must be of one session.

    Raises:
        ValueError: there are no calls, or they are of several sessions.
    """
    if len({call.session_id for call in calls}) != 1:
        raise ValueError("analyse takes the calls of exactly one session")
    line = timeline(calls)
    again = repeats(line)
    links = threads(line)
    graph = lineage(line, links, again)
    woven = Woven(line, graph, partitions(line, links), _resent(line, again))
    known = roles(line.calls, rules)
    kind_of = kinds(line, graph)
    resting = rests(woven)
    sent_back = {edge.source for edge, kind in kind_of.items() if kind == "return" and edge.target not in resting}
    redone = rework(Judged(line, [role for role, _ in known], sent_back, resting))
    excused = free_so_far(line, again) if rules.after_free_failure == "role" else frozenset()
    standings = [
        Standing(role, source, rules.line(role), again[i], i in redone, i in excused)
        for i, (role, source) in enumerate(known)
    ]
    path = critical_path(line, graph, standings, resting)
    receipts = tuple(
        replace(receipt(call, standings[i], woven.partitions[i], version), on_critical_path=i in path.calls)
        for i, call in enumerate(line.calls)
    )
    found = handoffs(woven, kind_of, resting, version)
    shape = _Shape(
        path, busy_us(line, graph), barrier_us(line, graph), pattern(Traffic(line, graph, kind_of, standings))
    )
    return SessionAnalysis(_figures(line, receipts, found, shape, version), receipts, found)


@dataclass(frozen=True, slots=True)
class _Shape:
    path: Path
    busy_us: int
    barrier_us: int
    pattern: tuple[Pattern, float]


def _figures(
    line: Timeline, receipts: Sequence[Receipt], found: Sequence[Handoff], shape: _Shape, version: int
) -> SessionFigures:
    calls = line.calls
    sent = [call for call in calls if call.outcome != "refused"]
    models = [call for call in sent if call.kind == "model" and not _is_turned_away(call)]
    surest = max(calls, key=lambda call: call.session_confidence)
    return SessionFigures(
        session_id=calls[0].session_id,
        version=version,
        tenant=_first(call.tenant for call in calls),
        task=_first(call.task for call in calls),
        variant=_first(call.variant for call in calls),
        started_ns=calls[0].ts_ns,
        ended_ns=max(call.end_ns for call in calls),
        session_source=surest.session_source,
        session_confidence=surest.session_confidence,
        pattern=shape.pattern[0],
        pattern_confidence=shape.pattern[1],
        calls=len(calls),
        model_calls=len(models),
        reported_calls=sum(call.usage_source == "reported" for call in models),
        unpriced_calls=sum(call.cost_nano is None and call.tokens > 0 for call in sent),
        failed_calls=sum(call.outcome != "ok" for call in sent),
        retries=sum(r.is_retry for r in receipts) + sum(max(0, c.attempts - 1) for c in calls if takes_part(c)),
        handoffs=len(found),
        input_tokens=sum(call.input_tokens or 0 for call in sent),
        output_tokens=sum(call.output_tokens or 0 for call in sent),
        cache_read_tokens=sum(call.cache_read_tokens or 0 for call in sent),
        cost_nano=sum(call.cost_nano or 0 for call in sent),
        tool_cost_nano=sum(call.cost_nano or 0 for call in sent if call.kind in ("tool", "agent")),
        wall_us=shape.path.wall_us,
        busy_us=shape.busy_us,
        barrier_us=shape.barrier_us,
        **{f"latency_{name}_us": length for name, length in shape.path.lines_us.items()},
    )


def _is_turned_away(call: CallRecord) -> bool:
    """The provider answered with an error and no usage (429, 5xx): nothing was spent that it could have reported, so
    the call says nothing about coverage (**choice**). A call that timed out or broke off may have spent: it counts."""
    return call.status is not None and call.status >= 400 and call.usage_source == "none"


def _resent(line: Timeline, again: Sequence[Repeat]) -> dict[int, int]:
    by_id = {call.call_id: i for i, call in enumerate(line.calls)}
    return {by_id[repeat.of]: i for i, repeat in enumerate(again) if repeat.kind == "retry" and repeat.of in by_id}


def _first(values: Iterable[str]) -> str:
    return next(filter(None, values), "")
