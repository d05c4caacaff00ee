"""The vendors' own clients, straight and through orchtax: the answer is the same, and the record is right."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
import uvicorn
from anthropic import AsyncAnthropic
from mcp import Client
from openai import AsyncOpenAI

from collectors.records import CallRecord
from proxy.demo.journal import Journal
from proxy.demo.play import Ask, Failure, Script, Turn
from proxy.demo.tool_server import tool_app
from proxy.demo.words import text
from tests.proxy.demo.scripted import Scripted, scripted, tokens
from tests.serving import Serving, serving, spooled
from tests.upstream import until

NO_STORE = {"url": "clickhouse://127.0.0.1:9/orchtax"}  # records stay in the spool, where these tests read them
QUESTION = text("routed/letter", "routed-1")
TOOL = {"name": "weather", "description": "d", "parameters": {"type": "object", "properties": {}}}
SCRIPT: Script = {
    "plain": (Turn("routed/draft", first_byte_ms=1, chunk_ms=0),) * 2,
    "tools": (Turn(asks=(Ask("weather", {"place": "$name"}),), first_byte_ms=1, chunk_ms=0),) * 2,
    "flaky": (Turn("routed/pass", first_byte_ms=1, failures=(Failure(429, 20, "slow down"),)),),
}


@asynccontextmanager
async def tool_server(folder: Path) -> AsyncIterator[str]:
    """The demo's MCP server in this process, on a real port."""
    config = uvicorn.Config(tool_app(Journal(folder / "tools.jsonl")), port=0, log_level="warning", lifespan="on")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    await until(lambda: server.started, what="the tool server")
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        server.should_exit = True
        await task


class Stand:
    """The provider, orchtax in front of it, and clients on both ways."""

    def __init__(self, provider: Scripted, mcp_url: str, running: Serving) -> None:
        self.provider, self.mcp_url, self.running = provider, mcp_url, running
        self.prefix = f"{running.url}/session/s1/stage/writer"
        self.openai = AsyncOpenAI(api_key="demo", base_url=f"{self.prefix}/openai/v1")
        self.anthropic = AsyncAnthropic(api_key="demo", base_url=f"{self.prefix}/anthropic")

    async def records(self, count: int) -> list[CallRecord]:
        await until(lambda: len(spooled(self.running.data)) >= count, what=f"{count} records")
        found = sorted(spooled(self.running.data), key=lambda record: record.ts_ns)
        assert len(found) == count
        assert {(r.session_id, r.session_source, r.stage, r.stage_source) for r in found} == {
            ("s1", "path", "writer", "path")
        }
        return found


@pytest.fixture
async def stand(tmp_path: Path) -> AsyncIterator[Stand]:
    async with scripted({"routed": SCRIPT}, tmp_path) as provider, tool_server(tmp_path) as mcp_url:
        upstreams = {
            "openai": {"base_url": provider.url},
            "anthropic": {"base_url": provider.url},
            "library": {"kind": "mcp", "base_url": mcp_url, "price_per_call_usd": 0.25},
        }
        async with serving(tmp_path, store=NO_STORE, upstreams=upstreams) as running:
            stand = Stand(provider, mcp_url, running)
            async with stand.openai, stand.anthropic:
                yield stand


def openai_request(stage: str, **more: Any) -> dict[str, Any]:
    messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": QUESTION}]
    return {"model": "gpt-4.1", "messages": messages, "user": f"routed-1/{stage}", **more}


def anthropic_request(stage: str, **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": QUESTION}]
    who = {"user_id": f"routed-1/{stage}"}
    return {"model": "claude-sonnet-4-6", "max_tokens": 500, "messages": messages, "metadata": who, **more}


async def test_openai_answers(stand: Stand) -> None:
    straight = await stand.provider.openai.chat.completions.create(**openai_request("plain"))
    through = await stand.openai.chat.completions.create(**openai_request("plain"))
    assert through.choices == straight.choices
    assert through.usage is not None
    record = (await stand.records(1))[0]
    assert record.usage_source == "reported"
    assert record.input_tokens == tokens(["Be kind.", QUESTION]) == through.usage.prompt_tokens
    assert record.output_tokens == tokens([through.choices[0].message.content or ""])
    assert (record.model, record.response_id, record.kind, record.outcome) == ("gpt-4.1", through.id, "model", "ok")
    assert record.finish_reason == "stop"


async def test_an_openai_stream_without_the_wish_for_usage_shows_none_and_is_booked_as_reported(stand: Stand) -> None:
    straight = [
        chunk
        async for chunk in await stand.provider.openai.chat.completions.create(**openai_request("plain"), stream=True)
    ]
    through = [
        chunk async for chunk in await stand.openai.chat.completions.create(**openai_request("plain"), stream=True)
    ]
    assert [chunk.choices for chunk in through] == [chunk.choices for chunk in straight]
    assert all(chunk.usage is None for chunk in through)
    record = (await stand.records(1))[0]
    assert (record.streamed, record.usage_source) == (True, "reported")
    assert record.input_tokens == tokens(["Be kind.", QUESTION])
    said = "".join(chunk.choices[0].delta.content or "" for chunk in through if chunk.choices)
    assert record.output_tokens == tokens([said])


async def test_an_openai_stream_with_the_wish_for_usage_keeps_it(stand: Stand) -> None:
    wish = {"stream": True, "stream_options": {"include_usage": True}}
    through = [chunk async for chunk in await stand.openai.chat.completions.create(**openai_request("plain"), **wish)]
    assert through[-1].usage is not None
    assert (await stand.records(1))[0].input_tokens == through[-1].usage.prompt_tokens


@pytest.mark.parametrize("streamed", [False, True])
async def test_openai_tool_calls(stand: Stand, streamed: bool) -> None:
    request = openai_request("tools", tools=[{"type": "function", "function": TOOL}])
    if streamed:
        async with stand.openai.chat.completions.stream(**request) as stream:
            through = await stream.get_final_completion()
    else:
        through = await stand.openai.chat.completions.create(**request)
    calls = through.choices[0].message.tool_calls or []
    assert [call.function.name for call in calls] == ["weather"]
    assert (await stand.records(1))[0].emitted_tools == ("weather",)


@pytest.mark.parametrize("streamed", [False, True])
async def test_anthropic_answers(stand: Stand, streamed: bool) -> None:
    async def ask(client: AsyncAnthropic) -> Any:
        if not streamed:
            return await client.messages.create(**anthropic_request("plain"))
        async with client.messages.stream(**anthropic_request("plain")) as stream:
            return await stream.get_final_message()

    straight, through = await ask(stand.provider.anthropic), await ask(stand.anthropic)
    assert through.content == straight.content
    record = (await stand.records(1))[0]
    assert (record.streamed, record.usage_source, record.response_id) == (streamed, "reported", through.id)
    assert record.input_tokens == tokens([QUESTION]) == through.usage.input_tokens
    assert record.output_tokens == tokens([through.content[0].text])


async def test_an_sdk_s_own_retry_is_two_calls_one_of_them_marked(stand: Stand) -> None:
    answer = await stand.openai.chat.completions.create(**openai_request("flaky"))
    assert answer.choices[0].message.content
    first, second = await stand.records(2)
    assert (first.status, first.outcome, first.client_retry, first.cost_nano) == (429, "error", 0, None)
    assert (second.status, second.outcome, second.client_retry) == (200, "ok", 1)
    assert first.body_hash == second.body_hash


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_mcp_of_both_revisions(stand: Stand, mode: Any) -> None:
    async def use(url: str) -> tuple[list[str], Any, Any]:
        async with Client(url, mode=mode) as client:
            names = sorted(tool.name for tool in (await client.list_tools()).tools)
            done = await client.call_tool("calculator", {"expression": "6*7"})
            wrong = await client.call_tool("calculator", {"expression": "import os"})
            return names, done.content, (wrong.is_error, wrong.content)

    straight = await use(stand.mcp_url)
    through = await use(f"{stand.prefix}/mcp/library")
    assert through == straight
    await until(lambda: sum(r.kind == "tool" for r in spooled(stand.running.data)) == 2, what="two tool calls")
    calls = [record for record in spooled(stand.running.data) if record.kind == "tool"]
    assert [(c.tool, c.operation, c.cost_nano) for c in calls] == [("calculator", "tools/call", 250_000_000)] * 2
    others = [record for record in spooled(stand.running.data) if record.kind == "other"]
    assert others
    assert all(record.cost_nano is None for record in others)


async def test_errors_of_orchtax_are_the_sdk_s_own_exceptions(stand: Stand) -> None:
    lost = stand.openai.with_options(base_url=f"{stand.running.url}/nowhere/v1", max_retries=0)
    with pytest.raises(openai.NotFoundError, match="no upstream of that name"):
        await lost.chat.completions.create(**openai_request("plain"))
    gone = stand.anthropic.with_options(base_url=f"{stand.running.url}/nowhere", max_retries=0)
    with pytest.raises(anthropic.NotFoundError, match="no upstream of that name"):
        await gone.messages.create(**anthropic_request("plain"))
