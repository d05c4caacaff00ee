"""Plain HTTP tools."""

from __future__ import annotations

import orjson

from collectors.fingerprint import json_block, text_block
from proxy.dialects import Fault
from proxy.dialects.http_tool import DIALECT
from tests.reading import each_byte, head, observe

HEAD = head("tool", "/search")


def test_a_json_body_is_the_call() -> None:
    seen = DIALECT.describe(HEAD, b'{"user": "x", "query": "cats"}', True)
    assert (seen.kind, seen.tool, seen.operation, seen.streamed) == ("tool", "", "POST", False)
    (block,) = DIALECT.prompt(seen).blocks
    assert block.digest == json_block({"query": "cats", "user": "x"}, "tool_call").digest
    assert seen.body_hash == f"{block.digest:016x}"


def test_every_argument_counts_in_the_hash() -> None:
    first, second = (DIALECT.describe(HEAD, b'{"user": "%s"}' % user, True).body_hash for user in (b"a", b"b"))
    assert first != second


def test_other_bodies_are_calls_with_unknown_arguments() -> None:
    for method, body in (("GET", b""), ("PUT", b"\x89PNG"), ("POST", b"[1]"), ("POST", None)):
        seen = DIALECT.describe(head("tool", "/x", method), body, True)
        assert (seen.kind, seen.operation, seen.body_hash, seen.parsed) == ("tool", method, "", None)
        assert DIALECT.prompt(seen).blocks == ()


def test_the_result_is_one_block_of_the_body_as_text() -> None:
    text = '\n{"answer": "世界 🌍"}\n'
    seen = observe(DIALECT, DIALECT.describe(HEAD, b"{}", True), each_byte(text.encode()), "application/json")
    assert seen.outputs == (text_block(text, "tool_result"),)
    assert (seen.usage, seen.is_complete, seen.text) == (None, True, "")


def test_bytes_that_are_no_text_and_no_bytes_at_all() -> None:
    described = DIALECT.describe(HEAD, b"{}", True)
    assert observe(DIALECT, described, [b"\x89PNG\xff"], "image/png").outputs[0].kind == "tool_result"
    assert observe(DIALECT, described, [], "").outputs == ()


def test_errors_are_problem_details() -> None:
    kind, body = DIALECT.error_body(Fault(413, "body_too_large", "at most 10 bytes"), None)
    assert kind == "application/problem+json"
    told = orjson.loads(body)
    assert (told["status"], told["detail"], told["code"]) == (413, "at most 10 bytes", "body_too_large")
