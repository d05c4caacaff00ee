"""The Model Context Protocol: hand-written exchanges of both revisions."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from collectors.fingerprint import json_block, text_block
from proxy.dialects import Described, Fault, Observation
from proxy.dialects.mcp import DIALECT
from tests.reading import JSON, SSE, each_byte, events, head, observe

HEAD = head("mcp", "/mcp")
ARGUMENTS = {"query": "cats", "limit": 3}
FAULT = Fault(503, "upstream_unreachable", "docs cannot be reached: is its server running?")


def request(method: str, number: Any = 1, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


CALL = request("tools/call", name="search", arguments=ARGUMENTS)


def described(message: Any) -> Described:
    return DIALECT.describe(HEAD, orjson.dumps(message), False)


def answered(message: Any, answer: Any, status: int = 200) -> Observation:
    return observe(DIALECT, described(message), [orjson.dumps(answer)], JSON, status)


def response(number: Any = 1, **result: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "result": result}


def texts(*parts: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": part} for part in parts]


def test_a_tool_call_names_its_tool_and_arguments() -> None:
    seen = described(CALL)
    assert (seen.kind, seen.operation, seen.tool) == ("tool", "tools/call", "search")
    assert [block.digest for block in DIALECT.prompt(seen).blocks] == [json_block(ARGUMENTS, "tool_call").digest]


@pytest.mark.parametrize("method", ["initialize", "tools/list", "resources/read", "server/discover", "ping"])
def test_every_other_method_is_protocol(method: str) -> None:
    seen = described(request(method))
    assert (seen.kind, seen.operation, seen.tool, DIALECT.prompt(seen).blocks) == ("other", method, "", ())


def test_a_notification_awaits_no_answer() -> None:
    message = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    assert described(message).operation == "notifications/initialized"
    assert observe(DIALECT, described(message), [], JSON, 202).is_complete


def test_a_clients_own_response_is_protocol() -> None:
    assert (described(response()).kind, described(response()).operation) == ("other", "response")


@pytest.mark.parametrize(("method", "operation"), [("GET", "listen"), ("DELETE", "close"), ("OPTIONS", "options")])
def test_what_is_no_post_is_protocol(method: str, operation: str) -> None:
    seen = DIALECT.describe(head("mcp", "/mcp", method), b"", False)
    assert (seen.kind, seen.operation) == ("other", operation)
    assert observe(DIALECT, seen, [events(response(), done=False)], SSE) == Observation()


@pytest.mark.parametrize("body", [b"", b"{", b"7", b'"x"'])
def test_a_body_that_is_no_message_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"JSON|empty|unexpected|line"):
        DIALECT.describe(HEAD, body, False)


def test_a_body_too_large_to_read_is_known_by_its_headers() -> None:
    headers = {"Mcp-Method": "tools/call", "Mcp-Name": "=?base64?5pCc57Si?="}
    seen = DIALECT.describe(head("mcp", "/mcp", headers=headers), None, False)
    assert (seen.kind, seen.operation, seen.tool) == ("tool", "tools/call", "搜索")
    plain = DIALECT.describe(head("mcp", "/mcp", headers={**headers, "Mcp-Name": "search"}), None, False)
    assert plain.tool == "search"
    wrong = DIALECT.describe(head("mcp", "/mcp", headers={**headers, "Mcp-Name": "=?base64?%?="}), None, False)
    assert wrong.tool == ""
    assert DIALECT.describe(HEAD, None, False) == Described("other")


def test_a_call_sent_again_has_the_same_hash() -> None:
    again = {**CALL, "id": 2, "params": {**CALL["params"], "_meta": {"traceparent": "00-1", "progressToken": 7}}}
    other = request("tools/call", name="search", arguments={**ARGUMENTS, "limit": 4})
    assert described(CALL).body_hash == described(again).body_hash != described(other).body_hash


def test_a_result_is_its_content() -> None:
    image = {"type": "image", "data": "AAAA", "mimeType": "image/png"}
    resource = {"type": "resource", "resource": {"uri": "file:///a", "text": "inside"}}
    link = {"type": "resource_link", "uri": "file:///b"}
    content = [*texts("One cat.", " "), image, resource, link]
    seen = answered(CALL, response(content=content, structuredContent={"n": 1}, isError=False))
    assert seen.outputs == (
        text_block("One cat.", "tool_result"),
        json_block("AAAA", "media"),
        text_block("inside", "tool_result"),
        json_block(link, "tool_result"),
    )
    assert (seen.error, seen.is_complete, seen.usage) == ("", True, None)


def test_a_result_without_content_is_its_structure() -> None:
    seen = answered(CALL, response(structuredContent={"b": 1, "a": 2}))
    assert [block.digest for block in seen.outputs] == [json_block({"a": 2, "b": 1}, "tool_result").digest]


def test_a_failed_tool_and_a_failed_request_differ() -> None:
    assert answered(CALL, response(content=texts("no such file"), isError=True)).error == "tool_error"
    refused = {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "unknown tool"}}
    assert answered(CALL, refused).error == "jsonrpc_-32602"
    assert answered(CALL, {**refused, "id": None}, 400).error == "jsonrpc_-32602"


def test_a_server_that_wants_input_first_says_so() -> None:
    assert answered(CALL, response(resultType="input_required")).finish_reason == "input_required"


def test_a_stream_is_read_up_to_its_response() -> None:
    progress = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progress": 1}}
    question = {"jsonrpc": "2.0", "id": 1, "method": "sampling/createMessage", "params": {}}
    stream = b"event: message\n" + events(progress, question, response(content=texts("猫")), done=False)
    seen = observe(DIALECT, described(CALL), each_byte(stream), SSE)
    assert (seen.outputs, seen.is_complete) == ((text_block("猫", "tool_result"),), True)
    cut = observe(DIALECT, described(CALL), [events(progress, question, done=False)], SSE)
    assert (cut.outputs, cut.is_complete) == ((), False)


def test_a_response_to_another_request_is_not_this_ones() -> None:
    seen = answered(CALL, response(2, content=texts("other")))
    assert (seen.outputs, seen.is_complete) == ((), False)


def test_a_batch_is_a_tool_call_if_one_of_it_is() -> None:
    second = request("tools/call", "b", name="fetch", arguments={})
    batch = [request("tools/list", 5), CALL, second, {"jsonrpc": "2.0", "method": "notifications/x"}]
    seen = described(batch)
    assert (seen.kind, seen.operation, seen.tool) == ("tool", "batch", "search")
    assert [block.kind for block in DIALECT.prompt(seen).blocks] == ["tool_call", "tool_call"]
    answers = [response("b", content=texts("two")), response(5, tools=[]), response(1, content=texts("one"))]
    observed = answered(batch, answers)
    assert observed.outputs == (text_block("two", "tool_result"), text_block("one", "tool_result"))
    assert observed.is_complete
    assert not answered(batch, answers[:2]).is_complete
    assert described([request("ping", 1)]).kind == "other"


@pytest.mark.parametrize(
    ("sent", "number"), [(CALL, 1), ({**CALL, "id": 0}, 0), ({**CALL, "id": "x"}, "x"), ([CALL], None)]
)
def test_an_error_of_ours_carries_the_requests_id(sent: Any, number: Any) -> None:
    kind, body = DIALECT.error_body(FAULT, described(sent))
    told = orjson.loads(body)
    assert (kind, told["jsonrpc"], told["id"]) == ("application/json", "2.0", number)
    assert told["error"]["message"] == FAULT.message
    assert told["error"]["data"] == {"code": "upstream_unreachable", "status": 503}


def test_a_stream_that_is_listened_to_says_so() -> None:
    get = DIALECT.describe(head("mcp", "/mcp", "GET"), b"", False)
    assert (get.operation, get.is_listening, get.streamed) == ("listen", True, True)
    again = DIALECT.describe(head("mcp", "/mcp", "GET", {"Last-Event-ID": "3"}), b"", False)
    assert (again.operation, again.kind, again.is_listening) == ("resume", "other", True)
    post = described(request("subscriptions/listen", notifications={"toolsListChanged": True}))
    assert (post.operation, post.kind, post.is_listening) == ("subscriptions/listen", "other", True)
    assert not described(CALL).is_listening


def test_a_replayed_response_is_not_booked_again() -> None:
    again = DIALECT.describe(head("mcp", "/mcp", "GET", {"Last-Event-ID": "3"}), b"", False)
    replay = b"id: 4\n" + events(response(content=texts("One cat."), isError=True), done=False)
    assert observe(DIALECT, again, [replay], SSE) == Observation()


def test_a_stream_has_ended_with_its_response_however_the_agent_leaves() -> None:
    primed = b"id: 1\nretry: 500\ndata:\n\n" + events({"jsonrpc": "2.0", "method": "notifications/message"}, done=False)
    seen = observe(DIALECT, described(CALL), [primed], SSE)
    assert (seen.has_ended, seen.is_complete) == (False, False)
    seen = observe(DIALECT, described(CALL), [primed, events(response(content=[]), done=False)], SSE)
    assert (seen.has_ended, seen.is_complete) == (True, True)


def test_a_call_that_is_asked_back_comes_again_as_another_and_is_due_once() -> None:
    asks = response(resultType="input_required", inputRequests={"q": {}}, requestState="sealed")
    assert answered(CALL, asks).is_interim
    again = request("tools/call", 2, **CALL["params"], inputResponses={"q": {}}, requestState="sealed")
    assert described(again).body_hash != described(CALL).body_hash
    assert not answered(again, response(2, resultType="complete", content=texts("done"))).is_interim
    both = [CALL, request("tools/call", 2, name="fetch")]
    assert not answered(both, [response(2, content=[]), asks]).is_interim


@pytest.mark.parametrize(
    ("method", "result"),
    [
        ("resources/read", {"contents": [{"uri": "x", "text": "long"}]}),
        ("prompts/get", {"messages": [{"role": "user", "content": {"type": "text", "text": "long"}}]}),
        ("completion/complete", {"completion": {"values": ["a", "b"]}}),
        ("resources/subscribe", {}),
    ],
)
def test_what_is_no_call_has_no_content(method: str, result: dict[str, Any]) -> None:
    seen = answered(request(method, uri="x"), response(**result))
    assert (seen.outputs, seen.error, seen.is_complete) == ((), "", True)
