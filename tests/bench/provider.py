"""A model provider that costs next to nothing: fixed answers in OpenAI's shape, straight from the socket's callback.

``python -m tests.bench.provider`` prints its port and serves on loopback until its stdin ends.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from typing import cast

import orjson

_TEXT = "The quarterly figures were compared with the plan and the three largest deviations explained. " * 8
_CHUNKS = 60
_STREAM_WISH = b'"stream":true'
_USAGE = {"prompt_tokens": 512, "completion_tokens": 160, "total_tokens": 672}


def whole_answer() -> bytes:
    """A chat completion of about 1.2 KB, with usage."""
    choice = {"index": 0, "message": {"role": "assistant", "content": _TEXT}, "finish_reason": "stop"}
    body = orjson.dumps({**_head("chat.completion"), "choices": [choice], "usage": _USAGE})
    fields = b"content-type: application/json\r\nx-request-id: req_bench\r\nopenai-processing-ms: 3\r\n"
    return b"HTTP/1.1 200 OK\r\n%bcontent-length: %d\r\n\r\n%b" % (fields, len(body), body)


def stream_pieces() -> Iterator[bytes]:
    """The same as a stream: the head, then one HTTP chunk an event, usage in the last one, then the end."""
    yield b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    for number in range(_CHUNKS):
        choice = {"index": 0, "delta": {"content": f" word-{number:03d}"}, "finish_reason": None}
        yield _chunk(orjson.dumps({**_head("chat.completion.chunk"), "choices": [choice]}))
    yield _chunk(orjson.dumps({**_head("chat.completion.chunk"), "choices": [], "usage": _USAGE}))
    yield _chunk(b"[DONE]") + b"0\r\n\r\n"


def _head(kind: str) -> dict[str, object]:
    return {"id": "chatcmpl-bench", "object": kind, "created": 1_700_000_000, "model": "gpt-4o-mini"}


def _chunk(data: bytes) -> bytes:
    event = b"data: " + data + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(event), event)


class Provider(asyncio.Protocol):
    """One connection; a request at a time, its body framed by Content-Length or by chunks."""

    def __init__(self, whole: bytes, pieces: tuple[bytes, ...]) -> None:
        self._whole = whole
        self._pieces = pieces
        self._got = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class, of the same methods
        self._loop = asyncio.get_running_loop()

    def data_received(self, data: bytes) -> None:
        self._got += data
        if not _is_complete(self._got):
            return
        if _STREAM_WISH in self._got:
            self._write_piece(0)
        else:
            self._transport.write(self._whole)
        self._got.clear()

    def _write_piece(self, number: int) -> None:
        """One event a turn of the loop: the reader gets them as it would from a model, not in one lump."""
        if self._transport.is_closing():
            return
        self._transport.write(self._pieces[number])
        if number + 1 < len(self._pieces):
            self._loop.call_soon(self._write_piece, number + 1)


def _is_complete(got: bytearray) -> bool:
    end = got.find(b"\r\n\r\n")
    if end < 0:
        return False
    head = got[:end].lower()
    at = head.find(b"\r\ncontent-length:")
    if at >= 0:
        return len(got) >= end + 4 + int(head[at + 17 :].split(b"\r\n", 1)[0])
    return b"\r\ntransfer-encoding:" not in head or got.endswith(b"\r\n0\r\n\r\n")


async def serve() -> None:
    loop = asyncio.get_running_loop()
    whole, pieces = whole_answer(), tuple(stream_pieces())
    server = await loop.create_server(lambda: Provider(whole, pieces), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve())
