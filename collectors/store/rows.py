"""Nouns to rows and back: the column lists of the tables, in one place. Pure.

A column has its field's name, except: ``ts_ns`` is column ``ts`` (microseconds), ``blocks`` and ``outputs`` are three
parallel arrays each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any

from collectors.figures import Handoff, Receipt, SessionFigures
from collectors.records import Block, CallRecord

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NESTED = ("blocks", "outputs")
_PARTS = ("digest", "kind", "size")
_PLAIN = tuple(f.name for f in fields(CallRecord) if f.name not in {"ts_ns", *_NESTED})
_plain_values = attrgetter(*_PLAIN)

CALL_COLUMNS = ("ts", *_PLAIN, *(f"{name}.{part}" for name in _NESTED for part in _PARTS))
RECEIPT_COLUMNS = tuple(f.name for f in fields(Receipt))
HANDOFF_COLUMNS = (*(f.name for f in fields(Handoff)), "is_deleted")
SESSION_COLUMNS = tuple(f.name for f in fields(SessionFigures))

receipt_row: Callable[[Receipt], tuple[object, ...]] = attrgetter(*RECEIPT_COLUMNS)
session_row: Callable[[SessionFigures], tuple[object, ...]] = attrgetter(*SESSION_COLUMNS)
_handoff_values: Callable[[Handoff], tuple[object, ...]] = attrgetter(*HANDOFF_COLUMNS[:-1])


@dataclass(frozen=True, slots=True)
class Edge:
    """What identifies a handoff within its session."""

    from_call: str
    to_call: str


def call_row(record: CallRecord) -> tuple[object, ...]:
    """A row for :data:`CALL_COLUMNS`."""
    ts = _EPOCH + timedelta(microseconds=record.ts_ns // 1000)
    return (ts, *_plain_values(record), *_arrays(record.blocks), *_arrays(record.outputs))


def call_record(row: Mapping[str, Any]) -> CallRecord:
    """The inverse of :func:`call_row`, of a row read by :data:`CALL_COLUMNS`; ``ts_ns`` comes back in whole µs."""
    values: dict[str, Any] = {name: row[name] for name in _PLAIN}
    values["emitted_tools"] = tuple(values["emitted_tools"])
    for name in _NESTED:
        values[name] = tuple(map(Block, *(row[f"{name}.{part}"] for part in _PARTS)))
    return CallRecord(ts_ns=(row["ts"] - _EPOCH) // timedelta(microseconds=1) * 1000, **values)


def handoff_row(handoff: Handoff) -> tuple[object, ...]:
    return (*_handoff_values(handoff), 0)


def tombstone(session_id: str, edge: Edge, version: int) -> tuple[object, ...]:
    """A row that takes a handoff back which a later analysis no longer sees."""
    given = {"session_id": session_id, "from_call": edge.from_call, "to_call": edge.to_call, "version": version}
    empty = {"from_stage": "", "to_stage": "", "kind": "", "method": "", "is_idle": False, "is_deleted": 1}
    return tuple(given.get(column, empty.get(column, 0)) for column in HANDOFF_COLUMNS)


def _arrays(blocks: Sequence[Block]) -> tuple[Sequence[object], Sequence[object], Sequence[object]]:
    if not blocks:
        return (), (), ()
    digests, kinds, sizes = zip(*blocks, strict=True)
    return digests, kinds, sizes
