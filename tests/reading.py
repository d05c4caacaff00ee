"""Runs one exchange through a dialect, the way the exchange does, with the answer cut wherever a test likes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

import orjson

from proxy.dialects import Described, Dialect, Observation, RequestHead, load

DIALECTS = load()
JSON, SSE = "application/json", "text/event-stream; charset=utf-8"


def head(api: str, path: str, method: str = "POST", headers: Mapping[str, str] | None = None) -> RequestHead:
    return RequestHead(api, method, path, "", headers or {})


def cut(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    """The data in pieces; an empty one now and then, as a socket may give it."""
    edges = [0, *sorted(min(at, len(data)) for at in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def each_byte(data: bytes) -> list[bytes]:
    return cut(data, range(1, len(data)))


def observe(
    dialect: Dialect, described: Described, chunks: Iterable[bytes], kind: str = SSE, status: int = 200
) -> Observation:
    meter = dialect.meter(described, status, kind)
    for chunk in chunks:
        meter.feed(chunk)
    return meter.finish()


def events(*values: Any, done: bool = True) -> bytes:
    """A stream as OpenAI writes it."""
    lines = [b"data: " + orjson.dumps(value) + b"\n\n" for value in values]
    return b"".join(lines) + (b"data: [DONE]\n\n" if done else b"")


def named_events(*values: Any) -> bytes:
    """A stream as Anthropic writes it: each event named by its type."""
    return b"".join(b"event: %s\ndata: %s\n\n" % (value["type"].encode(), orjson.dumps(value)) for value in values)
