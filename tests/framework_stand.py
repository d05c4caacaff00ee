"""What tests of agent frameworks stand on: scripted providers, orchtax in front of them, both ways compared."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collectors.records import CallRecord
from proxy.demo.play import Script, Turn
from proxy.demo.words import text
from tests.proxy.demo.scripted import Scripted, scripted
from tests.responses_provider import ResponsesProvider, responses_provider
from tests.serving import Serving, serving, spooled
from tests.upstream import until

NO_STORE = {"url": "clickhouse://127.0.0.1:9/orchtax"}  # records stay in the spool, where these tests read them
WORDS = text("library/tally-support")  # the scripted provider's answer
OFFLINE = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "LITELLM_LOCAL_BLOG_POSTS": "True",
    "LITELLM_MODE": "PRODUCTION",  # reads no .env file
    "OPENAI_AGENTS_DISABLE_TRACING": "1",
    "LANGSMITH_TRACING": "false",
    "LANGCHAIN_TRACING_V2": "false",
}
"""What the frameworks document against telemetry and look-ups; some read it when they are imported."""
PLAIN = Turn("library/tally-support", first_byte_ms=1, chunk_ms=0)

BaseUrl = Callable[[str, str], str]
"""``(stage, upstream)`` → the URL to point a framework at."""


@dataclass(frozen=True, slots=True)
class Stand:
    """The providers, and orchtax in front of them; each test has a session of its own."""

    chat: Scripted
    script: dict[str, Script]
    responses: ResponsesProvider
    running: Serving
    session: str = ""

    def straight(self, stage: str, upstream: str) -> str:
        return self.responses.url if upstream == "responses" else self.chat.url

    def through(self, stage: str, upstream: str) -> str:
        return f"{self.running.url}/session/{self.session}/stage/{stage}/{upstream}"

    def play(self, *turns: Turn) -> None:
        """From here on these are the answers, once straight and once through orchtax. Callers name nobody: the
        provider takes them for one, and goes on where it stands."""
        played = sum(entry.status == 200 for entry in self.chat.entries)
        self.script[""] = {"": (PLAIN,) * played + turns * 2}

    async def both(self, ask: Callable[[BaseUrl], Awaitable[Any]]) -> tuple[Any, list[CallRecord]]:
        """``ask`` straight and through orchtax: the same answer; and the records, with the tokens that the providers'
        own logs tell. A test asks one of the two providers."""
        answer = await ask(self.straight)
        chat, responses = len(self.chat.entries), len(self.responses.told)
        assert await ask(self.through) == answer
        told = [(e.prompt_tokens, e.completion_tokens, e.is_streamed) for e in self.chat.entries[chat:]]
        told += [(t.input_tokens, t.output_tokens, t.streamed) for t in self.responses.told[responses:]]
        records = await self._records(len(told))
        assert [(r.input_tokens, r.output_tokens, r.streamed) for r in records] == told
        return answer, records

    async def _records(self, count: int) -> list[CallRecord]:
        """This session's records in the order of the calls, each right in what no test varies."""

        def own() -> list[CallRecord]:
            return [record for record in spooled(self.running.data) if record.session_id == self.session]

        await until(lambda: len(own()) >= count, what=f"{count} records")
        found = sorted(own(), key=lambda record: record.ts_ns)
        assert len(found) == count
        assert {(r.session_source, r.stage_source) for r in found} == {("path", "path")}
        assert {(r.kind, r.outcome, r.status, r.usage_source) for r in found} == {("model", "ok", 200, "reported")}
        assert all(record.cost_nano for record in found)
        return found


@asynccontextmanager
async def standing(folder: Path) -> AsyncIterator[Stand]:
    """Serve until left."""
    script: dict[str, Script] = {}
    async with scripted(script, folder) as chat, responses_provider() as responses:
        upstreams = {
            "openai": {"base_url": chat.url},
            "anthropic": {"base_url": chat.url},
            "responses": {"base_url": responses.url, "api": "openai", "provider": "openai"},
        }
        async with serving(folder, store=NO_STORE, upstreams=upstreams) as running:
            yield Stand(chat, script, responses, running)
