"""What was sent again: client retries, duplicates and samples. What a validator sent back is in ``rework.py``.

A *retry* is known by the client's own mark, by the same retry key, or by the same canonical body in session and stage
within 120 s after a failed predecessor. The same body after a success is a *duplicate*, overlapping in time it is
*sampling*; neither is a retry, and both stay on their role's line. Attempts that orchtax made itself stand in
``attempts`` and are counted where sessions are.

Choices. The resend carries the tokens of the retry line, also when it succeeded and when the failure before it was free
of charge: the line says what was sent again, and is an upper bound of what the failure wasted. Who wants the waste sets
``after_free_failure`` to ``role`` (see ``roles.py``): then the first sending that cost anything is not a retry's. Time
is the other way round (the failed call and the back-off are the waste), see ``critical_path.py``. A resend after
orchtax's own refusal is a first sending, whatever its mark.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from collectors.records import CallRecord
from collectors.timeline import Timeline, takes_part

RETRY_WINDOW_US = 120_000_000
"""How long after a failure the same body still is a retry of it."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """How a call repeats an earlier one; ``of`` is the earlier call's id, "" when it was not seen."""

    kind: Literal["", "retry", "duplicate", "sampling"] = ""
    of: str = ""


FIRST = Repeat()


def repeats(line: Timeline) -> tuple[Repeat, ...]:
    """For each call, how it repeats an earlier one of the session."""
    latest: dict[tuple[str, ...], int] = {}  # the latest-ending call so far, by retry key and by body
    found = []
    for i, call in enumerate(line.calls):
        keys = _keys(call)
        before = next((latest[key] for key in keys if key in latest), None)
        found.append(_repeat(line, i, before))
        for key in keys:
            if key not in latest or _supersedes(line, i, latest[key]):
                latest[key] = i
    return tuple(found)


def free_so_far(line: Timeline, repeats: Sequence[Repeat]) -> frozenset[int]:
    """The resends before which every known attempt was free: no tokens and no cost are booked for them."""
    by_id = {call.call_id: i for i, call in enumerate(line.calls)}
    found: set[int] = set()
    for i, repeat in enumerate(repeats):
        before = by_id.get(repeat.of, -1)
        if repeat.kind != "retry" or before < 0:
            continue
        was_free = line.calls[before].tokens == 0 and not line.calls[before].cost_nano
        if was_free and (repeats[before].kind != "retry" or before in found):
            found.add(i)
    return frozenset(found)


def _supersedes(line: Timeline, i: int, before: int) -> bool:
    """Whether a later resend repeats call ``i`` rather than ``before``. A refused call was never sent."""
    sent, sent_before = takes_part(line.calls[i]), takes_part(line.calls[before])
    return line.ends[before] <= line.ends[i] if sent == sent_before else sent


def _keys(call: CallRecord) -> list[tuple[str, ...]]:
    """Under which names a call may be found again, the surest first."""
    keys: list[tuple[str, ...]] = []
    if call.kind == "other":
        return keys
    if call.retry_key:
        keys.append(("key", call.retry_key))
    if call.body_hash:
        where = () if call.kind == "model" else (call.upstream, call.path, call.tool)
        keys.append(("body", call.kind, call.stage, call.body_hash, *where))
    return keys


def _repeat(line: Timeline, i: int, before: int | None) -> Repeat:
    call = line.calls[i]
    if not takes_part(call):
        return FIRST
    if before is None:
        return Repeat("retry") if call.client_retry > 0 else FIRST
    earlier = line.calls[before]
    if earlier.outcome == "refused":
        return FIRST
    if call.client_retry > 0 or (call.retry_key and call.retry_key == earlier.retry_key):
        return Repeat("retry", earlier.call_id)
    if line.ends[before] > line.starts[i]:
        return Repeat("sampling", earlier.call_id)
    if earlier.outcome == "ok":
        return Repeat("duplicate", earlier.call_id)
    if line.starts[i] - line.ends[before] <= RETRY_WINDOW_US:
        return Repeat("retry", earlier.call_id)
    return FIRST
