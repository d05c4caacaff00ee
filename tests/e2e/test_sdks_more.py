"""More of the vendors' own clients, straight and through orchtax: the answer is the same, and the record is right."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import cohere
import ollama
import openai
import pytest
from google import genai
from google.genai import errors, types
from mistralai.client import Mistral

from collectors.records import CallRecord
from tests.serving import Serving, serving, spooled
from tests.upstream import until
from tests.vendors import TEXT, TOLD, vendors

# google-genai derives a class from aiohttp's ClientSession, which aiohttp discourages.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")
NO_STORE = {"url": "clickhouse://127.0.0.1:9/orchtax"}  # records stay in the spool, where these tests read them
NAMES = ("gemini", "cohere", "mistral", "ollama", "openai")
QUESTION = "How is the weather in Köln?"
USED = (TOLD["input"], TOLD["output"], TOLD["cached"], TOLD["thoughts"])
FUNCTION = {"name": "weather", "description": "d", "parameters": {"type": "object", "properties": {}}}


class Stand:
    """The vendors' server, and orchtax in front of it."""

    def __init__(self, vendor: str, running: Serving) -> None:
        self.vendor, self.running = vendor, running

    async def both(self, name: str, ask: Callable[[str], Awaitable[Any]]) -> tuple[Any, CallRecord]:
        """``ask`` a base URL, straight and through orchtax: the same answer, and its one record."""
        straight = await ask(self.vendor)
        through = await ask(self.through(name))
        assert through == straight
        record = (await self.records(1))[0]
        assert (record.outcome, record.status, record.upstream) == ("ok", 200, name)
        return through, record

    def through(self, name: str) -> str:
        return f"{self.running.url}/session/s1/stage/writer/{name}"

    async def records(self, count: int) -> list[CallRecord]:
        await until(lambda: len(spooled(self.running.data)) >= count, what=f"{count} records")
        found = sorted(spooled(self.running.data), key=lambda record: record.ts_ns)
        assert len(found) == count
        assert {(r.session_id, r.stage) for r in found} == {("s1", "writer")}
        return found


@pytest.fixture
async def stand(tmp_path: Path) -> AsyncIterator[Stand]:
    async with vendors() as vendor:
        upstreams = {name: {"base_url": vendor} for name in NAMES}
        async with serving(tmp_path, store=NO_STORE, upstreams=upstreams) as running:
            yield Stand(vendor, running)


def used(record: CallRecord) -> tuple[int | None, ...]:
    assert record.usage_source == "reported"
    return record.input_tokens, record.output_tokens, record.cache_read_tokens, record.reasoning_tokens


def google(url: str) -> genai.Client:
    options = types.HttpOptions(base_url=url, retry_options=types.HttpRetryOptions(attempts=1))
    return genai.Client(api_key="k", http_options=options)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("tools", [False, True])
async def test_google_genai_generates(stand: Stand, streamed: bool, tools: bool) -> None:
    declared = types.FunctionDeclaration(name="weather", description="d")
    config = types.GenerateContentConfig(
        system_instruction="Be kind.",
        max_output_tokens=99,
        tools=[types.Tool(function_declarations=[declared])] if tools else None,
    )

    async def ask(url: str) -> Any:
        async with google(url).aio as client:
            if not streamed:
                answer = await client.models.generate_content(model="gemini-2.5-pro", contents=QUESTION, config=config)
                return answer.candidates
            stream = await client.models.generate_content_stream(
                model="gemini-2.5-pro", contents=QUESTION, config=config
            )
            return [chunk.candidates async for chunk in stream]

    _, record = await stand.both("gemini", ask)
    assert used(record) == USED
    assert (record.dialect, record.model, record.response_id) == ("gemini", "gemini-2.5-pro", "g1")
    assert (record.streamed, record.finish_reason) == (streamed, "STOP")
    assert record.emitted_tools == (("weather",) if tools else ())
    fresh = (TOLD["input"] - TOLD["cached"]) * 1250 + TOLD["cached"] * 125
    assert record.cost_nano == fresh + TOLD["output"] * 10_000  # 1.25, 0.125 and 10 USD per million, November 2026
    assert [block.kind for block in record.blocks] == [*(["tool_def"] if tools else []), "system", "user"]


async def test_google_genai_embeds_and_counts(stand: Stand) -> None:
    async def embed(url: str) -> Any:
        async with google(url).aio as client:
            return (await client.models.embed_content(model="gemini-embedding-001", contents=["a", "b"])).embeddings

    _, record = await stand.both("gemini", embed)
    assert used(record) == (TOLD["input"], 0, None, None)
    assert (record.operation, record.model, record.kind) == ("embeddings", "gemini-embedding-001", "model")
    async with google(stand.through("gemini")).aio as client:
        counted = await client.models.count_tokens(model="gemini-2.5-pro", contents=QUESTION)
    assert counted.total_tokens == TOLD["input"]
    record = (await stand.records(2))[1]
    assert (record.kind, record.operation, record.input_tokens, record.cost_nano) == (
        "other",
        "count_tokens",
        None,
        None,
    )


@pytest.mark.parametrize("streamed", [False, True])
async def test_cohere_chats(stand: Stand, streamed: bool) -> None:
    messages: Any = [{"role": "user", "content": QUESTION}]

    async def ask(url: str) -> Any:
        async with cohere.AsyncClientV2(api_key="k", base_url=url) as client:
            if not streamed:
                return (await client.chat(model="command-r7b-12-2024", messages=messages)).message
            stream = client.chat_stream(model="command-r7b-12-2024", messages=messages)
            return [event async for event in stream]

    _, record = await stand.both("cohere", ask)
    assert used(record) == (TOLD["input"], TOLD["output"], TOLD["cached"], None)
    assert (record.dialect, record.model, record.response_id) == ("cohere", "command-r7b-12-2024", "c1")
    assert (record.streamed, record.finish_reason) == (streamed, "COMPLETE")
    assert sum(block.size for block in record.outputs) == len(TEXT)
    assert record.cost_nano is not None


async def test_cohere_embeds_and_ranks(stand: Stand) -> None:
    async def embed(url: str) -> Any:
        async with cohere.AsyncClientV2(api_key="k", base_url=url) as client:
            answer = await client.embed(
                model="embed-v4.0", input_type="search_query", texts=["a", "b"], embedding_types=["float"]
            )
            return answer.embeddings

    _, record = await stand.both("cohere", embed)
    assert used(record) == (TOLD["input"], 0, None, None)
    async with cohere.AsyncClientV2(api_key="k", base_url=stand.through("cohere")) as client:
        ranked = await client.rerank(model="rerank-v3.5", query="q", documents=["a"])
    assert ranked.results[0].index == 0
    record = (await stand.records(2))[1]
    assert (record.kind, record.operation, record.input_tokens) == ("model", "rerank", None)


@pytest.mark.parametrize("streamed", [False, True])
async def test_mistral_chats(stand: Stand, streamed: bool) -> None:
    messages: Any = [{"role": "user", "content": QUESTION}]

    async def ask(url: str) -> Any:
        async with Mistral(api_key="k", server_url=url) as client:
            if not streamed:
                return (await client.chat.complete_async(model="mistral-large-latest", messages=messages)).choices
            stream = await client.chat.stream_async(model="mistral-large-latest", messages=messages)
            return [event.data.choices async for event in stream]

    _, record = await stand.both("mistral", ask)
    assert used(record) == (TOLD["input"], TOLD["output"], TOLD["cached"], None)
    assert (record.dialect, record.model, record.streamed) == ("openai_chat", "mistral-large-latest", streamed)
    assert record.cost_nano is not None


async def test_mistral_embeds(stand: Stand) -> None:
    async def ask(url: str) -> Any:
        async with Mistral(api_key="k", server_url=url) as client:
            return (await client.embeddings.create_async(model="mistral-embed", inputs=["a", "b"])).data

    _, record = await stand.both("mistral", ask)
    assert used(record) == (TOLD["input"], 0, None, None)
    assert (record.dialect, record.cost_nano) == ("embeddings", TOLD["input"] * 100)  # 0.10 USD per million


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("call", ["chat", "generate"])
async def test_ollama_answers(stand: Stand, streamed: bool, call: str) -> None:
    async def ask(url: str) -> Any:
        async with ollama.AsyncClient(host=url) as client:
            if call == "chat":
                messages = [{"role": "user", "content": QUESTION}]
                answer = await client.chat(model="qwen3", messages=messages, stream=streamed)
            else:
                answer = await client.generate(model="qwen3", prompt=QUESTION, stream=streamed)
            return [part async for part in answer] if streamed else answer

    _, record = await stand.both("ollama", ask)
    assert used(record) == (TOLD["input"], TOLD["output"], None, None)
    assert (record.dialect, record.model, record.streamed) == ("ollama", "qwen3", streamed)
    assert (record.finish_reason, record.cost_nano) == ("stop", None)
    assert sum(block.size for block in record.outputs) == len(TEXT)


async def test_ollama_embeds(stand: Stand) -> None:
    async def ask(url: str) -> Any:
        async with ollama.AsyncClient(host=url) as client:
            return await client.embed(model="e", input=["a", "b"])

    _, record = await stand.both("ollama", ask)
    assert used(record) == (TOLD["input"], 0, None, None)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("tools", [False, True])
async def test_openai_responds(stand: Stand, streamed: bool, tools: bool) -> None:
    request: Any = {"model": "gpt-4.1", "input": QUESTION, "instructions": "Be kind.", "previous_response_id": "resp_0"}
    if tools:
        request["tools"] = [{"type": "function", **FUNCTION}]

    async def ask(url: str) -> Any:
        async with openai.AsyncOpenAI(api_key="k", base_url=f"{url}/v1") as client:
            if not streamed:
                return await client.responses.create(**request)
            async with client.responses.stream(**request) as stream:
                return await stream.get_final_response()

    answer, record = await stand.both("openai", ask)
    assert used(record) == USED
    assert (record.dialect, record.model, record.streamed) == ("openai_responses", "gpt-4.1", streamed)
    assert (record.response_id, record.previous_id) == (answer.id, "resp_0")
    assert record.emitted_tools == (("weather",) if tools else ())
    fresh = (TOLD["input"] - TOLD["cached"]) * 2000 + TOLD["cached"] * 500
    assert record.cost_nano == fresh + TOLD["output"] * 8000  # 2, 0.50 and 8 USD per million, November 2026


async def test_a_background_response_is_booked_once_however_often_it_is_read(stand: Stand) -> None:
    async with openai.AsyncOpenAI(api_key="k", base_url=f"{stand.through('openai')}/v1") as client:
        made = await client.responses.create(model="gpt-4.1", input=QUESTION, background=True)
        for _ in range(3):
            read = await client.responses.retrieve(made.id)
    assert (made.usage, read.output_text) == (None, TEXT)
    posted, first, *later = await stand.records(4)
    assert (posted.kind, posted.input_tokens, posted.usage_source, posted.cost_nano) == ("model", None, "none", None)
    assert (first.kind, used(first), first.response_model) == ("model", USED, "gpt-4.1")
    assert first.cost_nano
    assert {(r.kind, r.input_tokens, r.output_tokens, r.cost_nano) for r in later} == {("other", None, None, None)}


async def test_openai_embeds(stand: Stand) -> None:
    async def ask(url: str) -> Any:
        async with openai.AsyncOpenAI(api_key="k", base_url=f"{url}/v1") as client:
            return await client.embeddings.create(model="text-embedding-3-small", input=["a"], encoding_format="float")

    _, record = await stand.both("openai", ask)
    assert used(record) == (TOLD["input"], 0, None, None)
    assert (record.dialect, record.cost_nano) == ("embeddings", TOLD["input"] * 20)  # 0.02 USD per million


async def test_errors_of_orchtax_are_the_sdks_own_exceptions(tmp_path: Path) -> None:
    """Nobody answers behind orchtax: each client raises what it raises for its vendor, with orchtax's message."""
    upstreams = {name: {"base_url": "http://127.0.0.1:9"} for name in NAMES}
    async with serving(tmp_path, store=NO_STORE, upstreams=upstreams) as running:
        async with google(f"{running.url}/gemini").aio as gemini:
            with pytest.raises(errors.ServerError, match="gemini") as failed:
                await gemini.models.generate_content(model="m", contents=QUESTION)
        assert (failed.value.code, failed.value.status) == (502, "INTERNAL")
        async with cohere.AsyncClientV2(api_key="k", base_url=f"{running.url}/cohere", max_retries=0) as co:
            with pytest.raises(cohere.core.ApiError) as raised:
                await co.chat(model="m", messages=[cohere.UserChatMessageV2(content=QUESTION)])
        assert raised.value.status_code == 502
        async with ollama.AsyncClient(host=f"{running.url}/ollama") as local:
            with pytest.raises(ollama.ResponseError, match="ollama"):
                await local.chat(model="m", messages=[])
        async with openai.AsyncOpenAI(api_key="k", base_url=f"{running.url}/openai/v1", max_retries=0) as ai:
            with pytest.raises(openai.InternalServerError, match="openai"):
                await ai.responses.create(model="m", input=QUESTION)
            with pytest.raises(openai.InternalServerError, match="openai"):
                await ai.embeddings.create(model="m", input=QUESTION)
