"""One round of the collector: segments in, facts and derived figures into the store. Counterpart: ``service.py`` loops.

One segment is one insert into ``calls``, under the segment's token, so that a replay after any crash is exact. The
derived tables replace by version, so their tokens only have to be unique. Rows that the store refuses are narrowed
down by halving, under tokens that name the range: a replay takes the same path.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import orjson

from collectors import spool_reader
from collectors.figures import Handoff, Receipt, SessionAnalysis
from collectors.live import LiveSession, LiveSessions, SessionKey
from collectors.records import CallRecord, decode
from collectors.store.clickhouse import Store
from collectors.store.errors import StoreRejected
from collectors.store.rows import (
    CALL_COLUMNS,
    HANDOFF_COLUMNS,
    RECEIPT_COLUMNS,
    SESSION_COLUMNS,
    Edge,
    call_record,
    call_row,
    handoff_row,
    receipt_row,
    session_row,
    tombstone,
)

Analyse = Callable[[Sequence[CallRecord], int], SessionAnalysis]
OnStored = Callable[[Sequence[CallRecord], Sequence[SessionAnalysis]], None]


def unobserved(calls: Sequence[CallRecord], analyses: Sequence[SessionAnalysis]) -> None:
    """Nobody wants to know what was stored."""


@dataclass(frozen=True, slots=True)
class Makes:
    """What is made of records: ``analyse`` runs in a thread; ``on_stored`` on the loop, once for each stored call and
    for each analysis, after the store has them."""

    analyse: Analyse
    on_stored: OnStored = unobserved


_HEAL_BATCH = 50
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Decoded:
    """A segment's records, each with its table row; ``bad`` are the payloads and frames that are none."""

    name: str
    records: tuple[CallRecord, ...]
    rows: tuple[tuple[object, ...], ...]
    bad: tuple[bytes, ...]
    is_torn: bool


@dataclass(slots=True)
class Tally:
    """Counted since the collector was made."""

    inserted_rows: int = 0
    segments: int = 0
    quarantined: int = 0
    torn: int = 0
    analyses: int = 0
    analysis_errors: int = 0


def load(path: Path) -> Decoded:
    """Read and decode a segment; what cannot be decoded is among ``bad``. Raises OSError."""
    segment = spool_reader.read(path)
    records, rows, bad = [], [], list(segment.bad)
    for payload in segment.payloads:
        try:
            record = decode(payload)
            rows.append(call_row(record))
            records.append(record)
        except (ValueError, TypeError, AttributeError, OverflowError):
            bad.append(payload)
    if segment.torn:
        bad.append(segment.torn)
    return Decoded(segment.name, tuple(records), tuple(rows), tuple(bad), segment.is_torn)


class Intake:
    """Takes segments into one store and keeps the live sessions between rounds."""

    def __init__(self, store: Store, spool: Path, makes: Makes, live: LiveSessions, tally: Tally) -> None:
        self._store, self._spool, self._analyse, self._on_stored = store, spool, makes.analyse, makes.on_stored
        self._live, self._tally = live, tally
        self._version = 0
        self._nonce = uuid4().hex  # versions alone could repeat after a crash and a clock set back

    async def start(self, next_version: int) -> None:
        """Look up where versions stand. ``next_version`` is the clock's proposal (ns)."""
        (row,) = await self._store.query("last_version")
        self._version = max(int(row["version"]), next_version)

    async def take(self, paths: Sequence[Path]) -> None:
        """Bring whole segments into the store, then acknowledge them.

        Raises:
            StoreUnavailable: nothing was acknowledged; take the same paths again.
        """
        touched: dict[SessionKey, list[CallRecord]] = {}
        taken: list[tuple[Decoded, dict[int, str]]] = []
        for path in paths:
            decoded = await asyncio.to_thread(self._load, path)
            refused = await self._insert_calls(decoded, 0, len(decoded.rows))
            taken.append((decoded, refused))
            for at, record in enumerate(decoded.records):
                if record.session_id and at not in refused:
                    touched.setdefault(SessionKey(record.tenant, record.session_id), []).append(record)
        analyses = await self.derive(touched)
        for path, (decoded, refused) in zip(paths, taken, strict=True):
            self._set_aside(decoded, refused)
            spool_reader.acknowledge(path)
            self._tally.segments += 1
            self._tally.inserted_rows += len(decoded.rows) - len(refused)
            self._on_stored([record for at, record in enumerate(decoded.records) if at not in refused], ())
        self._on_stored((), analyses)
        self._live.trim()

    async def derive(self, touched: dict[SessionKey, list[CallRecord]]) -> list[SessionAnalysis]:
        """Analyse sessions anew, with their new calls, and store what changed. Returns the analyses."""
        receipts: list[tuple[object, ...]] = []
        handoffs: list[tuple[object, ...]] = []
        sessions: list[tuple[object, ...]] = []
        done: list[tuple[LiveSession, SessionAnalysis]] = []
        self._version += 1
        await self._read_back(touched)
        for key, records in touched.items():
            session = self._grown(key, records)
            analysis = await self._analysis(key, session)
            if analysis is None:
                continue
            receipts += [receipt_row(receipt) for receipt in _changed_receipts(session, analysis)]
            handoffs += _handoff_rows(key.session_id, session, analysis)
            sessions.append(session_row(analysis.session))
            done.append((session, analysis))
        await self._insert_derived("receipts", RECEIPT_COLUMNS, receipts)
        await self._insert_derived("handoffs", HANDOFF_COLUMNS, handoffs)
        await self._insert_derived("sessions", SESSION_COLUMNS, sessions)
        for session, analysis in done:
            session.stored_receipts = {r.call_id: replace(r, version=0) for r in analysis.receipts}
            session.stored_handoffs = {_edge(h): replace(h, version=0) for h in analysis.handoffs}
        return [analysis for _, analysis in done]

    async def heal(self, since_ns: int) -> int:
        """Analyse sessions whose stored analysis is missing or behind their calls; how many there were."""
        stale = await self._store.query("stale_sessions", since_ns=since_ns)
        for at in range(0, len(stale), _HEAL_BATCH):
            await self.derive({SessionKey(r["tenant"], r["session_id"]): [] for r in stale[at : at + _HEAL_BATCH]})
            self._live.trim()
        return len(stale)

    def _load(self, path: Path) -> Decoded:
        """A segment that cannot be read at all must not block those behind it: it is moved aside, unread."""
        try:
            return load(path)
        except OSError as error:
            log.warning("segment %s cannot be read and is moved to quarantine: %s", path.name, error)
            spool_reader.move_aside(path)
            return Decoded(path.stem, (), (), (), is_torn=True)

    async def _insert_calls(self, decoded: Decoded, start: int, stop: int) -> dict[int, str]:
        """Insert rows ``start`` to ``stop``; the positions of those that the store refuses for good, and why."""
        whole = stop - start == len(decoded.rows)
        token = f"{decoded.name}:calls" if whole else f"{decoded.name}:calls:{start}-{stop}"
        try:
            await self._store.insert("calls", CALL_COLUMNS, decoded.rows[start:stop], token)
        except StoreRejected as error:
            if stop - start == 1:
                return {start: str(error)}
            middle = (start + stop) // 2
            return await self._insert_calls(decoded, start, middle) | await self._insert_calls(decoded, middle, stop)
        return {}

    def _set_aside(self, decoded: Decoded, refused: dict[int, str]) -> None:
        """Copy what did not reach the store to quarantine: one file a segment."""
        self._tally.torn += decoded.is_torn
        pieces = [*decoded.bad, *(orjson.dumps(decoded.records[at], default=repr) for at in refused)]
        if pieces:
            self._tally.quarantined += len(pieces)
            is_kept = spool_reader.quarantine(self._spool, f"{decoded.name}.bad", b"\n".join(pieces))
            log.warning(
                "segment %s: %d pieces could not be stored and are %s %s",
                decoded.name,
                len(pieces),
                "in quarantine" if is_kept else "lost, quarantine is full",
                next(iter(refused.values()), ""),
            )

    async def _read_back(self, touched: dict[SessionKey, list[CallRecord]]) -> None:
        """Bring touched sessions into memory that the store knows more calls of than were just handed over."""
        missing = [key for key in touched if self._live.get(key) is None]
        if not missing:
            return
        rows = await self._store.query("session_sizes", sessions=[key.session_id for key in missing])
        sizes = {SessionKey(row["tenant"], row["session_id"]): row["calls"] for row in rows}
        for key in missing:
            if sizes.get(key, 0) > len({record.call_id for record in touched[key]}):
                self._live.put(key, await self._stored(key))

    async def _stored(self, key: SessionKey) -> LiveSession:
        session = LiveSession()
        rows = await self._store.query("calls_of_session", tenant=key.tenant, session=key.session_id)
        edges = await self._store.query("handoff_edges", session=key.session_id)
        session.stored_handoffs = {Edge(row["from_call"], row["to_call"]): None for row in edges}
        for row in rows:
            session.add(call_record(row))
        return session

    def _grown(self, key: SessionKey, records: Sequence[CallRecord]) -> LiveSession:
        session = self._live.get(key) or LiveSession()
        self._live.put(key, session)
        for record in records:
            session.add(record)
        return session

    async def _analysis(self, key: SessionKey, session: LiveSession) -> SessionAnalysis | None:
        self._tally.analyses += 1
        try:
            return await asyncio.to_thread(self._analyse, session.in_order(), self._version)
        except Exception:  # one session that cannot be analysed must not stop the others' facts
            self._tally.analysis_errors += 1
            log.exception("session %s could not be analysed; its calls are stored", key.session_id)
            return None

    async def _insert_derived(self, table: str, columns: Sequence[str], rows: Sequence[tuple[object, ...]]) -> None:
        try:
            await self._store.insert(table, columns, rows, f"{self._nonce}:{self._version}:{table}")
        except StoreRejected:
            self._tally.analysis_errors += 1
            log.exception("%d rows of %s were refused; the facts are stored", len(rows), table)


def _changed_receipts(session: LiveSession, analysis: SessionAnalysis) -> list[Receipt]:
    """Those that the store does not hold already: a long session is not written again for each of its calls."""
    stored = session.stored_receipts
    return [r for r in analysis.receipts if stored.get(r.call_id) != replace(r, version=0)]


def _handoff_rows(session_id: str, session: LiveSession, analysis: SessionAnalysis) -> list[tuple[object, ...]]:
    """New and changed handoffs, and tombstones for those that this analysis no longer sees."""
    stored = session.stored_handoffs
    found = {_edge(h) for h in analysis.handoffs}
    changed = [handoff_row(h) for h in analysis.handoffs if stored.get(_edge(h)) != replace(h, version=0)]
    version = analysis.session.version
    return changed + [tombstone(session_id, edge, version) for edge in stored if edge not in found]


def _edge(handoff: Handoff) -> Edge:
    return Edge(handoff.from_call, handoff.to_call)
