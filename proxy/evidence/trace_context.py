"""W3C baggage and trace context, in headers and in MCP's ``params._meta``.

Baggage names a session; a trace id only joins a call to others of the same trace whose session is known (0.7), for one
trace may hold many sessions' calls and one session many traces. OpenTelemetry's conventions for MCP put both into
``_meta`` (MCP revision 2026-07-28).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from proxy.evidence import Rule, Told, UpstreamKind
from proxy.evidence.wording import baggage, traceparent

STEP = 6
_MCP: tuple[UpstreamKind, ...] = ("mcp", "agent")
_MAX_BATCH = 16


def _meta(key: str, read: Callable[[object], Iterable[Told]]) -> Callable[[object], Iterator[Told]]:
    """A reader of ``_meta``'s ``key`` in the ``params`` of one message."""

    def read_params(value: object) -> Iterator[Told]:
        meta = value.get("_meta") if isinstance(value, dict) else None
        if isinstance(meta, dict) and key in meta:
            yield from read(meta[key])

    return read_params


def _batch(read: Callable[[object], Iterable[Told]]) -> Callable[[object], Iterator[Told]]:
    """The same for the messages of a batch."""

    def read_batch(value: object) -> Iterator[Told]:
        for message in value[:_MAX_BATCH] if isinstance(value, list) else ():
            yield from read(message.get("params") if isinstance(message, dict) else None)

    return read_batch


HEADERS = (
    Rule("baggage", baggage, "baggage", 0.9, "baggage"),
    Rule("traceparent", traceparent, "traceparent", 0.7, "baggage"),
)

BODY = tuple(
    Rule(key, read, family, confidence, "baggage", on=_MCP)
    for family, text, confidence in (("baggage", baggage, 0.9), ("traceparent", traceparent, 0.7))
    for key, read in (("params", _meta(family, text)), ("batch", _batch(_meta(family, text))))
)
