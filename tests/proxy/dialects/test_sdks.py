"""The vendors' own SDKs as referees: they raise their typed errors on ours, and read streams as the meters do."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anthropic
import openai
import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from collectors.fingerprint import text_block
from collectors.records import Usage
from proxy.dialects import Fault, Observation
from tests.reading import DIALECTS, JSON, SSE, cut, events, head, named_events, observe

MESSAGE = "no upstream is called x: name it under upstreams"
CHAT_STREAM = events(
    {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": []},
    *[
        {
            "id": "c1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "m",
            "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}],
        }
        for text in ("Grüße, ", "世界", "!\n", "\n")
    ],
    {
        "id": "c1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [],
        "usage": {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16},
    },
)
MESSAGE_STREAM = named_events(
    {
        "type": "message_start",
        "message": {
            "id": "m1",
            "type": "message",
            "role": "assistant",
            "model": "claude-x",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 9, "cache_read_input_tokens": 4, "output_tokens": 1},
        },
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Grüße, "}},
    {"type": "ping"},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "世界"}},
    {"type": "content_block_stop", "index": 0},
    {
        "type": "content_block_start",
        "index": 1,
        "content_block": {"type": "tool_use", "id": "t1", "name": "look", "input": {}},
    },
    {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": '{"q": '}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": '"x"}'}},
    {"type": "content_block_stop", "index": 1},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "tool_use", "stop_sequence": None},
        "usage": {"output_tokens": 17},
    },
    {"type": "message_stop"},
)


@pytest.fixture
async def provider() -> AsyncIterator[TestServer]:
    """Answers ``/{dialect}/{status}/…`` with that dialect's error, and status 200 with a stream in odd pieces."""

    async def answer(request: web.Request) -> web.StreamResponse:
        dialect, status = DIALECTS[request.match_info["dialect"]], int(request.match_info["status"])
        if status != 200:
            kind, body = dialect.error_body(Fault(status, "unknown_upstream", MESSAGE), None)
            return web.Response(status=status, body=body, headers={"Content-Type": kind})
        stream = CHAT_STREAM if dialect.name == "openai_chat" else MESSAGE_STREAM
        response = web.StreamResponse(headers={"Content-Type": SSE})
        await response.prepare(request)
        for piece in cut(stream, range(0, len(stream), 37)):
            await response.write(piece)
        return response

    app = web.Application()
    app.router.add_post("/{dialect}/{status}/{rest:.*}", answer)
    server = TestServer(app)
    await server.start_server()
    yield server
    await server.close()


def metered(name: str, stream: bytes, body: dict[str, object]) -> Observation:
    dialect = DIALECTS[name]
    return observe(dialect, dialect.describe(head(name, "/x"), orjson.dumps(body), False), [stream], SSE)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (413, openai.APIStatusError),
        (429, openai.RateLimitError),
        (502, openai.InternalServerError),
    ],
)
async def test_openai_raises_its_typed_error(
    provider: TestServer, status: int, kind: type[openai.APIStatusError]
) -> None:
    url = str(provider.make_url(f"/openai_chat/{status}"))
    async with openai.AsyncOpenAI(base_url=url, api_key="k", max_retries=0) as client:
        with pytest.raises(kind) as raised:
            await client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}])
    assert (raised.value.status_code, raised.value.code) == (status, "unknown_upstream")
    assert MESSAGE in raised.value.message
    assert raised.value.type


@pytest.mark.parametrize(
    ("status", "kind", "name"),
    [
        (400, anthropic.BadRequestError, "invalid_request_error"),
        (401, anthropic.AuthenticationError, "authentication_error"),
        (404, anthropic.NotFoundError, "not_found_error"),
        (413, anthropic.APIStatusError, "request_too_large"),
        (429, anthropic.RateLimitError, "rate_limit_error"),
        (502, anthropic.InternalServerError, "api_error"),
        (504, anthropic.InternalServerError, "timeout_error"),
    ],
)
async def test_anthropic_raises_its_typed_error(
    provider: TestServer, status: int, kind: type[anthropic.APIStatusError], name: str
) -> None:
    url = str(provider.make_url(f"/anthropic/{status}"))
    async with anthropic.AsyncAnthropic(base_url=url, api_key="k", max_retries=0) as client:
        with pytest.raises(kind) as raised:
            await client.messages.create(model="m", max_tokens=5, messages=[{"role": "user", "content": "Hi"}])
    assert (raised.value.status_code, raised.value.type) == (status, name)
    assert MESSAGE in raised.value.message
    assert orjson.loads(orjson.dumps(raised.value.body))["error"]["details"] == {"error_code": "unknown_upstream"}


async def test_openai_reads_the_stream_as_the_meter_does(provider: TestServer) -> None:
    url = str(provider.make_url("/openai_chat/200"))
    text, usage = "", Usage()
    async with openai.AsyncOpenAI(base_url=url, api_key="k") as client:
        async for chunk in await client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "Hi"}], stream=True
        ):
            text += "".join(choice.delta.content or "" for choice in chunk.choices)
            if chunk.usage is not None:
                usage = Usage(chunk.usage.prompt_tokens, chunk.usage.completion_tokens, source="reported")
    seen = metered("openai_chat", CHAT_STREAM, {"model": "m", "stream": True})
    assert (seen.text, seen.usage, seen.outputs) == (text, usage, (text_block(text, "assistant"),))


async def test_anthropic_reads_the_stream_as_the_meter_does(provider: TestServer) -> None:
    url = str(provider.make_url("/anthropic/200"))
    async with (
        anthropic.AsyncAnthropic(base_url=url, api_key="k") as client,
        client.messages.stream(model="m", max_tokens=5, messages=[{"role": "user", "content": "Hi"}]) as stream,
    ):
        message = await stream.get_final_message()
    seen = metered("anthropic", MESSAGE_STREAM, {"model": "m", "stream": True})
    whole = message.model_dump(mode="json", exclude_none=True)
    dialect = DIALECTS["anthropic"]
    described = dialect.describe(head("anthropic", "/x"), b"{}", False)
    again = observe(dialect, described, [orjson.dumps(whole)], JSON)
    assert (seen.outputs, seen.emitted_tools, seen.finish_reason) == (again.outputs, ("look",), "tool_use")
    assert seen.usage is not None
    assert (seen.usage.output_tokens, seen.usage.input_tokens) == (message.usage.output_tokens, 9 + 4)
