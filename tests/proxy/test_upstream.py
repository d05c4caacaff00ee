"""The client towards upstreams, against real servers: connections kept, lost, garbled, silent, and over TLS."""

from __future__ import annotations

import asyncio
import shutil
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from multidict import CIMultiDict

from proxy.answer import Answer, UpstreamFailed
from proxy.links import Link, Links, Origin
from proxy.routes import Routes
from proxy.settings import Settings
from proxy.upstream import Upstreams
from tests.upstream import Seen, always, answer, upstream


async def send(
    client: Upstreams, url: str, method: str = "POST", body: bytes | None = b"{}", path: str = "/v1/x"
) -> tuple[Answer, bytes]:
    route = Routes(Settings.model_validate({"upstreams": {"up": {"base_url": url}}}).upstreams).match(f"/up{path}")
    got = await client.send(route, method, CIMultiDict(), body)
    whole = b"".join([chunk async for chunk in got.chunks()])
    got.close()
    return got, whole


@pytest.fixture
async def client() -> AsyncIterator[Upstreams]:
    settings = {"upstreams": {"up": {"base_url": "http://x", "timeouts": {"connect_s": 2, "read_s": 1}}}}
    async with Upstreams(Settings.model_validate(settings).upstreams) as client:
        yield client


async def test_a_connection_is_kept_and_used_again(client: Upstreams) -> None:
    async with upstream(always(answer(b"ok"))) as up:
        for _ in range(5):
            assert (await send(client, up.url))[1] == b"ok"
        assert up.connections == 1


async def test_a_lost_connection_is_replaced_for_what_may_be_repeated_only(client: Upstreams) -> None:
    gate = asyncio.Event()

    async def dying(seen: Seen) -> AsyncIterator[bytes]:
        if seen.target == "/dies" and not gate.is_set():
            gate.set()
            raise ConnectionAbortedError
        yield answer(b"ok")

    async with upstream(dying) as up:
        await send(client, up.url)
        assert (await send(client, up.url, "GET", None, "/dies"))[1] == b"ok"
        gate.clear()
        with pytest.raises(UpstreamFailed) as caught:
            await send(client, up.url, "POST", b"{}", "/dies")
        assert caught.value.outcome == "unreachable"
        assert [seen.target for seen in up.seen] == ["/v1/x", "/dies", "/dies", "/dies"]


@pytest.mark.parametrize(
    "raw",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"\0" * 200_000,
    ],
)
async def test_what_is_not_http_is_a_broken_upstream(client: Upstreams, raw: bytes) -> None:
    async with upstream(always(raw)) as up:
        with pytest.raises(UpstreamFailed) as caught:
            await send(client, up.url)
        assert caught.value.fault.code == "upstream_broken"


async def test_bytes_after_the_answer_close_the_connection(client: Upstreams) -> None:
    async with upstream(always(answer(b"ok") + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")) as up:
        assert (await send(client, up.url))[1] == b"ok"
        assert (await send(client, up.url))[1] == b"ok"
        assert up.connections == 2


async def test_a_body_without_length_ends_with_its_connection(client: Upstreams) -> None:
    async with upstream(always(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nto the", b" end")) as up:
        assert (await send(client, up.url))[1] == b"to the end"


async def test_informational_answers_are_passed_over(client: Upstreams) -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
    async with upstream(always(early[:30], early[30:] + answer(b"ok")[:10], answer(b"ok")[10:])) as up:
        assert (await send(client, up.url))[1] == b"ok"


async def test_silence_has_a_limit(client: Upstreams) -> None:
    async def silent(_: Seen) -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    async with upstream(silent) as up:
        with pytest.raises(UpstreamFailed) as caught:
            await asyncio.wait_for(send(client, up.url), 10)
        assert caught.value.outcome == "timeout"


async def test_a_slow_reader_pauses_the_upstream(client: Upstreams) -> None:
    sent = 0

    async def flood(_: Seen) -> AsyncIterator[bytes]:
        nonlocal sent
        yield b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
        while True:
            yield b"x" * 65_536
            sent += 65_536

    async with upstream(flood) as up:
        route = Routes(Settings.model_validate({"upstreams": {"up": {"base_url": up.url}}}).upstreams).match("/up/x")
        got = await client.send(route, "GET", CIMultiDict(), None)
        before = -1
        while before != sent:
            before = sent
            await asyncio.sleep(0.2)
        assert sent < 32 * 1024 * 1024
        got.close()


async def test_tls(client: Upstreams, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    making = await asyncio.create_subprocess_exec(
        *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
        *("-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)),
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert await making.wait() == 0
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    async with upstream(always(answer(b"secret")), context) as up:
        url = up.url.replace("http://127.0.0.1", "https://localhost")
        with pytest.raises(UpstreamFailed, match="TLS") as caught:
            await send(client, url)
        assert caught.value.outcome == "unreachable"
        assert up.seen == []
        links = Links(tls=ssl.create_default_context(cafile=str(certificate)))
        link, is_used = await links.take(Origin.of(url), 5)
        assert not is_used
        head = await link.ask(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", None, False, 5)
        assert (head.status, await whole(link)) == (200, b"secret")
        links.leave(link)
        assert (await links.take(Origin.of(url), 5)) == (link, True)
        links.close()


async def whole(link: Link) -> bytes:
    got = b""
    while chunk := await link.read():
        got += chunk
    return got
