"""What every wire format promises, whatever it is: one suite over all that ``load()`` finds.

Formats are fed each other's traffic too: a dialect must be at ease with bytes that it does not understand.
"""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.records import Usage
from proxy.dialects import Described, Dialect, Fault, choose, load
from tests.reading import DIALECTS, JSON, SSE, cut, events, head, named_events, observe

CHAT = {
    "model": "m",
    "stream": True,
    "messages": [{"role": "user", "content": "Grüße, 世界"}],
    "tools": [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}],
}
CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "look", "arguments": {"q": "x"}}}
SAY = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {"message": {"parts": [{"text": "Grüße, 世界"}]}}}
REQUESTS = [orjson.dumps(value) for value in (CHAT, CALL, [CALL], SAY, {"model": "m", "max_tokens": 5, "messages": []})]
_DELTA = {"id": "c1", "model": "m-1", "choices": [{"index": 0, "delta": {"content": " Grüße\n", "role": "assistant"}}]}
_TOOL = {"index": 0, "id": "t1", "function": {"name": "look", "arguments": '{"q": "世界"}'}}
_USAGE = {"prompt_tokens": 20, "completion_tokens": 7, "total_tokens": 27}
ANSWERS = {
    "chat stream": events(
        _DELTA,
        {"choices": [{"index": 0, "delta": {"tool_calls": [_TOOL]}, "finish_reason": "tool_calls"}]},
        {"choices": [], "usage": _USAGE},
    ),
    "chat": orjson.dumps({"id": "c1", "choices": [{"message": {"content": "Grüße"}}], "usage": _USAGE}),
    "messages stream": named_events(
        {"type": "message_start", "message": {"id": "a1", "usage": {"input_tokens": 3, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Grüße, 世界"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}},
        {"type": "message_stop"},
    ),
    "tool result": orjson.dumps({"jsonrpc": "2.0", "id": 1, "result": {"content": [{"type": "text", "text": "世界"}]}}),
    "tool stream": events(
        {"jsonrpc": "2.0", "method": "notifications/progress", "params": {}},
        {"jsonrpc": "2.0", "id": 1, "result": {"content": [], "isError": True}},
        done=False,
    ),
    "task stream": events(
        {"jsonrpc": "2.0", "id": 1, "result": {"artifactUpdate": {"artifact": {"parts": [{"text": "Grüße, 世界"}]}}}},
        {"statusUpdate": {"taskId": "t1", "contextId": "c1", "status": {"state": "TASK_STATE_COMPLETED"}}},
        done=False,
    ),
    "contents": b"[%s,\r\n%s]"
    % (
        orjson.dumps({"candidates": [{"content": {"parts": [{"text": 'Gr"\\}]üße'}]}}], "responseId": "g1"}),
        orjson.dumps({"candidates": [{"finishReason": "STOP"}], "usageMetadata": {"promptTokenCount": 3}}),
    ),
    "lines": b"".join(
        orjson.dumps(value) + end
        for value, end in (
            ({"message": {"content": "Grüße", "tool_calls": [{"function": {"name": "look"}}]}}, b"\n"),
            ({"event_type": "text-generation", "text": "世界"}, b"\r\n"),
            ({"done": True, "prompt_eval_count": 3, "eval_count": 4}, b""),
        )
    ),
    "response stream": named_events(
        {"type": "response.created", "response": {"id": "r1", "status": "in_progress"}},
        {"type": "response.output_item.added", "output_index": 0, "item": {"type": "message"}},
        {"type": "response.output_text.delta", "output_index": 0, "delta": "Grüße, 世界"},
        {"type": "response.completed", "response": {"id": "r1", "usage": {"input_tokens": 3, "output_tokens": 4}}},
    ),
    "cohere stream": named_events(
        {"type": "message-start", "id": "c1"},
        {"type": "content-delta", "delta": {"message": {"content": {"text": "Grüße, 世界"}}}},
        {"type": "message-end", "delta": {"usage": {"tokens": {"input_tokens": 3.0, "output_tokens": 4.0}}}},
    ),
    "odd stream": b'\xef\xbb\xbf: hello\r\n\r\ndata: {"choices":\r\ndata: []}\r\rid\n\n\n'
    b"\ndata\ndata: [1,\n\ndata: \xff\n",
    "text": "  plain Grüße ".encode(),
    "empty": b"",
}
GARBAGE = [
    b"",
    b"{",
    b"null",
    b"[]",
    b'"text"',
    b"\x00\xff\xfe",
    b"[" * 100_000,
    b'{"a":' * 900 + b"1" + b"}" * 900,
    b'{"a":' * 300 + b"1" + b"}" * 300,
    b'{"model": 1e999}',
    b'{"model": ["m"], "stream": "yes", "messages": {"a": 1}, "tools": 3, "max_tokens": -5, "system": 4}',
    b'{"messages": [null, 1, "x", {"content": [null, {"type": 7}, {"text": {}}], "tool_calls": [1, {"function": 2}]}]}',
    b'{"method": {"x": 1}, "params": [1], "id": {"deep": []}}',
    b'[{"method": "tools/call", "id": [1]}, null, 7]',
    b'{"max_tokens": 123456789012345678901234567890, "model": "\\u0000"}',
    b'{"message": {"parts": [1, {"text": 2}, {"data": [{}]}, {"file": 0}]}, "status": {"state": {}}, "artifacts": [3]}',
    b'{"usage": [1], "choices": [[], {"index": "x", "delta": 3}], "error": [], "content": 5, "result": 3}',
]

each_dialect = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)


def described_by(dialect: Dialect) -> Iterator[Described]:
    """What the dialect makes of every request that it can read, and of one that was too large to read."""
    for body in [*REQUESTS, None]:
        try:
            yield dialect.describe(head(dialect.name, "/v1/x"), body, True)
        except ValueError:
            continue


@each_dialect
@given(st.data())
@settings(max_examples=60, deadline=None)
def test_cuts_do_not_change_what_is_observed(dialect: Dialect, data: st.DataObject) -> None:
    answer = ANSWERS[data.draw(st.sampled_from(sorted(ANSWERS)))]
    kind = data.draw(st.sampled_from([JSON, SSE, "", "text/plain"]))
    cuts = data.draw(st.lists(st.integers(0, len(answer)), max_size=12))
    for described in described_by(dialect):
        whole = observe(dialect, described, [answer], kind)
        assert observe(dialect, described, cut(answer, cuts), kind) == whole


@each_dialect
def test_a_truncated_answer_is_no_error(dialect: Dialect) -> None:
    for described in described_by(dialect):
        for answer in ANSWERS.values():
            for end in range(0, len(answer), 3):
                observe(dialect, described, [answer[:end]], SSE)
                observe(dialect, described, [answer[:end]], JSON, status=500)


@each_dialect
@pytest.mark.parametrize("body", GARBAGE, ids=range(len(GARBAGE)))
def test_describe_refuses_odd_bodies_with_value_error_alone(dialect: Dialect, body: bytes) -> None:
    try:
        described = dialect.describe(head(dialect.name, "/v1/x"), body, True)
    except ValueError:
        return
    prompt = dialect.prompt(described)
    assert all(block.size >= 0 for block in prompt.blocks)
    assert described.rewritten is None or orjson.loads(described.rewritten)


@each_dialect
@given(st.binary(max_size=200) | st.text(alphabet='{}[]":,01aé', max_size=60).map(str.encode))
@settings(max_examples=40, deadline=None)
def test_random_bytes_are_survived(dialect: Dialect, body: bytes) -> None:
    try:
        dialect.prompt(dialect.describe(head(dialect.name, "/v1/x"), body, True))
    except ValueError:
        return
    for described in described_by(dialect):
        observe(dialect, described, [body], JSON)
        observe(dialect, described, [b"data: " + body + b"\n\n"], SSE)


@each_dialect
@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
def test_no_answer_makes_a_meter_raise(dialect: Dialect, garbage: bytes) -> None:
    for described in described_by(dialect):
        for kind in (JSON, SSE):
            for answer in (garbage, b"data: " + garbage + b"\n\n"):
                assert observe(dialect, described, [answer], kind).usage in (None, Usage(source="reported"))


@each_dialect
@pytest.mark.parametrize("kind", [JSON, SSE])
@pytest.mark.parametrize("start", [b"data: ", b'{"a": "', b""])
def test_an_endless_answer_is_watched_in_bounded_memory(dialect: Dialect, kind: str, start: bytes) -> None:
    chunk = b"x" * (256 * 1024)
    described = next(described_by(dialect))
    tracemalloc.start()
    meter = dialect.meter(described, 200, kind)
    meter.feed(start)
    for _ in range(256):  # 64 MB, four times what may be kept
        meter.feed(chunk)
    meter.finish()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40 * 1024 * 1024


@each_dialect
@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_filter_takes_out_one_event_and_nothing_else(dialect: Dialect, data: st.DataObject) -> None:
    described = next(described_by(dialect))
    if not described.hides_usage:
        return
    end = data.draw(st.sampled_from([b"\n", b"\r\n", b"\r"]))
    usage = events({"choices": [], "usage": _USAGE}, done=False).replace(b"\n", end)
    before = b"".join(data.draw(st.lists(st.sampled_from(sorted(ANSWERS.values())), max_size=3)))
    before = before.replace(b'"choices":[]', b'"choices":[7]') + end * 2
    after = data.draw(st.sampled_from([b"", b"data: [DONE]" + end * 2, b": bye"]))
    stream = before + usage + after
    stream_filter = dialect.stream_filter(described)
    assert stream_filter is not None
    passed = [stream_filter.feed(chunk) for chunk in cut(stream, data.draw(st.lists(st.integers(0, len(stream)))))]
    assert b"".join(passed) + stream_filter.finish() == before + after


@each_dialect
@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 413, 429, 499, 500, 502, 503, 504, 529])
def test_an_error_tells_its_message_and_code(dialect: Dialect, status: int) -> None:
    fault = Fault(status, "unknown_upstream", 'no upstream "x": name it under upstreams')
    for described in [None, *described_by(dialect)]:
        kind, body = dialect.error_body(fault, described)
        assert kind.split(";")[0].endswith("json")
        told = orjson.dumps(orjson.loads(body))
        assert orjson.dumps(fault.message) in told
        assert b'"unknown_upstream"' in told


def test_there_is_one_dialect_for_each_request() -> None:
    asked = {
        ("openai", "POST", "/v1/chat/completions"): "openai_chat",
        ("openai", "POST", "/openai/v1/chat/completions"): "openai_chat",
        ("gemini", "POST", "/v1beta/openai/chat/completions"): "openai_chat",
        ("ollama", "POST", "/v1/chat/completions"): "openai_chat",
        ("openai", "GET", "/v1/chat/completions"): "opaque",
        ("openai", "POST", "/v1/embeddings"): "embeddings",
        ("ollama", "POST", "/v1/embeddings"): "embeddings",
        ("openai", "POST", "/v1/rerank"): "embeddings",
        ("openai", "POST", "/v1/responses"): "openai_responses",
        ("openai", "POST", "/v1/responses/compact"): "openai_responses",
        ("openai", "POST", "/v1/responses/resp_1/cancel"): "openai_responses",
        ("openai", "GET", "/v1/responses/resp_1"): "openai_responses",
        ("openai", "GET", "/v1/responses"): "opaque",
        ("openai", "PUT", "/v1/responses/resp_1"): "opaque",
        ("tool", "POST", "/v1/responses"): "http_tool",
        ("anthropic", "POST", "/v1/messages"): "anthropic",
        ("anthropic", "POST", "/v1/messages/count_tokens"): "anthropic",
        ("anthropic", "POST", "/v1/messages/batches"): "opaque",
        ("bedrock", "POST", "/model/m/converse"): "bedrock",
        ("bedrock", "POST", "/openai/v1/chat/completions"): "openai_chat",
        ("bedrock", "GET", "/async-invoke"): "opaque",
        ("mcp", "GET", "/mcp"): "mcp",
        ("agent", "POST", "/message:send"): "a2a",
        ("agent", "GET", "/.well-known/agent-card.json"): "a2a",
        ("tool", "PUT", "/chat/completions"): "http_tool",
        ("tool", "POST", "/chat/completions"): "http_tool",
        ("gemini", "POST", "/v1beta/models/x:generateContent"): "gemini",
        ("gemini", "POST", "/v1beta1/projects/p/locations/l/publishers/google/models/x%3AcountTokens"): "gemini",
        ("gemini", "POST", "/v1beta/fileSearchStores"): "opaque",
        ("gemini", "GET", "/v1beta/models/x"): "opaque",
        ("tool", "POST", "/v1beta/models/x:generateContent"): "http_tool",
        ("cohere", "POST", "/v2/chat"): "cohere",
        ("cohere", "POST", "/v1/rerank"): "cohere",
        ("cohere", "POST", "/v1/tokenize"): "opaque",
        ("cohere", "POST", "/compatibility/v1/chat/completions"): "openai_chat",
        ("ollama", "POST", "/api/chat"): "ollama",
        ("ollama", "POST", "/api/embeddings"): "ollama",
        ("ollama", "POST", "/api/pull"): "opaque",
        ("openai", "POST", "/api/chat"): "opaque",
    }
    for (api, method, path), name in asked.items():
        claiming = [d.name for d in DIALECTS.values() if d.name != "opaque" and d.claims(api, method, path)]
        assert claiming in ([name], [] if name == "opaque" else None)
        assert choose(DIALECTS, api, method, path).name == name


MADE_UP = """
from proxy.dialects import Described, Observation, Prompt

class _Meter:
    def feed(self, chunk): pass
    def finish(self): return Observation(response_id="seen")

class MadeUp:
    name = "made_up"
    def claims(self, api, method, path): return api == "made-up"
    def describe(self, head, body, ask_usage): return Described("model", operation="sing")
    def prompt(self, described): return Prompt()
    def meter(self, described, status, content_type): return _Meter()
    def stream_filter(self, described): return None
    def error_body(self, fault, described): return "application/json", b"{}"

DIALECT = MadeUp()
"""


def test_a_format_is_one_file_dropped_into_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "dropped_formats"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "framing.py").write_text("WIDTH = 4\n")
    (package / "made_up.py").write_text(MADE_UP)
    monkeypatch.syspath_prepend(tmp_path)
    found = load("dropped_formats")
    assert list(found) == ["made_up"]
    dialect = choose({**DIALECTS, **found}, "made-up", "POST", "/sing")
    described = dialect.describe(head("made-up", "/sing"), b"la", False)
    assert (described.operation, observe(dialect, described, [b"la"]).response_id) == ("sing", "seen")
    for name in ("dropped_formats", "dropped_formats.framing", "dropped_formats.made_up"):
        del sys.modules[name]
