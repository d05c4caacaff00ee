"""MCP's own SDK as server and as client, straight and through orchtax, in both revisions of the protocol."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.client.subscriptions import ToolsListChanged
from mcp_types import CreateMessageResult, ElicitResult, PromptReference, TextContent

from collectors.records import CallRecord
from tests.asgi import asgi
from tests.e2e.mcp_desk import server_app
from tests.serving import Serving, serving, spooled
from tests.upstream import until

NO_STORE = {"url": "clickhouse://127.0.0.1:9/orchtax"}  # records stay in the spool, where these tests read them
FEE_NANO = 250_000_000
HASTE_S = 2.0  # the silence that ends an ordinary answer, and must not end a stream that is listened to
each_mode = pytest.mark.parametrize("mode", ["legacy", "auto"])


class Stand:
    """The server, orchtax in front of it, and what the server saw."""

    def __init__(self, url: str, running: Serving, headers: list[dict[bytes, bytes]]) -> None:
        self.straight, self.running, self.headers = f"{url}/mcp", running, headers
        self.through = f"{running.url}/session/s1/stage/writer/mcp/desk"

    def records(self) -> list[CallRecord]:
        return sorted(spooled(self.running.data), key=lambda record: record.ts_ns)

    async def calls(self, count: int) -> list[CallRecord]:
        """The tool calls; waits for as many."""
        await until(lambda: sum(r.kind == "tool" for r in self.records()) >= count, what=f"{count} tool calls")
        found = [record for record in self.records() if record.kind == "tool"]
        assert len(found) == count
        return found

    async def closed(self, *operations: str) -> list[CallRecord]:
        """The records of these operations, once all have ended."""

        def found() -> list[CallRecord]:
            return [record for record in self.records() if record.operation in operations]

        await until(lambda: {record.operation for record in found()} == set(operations), what=f"{operations}")
        return found()


@pytest.fixture
async def stand(tmp_path: Path) -> AsyncIterator[Stand]:
    headers: list[dict[bytes, bytes]] = []
    async with asgi(lambda _: server_app(headers)) as url:
        desk = {"kind": "mcp", "base_url": f"{url}/mcp", "price_per_call_usd": 0.25}
        upstreams = {"desk": desk, "hasty": {**desk, "timeouts": {"read_s": HASTE_S}}}
        async with serving(tmp_path, store=NO_STORE, upstreams=upstreams, drain_s=30) as running:
            yield Stand(url, running, headers)


async def answer_user(context: Any, params: Any) -> ElicitResult:
    return ElicitResult(action="accept", content={"name": "Ann"})


async def answer_model(context: Any, params: Any) -> CreateMessageResult:
    return CreateMessageResult(role="assistant", content=TextContent(type="text", text="rhyme"), model="m")


def connect(url: str, mode: Any, **more: Any) -> Client:
    return Client(url, mode=mode, elicitation_callback=answer_user, sampling_callback=answer_model, **more)


def text_of(result: Any) -> str:
    return "".join(part.text for part in result.content)


@each_mode
async def test_everything_but_tools(stand: Stand, mode: Any) -> None:
    async def use(url: str) -> list[Any]:
        async with connect(url, mode) as client:
            return [
                sorted(tool.name for tool in (await client.list_tools()).tools),
                (await client.list_resource_templates()).resource_templates[0].uri_template,
                (await client.read_resource("note://cats")).contents,
                (await client.list_prompts()).prompts[0].name,
                (await client.get_prompt("letter", {"to": "Ann"})).messages,
                (await client.complete(PromptReference(name="letter"), {"name": "to", "value": "A"})).completion.values,
            ]

    assert await use(stand.through) == await use(stand.straight)
    wanted = {"tools/list", "resources/templates/list", "resources/read", "prompts/list", "prompts/get"}
    records = await stand.closed(*wanted, "completion/complete")
    assert {(r.kind, r.outcome, r.cost_nano, r.session_id, r.stage) for r in records} == {
        ("other", "ok", None, "s1", "writer")
    }


@each_mode
async def test_a_tool_that_tells_its_progress(stand: Stand, mode: Any) -> None:
    async def use(url: str) -> tuple[str, list[Any]]:
        told: list[Any] = []

        async def tell(progress: float, total: float | None, message: str | None) -> None:
            told.append((progress, total, message))

        async with connect(url, mode) as client:
            return text_of(await client.call_tool("count", {"to": 3}, progress_callback=tell)), told

    assert await use(stand.through) == await use(stand.straight)
    call = (await stand.calls(1))[0]
    assert (call.tool, call.outcome, call.status, call.cost_nano, len(call.outputs)) == (
        "count",
        "ok",
        200,
        FEE_NANO,
        1,
    )


@each_mode
async def test_a_tool_that_fails(stand: Stand, mode: Any) -> None:
    async with connect(stand.straight, mode) as straight, connect(stand.through, mode) as through:
        expected, answer = await straight.call_tool("break_down"), await through.call_tool("break_down")
    assert (answer.is_error, answer.content) == (True, expected.content)
    call = (await stand.calls(1))[0]
    assert (call.outcome, call.error, call.status) == ("error", "tool_error", 200)


@each_mode
@pytest.mark.parametrize(("tool", "expected"), [("greet", "Hello Ann"), ("rhyme", "It said rhyme")])
async def test_a_tool_that_asks_back_is_paid_once(stand: Stand, mode: Any, tool: str, expected: str) -> None:
    for url in (stand.straight, stand.through):
        async with connect(url, mode) as client:
            assert text_of(await client.call_tool(tool)) == expected
    calls = await stand.calls(1 if mode == "legacy" else 2)
    assert {(call.tool, call.outcome) for call in calls} == {(tool, "ok")}
    assert [call.cost_nano for call in calls] == [None] * (len(calls) - 1) + [FEE_NANO]
    assert len({call.body_hash for call in calls}) == len(calls)  # asked again with an answer is no retry
    if mode == "legacy":  # the server's question came in the stream, the client's answer is a POST of its own
        assert [record.kind for record in await stand.closed("response")] == ["other"]
    else:
        assert calls[0].finish_reason == "input_required"


async def test_an_answer_fetched_by_resuming_is_booked_once(stand: Stand) -> None:
    for url in (stand.straight, stand.through):
        async with connect(url, "legacy") as client:
            assert text_of(await client.call_tool("leave_and_come_back")) == "here again"
    call = (await stand.calls(1))[0]
    assert (call.outcome, call.error, call.cost_nano) == ("ok", "", FEE_NANO)
    resumed = (await stand.closed("resume"))[0]
    assert (resumed.kind, resumed.outcome, resumed.outputs, resumed.cost_nano) == ("other", "ok", (), None)


async def test_headers_of_the_protocol_reach_the_server_as_they_are(stand: Stand) -> None:
    def of_calls() -> list[dict[bytes, bytes]]:
        own = [{name: value for name, value in h.items() if name.startswith(b"mcp-")} for h in stand.headers]
        return [headers for headers in own if headers.get(b"mcp-method") == b"tools/call"]

    async with connect(stand.straight, "auto") as client:
        await client.call_tool("count", {"to": 1})
    straight = of_calls()
    stand.headers.clear()
    async with connect(stand.through, "auto") as client:
        await client.call_tool("count", {"to": 1})
    assert of_calls() == straight
    assert straight[0][b"mcp-name"] == b"count"


async def test_listening_outlasts_silence_and_ends_well(stand: Stand) -> None:
    """Both revisions' streams, silent for longer than an answer may be; the clients leave when they like."""
    loop = asyncio.get_running_loop()
    hasty = stand.through.replace("/mcp/desk", "/mcp/hasty")
    async with connect(hasty, "legacy") as old, connect(hasty, "auto") as new:
        async with new.listen(tools_list_changed=True) as events:
            began = loop.time()
            await until(lambda: loop.time() - began > HASTE_S * 1.3, what="a silence longer than read_s")
            await new.call_tool("change")
            assert isinstance(await asyncio.wait_for(anext(aiter(events)), 5), ToolsListChanged)
        assert text_of(await old.call_tool("count", {"to": 1})) == "counted to 1"
    listens = await stand.closed("listen", "subscriptions/listen")
    assert {(r.kind, r.outcome, r.error, r.status, r.streamed) for r in listens} == {("other", "ok", "", 200, True)}
    assert len(listens) == 2
    assert not [record for record in stand.records() if record.operation == "resume"]  # as clients do after a cut


async def test_stopping_does_not_wait_for_who_listens(stand: Stand) -> None:
    loop = asyncio.get_running_loop()
    async with connect(stand.through, "legacy") as client:
        assert text_of(await client.call_tool("count", {"to": 1})) == "counted to 1"
        await until(lambda: any(seen[b":method"] == b"GET" for seen in stand.headers), what="the GET")
        began = loop.time()
        assert await stand.running.stop() == 0
        assert loop.time() - began < 10  # of the 30 s that other calls would get
    ends = await stand.closed("listen")
    assert [(record.outcome, record.status) for record in ends] == [("ok", 200)]
