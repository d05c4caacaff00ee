"""The calls within one WebSocket: each response that a frame meter tells of is a call, with a record of its own.

A socket that no dialect understands, or in which nothing was asked, is one call itself: the opening request, with all
bytes that went through. Measuring fails open, as in ``measure.py``: frames go on unread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from collectors.records import Outcome
from proxy.call import Call
from proxy.dialects import Described, Frame, FrameMeter, Observation
from proxy.identity import Evidence
from proxy.server import Body

if TYPE_CHECKING:
    from proxy.exchange import Plant

Book = Callable[[Call | None, Outcome], None]
SWITCHED = 101


class Turns:
    """What one socket has asked, and what is still open. ``book`` writes a call's record, once."""

    def __init__(self, plant: Plant, opening: Call, evidence: Evidence, book: Book) -> None:
        self._p = plant
        self._opening = opening
        self._evidence = evidence
        self._book = book
        self._open: dict[int, Call] = {}
        self._unclaimed = 0
        self._has_asked = False
        self._meter = self._frames(opening)

    @property
    def is_between(self) -> bool:
        """No response is under way. Of a socket that nobody understands, one always may be."""
        return self._meter is not None and not self._open

    @property
    def is_waiting(self) -> bool:
        return bool(self._open)

    def sent(self, text: bytes) -> None:
        """A text frame of the agent's is about to be passed on."""
        self.count_sent(len(text))
        frame = self._read(self._meter.sent, text) if self._meter and self._is_readable(text) else None
        if frame is not None and frame.begins is not None:
            self._begin(frame.turn, frame.begins)

    def count_sent(self, size: int) -> None:
        """Bytes that the agent sends, which count to the next response if they ask none themselves."""
        self._opening.body.size += size
        self._unclaimed += size

    def may_end(self, text: bytes) -> bool:
        """Whether this frame has to be measured before it is passed on: what it ends must be on record by then."""
        with self._p.tally.measuring("frames"):
            return self._meter is not None and self._meter.may_end(text)
        return False

    async def received(self, text: bytes) -> None:
        """A text frame of the upstream's."""
        self.count_received(len(text))
        frame = self._read(self._meter.received, text) if self._meter and self._is_readable(text) else None
        if frame is None:
            return
        if frame.begins is not None:
            self._begin(frame.turn, frame.begins)
        call = self._open.get(frame.turn)
        if call is not None:
            call.last_at = call.clock()
            call.first_at = call.first_at or call.last_at
            call.status = frame.status or call.status or SWITCHED
            call.response_bytes += len(text)
            if frame.ends is not None:
                await self._end(frame.turn, frame.ends)

    def count_received(self, size: int) -> None:
        self._opening.response_bytes += size
        self._opening.last_at = self._opening.clock()

    def finish(self, cut: Outcome, whole: Outcome) -> None:
        """The socket has ended: book what is still open as ``cut``, with what was seen of it; the socket as ``whole``
        if it was one call. Safe twice."""
        ending: list[Frame] = []
        meter, self._meter = self._meter, None
        if meter is not None:
            with self._p.tally.measuring("frames"):
                ending = list(meter.finish())
        for frame in ending:
            if frame.turn in self._open and frame.ends is not None:
                self._open[frame.turn].seen = frame.ends
        calls = list(self._open.values())
        self._open.clear()
        for call in calls:
            self._book(call, cut)
        if not self._has_asked:
            self._book(self._opening, whole)

    def _frames(self, opening: Call) -> FrameMeter | None:
        frames = getattr(opening.dialect, "frames", None)  # see SocketDialect
        with self._p.tally.measuring("frames"):
            meter: FrameMeter | None = frames(opening.described) if frames is not None else None
            return meter
        return None

    def _is_readable(self, text: bytes) -> bool:
        return len(text) <= self._p.limits.max_read_bytes

    def _read(self, read: Callable[[bytes], Frame | None], text: bytes) -> Frame | None:
        with self._p.tally.measuring("frames") as measuring:
            return read(text)
        if measuring.has_failed:
            self._meter = None
        return None

    def _begin(self, turn: int, described: Described) -> None:
        """A call as the exchange makes one. The first takes the place of the opening request, which was admitted."""
        if self._has_asked:
            self._p.tally.admitted += 1
        self._has_asked = self._opening.is_booked = True
        opening, body = self._opening, Body(self._opening.request, self._p.limits)
        body.size, self._unclaimed = self._unclaimed, 0
        who = self._p.identity.attribute(self._evidence, described)
        call = Call(opening.request, opening.route, opening.dialect, body, who, described)
        call.sent_at = call.clock()
        self._open[turn] = call
        self._p.measure.begin(call)

    async def _end(self, turn: int, seen: Observation) -> None:
        """A response is whole. It leaves the open ones when it is booked, so that whatever ends here finds it."""
        call = self._open[turn]
        call.seen = seen
        await self._p.measure.count_if_untold(call)
        is_ok = call.is_answered and not seen.error
        self._book(call, "ok" if is_ok else "error")
        self._open.pop(turn, None)
