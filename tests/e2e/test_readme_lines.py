"""The lines that the README offers for copying, as they stand there: each brings its client's call to orchtax, with the
session and the stage that it names."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from collectors.records import CallRecord
from proxy.demo.play import Script
from tests.framework_stand import NO_STORE, OFFLINE, PLAIN, WORDS
from tests.loopback import loopback_only
from tests.proxy.demo.scripted import scripted
from tests.serving import Serving, serving, spooled
from tests.upstream import until
from tests.vendors import TEXT, vendors

# google-genai derives a class from aiohttp's ClientSession, which aiohttp discourages.
pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning"),
]
README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
ADDRESS = "http://127.0.0.1:8400"
KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "CO_API_KEY", "MISTRAL_API_KEY")
AWS_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")  # without them boto3 asks the machine's own service
QUESTION = "How is the weather in Köln?"
SAID = [{"role": "user", "content": QUESTION}]
NAMES = ("openai", "gemini", "cohere", "mistral", "ollama")


@pytest.fixture(scope="module", autouse=True)
def offline() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as environment, loopback_only() as watch:
        for name, value in {**OFFLINE, **dict.fromkeys(KEYS + AWS_KEYS, "k")}.items():
            environment.setenv(name, value)
        yield
        assert not watch.refused


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Serving]:
    folder = tmp_path_factory.mktemp("readme")
    script: dict[str, Script] = {"": {"": (PLAIN,) * 9}}
    async with vendors() as vendor, scripted(script, folder) as claude:
        upstreams: dict[str, Any] = {name: {"base_url": vendor} for name in NAMES}
        upstreams["anthropic"] = {"base_url": claude.url}
        async with serving(folder, store=NO_STORE, upstreams=upstreams) as running:
            yield running


def names_of(line: str, running: Serving) -> dict[str, Any]:
    """What the README's block that holds this line defines, with orchtax where it really stands."""
    blocks = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    (block,) = [block for block in blocks if line in block]
    names: dict[str, Any] = {}
    exec(block.replace(ADDRESS, running.url), names)  # noqa: S102 - our own README, run as its readers run it
    return names


async def new_record(running: Serving, known: int) -> CallRecord:
    """The one record that came on top of the known ones."""
    await until(lambda: len(spooled(running.data)) > known, what="the record")
    (record,) = sorted(spooled(running.data), key=lambda record: record.ts_ns)[known:]
    return record


async def check(running: Serving, upstream: str, call: Any, stage: str = "writer") -> None:
    """Make the call (in a thread where it blocks): it answers, and is recorded as the README says."""
    known = len(spooled(running.data))
    said = await call() if inspect.iscoroutinefunction(call) else await asyncio.to_thread(call)
    assert said == (WORDS if upstream == "anthropic" else TEXT)
    record = await new_record(running, known)
    assert (record.session_id, record.stage, record.upstream) == ("order-4711", stage, upstream)
    assert (record.outcome, record.usage_source) == ("ok", "reported")


async def test_the_sdks(running: Serving) -> None:
    named = names_of("genai.Client(", running)
    gpt, claude, gemini = named["gpt"], named["claude"], named["gemini"]
    command, mistral, local = named["command"], named["mistral"], named["local"]
    asked: dict[str, Any] = {
        "openai": lambda: gpt.chat.completions.create(model="gpt-4.1", messages=SAID).choices[0].message.content,
        "anthropic": lambda: (
            claude.messages.create(model="claude-sonnet-4-6", max_tokens=99, messages=SAID).content[0].text
        ),
        "gemini": lambda: gemini.models.generate_content(model="gemini-2.5-pro", contents=QUESTION).text,
        "cohere": lambda: command.chat(model="command-a-03-2025", messages=SAID).message.content[0].text,
        "mistral": lambda: mistral.chat.complete(model="mistral-large-2512", messages=SAID).choices[0].message.content,
        "ollama": lambda: local.chat("llama3", SAID).message.content,
    }
    with ExitStack() as open_clients:
        for client in (gpt, claude, gemini, command, mistral, local):
            open_clients.enter_context(client)
        for upstream, call in asked.items():
            await check(running, upstream, call)
    assert named["nova"].meta.endpoint_url == f"{running.url}/session/order-4711/stage/writer/bedrock/us-east-1"


async def test_the_first_line(running: Serving) -> None:
    named = names_of("default_headers=", running)
    with named["client"] as client:
        create = client.chat.completions.create
        await check(
            running,
            "openai",
            lambda: create(model="gpt-4.1", messages=SAID).choices[0].message.content,
            stage="router",
        )


async def test_the_frameworks(running: Serving) -> None:
    named = names_of("import litellm", running)
    from agents import Runner

    async def langchain(model: Any) -> Any:
        return (await model.ainvoke(QUESTION)).content

    async def agent(of: Any) -> Any:
        return (await Runner.run(of, QUESTION)).final_output

    async def litellm(ask: Any) -> Any:
        return (await ask(messages=SAID)).choices[0].message.content

    drives = {
        "drafter": ("openai", langchain),
        "editor": ("anthropic", langchain),
        "writer": ("openai", agent),
        "critic": ("openai", agent),
        "ask_gpt": ("openai", litellm),
        "ask_claude": ("anthropic", litellm),
    }
    for name, (upstream, drive) in drives.items():

        async def call(drive: Any = drive, made: Any = named[name]) -> Any:
            return await drive(made)

        await check(running, upstream, call)
    await named["client"].close()
    await named["drafter"].root_async_client.close()
    await named["editor"]._async_client.close()
    await named["litellm"].close_litellm_async_clients()
