"""Embeddings in OpenAI's shape: hand-written exchanges."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from collectors.records import Usage
from proxy.dialects import Observation
from proxy.dialects.embeddings import DIALECT
from tests.reading import JSON, cut, head, observe

VECTOR = {"object": "embedding", "index": 0, "embedding": [0.5] * 1536}


def asked(path: str = "/v1/embeddings", **body: Any) -> Any:
    return DIALECT.describe(head("openai", path), orjson.dumps({"model": "e", **body}), False)


def answered(value: Any, status: int = 200) -> Observation:
    return observe(DIALECT, asked(), [orjson.dumps(value)], JSON, status)


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": 8, "total_tokens": 8},
        {"prompt_tokens": 8, "completion_tokens": 0, "total_tokens": 8},
        {"total_tokens": 8},
    ],
    ids=["OpenAI", "Mistral", "Voyage"],
)
def test_usage_is_found_in_short_and_long_answers(usage: dict[str, int]) -> None:
    for vectors in (1, 200):
        value = {"object": "list", "model": "e-1", "data": [VECTOR] * vectors, "usage": usage}
        seen = answered(value)
        assert seen.usage == Usage(input_tokens=8, output_tokens=0, source="reported")
        assert (seen.model, seen.is_complete) == ("e-1", True)
    assert len(orjson.dumps(value)) > 512 * 1024


def test_cuts_do_not_matter_where_only_the_ends_are_kept() -> None:
    body = orjson.dumps({"model": "e-1", "data": [VECTOR] * 200, "usage": {"total_tokens": 8}})
    whole = observe(DIALECT, asked(), [body], JSON)
    for step in (7_919, 100_003, 300_007):
        assert observe(DIALECT, asked(), cut(body, range(0, len(body), step)), JSON) == whole
    assert not observe(DIALECT, asked(), [body[:-3]], JSON).is_complete


@pytest.mark.parametrize("tokens", [-1, True, "3", 1.5, 10**12, None])
def test_impossible_figures_are_unknown(tokens: Any) -> None:
    assert answered({"data": [], "usage": {"prompt_tokens": tokens}}).usage is None


@pytest.mark.parametrize(
    ("body", "texts"),
    [
        ({"input": "one"}, ("one",)),
        ({"input": ["one", "two"]}, ("one", "two")),
        ({"input": [1, 2, 3]}, ()),
        ({"input": [[1, 2], [3]]}, ()),
        ({"inputs": [["chunk", "chunk 2"]]}, ("chunk", "chunk 2")),
        (
            {"inputs": [{"content": [{"type": "text", "text": "one"}, {"type": "image_url", "image_url": "u"}]}]},
            ("one",),
        ),
        ({"query": "q", "documents": ["d"]}, ("q", "d")),
    ],
)
def test_what_is_embedded_is_the_prompt(body: dict[str, Any], texts: tuple[str, ...]) -> None:
    prompt = DIALECT.prompt(asked(**body))
    assert prompt.texts == texts
    assert prompt.blocks


def test_requests_are_described_by_their_path() -> None:
    assert (asked().kind, asked().operation, asked().model) == ("model", "embeddings", "e")
    assert asked("/v1/rerank").operation == "rerank"


def test_errors_are_seen() -> None:
    assert answered({"error": {"code": "model_not_found", "message": "no"}}, 404).error == "model_not_found"
