"""A scripted provider in this process, on a real port, with the vendors' clients pointed at it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from aiohttp import web
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI
from tiktoken import Encoding

from collectors.ranks_file import build
from proxy.demo.journal import Entry, Journal, read_journal
from proxy.demo.play import Script
from proxy.demo.provider import Provider


@cache
def o200k() -> Encoding:
    """The encoding itself, without the product's counter and its cache."""
    return build("o200k_base")


def tokens(texts: Iterable[str]) -> int:
    return sum(len(o200k().encode_ordinary(text)) for text in texts)


@dataclass(frozen=True)
class Scripted:
    """``url`` is the server's; ``entries`` what it logged so far."""

    url: str
    journal: Path
    openai: AsyncOpenAI
    anthropic: AsyncAnthropic

    @property
    def entries(self) -> tuple[Entry, ...]:
        return read_journal(self.journal)


@asynccontextmanager
async def scripted(scripts: Mapping[str, Script], folder: Path) -> AsyncIterator[Scripted]:
    journal = Journal(folder / "journal.jsonl")
    provider = Provider(scripts, lambda text: tokens([text]), journal)
    runner = web.AppRunner(provider.app(), access_log=None, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    url = f"http://{host}:{port}"
    try:
        async with (
            AsyncOpenAI(api_key="demo", base_url=f"{url}/v1") as openai,
            AsyncAnthropic(api_key="demo", base_url=url) as anthropic,
        ):
            yield Scripted(url, folder / "journal.jsonl", openai, anthropic)
    finally:
        await runner.cleanup()
        journal.close()
