"""Prometheus exposition: counters of what passed through this collector, gauges of how the fleet is.

Labels are bounded: outcome, kind, upstream, direction, tax line, state. No session, stage, model or caller is ever a
label; those are questions for the store. Counts start at zero with the process, as Prometheus expects.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from collectors.figures import LINES, SessionAnalysis
from collectors.fleet import FleetStatus
from collectors.records import CallRecord

MOST_UPSTREAMS = 100
"""Upstreams come from configuration, so they are few; whatever is beyond this many is counted as ``other``."""
MOST_SESSIONS = 20_000
"""Sessions whose tax may still be revised; older ones keep the figures they had."""

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_OVERHEAD = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25)


class Metrics:
    """One registry of its own. Not thread-safe: call it from the collector's loop."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        call = ("kind", "upstream")
        self._calls = self._counter("calls", "Finished calls", (*call, "outcome"))
        self._tokens = self._counter("tokens", "Tokens, input includes cached, output reasoning", (*call, "direction"))
        self._cost = self._counter("cost_usd", "Cost of priced calls in USD", call)
        self._unpriced = self._counter("unpriced_calls", "Calls whose tokens have no known price", ("upstream",))
        self._retries = self._counter("retries", "Attempts beyond the first, by orchtax or by the agent", call)
        self._duration = self._histogram("call_duration_seconds", "Arrival to last upstream byte", call, _SECONDS)
        self._overhead = self._histogram("proxy_overhead_seconds", "What orchtax itself added", (), _OVERHEAD)
        self._tax_tokens = self._gauge("tax_tokens", "Tokens by receipt line, sessions since start", ("line",))
        self._tax_usd = self._gauge("tax_usd", "Cost by receipt line in USD, sessions since start", ("line",))
        self._workers = self._gauge("workers", "Worker processes", ("state",))
        self._store_up = self._gauge("store_state", "1 for the state the store is in", ("state",))
        self._spool = self._gauge("spool_bytes", "Records on disk that are not in the store yet", ())
        self._segments = self._gauge("spool_segments", "Segments that are not in the store yet", ())
        self._quarantined = self._gauge("spool_quarantined_segments", "Segments set aside as unreadable", ())
        self._dropped = self._gauge("dropped_records", "Calls served but not recorded", ())
        self._connections = self._gauge("connections", "Open connections of agents", ())
        self._refused = self._gauge("refused_calls", "Refused by orchtax itself, since the workers' start", ("code",))
        self._failures = self._gauge(
            "measuring_failures", "Steps of measuring that failed while the call went on", ("step",)
        )
        self._upstreams: set[str] = set()
        self._settled: OrderedDict[str, dict[str, tuple[int, int]]] = OrderedDict()

    def stored(self, records: Iterable[CallRecord], analyses: Iterable[SessionAnalysis]) -> None:
        """The collector's word that these are in the store now."""
        self.observe(records)
        self.settle(analyses)

    def observe(self, records: Iterable[CallRecord]) -> None:
        """Counts finished calls; each record once, when it went into the store."""
        for record in records:
            self._observe(record)

    def settle(self, analyses: Iterable[SessionAnalysis]) -> None:
        """Books each session's receipt lines; a later analysis of the same session replaces its earlier figures, which
        is why these are gauges."""
        for analysis in analyses:
            lines = {line: _line_sums(analysis, line) for line in LINES}
            session = analysis.session.session_id
            before = self._settled.pop(session, {})
            self._settled[session] = lines
            for line, (tokens, nano) in lines.items():
                old_tokens, old_nano = before.get(line, (0, 0))
                self._tax_tokens.labels(line).inc(tokens - old_tokens)
                self._tax_usd.labels(line).inc((nano - old_nano) / 1e9)
            if len(self._settled) > MOST_SESSIONS:
                self._settled.popitem(last=False)

    def exposition(self, status: FleetStatus) -> bytes:
        """The text that Prometheus scrapes, with the fleet as ``status`` has it."""
        self._workers.labels("wanted").set(status.workers.wanted)
        self._workers.labels("ready").set(status.workers.ready)
        for state in ("warming", "ready", "down"):
            self._store_up.labels(state).set(status.store.state == state)
        self._spool.set(status.spool.bytes)
        self._segments.set(status.spool.segments)
        self._quarantined.set(status.spool.quarantined)
        self._dropped.set(status.workers.dropped_records)
        self._connections.set(status.workers.connections)
        for gauge, counts in (
            (self._refused, status.workers.refused),
            (self._failures, status.workers.measuring_failures),
        ):
            for label, count in counts.items():
                gauge.labels(label).set(count)
        return generate_latest(self.registry)

    def _observe(self, record: CallRecord) -> None:
        upstream = self._bounded(record.upstream)
        call = (record.kind, upstream)
        self._calls.labels(*call, record.outcome).inc()
        self._tokens.labels(*call, "input").inc(record.input_tokens or 0)
        self._tokens.labels(*call, "output").inc(record.output_tokens or 0)
        self._duration.labels(*call).observe(record.duration_us / 1e6)
        self._overhead.observe(record.proxy_us / 1e6)
        self._retries.labels(*call).inc(record.attempts - 1 + (record.client_retry > 0))
        if record.cost_nano is not None:
            self._cost.labels(*call).inc(record.cost_nano / 1e9)
        elif record.tokens:
            self._unpriced.labels(upstream).inc()

    def _bounded(self, upstream: str) -> str:
        if upstream not in self._upstreams and len(self._upstreams) >= MOST_UPSTREAMS:
            return "other"
        self._upstreams.add(upstream)
        return upstream

    def _counter(self, name: str, text: str, labels: tuple[str, ...]) -> Counter:
        return Counter(f"orchtax_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, labels: tuple[str, ...]) -> Gauge:
        return Gauge(f"orchtax_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, labels: tuple[str, ...], buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"orchtax_{name}", text, labels, buckets=buckets, registry=self.registry)


def _line_sums(analysis: SessionAnalysis, line: str) -> tuple[int, int]:
    receipts = analysis.receipts
    return sum(getattr(r, f"{line}_tokens") for r in receipts), sum(getattr(r, f"{line}_nano") for r in receipts)
