"""The demo's tools as a server on loopback: ``search``, ``calculator`` and ``fetch`` over MCP (streamable HTTP, the
real ``mcp`` SDK, which answers both protocol revisions) and ``orders`` as a plain HTTP tool.

A caller names itself as ``session/stage`` in the header ``X-Demo-Caller``; only the journal reads it.
"""

from __future__ import annotations

import asyncio

import orjson
from mcp.server.mcpserver import MCPServer
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from proxy.demo import library
from proxy.demo.journal import Entry, Journal
from proxy.demo.play import Caller, read_caller
from proxy.demo.tool_names import CALLER_HEADER

SEARCH_MS, FETCH_MS, CALCULATOR_MS, ORDERS_MS = 120, 80, 15, 60


def tool_app(journal: Journal) -> ASGIApp:
    """MCP at ``/mcp``, the plain tool at ``/orders``; every request of both is written to the journal."""
    server = MCPServer("demo-library", instructions="A small library and a calculator.", log_level="WARNING")

    @server.tool(description="Search the library. Returns addresses and openings of the best three documents.")
    async def search(query: str) -> str:
        await asyncio.sleep(SEARCH_MS / 1000)
        return library.search(query)

    @server.tool(description="Read one document of the library in full, by its address.")
    async def fetch(url: str) -> str:
        await asyncio.sleep(FETCH_MS / 1000)
        return library.fetch(url)

    @server.tool(description="Work out plain arithmetic: numbers, + - * / and brackets.")
    async def calculator(expression: str) -> str:
        await asyncio.sleep(CALCULATOR_MS / 1000)
        return library.calculate(expression)

    server.custom_route("/orders", methods=["POST"])(_orders)
    return Journalled(server.streamable_http_app(streamable_http_path="/mcp"), journal)


async def _orders(request: Request) -> Response:
    await asyncio.sleep(ORDERS_MS / 1000)
    try:
        return JSONResponse(library.order(orjson.loads(await request.body())["order"]))
    except (KeyError, TypeError, ValueError):
        return JSONResponse({"error": "no such order"}, 404)


class Journalled:
    """Writes each request to the journal before the last byte of its answer leaves."""

    def __init__(self, app: ASGIApp, journal: Journal) -> None:
        self._app = app
        self._journal = journal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked = bytearray()
        status = 0

        async def listen() -> Message:
            message = await receive()
            asked.extend(message.get("body", b""))
            return message

        async def speak(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                self._journal.write(_entry(scope, bytes(asked), status))
            await send(message)

        await self._app(scope, listen, speak)


def _entry(scope: Scope, asked: bytes, status: int) -> Entry:
    caller = _caller(scope)
    if scope["path"] == "/orders":
        return Entry("tool", caller.session, caller.stage, status, tool="orders")
    operation, tool = _read_rpc(asked)
    return Entry("mcp", caller.session, caller.stage, status, operation=operation or scope["method"], tool=tool)


def _caller(scope: Scope) -> Caller:
    headers: dict[bytes, bytes] = dict(scope["headers"])
    return read_caller(headers.get(CALLER_HEADER.lower().encode(), b"").decode("latin-1"))


def _read_rpc(asked: bytes) -> tuple[str, str]:
    """``(method, tool name)`` of a JSON-RPC request; empty where there is none."""
    try:
        message = orjson.loads(asked)
        params = message.get("params") or {}
        return message.get("method", ""), params.get("name", "") if message.get("method") == "tools/call" else ""
    except (ValueError, AttributeError):
        return "", ""
