"""Sessions that are still growing, in memory, so that a new call does not cost reading the whole session again.

Bounded: the least recently touched sessions are forgotten and read back from the store when they are touched again.
Histories repeat from call to call, so equal blocks of a session are kept once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from collectors.figures import Handoff, Receipt
from collectors.records import Block, CallRecord
from collectors.store.rows import Edge

_CALL_BYTES, _BLOCK_BYTES, _REFERENCE_BYTES = 2_500, 250, 8  # measured on CPython 3.11, rounded up


@dataclass(frozen=True, slots=True, order=True)
class SessionKey:
    """Two tenants may use the same session id: they are two sessions."""

    tenant: str
    session_id: str


@dataclass(slots=True)
class LiveSession:
    """Calls by id, and what the store already holds of the analysis. ``bytes`` is an estimate."""

    calls: dict[str, CallRecord] = field(default_factory=dict)
    blocks: dict[Block, Block] = field(default_factory=dict)
    stored_receipts: dict[str, Receipt] = field(default_factory=dict)  # version 0, to be compared
    stored_handoffs: dict[Edge, Handoff | None] = field(default_factory=dict)  # None: stored, but not known how
    bytes: int = 0

    def add(self, record: CallRecord) -> None:
        """A call that is here already (a replayed segment) changes nothing."""
        if record.call_id in self.calls:
            return
        before = len(self.blocks)
        kept = self.blocks.setdefault
        record = replace(
            record,
            # Whole microseconds, as the store keeps them: an analysis is the same before and after a restart.
            ts_ns=record.ts_ns // 1000 * 1000,
            blocks=tuple(kept(block, block) for block in record.blocks),
            outputs=tuple(kept(block, block) for block in record.outputs),
        )
        self.calls[record.call_id] = record
        references = len(record.blocks) + len(record.outputs)
        self.bytes += _CALL_BYTES + references * _REFERENCE_BYTES + (len(self.blocks) - before) * _BLOCK_BYTES

    def in_order(self) -> list[CallRecord]:
        """By arrival."""
        return sorted(self.calls.values(), key=lambda call: (call.ts_ns, call.call_id))


class LiveSessions:
    """The bounded set of them; the latest touched stays."""

    def __init__(self, max_sessions: int, max_bytes: int) -> None:
        self._max_sessions, self._max_bytes = max_sessions, max_bytes
        self._sessions: OrderedDict[SessionKey, LiveSession] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sessions)

    def get(self, key: SessionKey) -> LiveSession | None:
        """Counts as a touch."""
        session = self._sessions.get(key)
        if session is not None:
            self._sessions.move_to_end(key)
        return session

    def put(self, key: SessionKey, session: LiveSession) -> None:
        self._sessions[key] = session
        self._sessions.move_to_end(key)

    def forget(self, keys: Iterable[SessionKey]) -> None:
        for key in keys:
            self._sessions.pop(key, None)

    def trim(self) -> None:
        """Down to the bounds, least recently touched first; call it between rounds, not within."""
        held = sum(session.bytes for session in self._sessions.values())
        while self._sessions and (len(self._sessions) > self._max_sessions or held > self._max_bytes):
            _, session = self._sessions.popitem(last=False)
            held -= session.bytes
