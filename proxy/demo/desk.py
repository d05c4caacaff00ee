"""One session's way to models and tools. This is all the set-up that agents need for orchtax: the address says which
session and which stage is calling; SDKs, keys, prompts and tools stay as they are.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from anthropic import AsyncAnthropic
from httpx2 import AsyncClient
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from openai import AsyncOpenAI

from proxy.demo.tool_names import CALLER_HEADER, MCP_UPSTREAM, ORDERS_UPSTREAM


@dataclass(frozen=True, slots=True)
class Addresses:
    """Base URLs as templates over ``{session}`` and ``{stage}``."""

    openai: str
    anthropic: str
    mcp: str
    orders: str


def through(proxy_url: str) -> Addresses:
    """The addresses that lead through orchtax at ``proxy_url`` (``http://127.0.0.1:8400``)."""
    base = proxy_url + "/session/{session}/stage/{stage}"
    return Addresses(
        openai=f"{base}/openai/v1",
        anthropic=f"{base}/anthropic",
        mcp=f"{base}/mcp/{MCP_UPSTREAM}",
        orders=f"{base}/tool/{ORDERS_UPSTREAM}",
    )


@dataclass(frozen=True, slots=True)
class Clients:
    """The SDKs' clients, made once and shared: their connections are."""

    openai: AsyncOpenAI
    anthropic: AsyncAnthropic
    http: AsyncClient


@asynccontextmanager
async def clients() -> AsyncIterator[Clients]:
    """The vendors' SDKs with a key that opens nothing; closed at the end."""
    async with (
        AsyncOpenAI(api_key="demo") as openai,
        AsyncAnthropic(api_key="demo") as anthropic,
        AsyncClient(timeout=30) as http,
    ):
        yield Clients(openai, anthropic, http)


@dataclass(frozen=True, slots=True)
class Desk:
    """What a fleet gets for one session."""

    session: str
    addresses: Addresses
    clients: Clients

    def openai(self, stage: str) -> AsyncOpenAI:
        return self.clients.openai.with_options(base_url=self._at(self.addresses.openai, stage))

    def anthropic(self, stage: str) -> AsyncAnthropic:
        return self.clients.anthropic.with_options(base_url=self._at(self.addresses.anthropic, stage))

    @asynccontextmanager
    async def mcp(self, stage: str) -> AsyncIterator[Client]:
        """The tools' MCP client. ``Client(url)`` would do; the header is for the tool server's journal only."""
        url = self._at(self.addresses.mcp, stage)
        async with (
            AsyncClient(timeout=30, headers={CALLER_HEADER: self.caller(stage)}) as http,
            Client(streamable_http_client(url, http_client=http)) as client,
        ):
            yield client

    async def order(self, stage: str, body: bytes) -> str:
        """Calls the plain HTTP tool."""
        headers = {CALLER_HEADER: self.caller(stage), "Content-Type": "application/json"}
        answer = await self.clients.http.post(self._at(self.addresses.orders, stage), content=body, headers=headers)
        return answer.text

    def caller(self, stage: str) -> str:
        """``session/stage``, for the scripted servers' journal (``user``, ``metadata.user_id``, a header at tools)."""
        return f"{self.session}/{stage}"

    def _at(self, template: str, stage: str) -> str:
        return template.format(session=self.session, stage=stage)
