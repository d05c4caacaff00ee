"""What no format claims."""

from __future__ import annotations

import pytest

from collectors.records import Kind
from proxy.dialects import Observation
from proxy.dialects.opaque import DIALECT
from tests.reading import JSON, head, observe


@pytest.mark.parametrize(
    ("method", "body", "kind", "model", "streamed"),
    [
        ("POST", b'{"model": "m", "stream": true}', "model", "m", True),
        ("POST", b'{"model": "m", "stream": "true"}', "model", "m", False),
        ("POST", b'{"model": 7}', "other", None, False),
        ("POST", b'{"stream": true}', "other", None, True),
        ("PUT", b'{"model": "m"}', "other", None, False),
        ("GET", b"", "other", None, False),
        ("POST", b"--boundary", "other", None, False),
        ("POST", None, "other", None, False),
    ],
)
def test_a_model_in_a_posted_object_makes_a_model_call(
    method: str, body: bytes | None, kind: Kind, model: str | None, streamed: bool
) -> None:
    seen = DIALECT.describe(head("gemini", "/v1/x", method), body, True)
    assert (seen.kind, seen.model, seen.streamed, seen.rewritten) == (kind, model, streamed, None)


def test_usage_is_not_guessed() -> None:
    described = DIALECT.describe(head("gemini", "/v1/x"), b'{"model": "m"}', True)
    assert observe(DIALECT, described, [b'{"usage": {"prompt_tokens": 7}}'], JSON) == Observation()
