"""Outbound HTTP: one client for all upstreams, bytes untouched, no redirects followed, no cookies kept.

Nothing is retried but a repeatable request on a kept connection that the server had closed meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Self

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from proxy.answer import UNANSWERED, Answer, Unreachable, failure, reason_of
from proxy.links import Link, Links, Origin
from proxy.routes import Destination, Route
from proxy.settings import Upstream
from proxy.wire import Head, request_head

_CHUNK = 64 * 1024
_MAX_HEADER = 64 * 1024
RequestBody = bytes | AsyncIterator[bytes] | None

_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS"})
_AUTO_HEADERS = ("Accept", "Accept-Encoding", "User-Agent", "Content-Type")


class _LibraryBody:
    """The body of an answer that the client library reads."""

    is_whole = False

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    def listen(self) -> None:
        """Uploads are no listening streams: theirs have no body to read from."""

    async def read(self) -> bytes:
        return await self._response.content.readany()

    def leave(self) -> None:
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()

    def drop(self) -> None:
        self._response.close()


def library_answer(response: aiohttp.ClientResponse, destination: Destination) -> Answer:
    """The client library's response as an :class:`Answer`."""
    headers = [(name.decode("latin-1"), _text(value)) for name, value in response.raw_headers]
    is_chunked = "Transfer-Encoding" in response.headers
    head = Head(response.status, response.reason or "", headers, None, is_chunked, is_kept_alive=False)
    return Answer(head, response.method == "HEAD", _LibraryBody(response), destination)


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


class _LinkBody:
    """The body of an answer on a connection of our own."""

    __slots__ = ("_link", "_links", "drop", "read")

    def __init__(self, link: Link, links: Links) -> None:
        self._link = link
        self._links = links
        self.read = link.read
        self.drop = link.drop

    @property
    def is_whole(self) -> bool:
        return self._link.is_done

    def listen(self) -> None:
        self._link.silence_s = None

    def leave(self) -> None:
        self._links.leave(self._link)


class Upstreams:
    """The client for all destinations. ``async with`` opens and closes its connections.

    A request that is in memory goes over connections of our own (``links.py``); one that is uploaded while it comes
    goes through the client library, which takes the care that needs.
    """

    def __init__(self, upstreams: Mapping[str, Upstream]) -> None:
        self._timeouts = {name: u.timeouts for name, u in upstreams.items()}
        self._origins: dict[str, Origin] = {}
        self._links = Links()
        self._sweep: asyncio.Task[None] | None = None
        self._session: aiohttp.ClientSession | None = None
        self._listening: weakref.WeakSet[Answer] = weakref.WeakSet()
        self._is_draining = False

    async def __aenter__(self) -> Self:
        self._sweep = asyncio.create_task(self._links.sweep(), name="upstream sweep")
        return self

    async def __aexit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        if self._sweep is not None:
            self._sweep.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sweep
        self._links.close()
        if self._session is not None:
            await self._session.close()

    async def send(
        self, route: Route, method: str, headers: CIMultiDict[str], body: RequestBody, is_listening: bool = False
    ) -> Answer:
        """One request; returns when the answer's head is here. ``is_listening``: silence within the answer has no
        limit, and :meth:`end_listening` ends it.

        Raises:
            UpstreamFailed: ``unreachable`` or ``timeout``; the fault names the upstream, never the address or keys.
        """
        try:
            if body is None or isinstance(body, bytes):
                answer = await self._ask(route, method, headers, body)
            else:
                answer = await self._upload(route, method, headers, body)
        except UNANSWERED as error:
            raise failure(error, route.destination) from error
        if is_listening:
            answer.listen()
            self._listening.add(answer)
            if self._is_draining:
                answer.end()
        return answer

    async def _ask(self, route: Route, method: str, headers: CIMultiDict[str], body: bytes | None) -> Answer:
        """Over a connection of our own. Where a kept one turns out to be closed, a request that may be repeated is
        sent once more on a new one (RFC 9110 §9.2.2); any other is not, for it may have been acted upon."""
        origin = self._origins.get(route.base) or self._origin(route.base)
        timeouts = self._timeouts[route.destination.name]
        target = (origin.path + route.path or "/") + (f"?{route.query}" if route.query else "")
        length = len(body) if body else 0 if method in _WITH_BODY else None
        head = request_head(f"{method} {target}", origin.host, headers.items(), length)
        link, is_used = await self._connect(origin, timeouts.connect_s)
        try:
            try:
                answered = await link.ask(head, body, method == "HEAD", timeouts.read_s)
            except ConnectionResetError:
                if not is_used or method not in _REPEATABLE:
                    raise
                self._links.leave(link)
                link = await self._links.open(origin, timeouts.connect_s)
                answered = await link.ask(head, body, method == "HEAD", timeouts.read_s)
        except BaseException:
            link.drop()
            self._links.leave(link)
            raise
        return Answer(answered, method == "HEAD", _LinkBody(link, self._links), route.destination)

    async def _connect(self, origin: Origin, connect_s: float) -> tuple[Link, bool]:
        try:
            return await self._links.take(origin, connect_s)
        except (OSError, TimeoutError) as error:
            raise Unreachable(reason_of(error)) from error

    def _origin(self, base: str) -> Origin:
        """Bases come from configuration (and a Bedrock region, which is few), so all are remembered."""
        return self._origins.setdefault(base, Origin.of(base))

    async def _upload(self, route: Route, method: str, headers: CIMultiDict[str], body: AsyncIterator[bytes]) -> Answer:
        timeouts = self._timeouts[route.destination.name]
        response = await self._library().request(
            method,
            URL(route.url, encoded=True),
            headers=headers,
            data=body,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=None, connect=timeouts.connect_s, sock_read=timeouts.read_s),
        )
        return library_answer(response, route.destination)

    def _library(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30, ttl_dns_cache=30),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=_AUTO_HEADERS,
                trust_env=False,
                read_bufsize=_CHUNK,
                max_line_size=_MAX_HEADER,
                max_field_size=_MAX_HEADER,
            )
        return self._session

    def end_listening(self) -> None:
        """orchtax is stopping: streams that would last as long as their agents end now, and those yet to begin end as
        they do."""
        self._is_draining = True
        for answer in list(self._listening):
            answer.end()
