"""Lineage: which call led to which. Edges between calls, stage-runs, and the stack of stages each call stands in.

Evidence for an edge ``p -> c``, the strongest wins: explicit (declared parent, named response id, resend), content
(``c`` continues ``p``'s thread, or brings at least 64 tokens or 30 % of ``p``'s answer that its thread did not have),
temporal (the latest-ending model call of the session that led to nothing yet). Only explicit edges may overlap in time.

Choices, where time is all there is:

- A declared parent names where a stage-run came from; on later calls of the run it says nothing new.
- A stage whose own last call led nowhere continues it, rather than a sibling's that ended later.
- Beside content, a call that started after all of it, descends from it and led nowhere comes between: a worker
  whose answer comes back reworded, or a reviewer whose criticism does.
- An answer that a stage's earlier, ended run had already is quoted again, not handed over again, where another stage
  leads here afresh (a validator sends the specialist back with the router's words).
- An answer quoted beside one that had received it came through that one: a supervisor passes a finding on.
- Where every earlier call led somewhere, the latest-ending one leads here too: parallel siblings share a cause.
- A tool or agent call that spans another stage's calls is an agent used as a tool (``containers``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from collectors.answers import Answers
from collectors.retries import Repeat
from collectors.threads import Link
from collectors.timeline import Timeline, takes_part

Method = Literal["explicit", "content", "temporal"]
WEIGHTS: dict[Method, float] = {"explicit": 1.0, "content": 0.8, "temporal": 0.5}

_MAX_DEPTH = 64  # stages remembered above a call
_MAX_LOOKED_AT = 32  # calls looked at for one that came between


@dataclass(frozen=True, slots=True)
class Edge:
    """Call ``source`` led to call ``target``; indexes on the timeline, ``source`` arrived first."""

    source: int
    target: int
    method: Method


@dataclass(frozen=True, slots=True)
class Lineage:
    """``incoming`` edges and ``stacks`` (stages from the session's root to the call's own) of every call; ``runs``: the
    first call of each call's stage-run; ``containers``: agent-as-tool calls with the calls inside them."""

    links: tuple[Link, ...]
    incoming: tuple[tuple[Edge, ...], ...]
    runs: tuple[int, ...]
    stacks: tuple[tuple[str, ...], ...]
    containers: dict[int, tuple[int, ...]]


def lineage(line: Timeline, links: Sequence[Link], repeats: Sequence[Repeat]) -> Lineage:
    """Weave the calls of a session into one graph without cycles."""
    weaver = _Weaver(line, links, repeats)
    for i, ended in line.arrivals():
        for p in ended:
            weaver.end(p)
        weaver.arrive(i)
    return Lineage(
        tuple(links),
        tuple(weaver.incoming),
        tuple(weaver.runs),
        tuple(weaver.stacks),
        {t: tuple(inner) for t, inner in weaver.containers.items()},
    )


class _Weaver:
    """One sweep over arrivals and ends. Every list is a stack of ended calls, popped lazily: the sweep is linear."""

    def __init__(self, line: Timeline, links: Sequence[Link], repeats: Sequence[Repeat]) -> None:
        self.incoming: list[tuple[Edge, ...]] = []
        self.runs: list[int] = []
        self.stacks: list[tuple[str, ...]] = []
        self.containers: dict[int, list[int]] = defaultdict(list)
        self._line, self._links, self._repeats = line, links, repeats
        self._by_id: dict[str, int] = {}
        self._arrived: dict[str, int] = {}  # stage -> its latest model call
        self._ended: dict[str, int] = {}  # stage -> its latest-ended model call
        self._last = -1  # the latest-ended model call of all
        self._has_led: set[int] = set()  # model calls with an outgoing edge
        self._idle: list[int] = []  # ended model calls in the order of their ends, those that led nowhere on top
        self._own_idle: dict[str, list[int]] = defaultdict(list)  # the same by stage
        self._below: dict[str, list[int]] = defaultdict(list)  # stage -> ended calls of stages it led to
        self._tools: dict[str, list[int]] = defaultdict(list)  # stage -> ended tool calls that nobody read yet
        self._open: list[int] = []  # tool and agent calls that may still be running
        self._answers = Answers(line, links)
        self._delivered: dict[tuple[int, str], int] = {}  # (call, stage) -> the first call of the stage it led to
        self._declared: dict[tuple[int, str], int] = {}  # (parent, stage) -> the call that named it

    def end(self, p: int) -> None:
        """Call ``p`` has ended: it can lead to others."""
        call = self._line.calls[p]
        if not takes_part(call):
            return
        if call.kind != "model":
            self._tools[call.stage].append(p)
            return
        self._last = self._ended[call.stage] = p
        self._idle.append(p)
        self._own_idle[call.stage].append(p)
        for stage in self.stacks[p][:-1]:
            self._below[stage].append(p)
        self._answers.keep(p)

    def arrive(self, i: int) -> None:
        """Find what led to call ``i``."""
        call = self._line.calls[i]
        if not takes_part(call):
            edges: dict[int, Method] = {}
        elif call.kind == "model":
            edges = self._to_model(i)
        else:
            edges = self._to_tool(i)
            self._open.append(i)
        self.incoming.append(tuple(Edge(source, i, method) for source, method in edges.items()))
        self.runs.append(self._run(i))
        self.stacks.append(self._stack(i, edges))
        self._by_id[call.call_id] = i
        if call.kind == "model" and takes_part(call):
            self._has_led.update(edges)
            self._arrived[call.stage] = i

    def _to_tool(self, i: int) -> dict[int, Method]:
        """Who asked for a tool. This does not use the asking call up: it still leads to a model call."""
        call = self._line.calls[i]
        declared = self._by_id.get(call.parent, -1) if call.parent else -1
        if declared >= 0:
            return {declared: "explicit"}
        source = self._ended.get(call.stage, self._last)
        return {source: "temporal"} if source >= 0 else {}

    def _to_model(self, i: int) -> dict[int, Method]:
        edges = self._explicit(i)
        for source in self._by_content(i):
            edges.setdefault(source, "content")
        read = self._tools.pop(self._line.calls[i].stage, [])
        self._enter(i, edges)
        between = self._between(i, edges) if edges else self._by_time(i)
        for source in [*between, *self._inside(read), *read, *self._tools_of_sources([*edges, *between])]:
            edges.setdefault(source, "temporal")
        return self._without_stale(i, self._without_relayed(i, edges))

    def _without_relayed(self, i: int, edges: dict[int, Method]) -> dict[int, Method]:
        """Leave out another stage's answer that another cause had received: it came through that one."""
        calls, own = self._line.calls, self._line.calls[i].stage
        relayed = {e.source for p in edges for e in self.incoming[p] if calls[e.source].stage != own}
        return {p: method for p, method in edges.items() if method != "content" or p not in relayed}

    def _without_stale(self, i: int, edges: dict[int, Method]) -> dict[int, Method]:
        """Leave out answers that an ended run of this stage had already, where another stage leads here afresh."""
        calls, own = self._line.calls, self._line.calls[i].stage
        stale = set()
        for p, method in edges.items():
            before = self._delivered.setdefault((p, own), i)
            is_known = before != i and self._line.ends[before] <= self._line.starts[i]
            if is_known and method == "content":
                stale.add(p)
        has_fresh = any(calls[p].kind == "model" and calls[p].stage != own for p in edges.keys() - stale)
        return {p: method for p, method in edges.items() if p not in stale or not has_fresh}

    def _explicit(self, i: int) -> dict[int, Method]:
        call = self._line.calls[i]
        edges: dict[int, Method] = {}
        resent = self._by_id.get(self._repeats[i].of, -1) if self._repeats[i].kind == "retry" else -1
        named = self._links[i].parent if call.previous_id else -1
        if named >= 0 and self._line.calls[named].response_id != call.previous_id:
            named = -1
        for source in (resent, named, self._declared_parent(i)):
            if source >= 0 and takes_part(self._line.calls[source]):
                edges[source] = "explicit"
        return edges

    def _declared_parent(self, i: int) -> int:
        call = self._line.calls[i]
        if not call.parent or self._continues_stage(i):
            return -1
        parent = self._by_id.get(call.parent, -1)
        if parent < 0 and call.parent != call.stage:
            parent = self._ended.get(call.parent, self._arrived.get(call.parent, -1))
        if parent < 0:
            return -1
        first = self._declared.setdefault((parent, call.stage), i)
        if first != i and not call.blocks and self._line.ends[first] <= self._line.starts[i]:
            return -1  # a header that every call of the run carries; the content does not tell
        if self._line.calls[parent].kind != "model" and self.incoming[parent]:
            return self.incoming[parent][0].source  # named the tool call it runs in: its caller is the cause
        return parent

    def _by_content(self, i: int) -> list[int]:
        """The thread's parent, and the calls whose answers are new to the thread here."""
        parent = self._links[i].parent
        return ([parent] if parent >= 0 else []) + self._answers.brought(i)

    def _between(self, i: int, edges: dict[int, Method]) -> list[int]:
        """Calls that led nowhere, started after all known causes, and descend from them."""
        own, parent = self._line.calls[i].stage, self._links[i].parent
        found = []
        if self._continues_stage(i):
            below = (p for p in self._below.pop(own, []) if p not in self._has_led)
            found = [p for p in below if self._line.starts[p] >= self._line.ends[parent]]
        if "explicit" in edges.values():
            return found  # who is named needs no guess
        since = max(self._line.ends[p] for p in edges)
        self._top(self._idle)
        recent = islice(reversed(self._idle), _MAX_LOOKED_AT)
        idle = (p for p in recent if p not in self._has_led and p not in edges)
        latest = next((p for p in idle if self._line.starts[p] >= since), -1)
        return [*found, latest] if latest >= 0 and latest not in found and self._descends(latest, edges) else found

    def _descends(self, p: int, causes: Collection[int]) -> bool:
        """Whether one of ``causes`` led to call ``p``, in a few steps."""
        ahead = [p]
        for _ in range(_MAX_LOOKED_AT):
            if not ahead:
                return False
            sources = [edge.source for edge in self.incoming[ahead.pop()]]
            if any(source in causes for source in sources):
                return True
            ahead.extend(sources)
        return False

    def _by_time(self, i: int) -> list[int]:
        if (own := self._top(self._own_idle[self._line.calls[i].stage])) >= 0:
            return [own]
        container = self._container(i)
        if container >= 0 and self.incoming[container]:
            self.containers[container].append(i)
            return [self.incoming[container][0].source]
        latest = self._top(self._idle)
        latest = latest if latest >= 0 else self._last
        return [latest] if latest >= 0 else []

    def _enter(self, i: int, edges: dict[int, Method]) -> None:
        """Note that a call runs inside an agent used as a tool, when the agent's caller is among its causes."""
        container = self._container(i) if edges and not self._continues_stage(i) else -1
        if container >= 0 and any(edge.source in edges for edge in self.incoming[container]):
            self.containers[container].append(i)

    def _top(self, stack: list[int]) -> int:
        while stack and stack[-1] in self._has_led:
            stack.pop()
        return stack[-1] if stack else -1

    def _container(self, i: int) -> int:
        """The innermost open tool or agent call of another stage that spans call ``i``, or -1."""
        line = self._line
        self._open = [t for t in self._open if line.ends[t] > line.starts[i]]
        spanning = (
            t
            for t in reversed(self._open)
            if line.ends[t] >= line.ends[i] and line.calls[t].stage != line.calls[i].stage
        )
        return next(spanning, -1)

    def _inside(self, read: Sequence[int]) -> list[int]:
        """What the agents used as tools ended with."""
        return [p for t in read for p in self.containers.get(t, ()) if p not in self._has_led]

    def _tools_of_sources(self, sources: Sequence[int]) -> list[int]:
        """The last tool that a handing stage called in between."""
        found = []
        for source in sources:
            tools = self._tools.get(self._line.calls[source].stage)  # those of its own are read by now
            if tools and self._line.starts[tools[-1]] >= self._line.ends[source]:
                found.append(tools[-1])
        return found

    def _continues_stage(self, i: int) -> bool:
        parent = self._links[i].parent
        return parent >= 0 and self._line.calls[parent].stage == self._line.calls[i].stage

    def _run(self, i: int) -> int:
        """A stage-run: calls of one stage on one thread, or, content unknown, one after the other."""
        call = self._line.calls[i]
        if self._continues_stage(i):
            return self.runs[self._links[i].parent]
        own = [e.source for e in self.incoming[i] if self._line.calls[e.source].stage == call.stage]
        models = [p for p in own if self._line.calls[p].kind == "model"]
        return self.runs[models[-1]] if models and not call.blocks else i

    def _stack(self, i: int, edges: dict[int, Method]) -> tuple[str, ...]:
        stage = self._line.calls[i].stage
        if self._continues_stage(i):
            return self.stacks[self._links[i].parent]
        if not edges:
            return (stage,)
        above = self.stacks[max(edges, key=lambda p: (self._line.ends[p], p))]
        if stage in above:
            return above[: above.index(stage) + 1]
        return (*above[1 - _MAX_DEPTH :], stage)
