"""Agent frameworks as they are, straight and through orchtax: the answer is the same, and the records are right.

The frameworks are imported only after their telemetry was switched off by the variables they document, and under a
watch that lets no socket of this process leave the machine.
"""

from __future__ import annotations

import importlib
import secrets
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio
from openai import AsyncOpenAI, DefaultAsyncHttpxClient

from collectors.records import CallRecord
from proxy.demo.play import Ask, Turn
from tests.framework_stand import OFFLINE, PLAIN, WORDS, BaseUrl, Stand, standing
from tests.loopback import Watch, loopback_only
from tests.proxy.demo.scripted import tokens
from tests.responses_provider import TEXT

pytestmark = pytest.mark.asyncio(loop_scope="module")
QUESTION = "What is the weather in Köln?"


def asking(tool: str) -> Turn:
    """The model asks for a tool; ``place`` is a text without a case's facts."""
    place = {"place": "@routed/pass"} if tool == "weather" else {}
    return Turn(asks=(Ask(tool, place),), first_byte_ms=1, chunk_ms=0)


def weather(place: str) -> str:
    """Say how the weather is."""
    return f"rain, {len(place)}"


@pytest.fixture(scope="module", autouse=True)
def watch() -> Iterator[Watch]:
    with pytest.MonkeyPatch.context() as environment, loopback_only() as watch:
        for name, value in OFFLINE.items():
            environment.setenv(name, value)
        yield watch


@pytest.fixture(autouse=True)
def nothing_left(watch: Watch) -> Iterator[None]:
    yield
    assert not watch.refused


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stand]:
    async with standing(tmp_path_factory.mktemp("frameworks")) as shared:
        yield shared


@pytest.fixture
def stand(shared: Stand) -> Stand:
    return replace(shared, session=secrets.token_hex(4))


def stages(records: list[CallRecord]) -> list[tuple[str, tuple[str, ...]]]:
    return [(record.stage, record.emitted_tools) for record in records]


async def test_the_watch_refuses_what_leaves_the_machine(watch: Watch) -> None:
    with pytest.raises(ConnectionRefusedError, match="stay on this machine"):
        socket.create_connection(("192.0.2.1", 9))
    with pytest.raises(ConnectionRefusedError, match="stay on this machine"):
        socket.getaddrinfo("example.org", 443)
    assert watch.refused == ["192.0.2.1", "example.org"]
    watch.refused.clear()


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("model", ["openai/gpt-4.1", "anthropic/claude-sonnet-4-6"])
async def test_litellm(stand: Stand, model: str, streamed: bool) -> None:
    litellm: Any = importlib.import_module("litellm")  # exports less than it documents
    upstream, name = model.split("/")

    async def ask(base: BaseUrl) -> Any:
        url = base("writer", upstream) + ("/v1" if upstream == "openai" else "")
        said = [{"role": "user", "content": QUESTION}]
        answer = await litellm.acompletion(model=model, api_base=url, api_key="k", messages=said, stream=streamed)
        if not streamed:
            return answer.choices[0].message.content, answer.choices[0].finish_reason
        return [(c.choices[0].delta.content, c.choices[0].finish_reason) async for c in answer]

    stand.play(PLAIN)
    answer, (record,) = await stand.both(ask)
    await litellm.close_litellm_async_clients()
    assert ("".join(piece or "" for piece, _ in answer) if streamed else answer[0]) == WORDS
    assert (record.stage, record.upstream, record.model) == ("writer", upstream, name)
    assert record.output_tokens == tokens([WORDS])
    assert record.finish_reason == ("stop" if upstream == "openai" else "end_turn")


@pytest.fixture
def agents() -> Any:
    return importlib.import_module("agents")


@asynccontextmanager
async def agent_models(agents: Any, api: str, base: BaseUrl, *stages: str) -> AsyncIterator[list[Any]]:
    """A model a stage, in chat-completions or in Responses mode."""
    make = agents.OpenAIChatCompletionsModel if api == "openai" else agents.OpenAIResponsesModel
    async with AsyncExitStack() as clients:
        made = [AsyncOpenAI(api_key="k", base_url=base(stage, api) + "/v1") for stage in stages]
        yield [make(model="gpt-4.1", openai_client=await clients.enter_async_context(client)) for client in made]


def check_responses(stand: Stand, records: list[CallRecord]) -> None:
    """Ids and tools as the Responses provider told them."""
    told = [(answer.id, answer.tools) for answer in stand.responses.told[-len(records) :]]
    assert [(record.response_id, record.emitted_tools) for record in records] == told
    assert {record.dialect for record in records} == {"openai_responses"}


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("api", ["openai", "responses"])
async def test_openai_agents_with_a_function_tool(stand: Stand, agents: Any, api: str, streamed: bool) -> None:
    async def ask(base: BaseUrl) -> Any:
        async with agent_models(agents, api, base, "writer") as (model,):
            tools = [agents.function_tool(weather)]
            agent = agents.Agent(name="writer", instructions="Be kind.", model=model, tools=tools)
            if not streamed:
                return (await agents.Runner.run(agent, QUESTION)).final_output
            running = agents.Runner.run_streamed(agent, QUESTION)
            async for _ in running.stream_events():
                pass
            return running.final_output

    stand.play(asking("weather"), PLAIN)
    answer, records = await stand.both(ask)
    assert answer == (WORDS if api == "openai" else TEXT)
    assert stages(records) == [("writer", ("weather",)), ("writer", ())]
    assert [block.kind for block in records[1].blocks][-2:] == ["tool_call", "tool_result"]
    if api == "responses":
        check_responses(stand, records)


@pytest.mark.parametrize("api", ["openai", "responses"])
async def test_openai_agents_hand_over(stand: Stand, agents: Any, api: str) -> None:
    async def ask(base: BaseUrl) -> Any:
        async with agent_models(agents, api, base, "router", "specialist") as (first, second):
            specialist = agents.Agent(name="specialist", instructions="Answer.", model=second)
            router = agents.Agent(name="router", instructions="Route.", model=first, handoffs=[specialist])
            result = await agents.Runner.run(router, QUESTION)
            return result.last_agent.name, result.final_output

    stand.play(asking("transfer_to_specialist"), PLAIN)
    answer, records = await stand.both(ask)
    assert answer == ("specialist", WORDS if api == "openai" else TEXT)
    assert stages(records) == [("router", ("transfer_to_specialist",)), ("specialist", ())]
    if api == "responses":
        check_responses(stand, records)


@asynccontextmanager
async def chat_model(base: BaseUrl, stage: str, **more: Any) -> AsyncIterator[Any]:
    """LangChain's, with a client of its own: LangChain keeps those that it makes itself for ever."""
    from langchain_openai import ChatOpenAI

    async with DefaultAsyncHttpxClient() as client:
        url = base(stage, "openai") + "/v1"
        yield ChatOpenAI(model="gpt-4.1", api_key="k", base_url=url, http_async_client=client, **more)


async def test_a_graph_of_two_nodes(stand: Stand) -> None:
    from langchain_anthropic import ChatAnthropic
    from langgraph.graph import END, START, MessagesState, StateGraph

    async def ask(base: BaseUrl) -> Any:
        editor = ChatAnthropic(model="claude-sonnet-4-6", api_key="k", base_url=base("editor", "anthropic"))

        async def edit(state: MessagesState) -> Any:
            return {"messages": [await editor.ainvoke([("user", state["messages"][-1].content)])]}

        async with chat_model(base, "drafter") as drafter, editor._async_client:

            async def draft(state: MessagesState) -> Any:
                return {"messages": [await drafter.ainvoke(state["messages"])]}

            graph: Any = StateGraph(MessagesState).add_node("draft", draft).add_node("edit", edit)
            graph.add_edge(START, "draft").add_edge("draft", "edit").add_edge("edit", END)
            done = await graph.compile().ainvoke({"messages": [("user", QUESTION)]})
        return [message.content for message in done["messages"]]

    stand.play(PLAIN, PLAIN)
    answer, (drafted, edited) = await stand.both(ask)
    assert answer == [QUESTION, WORDS, WORDS]
    assert (drafted.stage, drafted.dialect) == ("drafter", "openai_chat")
    assert (edited.stage, edited.dialect) == ("editor", "anthropic")
    assert drafted.outputs[0].digest == edited.blocks[0].digest  # what crossed is recognised


async def test_a_react_loop(stand: Stand) -> None:
    from langchain_core.tools import tool
    from langgraph.graph import START, MessagesState, StateGraph
    from langgraph.prebuilt import ToolNode, tools_condition

    async def ask(base: BaseUrl) -> Any:
        tools = [tool(weather)]
        async with chat_model(base, "writer") as model:

            async def think(state: MessagesState) -> Any:
                return {"messages": [await model.bind_tools(tools).ainvoke(state["messages"])]}

            graph: Any = StateGraph(MessagesState).add_node("think", think).add_node("tools", ToolNode(tools))
            graph.add_edge(START, "think").add_conditional_edges("think", tools_condition).add_edge("tools", "think")
            done = await graph.compile().ainvoke({"messages": [("user", QUESTION)]})
        return [(message.type, message.content) for message in done["messages"]]

    stand.play(asking("weather"), asking("weather"), PLAIN)
    answer, records = await stand.both(ask)
    assert [kind for kind, _ in answer] == ["human", "ai", "tool", "ai", "tool", "ai"]
    assert answer[-1] == ("ai", WORDS)
    assert stages(records) == [("writer", ("weather",)), ("writer", ("weather",)), ("writer", ())]


async def test_a_graph_that_streams_without_usage_sees_none_and_is_booked_as_reported(stand: Stand) -> None:
    from langgraph.graph import END, START, MessagesState, StateGraph

    async def ask(base: BaseUrl) -> Any:
        async with chat_model(base, "writer", streaming=True) as model:

            async def write(state: MessagesState) -> Any:
                return {"messages": [await model.ainvoke(state["messages"])]}

            graph: Any = StateGraph(MessagesState).add_node("write", write)
            graph.add_edge(START, "write").add_edge("write", END)
            heard = graph.compile().astream({"messages": [("user", QUESTION)]}, stream_mode="messages")
            return [(chunk.content, chunk.usage_metadata, chunk.chunk_position) async for chunk, _ in heard]

    stand.play(PLAIN)
    heard, (record,) = await stand.both(ask)
    assert "".join(content for content, *_ in heard) == WORDS
    assert all(usage is None for _, usage, _ in heard)
    assert record.output_tokens == tokens([WORDS])
