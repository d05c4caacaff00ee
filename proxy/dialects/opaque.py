"""Everything that no other dialect claims: forwarded like any call, recorded with what its envelope tells.

A POST whose JSON body names a ``model`` counts as a model call of that model. Usage is not guessed from an unknown
answer: it stays unknown, and the coverage figure shows it.
"""

from __future__ import annotations

from proxy.dialects import Described, Dialect, Fault, Meter, Observation, Prompt, RequestHead, StreamFilter
from proxy.dialects.fields import hash_object, label, parse_object
from proxy.dialects.problem import CONTENT_TYPE, problem


class _Blind:
    """Watches nothing."""

    def feed(self, chunk: bytes) -> None:
        return

    def finish(self) -> Observation:
        return Observation()


class Opaque:
    """The last resort, so it never refuses: what it cannot read is ``other``."""

    name = "opaque"

    def claims(self, api: str, method: str, path: str) -> bool:
        return True

    def describe(self, head: RequestHead, body: bytes | None, ask_usage: bool) -> Described:
        if head.method != "POST" or not body:
            return Described("other")
        try:
            parsed = parse_object(body)
            digest = hash_object(parsed)
        except ValueError:
            return Described("other")
        model = label(parsed.get("model")) or None
        streamed = parsed.get("stream") is True
        return Described("model" if model else "other", model=model, streamed=streamed, body_hash=digest, parsed=parsed)

    def prompt(self, described: Described) -> Prompt:
        return Prompt()

    def meter(self, described: Described, status: int, content_type: str) -> Meter:
        return _Blind()

    def stream_filter(self, described: Described) -> StreamFilter | None:
        return None

    def error_body(self, fault: Fault, described: Described | None) -> tuple[str, bytes]:
        return CONTENT_TYPE, problem(fault)


DIALECT: Dialect = Opaque()
