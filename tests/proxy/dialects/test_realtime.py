"""Frames of a Realtime session."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

from collectors.records import Usage
from proxy.dialects import Frame
from proxy.dialects.realtime import DIALECT, RealtimeFrames
from tests.reading import head
from tests.socket_upstream import realtime_events


def item(text: str) -> dict[str, Any]:
    content = [{"type": "input_text", "text": text}]
    return {"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": content}}


def send(meter: RealtimeFrames, *events: Any) -> list[Frame]:
    return [frame for event in events if (frame := meter.sent(orjson.dumps(event)))]


def feed(meter: RealtimeFrames, *events: Any) -> list[Frame]:
    return [frame for event in events if (frame := meter.received(orjson.dumps(event)))]


@pytest.mark.parametrize("query", ["model=gpt-realtime&x=y", "api-version=1&deployment=gpt-realtime"])
def test_the_model_stands_in_the_query(query: str) -> None:
    described = DIALECT.describe(replace(head("openai", "/v1/realtime", "GET"), query=query), None, False)
    assert (described.kind, described.model) == ("other", "gpt-realtime")


def test_a_response_takes_what_is_new_and_names_the_one_before() -> None:
    meter = RealtimeFrames("gpt-realtime")
    send(meter, {"type": "session.update", "session": {"instructions": "Be kind.", "tools": [{"name": "look"}]}})
    asked = []
    for number, text in enumerate(("good morning", "good night"), 1):
        asked += [frame.begins for frame in send(meter, item(text), {"type": "response.create"}) if frame.begins]
        feed(meter, *realtime_events(number, text.upper(), 10, 0))
    assert [one.previous_id for one in asked] == ["", "resp_1"]
    assert [DIALECT.prompt(one).texts for one in asked] == [
        ('{"name":"look"}', "Be kind.", "good morning"),
        ('{"name":"look"}', "Be kind.", "good night"),
    ]
    kinds = [[block.kind for block in DIALECT.prompt(one).blocks] for one in asked]
    assert kinds == [["tool_def", "system", "user"]] * 2


def test_usage_with_audio_and_cache() -> None:
    meter = RealtimeFrames("gpt-realtime")
    send(meter, {"type": "response.create"})
    *_, done = realtime_events(1, "x", 0, 0)
    done["response"]["usage"] = {
        "input_tokens": 120,
        "output_tokens": 60,
        "input_token_details": {"cached_tokens": 64, "text_tokens": 20, "audio_tokens": 100, "image_tokens": 0},
        "output_token_details": {"text_tokens": 15, "audio_tokens": 45},
    }
    frame = feed(meter, done)[0]
    assert frame.ends is not None
    assert frame.ends.usage == Usage(120, 60, 64, input_audio_tokens=100, output_audio_tokens=45, source="reported")


@pytest.mark.parametrize("wrong", [-1, True, 1.5, "9", None, 10**12])
def test_an_impossible_figure_is_unknown(wrong: Any) -> None:
    meter = RealtimeFrames("m")
    *_, done = realtime_events(1, "x", 0, 0)
    details = {"cached_tokens": wrong, "audio_tokens": 900}
    done["response"]["usage"] = {"input_tokens": 10, "output_tokens": wrong, "input_token_details": details}
    frame = feed(meter, done)[0]
    assert frame.ends is not None
    assert frame.ends.usage == Usage(input_tokens=10, source="reported")


def test_the_server_begins_responses_where_it_hears_a_voice() -> None:
    meter = RealtimeFrames("gpt-realtime")
    assert send(meter, {"type": "input_audio_buffer.append", "audio": "A" * 1000}) == []
    told = feed(meter, *realtime_events(1, "yes", 5, 0))
    assert told[0].begins is not None
    assert {frame.turn for frame in told} == {1}
    assert [frame.ends.text for frame in told if frame.ends] == ["yes"]


def test_a_response_beside_the_conversation_does_not_go_on_from_it() -> None:
    meter = RealtimeFrames("m")
    send(meter, item("kept for later"))
    beside = {"conversation": "none", "input": [item("classify this")["item"]], "metadata": {"session_id": "s1"}}
    first = send(meter, {"type": "response.create", "response": beside})[0].begins
    feed(meter, *realtime_events(1, "x", 1, 0))
    second = send(meter, {"type": "response.create"})[0].begins
    assert first is not None
    assert second is not None
    assert (DIALECT.prompt(first).texts, DIALECT.prompt(second).texts) == (("classify this",), ("kept for later",))
    assert (first.previous_id, second.previous_id) == ("", "")
    assert (first.parsed or {})["metadata"] == {"session_id": "s1"}


def test_a_cancelled_response_keeps_its_usage_and_says_why() -> None:
    meter = RealtimeFrames("m")
    *_, done = realtime_events(1, "half", 7, 0)
    done["response"] |= {"status": "cancelled", "status_details": {"type": "cancelled", "reason": "turn_detected"}}
    frame = feed(meter, done)[0]
    assert frame.ends is not None
    assert (frame.ends.finish_reason, frame.ends.error) == ("turn_detected", "")
    assert frame.ends.usage is not None


def test_a_failed_response_is_an_error() -> None:
    meter = RealtimeFrames("m")
    *_, done = realtime_events(1, "", 0, 0)
    done["response"] |= {"status": "failed", "status_details": {"error": {"code": "overloaded"}}}
    frame = feed(meter, done)[0]
    assert frame.ends is not None
    assert frame.ends.error == "overloaded"


def test_an_error_ends_the_request_that_it_answers_and_no_other() -> None:
    meter = RealtimeFrames("m")
    send(meter, {"type": "response.create", "event_id": "a"}, {"type": "response.create", "event_id": "b"})
    error = {"type": "invalid_request_error", "code": "conversation_already_has_active_response"}
    assert feed(meter, {"type": "error", "error": {**error, "event_id": "other"}}) == []
    frame = feed(meter, {"type": "error", "error": {**error, "event_id": "b"}})[0]
    assert (frame.turn, frame.status) == (2, 400)
    assert [one.turn for one in meter.finish()] == [1]


def test_a_transcription_is_another_model_s_call() -> None:
    meter = RealtimeFrames("gpt-realtime")
    transcription = {"audio": {"input": {"transcription": {"model": "gpt-4o-transcribe"}}}}
    send(meter, {"type": "session.update", "session": transcription})
    told = {"type": "conversation.item.input_audio_transcription.completed", "transcript": "hello there"}
    tokens = {"type": "tokens", "input_tokens": 30, "output_tokens": 4, "input_token_details": {"audio_tokens": 30}}
    by_tokens, by_time = feed(meter, {**told, "usage": tokens}, {**told, "usage": {"type": "duration", "seconds": 3}})
    assert by_tokens.begins is not None
    assert by_tokens.ends is not None
    assert (by_tokens.begins.kind, by_tokens.begins.model) == ("model", "gpt-4o-transcribe")
    assert by_tokens.ends.usage == Usage(30, 4, input_audio_tokens=30, source="reported")
    assert by_time.begins is not None
    assert by_time.ends is not None
    assert (by_time.begins.kind, by_time.ends.usage) == ("other", None)


def test_a_cut_response_tells_what_was_seen() -> None:
    meter = RealtimeFrames("m")
    send(meter, item("hi"), {"type": "response.create"})
    call = {"type": "response.function_call_arguments.delta", "response_id": "resp_1", "delta": '{"q": 1}'}
    feed(meter, *realtime_events(1, "half an answer", 1, 0)[:5], call)
    (frame,) = meter.finish()
    assert frame.ends is not None
    assert (frame.ends.is_complete, frame.ends.response_id) == (False, "resp_1")
    assert [block.kind for block in frame.ends.outputs] == ["assistant", "tool_call"]
    assert frame.ends.text.startswith("half")


def test_names_of_the_beta_are_understood() -> None:
    meter = RealtimeFrames("m")
    beta = [
        {"type": "response.created", "response": {"id": "r"}},
        {"type": "response.text.delta", "response_id": "r", "delta": "a"},
        {"type": "response.audio_transcript.delta", "response_id": "r", "delta": "b"},
        {"type": "response.audio.delta", "response_id": "r", "delta": "AAAA"},
    ]
    feed(meter, *beta)
    (frame,) = meter.finish()
    assert frame.ends is not None
    assert frame.ends.text == "ab"
