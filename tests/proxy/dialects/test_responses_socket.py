"""Frames of the Responses API on a WebSocket."""

from __future__ import annotations

from typing import Any

import orjson

from collectors.records import Usage
from collectors.tokens import estimate
from proxy.dialects import Frame, Observation
from proxy.dialects.responses_socket import DIALECT, ResponseFrames
from tests.socket_upstream import answer_events, response, usage

CREATE = {"type": "response.create", "model": "gpt-5", "input": "what is new"}


def frames() -> ResponseFrames:
    return ResponseFrames(DIALECT.prompt)


def feed(meter: ResponseFrames, *events: Any) -> list[Frame]:
    told = [meter.received(orjson.dumps(event)) for event in events]
    return [frame for frame in told if frame is not None]


def send(meter: ResponseFrames, **more: Any) -> Frame | None:
    return meter.sent(orjson.dumps({**CREATE, **more}))


def ends(told: list[Frame]) -> list[Observation]:
    return [frame.ends for frame in told if frame.ends is not None]


def test_a_frame_is_described_as_the_same_request_over_http_is() -> None:
    frame = send(frames(), max_output_tokens=70, previous_response_id="resp_0", stream_id="a")
    assert frame is not None
    assert frame.begins is not None
    asked = frame.begins
    assert (asked.kind, asked.model, asked.streamed, asked.operation) == ("model", "gpt-5", True, "responses")
    assert (asked.max_output_tokens, asked.previous_id) == (70, "resp_0")
    over_http = {"model": "gpt-5", "input": "what is new", "max_output_tokens": 70, "previous_response_id": "resp_0"}
    assert asked.parsed == over_http
    again = send(frames(), max_output_tokens=70, previous_response_id="resp_0", stream_id="b")
    assert again is not None
    assert again.begins is not None
    assert again.begins.body_hash == asked.body_hash


def test_an_answer_is_assembled_from_its_events() -> None:
    meter = frames()
    send(meter)
    seen = ends(feed(meter, *answer_events(1, CREATE, "nothing at all", usage(3, 3, 1))))[0]
    assert seen.usage == Usage(3, 3, 1, 0, None, 0, source="reported")
    assert (seen.model, seen.response_id, seen.finish_reason, seen.text) == (
        "gpt-5-2025-08-07",
        "resp_1",
        "completed",
        "nothing at all",
    )
    assert seen.is_complete


def test_lanes_do_not_mix() -> None:
    meter = frames()
    send(meter, stream_id="a")
    send(meter, stream_id="b")
    a = answer_events(1, {**CREATE, "stream_id": "a"}, "aaa", usage(1, 1))
    b = answer_events(2, {**CREATE, "stream_id": "b"}, "bbb", usage(2, 2))
    told = feed(meter, *[event for pair in zip(b, a, strict=True) for event in pair])
    assert [(frame.turn, frame.ends.text) for frame in told if frame.ends] == [(2, "bbb"), (1, "aaa")]


def test_requests_of_one_lane_are_answered_one_after_the_other() -> None:
    meter = frames()
    send(meter)
    send(meter)
    told = feed(meter, *answer_events(1, CREATE, "one", usage(1, 1)), *answer_events(2, CREATE, "two", usage(1, 1)))
    assert [(frame.turn, frame.ends.text) for frame in told if frame.ends] == [(1, "one"), (2, "two")]


def test_an_error_before_a_response_refuses_it_and_one_within_ends_it() -> None:
    error = {"type": "error", "error": {"type": "invalid_request_error", "code": "previous_response_not_found"}}
    meter = frames()
    send(meter)
    refused = feed(meter, {**error, "status": 404})[0]
    assert (refused.status, refused.ends.error if refused.ends else "") == (404, "previous_response_not_found")
    send(meter)
    assert [frame.status for frame in feed(meter, error)] == [400]
    send(meter)
    within = feed(meter, answer_events(3, CREATE, "x", usage(1, 1))[0], error)
    assert [frame.status for frame in within] == [None, None]
    assert feed(meter, error) == []  # of the socket, not of a response


def test_a_failed_and_an_incomplete_response_keep_their_usage_and_reason() -> None:
    meter = frames()
    send(meter)
    failed = response(1, CREATE, status="failed", error={"code": "server_error"}, usage=usage(5, 0))
    seen = ends(feed(meter, {"type": "response.failed", "response": failed}))[0]
    assert (seen.error, seen.usage.input_tokens if seen.usage else None) == ("server_error", 5)
    send(meter)
    cut = response(2, CREATE, status="incomplete", incomplete_details={"reason": "steered"}, usage=usage(5, 1))
    seen = ends(feed(meter, {"type": "response.incomplete", "response": cut}))[0]
    assert (seen.finish_reason, seen.error) == ("steered", "")


def test_the_successor_of_a_steered_response_is_a_call_of_its_own() -> None:
    meter = frames()
    send(meter)
    created, *_ = answer_events(1, CREATE, "x", usage(1, 1))
    feed(meter, created)
    meter.sent(orjson.dumps({"type": "response.steer", "previous_response_id": "resp_1", "input": "faster, please"}))
    cut = response(1, CREATE, status="incomplete", usage=usage(3, 1))
    follows = {**CREATE, "previous_response_id": "resp_1"}
    told = feed(meter, {"type": "response.incomplete", "response": cut}, *answer_events(2, follows, "ok", usage(6, 1)))
    begun = next(frame.begins for frame in told if frame.begins)
    assert (begun.previous_id, begun.model) == ("resp_1", "gpt-5-2025-08-07")
    assert DIALECT.prompt(begun).texts == ("faster, please",)
    assert [frame.turn for frame in told if frame.ends] == [1, 2]


def test_a_cut_response_tells_what_was_seen_and_what_it_started_from() -> None:
    meter = frames()
    send(meter)
    feed(meter, *answer_events(1, CREATE, "one", usage(1000, 20)))
    send(meter, previous_response_id="resp_1", input="y" * 80)
    feed(meter, *answer_events(2, CREATE, "two", usage(9, 9))[:4])
    (last,) = meter.finish()
    assert last.ends is not None
    assert (last.turn, last.ends.is_complete, last.ends.text) == (2, False, "tw")
    assert last.ends.usage == Usage(input_tokens=1000 + 20 + estimate(80))


def test_a_final_event_is_known_before_it_is_read() -> None:
    meter = frames()
    events = answer_events(1, CREATE, "ab", usage(1, 1))
    assert [meter.may_end(orjson.dumps(event)) for event in events] == [False] * (len(events) - 1) + [True]
    assert meter.may_end(b'{"error": {}, "type" : "error"}')
