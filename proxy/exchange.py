"""The story of one call, top to bottom: from the request's head to the record of its last byte.

Forward first, measure after: each chunk goes to the agent before a meter sees it. Booking (usage, cost, record) happens
exactly once on every way out: answer, refusal, upstream failure, disconnect, cancellation; and before the answer's
last byte leaves, so that an agent that has its answer has its record too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from multidict import CIMultiDict

from collectors.records import Outcome, encode
from collectors.spool import SpoolWriter
from proxy.account import Books, record_of, settle
from proxy.answer import Answer, UpstreamFailed
from proxy.call import Call, Tally
from proxy.dialects import WEBSOCKET, Dialect, Fault, choose
from proxy.identity import Identity, forwarded
from proxy.measure import Measure
from proxy.routes import Refused, Routes
from proxy.server import Body, Connection, check_form, fault_response, reply, write
from proxy.settings import Limits
from proxy.signers import Signers
from proxy.upstream import Upstreams
from proxy.websocket import Sockets, wants_websocket


@dataclass(frozen=True, slots=True)
class Plant:
    """What an exchange works with; made in ``app.py``."""

    routes: Routes
    identity: Identity
    dialects: Mapping[str, Dialect]
    measure: Measure
    upstreams: Upstreams
    signers: Signers
    books: Books
    spool: SpoolWriter
    limits: Limits
    tally: Tally


class Exchange:
    """Handles every request of the data port."""

    def __init__(self, plant: Plant) -> None:
        self._p = plant
        self._sockets = Sockets(plant, self._relay, self._book)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """One call. Returns the answer as it was sent; raises only what ends the connection."""
        connection = request.protocol
        assert isinstance(connection, Connection)
        connection.is_busy, connection.head_since = True, 0.0
        call: Call | None = None
        dialect: Dialect | None = None
        try:
            check_form(request)
            route = self._p.routes.match(request.raw_path)
            method = WEBSOCKET if wants_websocket(request) else request.method
            dialect = choose(self._p.dialects, route.destination.api, method, route.path)
            evidence = self._p.identity.read(request.headers, route)
            body = Body(request, self._p.limits)
            await body.read()
            dialect, described = self._p.measure.describe(request, route, dialect, body)
            who = self._p.identity.attribute(evidence, described)
            call = Call(request, route, dialect, body, who, described)
            self._p.tally.admitted += 1
            if method is WEBSOCKET:
                return await self._sockets.carry(call, evidence)
            answer = await self._send(call)
            return await self._relay(call, answer)
        except Refused as refused:
            return self._refuse(request, refused.fault, dialect, call)
        except UpstreamFailed as failed:
            assert call is not None
            fault = call.body.refusal.fault if call.body.refusal else failed.fault
            return self._refuse(request, fault, dialect, call, failed.outcome)
        except (asyncio.CancelledError, ConnectionError):
            self._leave(call)
            raise
        except Exception:  # a bug of ours: answered with 500 by the server, and booked all the same
            self._book(call, "error")
            raise
        finally:
            connection.is_busy = False

    async def _send(self, call: Call) -> Answer:
        """The agent's own bytes to the upstream."""
        request, described = call.request, call.described
        headers = forwarded(request.headers)
        data: Any = described.rewritten or call.body.data
        if described.hides_usage or described.address is not None:
            headers["Accept-Encoding"] = "identity"  # a compressed stream could not be filtered
        if call.body.data is None:
            data = call.body.stream()
            if request.content_length is not None:
                headers["Content-Length"] = str(request.content_length)
        self._p.signers.sign(call.route, request.method, headers, data)
        self._p.measure.begin(call)
        call.sent_at = call.clock()
        answer = await self._p.upstreams.send(call.route, request.method, headers, data or None, described.is_listening)
        call.first_at, call.status, call.answer_headers = call.clock(), answer.status, answer.headers
        return answer

    async def _relay(self, call: Call, answer: Answer) -> web.StreamResponse:
        """The upstream's own bytes to the agent; the last of them leave when the record is spooled."""
        request, measure = call.request, self._p.measure
        sieve = measure.attach(call, answer)
        if sieve is not None:
            answer.headers.popall("Content-Length", None)
        response = reply(request, answer.status, answer.reason, _marked(call, answer.headers), answer.is_whole)
        left = -1 if answer.is_empty or response.content_length is None else response.content_length
        try:
            await response.prepare(request)
            async for chunk in answer.chunks():
                call.last_at = call.clock()
                call.response_bytes += len(chunk)
                left -= len(chunk)
                if left == 0:
                    await self._close(call, chunk)
                passed = chunk if sieve is None else sieve.feed(chunk)
                if passed:
                    await write(request, response, passed)
                if left != 0:
                    measure.observe(call, chunk)
            await self._close(call, b"")
            if sieve is not None and (tail := sieve.finish()):
                await write(request, response, tail)
            await response.write_eof()
        except UpstreamFailed as failed:
            self._book(call, failed.outcome)
            raise ConnectionResetError("the upstream broke off, and so must the answer") from failed
        finally:
            answer.close()
        return response

    async def _close(self, call: Call, chunk: bytes) -> None:
        """The answer is whole: measure its last chunk and book it."""
        if call.is_booked:
            return
        call.last_at = call.last_at or call.first_at
        if chunk:
            self._p.measure.observe(call, chunk)
        await self._p.measure.count_if_untold(call)
        is_ok = call.is_answered and not self._p.measure.seen(call).error
        self._book(call, "ok" if is_ok else "error")

    def _leave(self, call: Call | None) -> None:
        """The agent left before the answer's end; ``cancelled``, unless it had all it can have wanted."""
        if call is None or call.is_booked:
            return
        seen = self._p.measure.seen(call)
        has_all = call.is_answered and (call.described.is_listening or seen.has_ended)
        self._book(call, "cancelled" if not has_all else "error" if seen.error else "ok")

    def _book(self, call: Call | None, outcome: Outcome) -> None:
        """Usage, cost and record: once a call, whatever comes first. Never raises, never waits."""
        if call is None or call.is_booked:
            return
        call.is_booked = True
        self._p.measure.digest(call)
        self._p.measure.seen(call)
        self._p.identity.learn(call)
        settle(call, outcome, self._p.books, self._p.tally)
        with self._p.tally.measuring("book"):
            self._p.spool.append(encode(record_of(call, outcome, self._p.books.worker)))
            self._p.tally.booked += 1

    def _refuse(
        self,
        request: web.BaseRequest,
        fault: Fault,
        dialect: Dialect | None,
        call: Call | None,
        outcome: Outcome = "refused",
    ) -> web.StreamResponse:
        """An answer of orchtax's own, in the caller's dialect; booked where the call had been admitted."""
        self._p.tally.refuse(fault.code)
        self._book(call, outcome)
        headers: CIMultiDict[str] = CIMultiDict()
        if call is not None:
            _marked(call, headers)
        dialect = dialect or guess(self._p.dialects, request)
        return fault_response(fault, dialect, call.described if call else None, headers)


def guess(dialects: Mapping[str, Dialect], request: web.BaseRequest) -> Dialect:
    """The dialect of a request whose route is unknown, so that the agent's SDK can read the error: by path alone."""
    path, method = request.raw_path.partition("?")[0], WEBSOCKET if wants_websocket(request) else request.method
    for api in ("openai", "anthropic"):
        dialect = choose(dialects, api, method, path)
        if dialect.name != "opaque":
            return dialect
    return dialects["opaque"]


def _marked(call: Call, headers: CIMultiDict[str]) -> CIMultiDict[str]:
    """Tell the agent how orchtax saw this call."""
    headers["X-Orchtax-Call-Id"] = call.call_id
    who = call.attribution
    for name, value in (("X-Orchtax-Session", who.session_id), ("X-Orchtax-Stage", who.stage)):
        if value and value.isascii():
            headers[name] = value
    headers.add("Server-Timing", f"orchtax;dur={(call.sent_at - call.read_at) / 1e6:.3f}")
    return headers
