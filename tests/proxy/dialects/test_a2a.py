"""The Agent2Agent protocol: hand-written exchanges of both revisions and both bindings."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from collectors.fingerprint import json_block, text_block
from proxy.dialects import Described, Fault, Observation
from proxy.dialects.a2a import DIALECT
from tests.reading import JSON, SSE, each_byte, events, head, observe

FAULT = Fault(503, "upstream_unreachable", "the writer cannot be reached: is it running?")
HEAD = head("agent", "/")


def message(**more: Any) -> dict[str, Any]:
    """A message of revision 1.0."""
    return {"messageId": "m1", "role": "ROLE_USER", "parts": [{"text": "Write a letter."}], **more}


def rpc(method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}


def described(body: Any, path: str = "/", method: str = "POST") -> Described:
    return DIALECT.describe(head("agent", path, method), orjson.dumps(body) if body is not None else b"", False)


SEND = described(rpc("SendMessage", message=message()))
STREAM = described(rpc("SendStreamingMessage", message=message()))


def result(**payload: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 7, "result": payload}


def answered(answer: Any, asked: Described = SEND, status: int = 200) -> Observation:
    return observe(DIALECT, asked, [orjson.dumps(answer)], JSON, status)


def artifact(*parts: dict[str, Any], name: str = "a1") -> dict[str, Any]:
    return {"artifactId": name, "parts": list(parts)}


def task(state: str, **more: Any) -> dict[str, Any]:
    return {"id": "t1", "contextId": "c1", "status": {"state": state}, **more}


@pytest.mark.parametrize(
    ("method", "operation", "kind", "streamed"),
    [
        ("SendMessage", "SendMessage", "agent", False),
        ("message/send", "SendMessage", "agent", False),
        ("SendStreamingMessage", "SendStreamingMessage", "agent", True),
        ("message/stream", "SendStreamingMessage", "agent", True),
        ("GetTask", "GetTask", "other", False),
        ("tasks/get", "GetTask", "other", False),
        ("tasks/cancel", "CancelTask", "other", False),
        ("tasks/resubscribe", "SubscribeToTask", "other", True),
        ("SubscribeToTask", "SubscribeToTask", "other", True),
        ("agent/getAuthenticatedExtendedCard", "GetExtendedAgentCard", "other", False),
        ("tasks/pushNotificationConfig/set", "CreateTaskPushNotificationConfig", "other", False),
        ("x/unheard-of", "x/unheard-of", "other", False),
    ],
)
def test_only_a_message_is_a_call_of_the_agent(method: str, operation: str, kind: str, streamed: bool) -> None:
    seen = described(rpc(method, message=message()))
    assert (seen.operation, seen.kind, seen.streamed) == (operation, kind, streamed)
    assert seen.is_listening == (operation == "SubscribeToTask")


@pytest.mark.parametrize(
    ("verb", "path", "operation", "task_id"),
    [
        ("POST", "/message:send", "SendMessage", ""),
        ("POST", "/v1/message:stream", "SendStreamingMessage", ""),
        ("POST", "/tenant-1/message%3Asend", "SendMessage", ""),
        ("GET", "/tasks/t-1", "GetTask", "t-1"),
        ("GET", "/v1/tasks/t-1", "GetTask", "t-1"),
        ("GET", "/tasks", "ListTasks", ""),
        ("POST", "/tasks/t-1:cancel", "CancelTask", "t-1"),
        ("POST", "/tasks/t-1:subscribe", "SubscribeToTask", "t-1"),
        ("GET", "/tasks/t-1:subscribe", "SubscribeToTask", "t-1"),
        ("POST", "/tasks/t-1/pushNotificationConfigs", "CreateTaskPushNotificationConfig", "t-1"),
        ("DELETE", "/tasks/t-1/pushNotificationConfigs/p", "DeleteTaskPushNotificationConfig", "t-1"),
        ("GET", "/extendedAgentCard", "GetExtendedAgentCard", ""),
        ("GET", "/v1/card", "GetExtendedAgentCard", ""),
        ("GET", "/.well-known/agent-card.json", "GetAgentCard", ""),
        ("GET", "/deep/.well-known/agent.json", "GetAgentCard", ""),
        ("GET", "/somewhere/else", "", ""),
    ],
)
def test_http_json_names_its_operation_in_the_path(verb: str, path: str, operation: str, task_id: str) -> None:
    body = {"message": message()} if "message" in path else None
    seen = described(body, path, verb)
    assert (seen.operation, seen.previous_id) == (operation, task_id)
    assert (seen.kind == "agent") == ("message" in path)


@pytest.mark.parametrize(
    ("params", "previous"),
    [
        ({"message": message(taskId="t9", referenceTaskIds=["t1"])}, "t9"),
        ({"message": message(referenceTaskIds=[3, "t1", "t2"])}, "t1"),
        ({"message": message()}, ""),
        ({"id": "t5"}, "t5"),
        ({"taskId": "t6", "id": "p1"}, "t6"),
    ],
)
def test_a_request_names_the_task_that_it_continues(params: Any, previous: str) -> None:
    assert described(rpc("SendMessage", **params)).previous_id == previous


def test_a_prompt_is_the_parts_in_either_spelling() -> None:
    data = {"b": 1, "a": [2]}
    new = [{"text": "Hello"}, {"data": data}, {"raw": "AAAA", "mediaType": "image/png"}, {"url": "http://x/y"}, {}, 3]
    old: list[dict[str, Any]] = [
        {"kind": "text", "text": "Hello"},
        {"kind": "data", "data": data},
        {"kind": "file", "file": {"bytes": "AAAA", "mimeType": "image/png"}},
    ]
    rest_of_03 = [{"text": "Hello"}, {"data": {"data": data}}]
    text, structure = text_block("Hello", "user"), json_block(data, "user")
    blocks = DIALECT.prompt(described(rpc("SendMessage", message=message(parts=new)))).blocks
    assert blocks == (text, structure, json_block("AAAA", "media"), json_block("http://x/y", "media"))
    asked = described(rpc("message/send", message={"role": "user", "parts": old}))
    assert DIALECT.prompt(asked).blocks == (text, structure, json_block(old[2]["file"], "media"))
    asked = described({"message": {"role": "ROLE_USER", "content": rest_of_03}}, "/v1/message:send")
    assert DIALECT.prompt(asked).blocks == (text, structure)
    said = described(rpc("message/send", message={"role": "agent", "parts": old[:1]}))
    assert DIALECT.prompt(said).blocks == (text_block("Hello", "assistant"),)
    assert DIALECT.prompt(described(rpc("tasks/get", id="t"))).blocks == ()


def test_the_field_names_of_protobuf_are_understood() -> None:
    snake = {"message_id": "m1", "task_id": "t1", "context_id": "c1", "role": "ROLE_USER", "content": [{"text": "Hi"}]}
    seen = described({"request": snake, "configuration": {}}, "/v1/message:send")
    camel = {"messageId": "m1", "taskId": "t1", "contextId": "c1", "role": "ROLE_USER", "content": [{"text": "Hi"}]}
    assert seen == described({"message": camel, "configuration": {}}, "/v1/message:send")
    assert (seen.previous_id, DIALECT.prompt(seen).blocks) == ("t1", (text_block("Hi", "user"),))


def test_a_message_sent_again_has_the_same_hash() -> None:
    again = {**rpc("SendMessage", message=message(messageId="m2")), "id": "other"}
    further = rpc("SendMessage", message=message(taskId="t1"))
    assert SEND.body_hash == described(again).body_hash != described(further).body_hash
    assert described(rpc("message/send", message=message())).body_hash == SEND.body_hash


def test_an_agent_of_another_protocol_is_an_agent() -> None:
    seen = described({"task": "write"}, "/run")
    assert (seen.kind, seen.operation, DIALECT.prompt(seen).blocks) == ("agent", "POST", ())
    assert DIALECT.describe(head("agent", "/run"), None, False).kind == "agent"
    assert DIALECT.describe(head("agent", "/x", "GET"), b"", False).kind == "other"
    assert DIALECT.describe(head("agent", "/tasks/t/pushNotificationConfigs"), None, False).kind == "other"


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', orjson.dumps([rpc("SendMessage")])])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"JSON|object|unexpected|line|end"):
        DIALECT.describe(HEAD, body, False)


def test_a_task_is_its_artifacts_and_its_last_word() -> None:
    done = task(
        "TASK_STATE_COMPLETED",
        artifacts=[artifact({"text": "Dear "}, {"text": "Ann"}), artifact({"data": {"n": 1}}, name="a2")],
        history=[message(), message(role="ROLE_AGENT", parts=[{"text": "earlier"}])],
    )
    done["status"]["message"] = message(messageId="m2", role="ROLE_AGENT", parts=[{"text": "Done."}])
    seen = answered(result(task=done))
    assert seen.outputs == (
        text_block("Dear Ann", "assistant"),
        json_block({"n": 1}, "assistant"),
        text_block("Done.", "assistant"),
    )
    assert (seen.response_id, seen.ids, seen.finish_reason, seen.error) == ("t1", ("c1",), "completed", "")
    assert answered({"task": done}, described({"message": message()}, "/message:send")) == seen
    old = {**done, "kind": "task", "status": {**done["status"], "state": "completed"}}
    assert answered(result(**old)) == seen


def test_a_message_is_an_answer_too() -> None:
    reply = message(messageId="m2", role="ROLE_AGENT", contextId="c1", parts=[{"text": "Hi."}])
    seen = answered(result(message=reply))
    assert (seen.outputs, seen.response_id, seen.ids) == ((text_block("Hi.", "assistant"),), "m2", ("c1",))
    assert answered(result(**reply, kind="message")) == seen
    assert answered(result(message={**reply, "taskId": "t4"})).response_id == "t4"


@pytest.mark.parametrize(
    ("state", "finish", "error"),
    [
        ("TASK_STATE_FAILED", "failed", "task_failed"),
        ("failed", "failed", "task_failed"),
        ("rejected", "rejected", "task_rejected"),
        ("TASK_STATE_CANCELLED", "canceled", ""),
        ("TASK_STATE_INPUT_REQUIRED", "input-required", ""),
        ("submitted", "submitted", ""),
    ],
)
def test_a_task_that_failed_is_an_error_of_the_call_that_gave_it(state: str, finish: str, error: str) -> None:
    seen = answered(result(task=task(state)))
    assert (seen.finish_reason, seen.error) == (finish, error)
    read = answered(result(**task(state)), described(rpc("GetTask", id="t1")))
    assert (read.finish_reason, read.error, read.response_id) == (finish, "", "t1")


def test_reading_a_task_books_no_content() -> None:
    done = task("completed", artifacts=[artifact({"text": "Dear Ann"})])
    seen = answered(done, described(None, "/tasks/t1", "GET"))
    assert (seen.outputs, seen.response_id, seen.ids) == ((), "t1", ("c1",))


def test_errors_by_binding() -> None:
    error = {"code": -32001, "message": "no such task"}
    assert answered({"jsonrpc": "2.0", "id": 7, "error": error}).error == "jsonrpc_-32001"
    detail = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "TASK_NOT_FOUND"}
    rest = {"error": {"code": 404, "status": "NOT_FOUND", "message": "no such task", "details": [{}, detail]}}
    asked = described({"message": message()}, "/message:send")
    assert answered(rest, asked, 404).error == "TASK_NOT_FOUND"
    assert answered({"error": {"code": 404, "status": "NOT_FOUND"}}, asked, 404).error == "NOT_FOUND"
    assert answered({"error": "down"}, asked, 500).error == "error"


def update(**more: Any) -> dict[str, Any]:
    return {"taskId": "t1", "contextId": "c1", **more}


NEW_EVENTS = [
    {"task": task("TASK_STATE_SUBMITTED", history=[message()])},
    {"statusUpdate": update(status={"state": "TASK_STATE_WORKING"})},
    {"artifactUpdate": update(artifact=artifact({"text": "Dear "}))},
    {"artifactUpdate": update(artifact=artifact({"text": "Änn"}, {"data": [1]}), append=True)},
    {"statusUpdate": update(status={"state": "TASK_STATE_COMPLETED"})},
]
OLD_EVENTS = [
    {**task("submitted", history=[message()]), "kind": "task"},
    {"kind": "status-update", "final": False, **update(status={"state": "working"})},
    {"kind": "artifact-update", **update(artifact=artifact({"kind": "text", "text": "Dear "}))},
    {
        "kind": "artifact-update",
        "append": True,
        **update(artifact=artifact({"kind": "text", "text": "Änn"}, {"kind": "data", "data": [1]})),
    },
    {"kind": "status-update", "final": True, **update(status={"state": "completed"})},
]


@pytest.mark.parametrize("told", [NEW_EVENTS, OLD_EVENTS], ids=["1.0", "0.3"])
@pytest.mark.parametrize("is_rpc", [True, False], ids=["json-rpc", "http+json"])
def test_a_stream_is_put_together(told: list[Any], is_rpc: bool) -> None:
    asked = STREAM if is_rpc else described({"message": message()}, "/message:stream")
    stream = events(*[result(**event) if is_rpc else event for event in told], done=False)
    seen = observe(DIALECT, asked, each_byte(stream), SSE)
    assert seen.outputs == (text_block("Dear Änn", "assistant"), json_block([1], "assistant"))
    assert (seen.response_id, seen.ids, seen.finish_reason) == ("t1", ("c1",), "completed")
    assert (seen.is_complete, seen.has_ended, seen.error) == (True, True, "")
    early = observe(DIALECT, asked, [stream[: len(stream) // 2]], SSE)
    assert (early.is_complete, early.has_ended) == (False, False)


def test_an_artifact_told_again_is_told_once() -> None:
    whole = task("TASK_STATE_COMPLETED", artifacts=[artifact({"text": "Dear Änn"})])
    told = [*NEW_EVENTS[2:4], {"artifactUpdate": update(artifact=artifact({"text": "Dear"}))}, {"task": whole}]
    seen = observe(DIALECT, STREAM, [events(*[result(**event) for event in told], done=False)], SSE)
    assert seen.outputs == (text_block("Dear Änn", "assistant"),)


def test_an_error_within_a_stream() -> None:
    failed = b"event: error\n" + events({"error": {"status": "INTERNAL"}}, done=False)
    asked = described({"message": message()}, "/message:stream")
    assert observe(DIALECT, asked, [failed], SSE).error == "INTERNAL"


def test_parts_without_end_stay_bounded() -> None:
    told = [result(artifactUpdate=update(artifact=artifact({"data": n}, name=f"a{n}"))) for n in range(3000)]
    assert len(observe(DIALECT, STREAM, [events(*told, done=False)], SSE).outputs) == 1024


def test_an_error_of_ours_is_in_the_callers_binding() -> None:
    kind, body = DIALECT.error_body(FAULT, SEND)
    told = orjson.loads(body)
    assert (kind, told["jsonrpc"], told["id"], told["error"]["message"]) == (JSON, "2.0", 7, FAULT.message)
    assert told["error"]["data"][0]["metadata"] == {"code": FAULT.code, "status": "503"}
    rest = orjson.loads(DIALECT.error_body(FAULT, described(None, "/tasks/t1", "GET"))[1])["error"]
    assert (rest["code"], rest["status"], rest["message"]) == (503, "UNAVAILABLE", FAULT.message)
    assert rest["details"][0]["reason"] == "UPSTREAM_UNREACHABLE"
    assert orjson.loads(DIALECT.error_body(FAULT, None)[1])["id"] is None
