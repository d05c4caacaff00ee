"""Bytes out = bytes in: what an upstream answers is what the agent gets, whatever it is and however it is cut."""

from __future__ import annotations

import base64
import gzip
import io
import json
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import brotli
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from yarl import URL

from tests.serving import ROOT, Serving, serving, spooled
from tests.upstream import Seen, Upstream, always, answer, chunked, until, upstream

RECORDED = ROOT.parent / "shared" / "data" / "recorded.jsonl.gz"
NO_STORE = {"url": "clickhouse://127.0.0.1:9/orchtax"}  # records stay in the spool, where these tests read them
PREFIX = {"openai": "openai", "anthropic": "anthropic", "gemini": "gemini", "mcp": "mcp/docs"}


class Pair:
    """orchtax in front of an upstream that answers what a test says, and a client that takes bytes as they come."""

    def __init__(self, running: Serving, up: Upstream, client: aiohttp.ClientSession) -> None:
        self.running, self.up, self.client = running, up, client

    async def call(self, path: str, method: str = "POST", body: bytes = b"{}", **headers: str) -> tuple[Any, bytes]:
        url = URL(self.running.url + path, encoded=True)
        data = io.BytesIO(body) if len(body) > 500_000 else body
        async with self.client.request(method, url, data=data, headers=headers, allow_redirects=False) as response:
            return response, await response.read()


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    async with (
        upstream(always(answer(b"{}"))) as up,
        serving(
            tmp_path,
            store=NO_STORE,
            upstreams={
                "openai": {"base_url": up.url},
                "anthropic": {"base_url": up.url},
                "gemini": {"base_url": up.url},
                "docs": {"kind": "mcp", "base_url": up.url},
            },
        ) as running,
        aiohttp.ClientSession(auto_decompress=False) as client,
    ):
        yield Pair(running, up, client)


def recorded() -> list[dict[str, Any]]:
    if not RECORDED.exists():
        pytest.skip("the recorded exchanges are not beside this repository")
    with gzip.open(RECORDED, "rt") as lines:
        return [json.loads(line) for line in lines]


def raw(exchange: dict[str, Any], side: str) -> bytes:
    body = exchange[f"{side}_body"] or ""
    return base64.b64decode(body) if exchange[f"{side}_encoding"] == "base64" else body.encode()


def cut(data: bytes, rng: random.Random) -> list[bytes]:
    pieces = []
    while data:
        size = rng.choice([1, 7, 100, 1400, 65_536])
        pieces.append(data[:size])
        data = data[size:]
    return pieces


async def test_every_recorded_answer_passes_unchanged(pair: Pair) -> None:
    rng = random.Random(7)  # cuts, not keys
    exchanges = recorded()
    for number, exchange in enumerate(exchanges):
        body = raw(exchange, "response")
        content_type = exchange["response_headers"].get("content-type", "application/json")
        if number % 2:
            status_line = f"HTTP/1.1 {exchange['status']} Whatever\r\n".encode()
            pieces = chunked(cut(body, rng), content_type)
            pieces[0] = pieces[0].replace(b"HTTP/1.1 200 OK\r\n", status_line)
        else:
            pieces = cut(answer(body, f"{exchange['status']} Whatever", content_type), rng)
        pair.up.respond = always(*pieces)
        sent = raw(exchange, "request")
        path = f"/{PREFIX.get(exchange['provider'], 'openai')}{exchange['path'].partition('#')[0]}"
        headers = {"Content-Type": exchange["request_headers"].get("content-type", "application/json")}
        response, got = await pair.call(path, exchange["method"], sent, **headers)
        assert (response.status, got) == (exchange["status"], body), exchange["id"]
        assert response.headers["Content-Type"] == content_type
        seen = pair.up.seen[-1]
        assert seen.target == "/" + path.split("/", 3 if path.startswith("/mcp") else 2)[-1]
        asked_usage = b'"include_usage":true' in seen.body and b'"include_usage":true' not in sent
        assert asked_usage or seen.body == sent, exchange["id"]
    await until(lambda: len(spooled(pair.running.data)) == len(exchanges), what="a record for every exchange")
    records = spooled(pair.running.data)
    assert len({record.call_id for record in records}) == len(exchanges)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.binary(min_size=0, max_size=3000),
    sizes=st.lists(st.integers(1, 700), min_size=1, max_size=12),
    framed=st.booleans(),
    content_type=st.sampled_from(["application/json", "text/event-stream", "application/octet-stream"]),
)
async def test_any_body_in_any_cut(pair: Pair, body: bytes, sizes: list[int], framed: bool, content_type: str) -> None:
    pieces, rest = [], body
    for size in sizes:
        pieces.append(rest[:size])
        rest = rest[size:]
    pieces.append(rest)
    pair.up.respond = always(*chunked(pieces, content_type)) if framed else always(answer(body, "200 OK", content_type))
    stream = b'{"model":"m","messages":[],"stream":true,"stream_options":{"include_usage":true}}'
    _, got = await pair.call("/openai/v1/chat/completions", body=stream)
    assert got == body


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd", "made-up"])
async def test_compressed_answers_pass_compressed_and_are_understood(pair: Pair, coding: str) -> None:
    from backports import zstd

    plain = json.dumps({"model": "gpt-4o-mini", "choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 4}})
    encode = {"gzip": gzip.compress, "br": brotli.compress, "zstd": zstd.compress}.get(coding, lambda data: data[::-1])
    encoded = encode(plain.encode())
    pair.up.respond = always(answer(encoded, extra=f"Content-Encoding: {coding}\r\n"))
    response, got = await pair.call("/openai/v1/chat/completions", body=b'{"model":"gpt-4o-mini","messages":[]}')
    assert (got, response.headers["Content-Encoding"]) == (encoded, coding)
    await until(lambda: len(spooled(pair.running.data)) == 1, what="the record")
    record = spooled(pair.running.data)[0]
    if coding == "made-up":
        assert record.usage_source != "reported"
    else:
        assert (record.input_tokens, record.output_tokens, record.usage_source) == (11, 4, "reported")


async def test_answers_without_body_and_informational_ones(pair: Pair) -> None:
    cases = [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\nX-Up: 1\r\n\r\n", 200, "12345"),
        ("GET", b"HTTP/1.1 204 No Content\r\nX-Up: 1\r\n\r\n", 204, None),
        ("GET", b'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nX-Up: 1\r\n\r\n', 304, None),
        ("GET", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + answer(b"after", extra="X-Up: 1\r\n"), 200, "5"),
        ("GET", b"HTTP/1.1 200 Fine By Me\r\nX-Up: 1\r\nContent-Length: 0\r\n\r\n", 200, "0"),
    ]
    for method, raw_answer, status, length in cases:
        pair.up.respond = always(raw_answer)
        response, got = await pair.call("/openai/v1/models", method, b"")
        assert (response.status, response.headers.get("Content-Length")) == (status, length)
        assert response.headers["X-Up"] == "1"
        assert got == (b"after" if length == "5" else b"")


async def test_headers_keep_spelling_order_and_repetition(pair: Pair) -> None:
    extra = "X-B: 2\r\nset-cookie: a=1\r\nx-A: 1\r\nSet-Cookie: b=2\r\n"
    extra += "Connection: X-Hop\r\nX-Hop: gone\r\nServer: up\r\n"
    pair.up.respond = always(answer(b"{}", extra=extra))
    response, _ = await pair.call("/openai/v1/models", "GET", b"")
    own = [(name.decode(), value.decode()) for name, value in response.raw_headers]
    passed = [pair_ for pair_ in own if not pair_[0].lower().startswith(("x-orchtax", "server-timing", "date"))]
    assert passed == [
        ("Content-Type", "application/json"),
        ("Content-Length", "2"),
        ("X-B", "2"),
        ("set-cookie", "a=1"),
        ("x-A", "1"),
        ("Set-Cookie", "b=2"),
        ("Server", "up"),
    ]


async def test_trailers_are_left_out_and_the_body_is_whole(pair: Pair) -> None:
    pieces = chunked([b"data: 1\n\n", b"data: 2\n\n"])
    pieces[-1] = b"0\r\nX-Trailer: 1\r\n\r\n"
    pair.up.respond = always(*pieces)
    response, got = await pair.call("/openai/v1/x", "GET", b"")
    assert got == b"data: 1\n\ndata: 2\n\n"
    assert "X-Trailer" not in response.headers


async def test_a_redirect_is_passed_back_and_not_followed(pair: Pair) -> None:
    pair.up.respond = always(answer(b"", "307 Elsewhere", extra="Location: http://169.254.169.254/latest\r\n"))
    response, _ = await pair.call("/openai/v1/models", "GET", b"")
    assert (response.status, response.headers["Location"]) == (307, "http://169.254.169.254/latest")
    assert len(pair.up.seen) == 1


async def test_thirty_megabytes_both_ways_in_flat_memory(pair: Pair) -> None:
    block = random.Random(3).randbytes(1024 * 1024)  # content, not a key
    sent = block * 30

    async def echo(request: Seen) -> AsyncIterator[bytes]:
        assert request.body == sent
        yield f"HTTP/1.1 200 OK\r\nContent-Type: audio/wav\r\nContent-Length: {len(sent)}\r\n\r\n".encode()
        for _ in range(30):
            yield block

    pair.up.respond = echo
    before = worker_rss_kb(pair.running)
    for _ in range(2):
        _, got = await pair.call("/openai/v1/audio", body=sent, **{"Content-Type": "application/octet-stream"})
        assert got == sent
    assert worker_peak_kb(pair.running) - before < 16 * 1024


def worker_pid(running: Serving) -> int:
    """The first worker: the child of the supervisor that holds the spool's open segment or the data socket."""
    children = Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children").read_text().split()
    return int(children[0])


def _status_kb(running: Serving, field: str) -> int:
    status = Path(f"/proc/{worker_pid(running)}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith(field)))


def worker_rss_kb(running: Serving) -> int:
    return _status_kb(running, "VmRSS")


def worker_peak_kb(running: Serving) -> int:
    return _status_kb(running, "VmHWM")
