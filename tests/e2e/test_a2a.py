"""A2A's own SDK as agent and as client, straight and through orchtax: the same answers, the right records."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
from a2a.client import A2ACardResolver, Client, ClientConfig, ClientFactory
from a2a.helpers import new_task_from_user_message, new_text_message, new_text_part
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.events import EventQueue
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes, create_rest_routes
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types import (
    AgentCapabilities,
    AgentCard,
    AgentInterface,
    AgentSkill,
    GetTaskRequest,
    Role,
    SendMessageRequest,
    StreamResponse,
    SubscribeToTaskRequest,
)
from a2a.utils.errors import MethodNotFoundError, TaskNotFoundError
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount

from collectors.fingerprint import text_block
from collectors.records import CallRecord
from tests.asgi import asgi
from tests.serving import Serving, serving, spooled
from tests.upstream import until

NO_STORE = {"url": "clickhouse://127.0.0.1:9/orchtax"}  # records stay in the spool, where these tests read them
SPOKEN = [(binding, version) for binding in ("JSONRPC", "HTTP+JSON") for version in ("1.0", "0.3")]
each_way = pytest.mark.parametrize(("binding", "version"), SPOKEN, ids=[f"{b}-{v}" for b, v in SPOKEN])


class Writer(AgentExecutor):
    """Writes back what it was told, in two pieces; fails at ``fail``, asks back at ``ask``, waits to be cancelled at
    ``wait``."""

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        assert context.message is not None
        task = context.current_task or new_task_from_user_message(context.message)
        await event_queue.enqueue_event(task)
        told, updater = context.get_user_input(), TaskUpdater(event_queue, task.id, task.context_id)
        await updater.start_work()
        if told == "fail":
            return await updater.failed(updater.new_agent_message([new_text_part("I cannot.")]))
        if told == "ask":
            return await updater.requires_input(updater.new_agent_message([new_text_part("For whom?")]))
        await updater.add_artifact([new_text_part("Dear ")], artifact_id="letter")
        await updater.add_artifact([new_text_part(told)], artifact_id="letter", append=True, last_chunk=True)
        return await updater.complete()

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        await TaskUpdater(event_queue, context.task_id or "", context.context_id or "").cancel()


def card(url: str, binding: str, version: str) -> AgentCard:
    return AgentCard(
        name="writer",
        description="Writes letters.",
        version="1",
        capabilities=AgentCapabilities(streaming=True),
        default_input_modes=["text/plain"],
        default_output_modes=["text/plain"],
        skills=[AgentSkill(id="write", name="write", description="writes", tags=["letters"])],
        supported_interfaces=[AgentInterface(url=url, protocol_binding=binding, protocol_version=version)],
    )


def writer_app(url: str) -> Starlette:
    """One agent for each binding and revision, each below a path of its own, with its own card."""
    return Starlette(routes=[_agent(f"{url}/base", binding, version) for binding, version in SPOKEN])


def place(binding: str, version: str) -> str:
    return f"/{binding.partition('+')[0].lower()}-{version}"


def _agent(base: str, binding: str, version: str) -> BaseRoute:
    where = {} if binding == "HTTP+JSON" else {"rpc_url": "/rpc"}
    told = card(base + place(binding, version) + where.get("rpc_url", ""), binding, version)
    handler = DefaultRequestHandler(Writer(), InMemoryTaskStore(), told)
    make: Any = create_rest_routes if binding == "HTTP+JSON" else create_jsonrpc_routes
    routes = [*create_agent_card_routes(told), *make(handler, enable_v0_3_compat=version == "0.3", **where)]
    return Mount("/base" + place(binding, version), routes=routes)


class Stand:
    """The agents, and orchtax in front of them: ``/agent/writer`` rewrites cards, ``/agent/plain`` does not."""

    def __init__(self, url: str, running: Serving) -> None:
        self.straight, self.running = f"{url}/base", running
        self.prefix = f"{running.url}/session/s1/stage/editor/agent"

    async def records(self, count: int) -> list[CallRecord]:
        """The records of all but cards."""

        def found() -> list[CallRecord]:
            return [record for record in spooled(self.running.data) if record.operation != "GetAgentCard"]

        await until(lambda: len(found()) >= count, what=f"{count} records")
        assert len(found()) == count
        return sorted(found(), key=lambda record: record.ts_ns)


@pytest.fixture
async def stand(tmp_path: Path) -> AsyncIterator[Stand]:
    async with asgi(writer_app) as url:
        agent = {"kind": "agent", "base_url": f"{url}/base", "price_per_call_usd": 0.25}
        upstreams = {"writer": {**agent, "rewrite_card": True}, "plain": agent}
        async with serving(tmp_path, store=NO_STORE, upstreams=upstreams) as running:
            yield Stand(url, running)


async def client(http: httpx.AsyncClient, url: str, binding: str, streaming: bool = False) -> Client:
    """A client that learns from the card where to call, as every client does."""
    config = ClientConfig(streaming=streaming, httpx_client=http, supported_protocol_bindings=[binding])
    return await ClientFactory(config).create_from_url(url)


def told(event: StreamResponse) -> tuple[str, Any]:
    """What an event says, without ids and times."""
    kind = event.WhichOneof("payload")
    assert kind is not None
    match kind:
        case "task":
            parts = [part.text for artifact in event.task.artifacts for part in artifact.parts]
            return kind, (event.task.status.state, parts)
        case "artifact_update":
            return kind, [part.text for part in event.artifact_update.artifact.parts]
        case "status_update":
            status = event.status_update.status
            return kind, (status.state, [part.text for part in status.message.parts])
        case _:
            return kind, [part.text for part in event.message.parts]


async def say(agent: Client, text: str, **more: Any) -> list[StreamResponse]:
    request = SendMessageRequest(message=new_text_message(text, role=Role.ROLE_USER, **more))
    return [event async for event in agent.send_message(request)]


def task_of(events: list[StreamResponse]) -> tuple[str, str]:
    """Task and context id of an answer."""
    first = events[0].task
    return first.id, first.context_id


@each_way
@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "stream"])
async def test_a_message_and_its_answer(stand: Stand, binding: str, version: str, streaming: bool) -> None:
    async with httpx.AsyncClient() as http:
        straight = await client(http, stand.straight + place(binding, version), binding, streaming)
        through = await client(http, f"{stand.prefix}/writer{place(binding, version)}", binding, streaming)
        expected, answer = await say(straight, "Ann"), await say(through, "Ann")
        failed = await say(through, "fail")
    assert [told(event) for event in answer] == [told(event) for event in expected]
    ok, error = await stand.records(2)
    operation = "SendStreamingMessage" if streaming else "SendMessage"
    assert [(r.kind, r.dialect, r.operation, r.streamed) for r in (ok, error)] == [
        ("agent", "a2a", operation, streaming)
    ] * 2
    assert {(r.session_id, r.stage, r.upstream, r.cost_nano) for r in (ok, error)} == {
        ("s1", "editor", "writer", 250_000_000)
    }
    assert (ok.outcome, ok.error, ok.finish_reason, ok.response_id) == ("ok", "", "completed", task_of(answer)[0])
    assert (ok.blocks, ok.outputs) == ((text_block("Ann", "user"),), (text_block("Dear Ann", "assistant"),))
    assert (error.outcome, error.error, error.finish_reason) == ("error", "task_failed", "failed")
    assert error.response_id == task_of(failed)[0]


@each_way
async def test_tasks_are_read_and_continued(stand: Stand, binding: str, version: str) -> None:
    async with httpx.AsyncClient() as http:
        agent = await client(http, f"{stand.prefix}/writer{place(binding, version)}", binding)
        task_id, context_id = task_of(await say(agent, "ask"))
        task = await agent.get_task(GetTaskRequest(id=task_id))
        done = await say(agent, "Bo", task_id=task_id, context_id=context_id)
        unknown = MethodNotFoundError if (binding, version) == ("HTTP+JSON", "0.3") else TaskNotFoundError
        with pytest.raises(unknown):
            await agent.get_task(GetTaskRequest(id="nowhere"))
        anonymous = await client(http, f"{stand.running.url}/agent/writer{place(binding, version)}", binding)
        await say(anonymous, "Cy", context_id=context_id)
    assert (task.id, task_of(done)[0]) == (task_id, task_id)
    first, read, second, missing, later = await stand.records(5)
    assert (first.finish_reason, first.outcome) == ("input-required", "ok")
    assert (read.kind, read.operation, read.cost_nano, read.previous_id) == ("other", "GetTask", None, task_id)
    assert (read.outputs, second.previous_id, second.response_id) == ((), task_id, task_id)
    assert (missing.outcome, missing.error) == (
        "error",
        "jsonrpc_-32001" if binding == "JSONRPC" else "TASK_NOT_FOUND",
    )
    assert (later.session_id, later.session_source) == ("s1", "protocol")


async def test_a_card_passes_unchanged_unless_it_is_to_name_the_proxy(stand: Stand) -> None:
    path = f"{place('HTTP+JSON', '1.0')}/.well-known/agent-card.json"
    async with aiohttp.ClientSession() as http:

        async def fetch(url: str) -> bytes:
            async with http.get(url, headers={"Accept-Encoding": "gzip"}) as answer:
                assert answer.status == 200
                return await answer.read()

        own = await fetch(stand.straight + path)
        assert await fetch(f"{stand.prefix}/plain{path}") == own
        renamed = await fetch(f"{stand.prefix}/writer{path}")
        assert await fetch(f"{stand.prefix}/plain{path}") == own
    assert renamed == own.replace(stand.straight.encode(), f"{stand.prefix}/writer".encode())
    async with httpx.AsyncClient() as plain:
        resolved = await A2ACardResolver(plain, f"{stand.prefix}/writer{place('HTTP+JSON', '1.0')}").get_agent_card()
    assert resolved.supported_interfaces[0].url == f"{stand.prefix}/writer{place('HTTP+JSON', '1.0')}"
    assert all(record.kind == "other" and record.cost_nano is None for record in spooled(stand.running.data))


async def test_following_a_task(stand: Stand) -> None:
    """The agent asks back; one client follows the task to its end while another answers, a third loses interest."""
    where = f"{stand.prefix}/writer{place('JSONRPC', '1.0')}"
    async with httpx.AsyncClient() as http:
        agent = await client(http, where, "JSONRPC", streaming=True)
        events = await say(agent, "ask")
        task_id, context_id = task_of(events)
        follower, bored = (agent.subscribe(SubscribeToTaskRequest(id=task_id)) for _ in range(2))
        assert (await anext(follower)).task.id == (await anext(bored)).task.id == task_id
        await bored.aclose()  # type: ignore[attr-defined]  # an async generator, declared as an iterator
        await say(agent, "Bo", task_id=task_id, context_id=context_id)
        followed = [told(event) async for event in follower]
        with pytest.raises(TaskNotFoundError):
            await anext(agent.subscribe(SubscribeToTaskRequest(id="nowhere")))
    assert ("artifact_update", ["Bo"]) in followed
    records = await stand.records(5)
    assert [r.outcome for r in records if r.kind == "agent"] == ["ok", "ok"]
    follows = [r for r in records if r.operation == "SubscribeToTask"]
    assert {(r.kind, r.cost_nano, r.outputs) for r in follows} == {("other", None, ())}
    assert sorted((r.outcome, r.previous_id) for r in follows) == [
        ("error", "nowhere"),
        ("ok", task_id),
        ("ok", task_id),
    ]
