"""The scripted provider against the vendors' own clients: shapes parse, counts are true, errors make the SDKs retry."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.demo.play import Ask, Failure, Script, Turn
from proxy.demo.question import pieces
from proxy.demo.words import text
from tests.proxy.demo.scripted import Scripted, scripted, tokens

LETTER = text("routed/letter", "routed-1")
POLICY = text("routed/policy")
BUSY = Failure(429, 20, "slow down")
BROKEN = Failure(500, 20, "broken")
WEATHER = {"type": "object", "properties": {"place": {"type": "string"}}}
SCRIPT: Script = {
    "plain": (Turn("routed/draft", first_byte_ms=1, chunk_ms=0), Turn("routed/pass", first_byte_ms=1, chunk_ms=0)),
    "tools": (
        Turn(
            asks=(Ask("weather", {"place": "$name"}), Ask("orders", {"order": "$number"})),
            first_byte_ms=1,
            chunk_ms=0,
        ),
    ),
    "flaky": (Turn("routed/pass", first_byte_ms=1, failures=(BUSY, BROKEN)),),
    "slow": (Turn("routed/rework", first_byte_ms=1, chunk_ms=50),),
}


@pytest.fixture
async def provider(tmp_path: Path) -> AsyncIterator[Scripted]:
    async with scripted({"routed": SCRIPT}, tmp_path) as running:
        yield running


def openai_request(stage: str, **more: Any) -> dict[str, Any]:
    messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": LETTER}]
    return {"model": "gpt-4.1", "messages": messages, "user": f"routed-1/{stage}", **more}


def anthropic_request(stage: str, **more: Any) -> dict[str, Any]:
    return {
        "model": "claude-sonnet-4-6",
        "max_tokens": 500,
        "messages": [{"role": "user", "content": LETTER}],
        "metadata": {"user_id": f"routed-1/{stage}"},
        **more,
    }


async def test_openai_answer_has_the_scripts_text_and_true_counts(provider: Scripted) -> None:
    answer = await provider.openai.chat.completions.create(**openai_request("plain"))
    draft = text("routed/draft", "routed-1")
    assert answer.choices[0].message.content == draft
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == tokens(["Be kind.", LETTER])
    assert answer.usage.completion_tokens == tokens([draft])
    (entry,) = provider.entries
    assert (entry.session, entry.stage, entry.status, entry.attempt) == ("routed-1", "plain", 200, 0)
    assert (entry.prompt_tokens, entry.completion_tokens) == (tokens(["Be kind.", LETTER]), tokens([draft]))


async def test_openai_stream_tells_usage_only_when_asked(provider: Scripted) -> None:
    for options in ({}, {"stream_options": {"include_usage": True}}):
        said, usages = "", []
        request = openai_request("plain", stream=True, **options)
        async for chunk in await provider.openai.chat.completions.create(**request):
            said += "".join(choice.delta.content or "" for choice in chunk.choices)
            usages += [chunk.usage] if chunk.usage else []
        entry = provider.entries[-1]
        assert entry.is_streamed
        assert tokens([said]) == entry.completion_tokens
        assert [(u.prompt_tokens, u.completion_tokens) for u in usages] == (
            [(entry.prompt_tokens, entry.completion_tokens)] if options else []
        )


@pytest.mark.parametrize("streamed", [False, True])
async def test_openai_tool_calls(provider: Scripted, streamed: bool) -> None:
    tool = {"type": "function", "function": {"name": "weather", "parameters": WEATHER}}
    request = openai_request("tools", tools=[tool])
    if streamed:
        async with provider.openai.chat.completions.stream(**request) as stream:
            message = (await stream.get_final_completion()).choices[0].message
    else:
        message = (await provider.openai.chat.completions.create(**request)).choices[0].message
    calls = {call.function.name: call.function.arguments for call in message.tool_calls or ()}
    assert {name: json.loads(given_) for name, given_ in calls.items()} == {
        "weather": {"place": "Ines Carvalho"},
        "orders": {"order": "A-10442"},
    }
    (entry,) = provider.entries
    assert entry.completion_tokens == tokens([*calls, *calls.values()])
    assert entry.prompt_tokens == tokens(["Be kind.", LETTER, json.dumps(tool, separators=(",", ":"), sort_keys=True)])


@pytest.mark.parametrize("streamed", [False, True])
async def test_anthropic_answer_has_true_counts(provider: Scripted, streamed: bool) -> None:
    request = anthropic_request("plain", system="Be kind.")
    if streamed:
        async with provider.anthropic.messages.stream(**request) as stream:
            message = await stream.get_final_message()
    else:
        message = await provider.anthropic.messages.create(**request)
    (block,) = message.content
    assert block.type == "text"
    assert block.text == text("routed/draft", "routed-1")
    assert message.usage.input_tokens == tokens(["Be kind.", LETTER])
    assert message.usage.output_tokens == tokens([block.text])
    assert message.stop_reason == "end_turn"


@pytest.mark.parametrize("streamed", [False, True])
async def test_anthropic_tool_use(provider: Scripted, streamed: bool) -> None:
    tools = [{"name": "weather", "description": "It.", "input_schema": WEATHER}]
    request = anthropic_request("tools", tools=tools)
    if streamed:
        async with provider.anthropic.messages.stream(**request) as stream:
            message = await stream.get_final_message()
    else:
        message = await provider.anthropic.messages.create(**request)
    asked = {block.name: block.input for block in message.content if block.type == "tool_use"}
    assert asked == {"weather": {"place": "Ines Carvalho"}, "orders": {"order": "A-10442"}}
    assert message.stop_reason == "tool_use"


async def test_anthropic_cache_is_written_once_then_read(provider: Scripted) -> None:
    system = [{"type": "text", "text": POLICY, "cache_control": {"type": "ephemeral"}}]
    first = await provider.anthropic.messages.create(**anthropic_request("plain", system=system))
    second = await provider.anthropic.messages.create(**anthropic_request("plain", system=system))
    marked = tokens([POLICY])
    assert marked >= 1024
    assert (first.usage.cache_creation_input_tokens, first.usage.cache_read_input_tokens) == (marked, 0)
    assert (second.usage.cache_creation_input_tokens, second.usage.cache_read_input_tokens) == (0, marked)
    assert second.usage.input_tokens == tokens([LETTER])
    assert [e.prompt_tokens for e in provider.entries] == [marked + tokens([LETTER])] * 2


async def test_openai_caches_long_prefixes_in_steps_of_128(provider: Scripted) -> None:
    messages = [{"role": "system", "content": POLICY}, {"role": "user", "content": LETTER}]
    first = await provider.openai.chat.completions.create(**openai_request("plain") | {"messages": messages})
    messages[1] = {"role": "user", "content": "Something else."}
    second = await provider.openai.chat.completions.create(**openai_request("plain") | {"messages": messages})
    cached = [a.usage.prompt_tokens_details.cached_tokens for a in (first, second)]
    assert cached == [0, tokens([POLICY]) - tokens([POLICY]) % 128]


async def test_short_prompts_are_not_cached(provider: Scripted) -> None:
    for _ in range(2):
        await provider.openai.chat.completions.create(**openai_request("plain"))
    assert [e.cached_tokens for e in provider.entries] == [0, 0]


async def test_failures_make_the_sdk_retry_and_every_attempt_is_logged(provider: Scripted) -> None:
    answer = await provider.openai.chat.completions.create(**openai_request("flaky"))
    assert answer.choices[0].message.content == text("routed/pass")
    assert [(e.status, e.attempt) for e in provider.entries] == [(429, 0), (500, 1), (200, 2)]
    assert [e.prompt_tokens is None for e in provider.entries] == [True, True, False]


async def test_anthropic_sdk_retries_too(provider: Scripted) -> None:
    await provider.anthropic.messages.create(**anthropic_request("flaky"))
    assert [(e.status, e.attempt) for e in provider.entries] == [(429, 0), (500, 1), (200, 2)]


async def test_a_caller_without_a_line_is_told_so(provider: Scripted) -> None:
    with pytest.raises(openai.NotFoundError, match="no line for routed-1/nobody"):
        await provider.openai.chat.completions.create(**openai_request("nobody"))


async def test_a_body_that_is_no_request_is_refused(provider: Scripted) -> None:
    async with aiohttp.ClientSession() as http:
        for body in (b"", b"[]", b"{}", b'{"messages": 3}'):
            async with http.post(f"{provider.url}/v1/chat/completions", data=body) as answer:
                assert answer.status == 400


async def test_a_caller_who_leaves_is_logged_as_cut(provider: Scripted) -> None:
    stream = await provider.openai.chat.completions.create(**openai_request("slow", stream=True))
    async for _ in stream:
        break
    await stream.close()
    async with asyncio.timeout(10):
        while not provider.entries:  # the entry is a line in another's file: there is no event
            await asyncio.sleep(0.01)
    assert [e.is_complete for e in provider.entries] == [False]


@given(st.text())
def test_pieces_join_to_the_text(said: str) -> None:
    assert "".join(pieces(said)) == said
