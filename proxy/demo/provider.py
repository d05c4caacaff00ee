"""The scripted model provider: a real server on loopback that speaks OpenAI chat completions and Anthropic messages.

Texts, latencies and errors come from the scripts; token counts are true for the texts: each part of prompt and answer
is counted with the o200k tokenizer and summed, with nothing added for roles or separators (vendors add a few tokens a
message that cannot be checked from outside). ``provider_main.py`` makes a process of it.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from types import ModuleType

import orjson
from aiohttp import web

from proxy.demo import anthropic_wire, openai_wire, words
from proxy.demo.journal import Entry, Journal
from proxy.demo.play import Caller, Failure, Script, Turn
from proxy.demo.prompt_cache import PrefixCache
from proxy.demo.question import Counts, Question, Reply, ToolAsk

CountTokens = Callable[[str], int]
MAX_BODY_BYTES = 16 * 1024 * 1024


class Provider:
    """Answers by script. One instance is one run: it remembers turns played, failures dealt and prompts cached."""

    def __init__(self, scripts: Mapping[str, Script], count: CountTokens, journal: Journal) -> None:
        self._scripts = scripts
        self._count = count
        self._journal = journal
        self._cache = PrefixCache()
        self._played: Counter[Caller] = Counter()
        self._failed: Counter[tuple[Caller, int]] = Counter()
        self._serial = itertools.count(1)

    def app(self) -> web.Application:
        """The server's routes, the vendors' own paths."""
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.router.add_post("/v1/chat/completions", self._openai)
        app.router.add_post("/v1/messages", self._anthropic)
        return app

    async def _openai(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, openai_wire)

    async def _anthropic(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, anthropic_wire)

    async def _answer(self, request: web.Request, wire: ModuleType) -> web.StreamResponse:
        try:
            question: Question = wire.read(orjson.loads(await request.read()))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            return _refusal(wire, Failure(400, 0, f"the demo provider cannot read this request: {error!r}"))
        turn = self._next_turn(question.caller)
        if turn is None:
            text = f"no line for {question.caller} in the demo's script; name the caller as session/stage"
            return _refusal(wire, Failure(404, 0, text))
        await asyncio.sleep(turn.first_byte_ms / 1000)
        attempt = int(request.headers.get("x-stainless-retry-count", "0"))
        fault = self._next_failure(question.caller, turn)
        if fault is not None:
            self._journal.write(_entry(question, fault.status, attempt))
            return _refusal(wire, fault)
        reply = self._reply(question, turn)
        self._played[question.caller] += 1
        if question.is_streamed:
            return await self._stream(
                request, wire.events(question, reply), turn, _entry(question, 200, attempt, reply)
            )
        self._journal.write(_entry(question, 200, attempt, reply))
        return web.Response(body=wire.whole(question, reply), content_type="application/json")

    async def _stream(
        self, request: web.Request, events: Iterator[bytes], turn: Turn, entry: Entry
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        *most, last = events
        is_complete = False
        try:
            await response.prepare(request)
            for event in most:
                await response.write(event)
                await asyncio.sleep(turn.chunk_ms / 1000)
            is_complete = True
        finally:
            self._journal.write(replace(entry, is_complete=is_complete))
        await response.write(last)
        await response.write_eof()
        return response

    def _next_turn(self, caller: Caller) -> Turn | None:
        turns = self._scripts.get(caller.fleet, {}).get(caller.stage, ())
        played = self._played[caller]
        return turns[played] if played < len(turns) else None

    def _next_failure(self, caller: Caller, turn: Turn) -> Failure | None:
        key = (caller, self._played[caller])
        if self._failed[key] >= len(turn.failures):
            return None
        self._failed[key] += 1
        return turn.failures[self._failed[key] - 1]

    def _reply(self, question: Question, turn: Turn) -> Reply:
        session = question.caller.session
        serial = next(self._serial)
        asks = tuple(
            ToolAsk(f"call_{serial}_{i}", ask.tool, _arguments(ask.arguments, session))
            for i, ask in enumerate(turn.asks)
        )
        said = words.text(turn.text, session) if turn.text else ""
        bare = Reply(f"demo-{serial}", said, asks, Counts(0, 0), int(time.time()))
        part_tokens = [self._count(part) for part in question.parts]
        cached, written = self._cache.hit(question, part_tokens)
        counts = Counts(sum(part_tokens), sum(map(self._count, bare.texts)), cached, written)
        return Reply(bare.id, said, asks, counts, bare.created)


def _arguments(arguments: Mapping[str, str], session: str) -> str:
    filled = {name: words.filled(value, session) for name, value in arguments.items()}
    return orjson.dumps(filled, option=orjson.OPT_SORT_KEYS).decode()


def _refusal(wire: ModuleType, fault: Failure) -> web.Response:
    headers = {"retry-after-ms": str(fault.retry_after_ms)} if fault.retry_after_ms else {}
    return web.Response(status=fault.status, body=wire.failure(fault), headers=headers, content_type="application/json")


def _entry(question: Question, status: int, attempt: int, reply: Reply | None = None) -> Entry:
    counts = reply.counts if reply else None
    return Entry(
        api=question.api,
        session=question.caller.session,
        stage=question.caller.stage,
        status=status,
        model=question.model,
        is_streamed=question.is_streamed,
        attempt=attempt,
        prompt_tokens=counts.prompt if counts else None,
        completion_tokens=counts.completion if counts else None,
        cached_tokens=counts.cached if counts else None,
        cache_write_tokens=counts.written if counts else None,
    )
