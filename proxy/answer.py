"""An upstream's answer, and what it means when there is none: every error of the network becomes
:class:`UpstreamFailed` here, which says how the call ended and what to tell the agent."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator
from typing import Protocol

import aiohttp
from multidict import CIMultiDict

from collectors.records import Outcome
from proxy.dialects import Fault
from proxy.identity import HOP_BY_HOP
from proxy.routes import Destination
from proxy.wire import Head, Pairs

UNANSWERED = (TimeoutError, aiohttp.ClientError, ConnectionError)
"""What the client library raises when no answer comes."""


class Unreachable(ConnectionError):
    """No connection is to be had; the text says why."""


class UpstreamFailed(Exception):
    """The upstream gave no answer, or broke off in one."""

    def __init__(self, outcome: Outcome, fault: Fault) -> None:
        super().__init__(fault.message)
        self.outcome = outcome
        self.fault = fault


class Body(Protocol):
    """An answer's body where it comes from: a connection of our own, or the client library."""

    @property
    def is_whole(self) -> bool:
        """The body has arrived to its end, read or not."""
        ...

    def listen(self) -> None:
        """Silence has no limit from here on."""
        ...

    async def read(self) -> bytes:
        """What has arrived, empty at the end. Raises one of :data:`UNANSWERED`."""
        ...

    def leave(self) -> None:
        """Give the connection back, or close it when the body was not read to its end."""
        ...

    def drop(self) -> None:
        """Close at once."""
        ...


class Answer:
    """An upstream's answer: head at hand, body as it arrives."""

    __slots__ = ("__weakref__", "_body", "_is_ended", "destination", "headers", "is_empty", "reason", "status")

    def __init__(self, head: Head, is_headless: bool, body: Body, destination: Destination) -> None:
        self._body: Body | None = body
        self._is_ended = False
        self.destination = destination
        self.status = head.status
        self.reason = head.reason
        self.headers = _passed_back(head.headers, head.is_chunked)
        self.is_empty = is_headless or head.status in (204, 304)

    def header(self, name: str) -> str:
        """A header's first value, or the empty string."""
        return self.headers.get(name, "")

    @property
    def is_whole(self) -> bool:
        """The body has arrived to its end, read or not."""
        return self._body is not None and self._body.is_whole

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as received, still content-encoded, in the pieces the network gave.

        Raises:
            UpstreamFailed: ``cut`` when it ended early, ``timeout`` when it fell silent.
        """
        try:
            while self._body is not None and (chunk := await self._body.read()):
                yield chunk
        except TimeoutError as error:
            raise _failed(
                "timeout", 504, "upstream_timeout", self.destination, "fell silent within its answer"
            ) from error
        except (aiohttp.ClientError, ConnectionError) as error:
            if self._is_ended:
                return
            raise _failed("cut", 502, "upstream_cut", self.destination, "broke off its answer") from error

    def listen(self) -> None:
        """The agent listens for as long as it likes: silence has no limit from here on."""
        if self._body is not None:
            self._body.listen()

    def end(self) -> None:
        """End the body here: for the agent a clean end, and the upstream's connection is dropped."""
        self._is_ended = True
        if self._body is not None:
            self._body.drop()

    def close(self) -> None:
        """Give the connection back, or drop it when the body was not read to its end. Safe twice."""
        if self._body is not None:
            body, self._body = self._body, None
            body.leave()


def failure(error: Exception, destination: Destination) -> UpstreamFailed:
    """What one of :data:`UNANSWERED`, raised before an answer was there, means."""
    match error:
        case Unreachable():
            return _failed("unreachable", 502, "upstream_unreachable", destination, str(error))
        case aiohttp.ConnectionTimeoutError() | aiohttp.ClientConnectorError():
            return _failed("unreachable", 502, "upstream_unreachable", destination, reason_of(error))
        case TimeoutError():
            return _failed("timeout", 504, "upstream_timeout", destination, "did not answer in time")
        case _:
            return _failed("unreachable", 502, "upstream_broken", destination, "closed or garbled its answer")


def reason_of(error: Exception) -> str:
    """Why no connection is to be had, as the rest of a sentence that begins with the upstream."""
    match error:
        case aiohttp.ClientConnectorDNSError() | socket.gaierror():
            return "has a host name that does not resolve"
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return "failed the TLS handshake"
        case TimeoutError():
            return "did not accept a connection in time"
        case _:
            return "refused the connection"


def _failed(outcome: Outcome, status: int, code: str, destination: Destination, what: str) -> UpstreamFailed:
    text = f"upstream {destination.name!r} {what}; see upstreams.{destination.name} in the configuration of orchtax"
    return UpstreamFailed(outcome, Fault(status, code, text))


def _passed_back(headers: Pairs, is_chunked: bool) -> CIMultiDict[str]:
    """The answer's headers as the agent gets them: own order, spelling and repetition, less what ends at this hop. A
    length beside a chunked body means nothing (RFC 9112 §6.3)."""
    gone = HOP_BY_HOP | {"content-length"} if is_chunked else HOP_BY_HOP
    named = [value for name, value in headers if name.lower() == "connection"]
    if named:
        gone = gone | {token.strip().lower() for token in ",".join(named).split(",")}
    return CIMultiDict([pair for pair in headers if pair[0].lower() not in gone])
