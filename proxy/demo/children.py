"""The server processes of the demo: the entry that each runs, and the parent's handle on them.

A child binds a free port, prints ``{"port": …}`` on its standard output, and ends when its standard input closes: so
it cannot outlive the demo, however that ends.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import sys
from pathlib import Path

import orjson
from aiohttp import web

from collectors.tokens import TokenCounter
from proxy.demo.journal import Journal

TOKENIZER_MODEL = "gpt-4o"  # o200k, whatever model name the agents ask for


def listener() -> socket.socket:
    """A listening socket on a free loopback port."""
    return socket.create_server(("127.0.0.1", 0))


def announce(sock: socket.socket) -> None:
    sys.stdout.write(orjson.dumps({"port": sock.getsockname()[1]}).decode() + "\n")
    sys.stdout.flush()


async def parent_left() -> None:
    """Returns when standard input closes."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.read(4096):
        pass


async def serve_models(journal: Journal) -> None:
    """The scripted provider, until the parent leaves."""
    from proxy.demo.provider import Provider
    from proxy.demo.scripts import load

    counter = TokenCounter()
    counter.warm(TOKENIZER_MODEL)
    provider = Provider(load(), lambda text: counter.count(TOKENIZER_MODEL, (text,))[0], journal)
    runner = web.AppRunner(provider.app(), access_log=None, shutdown_timeout=1)
    await runner.setup()
    sock = listener()
    await web.SockSite(runner, sock).start()
    announce(sock)
    await parent_left()
    await runner.cleanup()


async def serve_tools(journal: Journal) -> None:
    """The tool servers, until the parent leaves."""
    import uvicorn

    from proxy.demo.tool_server import tool_app

    config = uvicorn.Config(tool_app(journal), log_level="warning", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    sock = listener()
    serving = asyncio.create_task(server.serve(sockets=[sock]), name="tools")
    announce(sock)
    await parent_left()
    server.should_exit = True
    await serving


def main() -> None:
    """``python -m proxy.demo.children models|tools --journal FILE``."""
    parser = argparse.ArgumentParser(description="One server process of the demo; the demo starts it itself.")
    parser.add_argument("which", choices=("models", "tools"))
    parser.add_argument("--journal", type=Path, required=True)
    given = parser.parse_args()
    journal = Journal(given.journal)
    asyncio.run(serve_models(journal) if given.which == "models" else serve_tools(journal))
    journal.close()


if __name__ == "__main__":
    main()
