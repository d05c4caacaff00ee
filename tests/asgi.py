"""An ASGI application of this process on a real loopback port."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import uvicorn
from starlette.types import ASGIApp

from tests.upstream import until


@asynccontextmanager
async def asgi(make: Callable[[str], ASGIApp]) -> AsyncIterator[str]:
    """Serve what ``make`` makes of the address it will stand at; that address."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        config = uvicorn.Config(make(url), log_level="error", lifespan="on", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve([sock]))
        await until(lambda: server.started or task.done(), what="the application")
        try:
            yield url
        finally:
            server.should_exit = True
            await task
