"""Outbound HTTP: one pooled client for all upstreams, bytes untouched, no redirects followed, no cookies kept.

Every error of the client library is mapped here to :class:`UpstreamFailed`, which says how the call ended and what to
tell the agent. Nothing is retried here except what aiohttp does by itself: an idempotent request on a reused
connection that the server had already closed.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Self

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from collectors.records import Outcome
from proxy.dialects import Fault
from proxy.identity import HOP_BY_HOP
from proxy.routes import Destination, Route
from proxy.settings import Upstream

_CHUNK = 64 * 1024
_MAX_HEADER = 64 * 1024
RequestBody = bytes | AsyncIterator[bytes] | None
UNANSWERED = (TimeoutError, aiohttp.ClientError, ConnectionError)
"""What the client library raises when no answer comes."""

_AUTO_HEADERS = ("Accept", "Accept-Encoding", "User-Agent", "Content-Type")


class UpstreamFailed(Exception):
    """The upstream gave no answer, or broke off in one."""

    def __init__(self, outcome: Outcome, fault: Fault) -> None:
        super().__init__(fault.message)
        self.outcome = outcome
        self.fault = fault


class Answer:
    """An upstream's answer: head at hand, body as it arrives."""

    __slots__ = ("__weakref__", "_is_ended", "_response", "destination", "headers", "is_empty", "reason", "status")

    def __init__(self, response: aiohttp.ClientResponse, destination: Destination) -> None:
        self._response = response
        self._is_ended = False
        self.destination = destination
        self.status = response.status
        self.reason = response.reason
        self.headers = _passed_back(response)
        self.is_empty = response.method == "HEAD" or response.status in (204, 304)

    def header(self, name: str) -> str:
        """A header's first value, or the empty string."""
        return self.headers.get(name, "")

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as received, still content-encoded, in the pieces the network gave.

        Raises:
            UpstreamFailed: ``cut`` when it ended early, ``timeout`` when it fell silent.
        """
        try:
            while chunk := await self._response.content.readany():
                yield chunk
        except TimeoutError as error:
            raise _failed(
                "timeout", 504, "upstream_timeout", self.destination, "fell silent within its answer"
            ) from error
        except (aiohttp.ClientError, ConnectionError) as error:
            if self._is_ended:
                return
            raise _failed("cut", 502, "upstream_cut", self.destination, "broke off its answer") from error

    def end(self) -> None:
        """End the body here: for the agent a clean end, and the upstream's connection is dropped."""
        self._is_ended = True
        self._response.close()

    def close(self) -> None:
        """Give the connection back, or drop it when the body was not read to its end. Safe twice."""
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


class Upstreams:
    """The client for all destinations. ``async with`` opens and closes its pool."""

    def __init__(self, upstreams: Mapping[str, Upstream]) -> None:
        self._timeouts = {
            name: aiohttp.ClientTimeout(total=None, connect=u.timeouts.connect_s, sock_read=u.timeouts.read_s)
            for name, u in upstreams.items()
        }
        self._session: aiohttp.ClientSession | None = None
        self._listening: weakref.WeakSet[Answer] = weakref.WeakSet()
        self._is_draining = False

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=30, ttl_dns_cache=30)
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=_AUTO_HEADERS,
            trust_env=False,
            read_bufsize=_CHUNK,
            max_line_size=_MAX_HEADER,
            max_field_size=_MAX_HEADER,
        )
        return self

    async def __aexit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
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
        if self._session is None:
            raise RuntimeError("the upstream client is used before it is entered")
        destination = route.destination
        timeout = self._timeouts[destination.name]
        asking = self._session.request(
            method,
            URL(route.url, encoded=True),
            headers=headers,
            data=body,
            allow_redirects=False,
            timeout=_without_silence(timeout) if is_listening else timeout,
        )
        try:
            response = await (asyncio.wait_for(asking, timeout.sock_read) if is_listening else asking)
        except UNANSWERED as error:
            raise failure(error, destination) from error
        answer = Answer(response, destination)
        if is_listening:
            self._listening.add(answer)
            if self._is_draining:
                answer.end()
        return answer

    def end_listening(self) -> None:
        """orchtax is stopping: streams that would last as long as their agents end now, and those yet to begin end as
        they do."""
        self._is_draining = True
        for answer in list(self._listening):
            answer.end()


def _without_silence(timeout: aiohttp.ClientTimeout) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, connect=timeout.connect, sock_read=None)


def failure(error: Exception, destination: Destination) -> UpstreamFailed:
    """What one of :data:`UNANSWERED`, raised before an answer was there, means."""
    match error:
        case aiohttp.ConnectionTimeoutError() | aiohttp.ClientConnectorError():
            return _failed("unreachable", 502, "upstream_unreachable", destination, _reason(error))
        case TimeoutError():
            return _failed("timeout", 504, "upstream_timeout", destination, "did not answer in time")
        case _:
            return _failed("unreachable", 502, "upstream_broken", destination, "closed or garbled its answer")


def _reason(error: Exception) -> str:
    match error:
        case aiohttp.ClientConnectorDNSError():
            return "has a host name that does not resolve"
        case aiohttp.ClientSSLError():
            return "failed the TLS handshake"
        case aiohttp.ConnectionTimeoutError():
            return "did not accept a connection in time"
        case _:
            return "refused the connection"


def _failed(outcome: Outcome, status: int, code: str, destination: Destination, what: str) -> UpstreamFailed:
    text = f"upstream {destination.name!r} {what}; see upstreams.{destination.name} in the configuration of orchtax"
    return UpstreamFailed(outcome, Fault(status, code, text))


def _passed_back(response: aiohttp.ClientResponse) -> CIMultiDict[str]:
    """The answer's headers as the agent gets them: own order, spelling and repetition, less what ends at this hop."""
    named: frozenset[str] = frozenset()
    if "Connection" in response.headers:
        named = frozenset(t.strip().lower() for t in ",".join(response.headers.getall("Connection")).split(","))
    kept: CIMultiDict[str] = CIMultiDict()
    for raw_name, raw_value in response.raw_headers:
        name = raw_name.decode("latin-1")
        low = name.lower()
        if low not in HOP_BY_HOP and low not in named:
            kept.add(name, raw_value.decode("utf-8", "surrogateescape"))
    return kept
