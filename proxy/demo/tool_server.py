"""The demo's tools as a server on loopback: ``search``, ``calculator`` and ``fetch`` over MCP (streamable HTTP, the
real ``mcp`` SDK, which answers both protocol revisions) and ``orders`` as a plain HTTP tool.

A caller names itself as ``session/stage``: in the MCP call's ``_meta`` under ``demo/caller``, or in the header
``X-Demo-Caller``; only the journal reads it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import orjson
from mcp.server.mcpserver import Context, MCPServer
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from proxy.demo import library
from proxy.demo.journal import Entry, Journal
from proxy.demo.play import read_caller
from proxy.demo.tool_names import CALLER_HEADER, CALLER_META

SEARCH_MS, FETCH_MS, CALCULATOR_MS, ORDERS_MS = 120, 80, 15, 60


class Tools:
    """The tools of one run and the journal that they write to."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def app(self) -> Starlette:
        """MCP at ``/mcp``, the plain tool at ``/orders``."""
        server = MCPServer("demo-desk", instructions="A small library and a calculator.", log_level="WARNING")

        @server.tool(description="Search the library. Returns addresses and openings of the best three documents.")
        async def search(query: str, ctx: Context) -> str:
            return await self._run(ctx, "search", SEARCH_MS, lambda: library.search(query))

        @server.tool(description="Read one document of the library in full, by its address.")
        async def fetch(url: str, ctx: Context) -> str:
            return await self._run(ctx, "fetch", FETCH_MS, lambda: library.fetch(url))

        @server.tool(description="Work out plain arithmetic: numbers, + - * / and brackets.")
        async def calculator(expression: str, ctx: Context) -> str:
            return await self._run(ctx, "calculator", CALCULATOR_MS, lambda: library.calculate(expression))

        server.custom_route("/orders", methods=["POST"])(self._orders)
        return server.streamable_http_app(streamable_http_path="/mcp")

    async def _run(self, ctx: Context, tool: str, wait_ms: int, work: Callable[[], str]) -> str:
        await asyncio.sleep(wait_ms / 1000)
        caller = read_caller((ctx.request_context.meta or {}).get(CALLER_META))
        self._journal.write(Entry("mcp", caller.session, caller.stage, 200, tool=tool))
        return work()

    async def _orders(self, request: Request) -> Response:
        await asyncio.sleep(ORDERS_MS / 1000)
        caller = read_caller(request.headers.get(CALLER_HEADER))
        status, answer = self._order(await request.body())
        self._journal.write(Entry("tool", caller.session, caller.stage, status, tool="orders"))
        return JSONResponse(answer, status)

    def _order(self, body: bytes) -> tuple[int, dict[str, str]]:
        try:
            return 200, library.order(orjson.loads(body)["order"])
        except (KeyError, TypeError, ValueError):
            return 404, {"error": "no such order"}
