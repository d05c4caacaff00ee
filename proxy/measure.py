"""Measuring a call: every use of a dialect stands here, guarded. It fails open: what goes wrong is counted and the
call is carried as ``opaque``."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping

from aiohttp import web

from collectors.tokens import TokenCounter
from proxy.account import MAX_COUNTED, needs_counting
from proxy.answer import Answer
from proxy.call import Call, Tally
from proxy.decoding import decoder_for
from proxy.dialects import Address, Described, Dialect, Observation, Prompt, RequestHead, StreamFilter
from proxy.routes import Route
from proxy.server import Body

_COUNT_DEADLINE_S = 0.5
_HOST = re.compile(r"[A-Za-z0-9.\-]+(?::\d{1,5})?|\[[0-9A-Fa-f:.]+\](?::\d{1,5})?")
_NOTHING_SEEN = Observation(is_complete=False)


class Measure:
    """What orchtax sees of calls. ``counter`` is loaded in a thread when a provider tells no usage."""

    def __init__(self, dialects: Mapping[str, Dialect], counter: TokenCounter, tally: Tally) -> None:
        self._opaque = dialects["opaque"]
        self._counter = counter
        self._tally = tally

    def describe(
        self, request: web.BaseRequest, route: Route, dialect: Dialect, body: Body
    ) -> tuple[Dialect, Described]:
        """What is asked, and in which dialect. A body that is not what its path promises is ``opaque``: the upstream
        has the say on it."""
        upstream = route.destination.upstream
        address = _address(request, route) if upstream.rewrite_card else None
        head = RequestHead(route.destination.api, request.method, route.path, route.query, request.headers, address)
        may_ask = bool(upstream.ask_usage) and "Content-Encoding" not in request.headers
        with self._tally.measuring("describe"):
            try:
                return dialect, dialect.describe(head, body.readable(), may_ask)
            except ValueError:
                return self._opaque, self._opaque.describe(head, None, False)
        return self._opaque, Described("other")

    def begin(self, call: Call) -> None:
        """The request is being sent: digest its content as soon as that is done, and make ready what will be needed.
        Two turns of the loop later the client has written the request."""
        loop = asyncio.get_running_loop()
        loop.call_soon(loop.call_soon, self.digest, call)
        if not call.described.expects_usage and not self._counter.is_ready(call.described.model):
            loop.run_in_executor(None, self._warm, call.described.model)

    def digest(self, call: Call) -> Prompt:
        """Digests of the prompt, made once."""
        if call.prompt is None:
            call.prompt = Prompt()
            with self._tally.measuring("prompt"):
                call.prompt = call.dialect.prompt(call.described)
        return call.prompt

    def attach(self, call: Call, answer: Answer) -> StreamFilter | None:
        """A meter for this answer, and a filter where orchtax asked for something that the agent did not."""
        content_type = answer.header("Content-Type")
        with self._tally.measuring("meter"):
            call.decoder = decoder_for(answer.header("Content-Encoding"))
            call.meter = call.dialect.meter(call.described, answer.status, content_type)
            take_headers = getattr(call.meter, "take_headers", None)  # see HeaderReader
            if take_headers is not None:
                take_headers(answer.headers)
            is_sifted = call.described.hides_usage and "event-stream" in content_type
            if answer.status == 200 and (is_sifted or call.described.address is not None):
                return call.dialect.stream_filter(call.described)
        return None

    def observe(self, call: Call, chunk: bytes) -> None:
        """Show the meter a chunk of the answer, content decoded."""
        meter, decoder = call.meter, call.decoder
        if meter is None:
            return
        with self._tally.measuring("meter") as measuring:
            if decoder is None:
                meter.feed(chunk)
            else:
                for piece in decoder.feed(chunk):
                    meter.feed(piece)
        if measuring.has_failed:
            call.meter = None

    def seen(self, call: Call) -> Observation:
        """What the meter saw, asked for once."""
        if call.seen is None:
            call.seen = _NOTHING_SEEN
            if call.meter is not None:
                with self._tally.measuring("meter"):
                    call.seen = call.meter.finish()
        return call.seen

    async def count_if_untold(self, call: Call) -> None:
        """Where a whole answer came without usage, count its tokens in a thread, though not for long: booking then
        finds the counts ready, or estimates."""
        seen = self.seen(call)
        if not call.is_answered or not needs_counting(call.described, seen):
            return
        texts = (*self.digest(call).texts, seen.text)
        if sum(map(len, texts)) <= MAX_COUNTED:
            counting = asyncio.ensure_future(asyncio.to_thread(self._count, call.described.model, texts))
            await asyncio.wait({counting}, timeout=_COUNT_DEADLINE_S)

    def _warm(self, model: str | None) -> None:
        with self._tally.measuring("tokenizer"):
            self._counter.warm(model)

    def _count(self, model: str | None, texts: tuple[str, ...]) -> None:
        with self._tally.measuring("tokenizer"):
            self._counter.count(model, texts)


def _address(request: web.BaseRequest, route: Route) -> Address | None:
    """Where this upstream stands, and where the agent found it: scheme, host as the agent wrote it, and the path up to
    the upstream's own. None for a host that is no plain name and port."""
    path = request.raw_path.partition("?")[0]
    host = request.headers.get("Host", "")
    if not _HOST.fullmatch(host):
        return None
    return Address(route.base, f"{request.scheme}://{host}{path[: len(path) - len(route.path)]}")
