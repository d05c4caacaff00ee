"""A ClickHouse server for tests: its HTTP protocol on loopback, a real embedded engine behind, in a process of its own.

``python -m tests.clickhouse_front DIRECTORY`` prints its port on a line and serves until its stdin closes. Only what
``clickhouse_connect`` uses: the statement in the body or in ``?query=``, settings and ``param_*`` in the query string,
results in the format asked for, errors as text with ``X-ClickHouse-Exception-Code``.
``POST /front/mode`` with ``serve``, ``fail`` (500), ``hang`` (no answer), ``drop`` (connection reset) or ``forget``
(the statement runs, its answer is lost) switches what happens next; ``GET /front/refused`` counts the requests harmed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import sys
import tempfile
import urllib.request
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import chdb
import lz4.frame  # type: ignore[import-untyped]  # it ships no types
from aiohttp import web

_INSERT = re.compile(rb"\s*INSERT INTO (.*?) FORMAT Native\s*\n", re.IGNORECASE | re.DOTALL)
_FORMAT = re.compile(r"\bFORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)
_CODE = re.compile(r"Code: (\d+)")
_ROWS = re.compile(r"\s*(SELECT|WITH|SHOW|DESCRIBE|DESC|EXISTS)\b", re.IGNORECASE)
_TRANSPORT = {"query", "database", "session_id", "query_id", "compress", "decompress", "client_protocol_version"}
_IGNORED = {"wait_end_of_query", "send_progress_in_http_headers", "http_headers_progress_interval_ms"}
_IGNORED |= {"enable_http_compression", "buffer_size", "role", "user", "password"}


class Engine:
    """The embedded engine, called from one thread."""

    def __init__(self, path: Path) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._path = path
        self._connection: Any = None

    async def call(self, body: bytes, query: Mapping[str, str]) -> tuple[bytes, str]:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._run, body, query)

    def _run(self, body: bytes, query: Mapping[str, str]) -> tuple[bytes, str]:
        """Result and its format (empty for none). Raises RuntimeError with the engine's text."""
        if self._connection is None:
            self._connection = chdb.connect(str(self._path))
        if database := query.get("database"):
            self._connection.query(f"USE `{database}`")
        if query.get("query"):
            body = query["query"].encode() + b"\n" + body
        settings = ", ".join(
            f"{name} = '{value}'"
            for name, value in query.items()
            if name not in _TRANSPORT | _IGNORED and not name.startswith("param_")
        )
        if insert := _INSERT.match(body):
            return self._insert(insert[1].decode(), body[insert.end() :], settings), ""
        return self._statement(body.decode(), settings, query)

    def _insert(self, target: str, data: bytes, settings: str) -> bytes:
        with tempfile.NamedTemporaryFile(suffix=".native") as file:
            file.write(data)
            file.flush()
            clause = f" SETTINGS {settings}" if settings else ""
            self._connection.query(f"INSERT INTO {target} FROM INFILE '{file.name}'{clause} FORMAT Native")
        return b""

    def _statement(self, sql: str, settings: str, query: Mapping[str, str]) -> tuple[bytes, str]:
        params = {name.removeprefix("param_"): value for name, value in query.items() if name.startswith("param_")}
        named = _FORMAT.search(sql)
        form = named[1] if named else query.get("default_format", "TabSeparated")
        if settings and _ROWS.match(sql):
            bare = sql[: named.start()] if named else sql
            sql = f"{bare} SETTINGS {settings} FORMAT {form}"
        result = self._connection.query(sql, form, params=params)
        return bytes(result.bytes() or b""), form if _ROWS.match(sql) else ""


class Front:
    """The HTTP side, with its switch."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._mode = "serve"
        self._refused = 0

    def app(self) -> web.Application:
        app = web.Application(client_max_size=256 * 1024**2)
        app.router.add_post("/front/mode", self._switch)
        app.router.add_get("/front/refused", self._count)
        app.router.add_route("*", "/", self._query)
        app.router.add_get("/ping", self._query)
        return app

    async def _switch(self, request: web.Request) -> web.Response:
        self._mode = await request.text()
        return web.Response()

    async def _count(self, request: web.Request) -> web.Response:
        return web.json_response(self._refused)

    async def _query(self, request: web.Request) -> web.Response:
        body = await request.read()
        if request.headers.get("Content-Encoding") == "lz4":
            body = lz4.frame.decompress(body)
        if self._mode != "serve":
            self._refused += 1
        match self._mode:
            case "fail":
                return web.Response(status=500, text="Code: 999. DB::Exception: told to fail (KEEPER_EXCEPTION)")
            case "hang":
                await asyncio.Event().wait()
            case "drop":
                return self._drop(request)
        answer = await self._answer(body, request.query)
        return self._drop(request) if self._mode == "forget" else answer

    async def _answer(self, body: bytes, query: Mapping[str, str]) -> web.Response:
        try:
            data, form = await self._engine.call(body, query)
        except RuntimeError as error:
            code = _CODE.search(str(error))
            headers = {"X-ClickHouse-Exception-Code": code[1]} if code else {}
            return web.Response(status=400, text=str(error), headers=headers)
        headers = {"X-ClickHouse-Summary": json.dumps({})}
        if form:
            headers["X-ClickHouse-Format"] = form
        return web.Response(body=data, headers=headers)

    def _drop(self, request: web.Request) -> web.Response:
        if request.transport is not None:
            request.transport.abort()
        return web.Response()


async def serve(path: Path) -> None:
    """Serve until stdin closes, so that the process never outlives its test."""
    runner = web.AppRunner(Front(Engine(path)).app(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    # A hanging request must not delay the end.
    await asyncio.wait_for(runner.cleanup(), 5)


@dataclass(frozen=True, slots=True)
class Server:
    """A running front, seen from the test."""

    port: int

    @property
    def url(self) -> str:
        return f"clickhouse://default@127.0.0.1:{self.port}/orchtax"

    async def switch(self, mode: str) -> None:
        await asyncio.to_thread(self._ask, "mode", mode.encode())

    async def refused(self) -> int:
        return int(await asyncio.to_thread(self._ask, "refused"))

    def _ask(self, what: str, data: bytes | None = None) -> bytes:
        address = f"http://127.0.0.1:{self.port}/front/{what}"
        with urllib.request.urlopen(address, data=data, timeout=10) as answer:
            return bytes(answer.read())


@asynccontextmanager
async def clickhouse(path: Path) -> AsyncIterator[Server]:
    """Start a front on ``path`` in its own process; it ends with the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__, str(path), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Server(int(await asyncio.wait_for(process.stdout.readline(), 30)))
    finally:
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()
            await process.wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(Path(sys.argv[1])))
