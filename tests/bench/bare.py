"""The reference: a pass-through as short as aiohttp allows. It forwards and does nothing else.

``python -m tests.bench.bare UPSTREAM_URL`` prints its port and serves on loopback until its stdin ends. Same server
class, client, event loop and header filtering as orchtax uses; no routes, limits, measuring or records.
"""

from __future__ import annotations

import asyncio
import sys

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "host"})
_PREFIX = "/openai"


class PassThrough:
    """Each request goes to ``upstream`` below the prefix; the answer streams back as it comes."""

    def __init__(self, upstream: str, session: aiohttp.ClientSession) -> None:
        self._upstream = upstream
        self._session = session

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        headers = CIMultiDict((n, v) for n, v in request.headers.items() if n.lower() not in _HOP)
        body = await request.read()
        url = URL(self._upstream + request.raw_path.removeprefix(_PREFIX), encoded=True)
        async with self._session.request(
            request.method, url, headers=headers, data=body or None, allow_redirects=False
        ) as answer:
            kept = CIMultiDict((n, v) for n, v in answer.headers.items() if n.lower() not in _HOP)
            response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=kept)
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response


async def serve(upstream: str) -> None:
    loop = asyncio.get_running_loop()
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(
        connector=connector,
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent", "Content-Type"),
    ) as session:
        server = web.Server(PassThrough(upstream, session).handle, access_log=None, auto_decompress=False)
        listener = await loop.create_server(server, "127.0.0.1", 0, backlog=1024)
        print(listener.sockets[0].getsockname()[1], flush=True)
        await loop.run_in_executor(None, sys.stdin.read)
        listener.close()
        await server.shutdown(1.0)


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve(sys.argv[1]))
