"""A tool behind plain HTTP: whatever is sent is the call, whatever comes back is its result.

The tool's name is its upstream's, which the exchange fills in. The result is one block, digested as it passes.
"""

from __future__ import annotations

import codecs

from proxy.dialects import Described, Dialect, Fault, Meter, Observation, Prompt, RequestHead, StreamFilter
from proxy.dialects.content import Allowance, Content, RunningText
from proxy.dialects.fields import hash_object, parse_object
from proxy.dialects.problem import CONTENT_TYPE, problem


class _Result:
    """Digests the body as text, so that it is recognised where an agent pastes it into a prompt. Bytes that are no
    UTF-8 are replaced: a picture still gets a digest, if not one of its bytes."""

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._text = RunningText(Allowance(0))  # a result has no tokens of its own: nothing is kept to be counted

    def feed(self, chunk: bytes) -> None:
        self._text.add(self._decode(chunk))

    def finish(self) -> Observation:
        self._text.add(self._decode(b"", True))
        result, _ = self._text.finish("tool_result")
        return Observation(outputs=(result,) if result.size else ())


class HttpTool:
    """Any method, any path of an upstream whose kind is ``tool``."""

    name = "http_tool"

    def claims(self, api: str, method: str, path: str) -> bool:
        return api == "tool"

    def describe(self, head: RequestHead, body: bytes | None, ask_usage: bool) -> Described:
        """A body that is no JSON object is a call all the same: its arguments are then unknown."""
        try:
            parsed = parse_object(body) if body else None
            digest = hash_object(parsed, is_tool=True) if parsed is not None else ""
        except ValueError:
            parsed, digest = None, ""
        return Described("tool", operation=head.method, body_hash=digest, parsed=parsed)

    def prompt(self, described: Described) -> Prompt:
        content = Content()
        if described.parsed is not None:
            content.add_arguments(described.parsed)
        return content.prompt()

    def meter(self, described: Described, status: int, content_type: str) -> Meter:
        return _Result()

    def stream_filter(self, described: Described) -> StreamFilter | None:
        return None

    def error_body(self, fault: Fault, described: Described | None) -> tuple[str, bytes]:
        return CONTENT_TYPE, problem(fault)


DIALECT: Dialect = HttpTool()
