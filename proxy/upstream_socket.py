"""Outbound WebSockets: one connection each, opened with the agent's own headers. Counterpart of ``upstream.py``.

Frames pass as bytes: text is not decoded, nothing is compressed, pings and closings are left to the caller. An upstream
that does not upgrade gives its HTTP answer instead; redirects are not followed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from proxy.answer import UNANSWERED, Answer, failure
from proxy.routes import Destination, Route
from proxy.upstream import library_answer

Socket = aiohttp.ClientWebSocketResponse[bool]

CLOSE_S = 2.0
"""How long the other side gets to answer a closing, in seconds."""

_AUTO_HEADERS = ("Accept", "Accept-Encoding", "User-Agent")


@dataclass(frozen=True, slots=True)
class Upgraded:
    """An open socket. ``headers`` are the upstream's of the upgrade, as the agent gets them."""

    socket: Socket
    headers: CIMultiDict[str]


class _NotUpgraded(Exception):
    """The upstream's answer in place of 101."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


class _Opening:
    """The upstream's answer to one opening request. The library keeps its headers to itself; where it is no upgrade it
    would throw its body away, or follow where it redirects."""

    def __init__(self, destination: Destination) -> None:
        self._destination = destination
        self.headers: CIMultiDict[str] = CIMultiDict()

    async def watch(self, request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        response = await send(request)
        answer = library_answer(response, self._destination)
        if response.status != 101:
            raise _NotUpgraded(answer)
        kept = [pair for pair in answer.headers.items() if not pair[0].lower().startswith("sec-websocket-")]
        self.headers = CIMultiDict(kept)
        return response


@asynccontextmanager
async def upgraded(
    route: Route, headers: CIMultiDict[str], offered: Iterable[str], max_message_bytes: int
) -> AsyncIterator[Upgraded | Answer]:
    """Open a socket, for as long as the block runs; or the answer of an upstream that refused.

    ``offered``: subprotocols. The set-up has the upstream's time for a connection and then for an answer; an open
    socket may be silent for as long as it likes.

    Raises:
        UpstreamFailed: ``unreachable`` or ``timeout``.
    """
    destination = route.destination
    timeouts, opening = destination.upstream.timeouts, _Opening(destination)
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=1, force_close=True),
        timeout=aiohttp.ClientTimeout(total=None, connect=timeouts.connect_s, sock_read=timeouts.read_s),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=_AUTO_HEADERS,
        trust_env=False,
        middlewares=(opening.watch,),
    ) as session:
        try:
            socket = await session.ws_connect(
                URL(route.url, encoded=True),
                headers=headers,
                protocols=tuple(offered),
                autoclose=False,
                autoping=False,
                max_msg_size=max_message_bytes + 1,  # the library's bound is exclusive
                decode_text=False,
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_S),
            )
        except _NotUpgraded as refused:
            yield refused.answer
            return
        except UNANSWERED as error:
            raise failure(error, destination) from error
        try:
            yield Upgraded(socket, opening.headers)
        finally:
            await close_within(socket.close(code=aiohttp.WSCloseCode.GOING_AWAY))


async def close_within(closing: Awaitable[bool]) -> None:
    """A closing, awaited for :data:`CLOSE_S`: the other side may be talking on, or not reading."""
    with suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_S):
            await closing
