"""The path of one WebSocket, socket to socket: the counterpart of ``exchange.py``, which hands it over.

The upstream is asked first. Where it upgrades, so does orchtax, with the subprotocol that it chose; where it does not,
its answer goes back like any other. From then on each message passes unchanged in either direction, pings and pongs as
well, and each side's end ends the other with the same code: a side that vanished without a closing is no code, so the
agent is dropped as the upstream dropped orchtax, and the upstream told 1001. What the messages mean is the dialect's
(``turns.py``); a connection is no session.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, cast

from aiohttp import WebSocketError, WSCloseCode, WSMsgType, web
from aiohttp.http import HttpVersion11
from multidict import CIMultiDict

from collectors.records import Outcome
from proxy.answer import Answer
from proxy.call import Call
from proxy.dialects import Fault
from proxy.identity import Evidence, forwarded
from proxy.routes import Refused
from proxy.server import Connection
from proxy.turns import SWITCHED, Book, Turns
from proxy.upstream_socket import CLOSE_S, Socket, Upgraded, close_within, upgraded

if TYPE_CHECKING:
    from proxy.exchange import Plant

Agent = web.WebSocketResponse[bool]
Message = Any  # the library's own: type, data and extra, the latter two of many types
Relay = Callable[[Call, Answer], Awaitable[web.StreamResponse]]
_PROTOCOL = "Sec-WebSocket-Protocol"
_TROUBLE = frozenset({WSCloseCode.INTERNAL_ERROR, WSCloseCode.SERVICE_RESTART, WSCloseCode.TRY_AGAIN_LATER})
_PASSED = frozenset({WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.PING, WSMsgType.PONG})


def wants_websocket(request: web.BaseRequest) -> bool:
    """Whether to answer by becoming a WebSocket (RFC 6455 §4.1). Any other upgrade is ignored (RFC 9110 §7.8)."""
    if request.method != "GET" or request.headers.get("Upgrade", "").strip().lower() != "websocket":
        return False
    return request.version >= HttpVersion11 and "upgrade" in request.headers.get("Connection", "").lower()


@dataclass(frozen=True, slots=True)
class End:
    """How a socket ended. ``code`` is None where a side vanished without a word."""

    by: Literal["agent", "upstream", "orchtax"]
    code: int | None
    reason: bytes = b""
    is_timeout: bool = False

    @property
    def cuts_as(self) -> Outcome:
        """The outcome of the responses that it cut off."""
        if self.is_timeout:
            return "timeout"
        return "cut" if self.by == "upstream" else "cancelled"

    @property
    def ends_as(self) -> Outcome:
        """The outcome of a socket that was one call: a closing by handshake is an end like any other."""
        if self.code is None or self.by == "orchtax":
            return self.cuts_as
        return "error" if self.by == "upstream" and self.code in _TROUBLE else "ok"


class Sockets:
    """Carries WebSockets. ``relay`` passes an HTTP answer back, ``book`` writes records; both are the exchange's."""

    def __init__(self, plant: Plant, relay: Relay, book: Book) -> None:
        self._p = plant
        self._relay = relay
        self._book = book

    async def carry(self, call: Call, evidence: Evidence) -> web.StreamResponse:
        """One socket from its opening request ``call`` to its end.

        Raises:
            Refused: 400 for an opening that is not well formed.
            UpstreamFailed: no answer to the opening request; nothing was accepted.
            ConnectionError: the agent is gone, or is to be dropped.
        """
        request, offered = call.request, _offered(call.request)
        if not web.WebSocketResponse(protocols=offered).can_prepare(request):
            raise Refused(Fault(400, "malformed_request", "not a well-formed opening of a WebSocket"))
        call.described = replace(call.described, operation=call.described.operation or "websocket")
        carrier = _Carrier(cast(Connection, request.protocol), Turns(self._p, call, evidence, self._book))
        limit = self._p.limits.max_message_bytes
        call.sent_at = call.clock()
        try:
            async with upgraded(call.route, _opening_headers(request), offered, limit) as opened:
                call.first_at = call.last_at = call.clock()
                call.answer_headers = opened.headers
                if isinstance(opened, Answer):
                    call.status = opened.status
                    return await self._relay(call, opened)
                call.status = SWITCHED
                agent = await _accept(request, opened, limit)
                return await carrier.run(agent, opened.socket, call.route.destination.upstream.timeouts.read_s)
        finally:
            carrier.leave()


def _opening_headers(request: web.BaseRequest) -> CIMultiDict[str]:
    """The agent's headers, less those by which each hop opens its own socket."""
    kept = [pair for pair in forwarded(request.headers).items() if not pair[0].lower().startswith("sec-websocket-")]
    return CIMultiDict(kept)


def _offered(request: web.BaseRequest) -> list[str]:
    """The subprotocols that the agent offers."""
    listed = ",".join(request.headers.getall(_PROTOCOL, []))
    return [name for part in listed.split(",") if (name := part.strip())]


async def _accept(request: web.BaseRequest, opened: Upgraded, limit: int) -> Agent:
    """Upgrade the agent's connection, with what the upstream said when it did (Codex reads it). Where that chose no
    subprotocol the offer is taken off first: the library would log it, and browsers put keys there."""
    protocol = opened.socket.protocol
    agent = web.WebSocketResponse(
        timeout=CLOSE_S,
        autoclose=False,
        autoping=False,
        protocols=[protocol] if protocol else (),
        compress=False,
        max_msg_size=limit + 1,  # the library's bound is exclusive
        decode_text=False,
    )
    agent.headers.extend(opened.headers)
    agent.headers.setdefault("Server", "orchtax")
    if not protocol:
        kept = [pair for pair in request.headers.items() if pair[0].lower() != _PROTOCOL.lower()]
        request = request.clone(headers=CIMultiDict(kept))
    await agent.prepare(request)
    return agent


class _Carrier:
    """Moves the messages of one socket, and decides when and how it ends."""

    def __init__(self, connection: Connection, turns: Turns) -> None:
        self._connection = connection
        self._turns = turns
        self._loop = asyncio.get_running_loop()
        self._decided: asyncio.Future[End] = self._loop.create_future()
        self._is_draining = False
        self._moved_at = 0.0
        self._watch: asyncio.TimerHandle | None = None
        connection.on_drain = self._drain

    def leave(self) -> None:
        """The socket is no more."""
        self._connection.on_drain = None
        if self._watch is not None:
            self._watch.cancel()

    async def run(self, agent: Agent, upstream: Socket, silence_s: float) -> web.StreamResponse:
        """Pass messages until either side ends, then end the other. ``silence_s`` is how long a response may stay
        away; between responses a socket may be silent for ever.

        Raises:
            ConnectionError: a side vanished.
        """
        self._moved_at = self._loop.time()
        self._check_silence(silence_s)
        pumps = [
            asyncio.create_task(self._from_agent(agent, upstream), name="socket from agent"),
            asyncio.create_task(self._from_upstream(agent, upstream), name="socket from upstream"),
        ]
        try:
            end = await self._first_end(pumps)
            self._turns.finish(end.cuts_as, end.ends_as)
            await self._end(end, agent, upstream)
        except asyncio.CancelledError:
            end = next((pump.result() for pump in pumps if pump.done()), End("agent", None))
            self._turns.finish(end.cuts_as, end.ends_as)
            await close_within(upstream.close(code=_sendable(end.code) or WSCloseCode.GOING_AWAY))
            raise
        finally:
            self._turns.finish("cancelled", "cancelled")
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
        return agent

    async def _first_end(self, pumps: list[asyncio.Task[End]]) -> End:
        ended, _ = await asyncio.wait([*pumps, self._decided], return_when=asyncio.FIRST_COMPLETED)
        return next(iter(ended)).result()

    async def _from_agent(self, agent: Agent, upstream: Socket) -> End:
        while True:
            message = await agent.receive()
            if message.type not in _PASSED:
                return _end_of("agent", message)
            self._moved_at = self._loop.time()
            if message.type is WSMsgType.TEXT:
                self._turns.sent(message.data)
            else:
                self._turns.count_sent(len(message.data))
            try:
                await upstream.send_frame(message.data, message.type)
            except ConnectionError:
                return End("upstream", None)

    async def _from_upstream(self, agent: Agent, upstream: Socket) -> End:
        while True:
            message = await upstream.receive()
            if message.type not in _PASSED:
                return _end_of("upstream", message)
            self._moved_at = self._loop.time()
            text = message.data if message.type is WSMsgType.TEXT else None
            is_last = text is not None and self._turns.may_end(text)
            if text is None:
                self._turns.count_received(len(message.data))
            elif is_last:
                await self._turns.received(text)
            if not await self._to_agent(agent, message):
                return End("agent", None)
            if text is not None and not is_last:
                await self._turns.received(text)
            if self._is_draining:
                self._drain(False)

    async def _to_agent(self, agent: Agent, message: Message) -> bool:
        """Pass one message on, as fast as the agent reads; the sweep cuts off one that does not. False: it is gone."""
        self._connection.writing_since = self._loop.time()
        try:
            await agent.send_frame(message.data, message.type)
        except ConnectionError:
            return False
        self._connection.writing_since = 0.0
        return True

    async def _end(self, end: End, agent: Agent, upstream: Socket) -> None:
        code = _sendable(end.code)
        match end.by:
            case "agent":
                await close_within(upstream.close(code=code or WSCloseCode.GOING_AWAY, message=end.reason))
                code = code and _answered(upstream.close_code, code)
            case "upstream" if code:
                await self._close_agent(agent, code, end.reason)
                await close_within(upstream.close(code=_answered(agent.close_code, code)))
            case "orchtax":
                await close_within(upstream.close(code=WSCloseCode.GOING_AWAY))
        if not code:
            raise ConnectionResetError("a side vanished, and so must the other")
        await self._close_agent(agent, code, end.reason)

    async def _close_agent(self, agent: Agent, code: int, reason: bytes) -> None:
        self._connection.writing_since = self._loop.time()
        await close_within(agent.close(code=code, message=reason))
        self._connection.writing_since = 0.0

    def _decide(self, end: End) -> None:
        if not self._decided.done():
            self._decided.set_result(end)

    def _drain(self, is_last: bool) -> None:
        """orchtax is stopping: end as soon as no response is under way, at the latest when the time is up."""
        self._is_draining = True
        if is_last or self._turns.is_between:
            self._decide(End("orchtax", WSCloseCode.GOING_AWAY, b"orchtax is stopping"))

    def _check_silence(self, silence_s: float) -> None:
        """One timer a socket, moved on by what has passed in the meantime."""
        left = silence_s - (self._loop.time() - self._moved_at)
        if left <= 0 and self._turns.is_waiting:
            reason = b"the upstream fell silent within its response"
            self._decide(End("orchtax", WSCloseCode.INTERNAL_ERROR, reason, is_timeout=True))
            return
        self._watch = self._loop.call_later(left if left > 0 else silence_s, self._check_silence, silence_s)


def _end_of(by: Literal["agent", "upstream"], message: Message) -> End:
    """What a message says that is none to be passed on: a closing, or why there will be no more."""
    if message.type is WSMsgType.CLOSE:
        return End(by, message.data, str(message.extra or "").encode())
    if isinstance(message.data, WebSocketError):
        return End(by, message.data.code)
    return End(by, None)


def _sendable(code: int | None) -> int | None:
    """A closing without a code has none that could be sent; the plain one says the same."""
    return WSCloseCode.OK if code == 0 else code


def _answered(told: int | None, code: int) -> int:
    """The code that a side answered a closing with; the one it was closed with where it did not answer."""
    return code if told in (None, 0, WSCloseCode.ABNORMAL_CLOSURE) else told
