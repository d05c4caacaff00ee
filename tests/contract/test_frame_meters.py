"""What every dialect that speaks WebSocket promises of its frames, whatever they are."""

from __future__ import annotations

import tracemalloc
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.dialects import WEBSOCKET, Frame, FrameMeter, choose
from tests.reading import DIALECTS, head

SPEAKING: dict[str, Any] = {name: dialect for name, dialect in DIALECTS.items() if hasattr(dialect, "frames")}
PATHS = {"responses_socket": "/v1/responses", "realtime": "/v1/realtime"}
each_speaking = pytest.mark.parametrize("name", SPEAKING)

USAGE = {"input_tokens": 9, "output_tokens": 4, "total_tokens": 13}
SENT: list[Any] = [
    {"type": "response.create", "model": "m", "input": "hi"},
    {"type": "response.create", "response": {"instructions": "be brief", "conversation": "none"}, "event_id": "e1"},
    {"type": "response.create", "stream_id": "b", "previous_response_id": "r1", "input": [{"role": "user"}]},
    {"type": "response.steer", "previous_response_id": "r1", "input": "more"},
    {"type": "session.update", "session": {"instructions": "x", "tools": [1], "audio": {"input": 7}}},
    {"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": [{"text": "hi"}]}},
    {"type": "input_audio_buffer.append", "audio": "AAAA"},
]
RECEIVED: list[Any] = [
    {"type": "session.created", "session": {"model": "m-1", "instructions": None}},
    {"type": "response.created", "response": {"id": "r1", "model": "m-1"}},
    {"type": "response.created", "response": {"id": "r2", "previous_response_id": "r1"}, "stream_id": "b"},
    {"type": "response.output_item.added", "output_index": 0, "item": {"type": "message"}},
    {"type": "response.output_text.delta", "response_id": "r1", "output_index": 0, "delta": "Grüße"},
    {"type": "response.output_item.done", "output_index": 0, "item": {"type": "function_call", "name": "look"}},
    {"type": "response.completed", "response": {"id": "r1", "usage": USAGE, "status": "completed"}},
    {"type": "response.failed", "response": {"id": "r2", "error": {"code": "server_error"}}, "stream_id": "b"},
    {"type": "response.done", "response": {"id": "r1", "status": "completed", "usage": USAGE, "output": [{}]}},
    {"type": "conversation.item.input_audio_transcription.completed", "transcript": "hi", "usage": USAGE},
    {"type": "error", "error": {"code": "bad", "event_id": "e1"}, "status": 400},
    {"type": "rate_limits.updated"},
]
ODD: list[Any] = [
    None,
    7,
    [],
    "x",
    {"type": ["response.create"]},
    {"type": "response.create", "response": 3, "input": {"a": 1}, "model": 5, "stream_id": [1]},
    {"type": "response.created", "response": []},
    {"type": "response.done", "response": {"usage": {"input_tokens": -1, "output_tokens": True}, "output": 5}},
    {"type": "response.completed", "response": {"usage": "much", "output": [None, {"type": 3}]}, "stream_id": None},
    {"type": "response.output_text.delta", "delta": 5, "output_index": "x", "response_id": {}},
    {"type": "conversation.item.create", "item": [1]},
    {"type": "session.update", "session": {"audio": {"input": {"transcription": {"model": {"x": 1}}}}}},
    {"type": "error", "error": "no", "status": -4},
    {"type": "error", "status": 10**30},
]
RAW = [b"", b"{", b"\xff\xfe", b"[" * 5000, b'{"type":"response.create","a":' + b'{"a":' * 400 + b"1" + b"}" * 401]

texts = st.sampled_from([orjson.dumps(value) for value in [*SENT, *RECEIVED, *ODD[:-1]]] + RAW) | st.binary(max_size=60)


def meter_of(name: str) -> FrameMeter:
    meter: FrameMeter = SPEAKING[name].frames(SPEAKING[name].describe(head("openai", PATHS[name], "GET"), None, False))
    return meter


def test_each_is_claimed_as_a_socket_and_never_as_plain_http() -> None:
    assert set(SPEAKING) == set(PATHS)
    for name, path in PATHS.items():
        claiming = [d.name for d in DIALECTS.values() if d.name != "opaque" and d.claims("openai", WEBSOCKET, path)]
        assert claiming == [name]
        for method in ("GET", "POST", "DELETE"):
            assert choose(DIALECTS, "openai", method, path).name != name
    for api in ("mcp", "tool", "agent"):
        assert choose(DIALECTS, api, WEBSOCKET, "/v1/responses").name not in SPEAKING


@each_speaking
@given(st.lists(st.tuples(st.booleans(), texts), max_size=40))
@settings(max_examples=150, deadline=None)
def test_any_frames_in_any_order_make_each_response_begin_once_and_end_once(
    name: str, frames: list[tuple[bool, bytes]]
) -> None:
    meter = meter_of(name)
    told: list[Frame] = []
    for is_sent, text in frames:
        if not is_sent:
            meter.may_end(text)
        frame = meter.sent(text) if is_sent else meter.received(text)
        if frame is not None:
            told.append(frame)
            assert is_sent or frame.ends is None or meter.may_end(text)
            if frame.begins is not None:
                SPEAKING[name].prompt(frame.begins)
    told += meter.finish()
    begun = [frame.turn for frame in told if frame.begins is not None]
    ended = [frame.turn for frame in told if frame.ends is not None]
    assert begun == list(range(1, len(begun) + 1))
    assert sorted(ended) == begun
    assert list(meter.finish()) == []
    for frame in told:
        assert frame.turn in begun
        usage = frame.ends.usage if frame.ends else None
        if usage is not None:
            counts = (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens)
            assert all(tokens is None or 0 <= tokens <= 10**9 for tokens in counts)


@each_speaking
def test_an_endless_socket_is_watched_in_bounded_memory(name: str) -> None:
    meter = meter_of(name)
    text = "x" * 64 * 1024
    delta = {"type": "response.output_text.delta", "response_id": "r1", "output_index": 0, "delta": text}
    item = {"type": "conversation.item.create", "item": {"type": "message", "content": [{"text": text}]}}
    tracemalloc.start()
    meter.sent(orjson.dumps({"type": "response.create"}))
    meter.received(orjson.dumps({"type": "response.created", "response": {"id": "r1"}}))
    meter.received(orjson.dumps({"type": "response.output_item.added", "output_index": 0, "item": {"type": "message"}}))
    for number in range(512):
        meter.received(orjson.dumps(delta))
        meter.sent(orjson.dumps(item))
        meter.sent(orjson.dumps({"type": "response.create", "stream_id": str(number)}))
        meter.sent(orjson.dumps({"type": "response.steer", "previous_response_id": str(number), "input": "more"}))
    assert len(list(meter.finish())) <= 65
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40 * 1024 * 1024
