"""Asking the store: a question in the words of a URL or a command line → the report or one session.

Everything a person types reaches SQL as a bound parameter only. Counterparts: ``store/queries``, ``report.py``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, Protocol, get_args

from collectors.report import Report, build_report
from collectors.session_detail import SessionDetail, build_detail
from collectors.tax import Row

Sort = Literal["recent", "tax", "cost", "tokens", "duration"]
MOST_SESSIONS = 1000
MOST_CALLS = 5000
_SPAN = re.compile(r"(\d{1,6})([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


class Reader(Protocol):
    """The part of ``Store`` that a report needs."""

    async def query(self, name: str, **parameters: object) -> Sequence[Row]:
        """Runs ``queries/{name}.sql`` with bound parameters; raises ``StoreError``."""


class BadQuestion(ValueError):
    """A parameter that cannot be used; ``remedy`` says what can."""

    def __init__(self, name: str, value: str, remedy: str) -> None:
        super().__init__(f"{name}={value[:80]!r} cannot be used")
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Question:
    """Which sessions: still active at ``since_ns`` (0 = ever), this ``session`` only, containing ``search``."""

    since_ns: int = 0
    session: str = ""
    search: str = ""
    sort: Sort = "recent"
    limit: int = 100

    @classmethod
    def of(cls, words: Mapping[str, str], now_ns: int) -> Question:
        """From URL parameters.

        Raises:
            BadQuestion: an unknown parameter, or a value that is not one.
        """
        for name, value in words.items():
            if name not in cls.__dataclass_fields__ and name != "since":
                raise BadQuestion(name, value, "known parameters: since, session, search, sort, limit")
        return cls(
            since_ns=parse_since(words.get("since", ""), now_ns),
            session=_short("session", words.get("session", "")),
            search=_short("search", words.get("search", "")),
            sort=_sort(words.get("sort", "recent")),
            limit=_limit(words.get("limit", "100")),
        )


def parse_since(text: str, now_ns: int) -> int:
    """``90s 30m 24h 7d 4w`` back from now, or an ISO 8601 time (UTC unless it says) → Unix nanoseconds; "" → 0.

    Raises:
        BadQuestion: neither.
    """
    if not text:
        return 0
    if span := _SPAN.fullmatch(text):
        return max(now_ns - int(span[1]) * _SECONDS[span[2]] * 1_000_000_000, 0)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadQuestion(
            "since", text, "write a span such as 30m, 24h, 7d, or a time such as 2026-11-21T08:00Z"
        ) from None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(int(aware.timestamp() * 1_000_000) * 1000, 0)


async def read_report(store: Reader, question: Question, with_stages: bool = True) -> Report:
    """Three queries: the sessions, their stages (where wanted, else none), the totals of all that match.

    Raises:
        StoreError: the store does not answer.
    """
    since, session, search = question.since_ns, question.session, question.search
    sessions = await store.query(
        "sessions", since_ns=since, session=session, search=search, sort=question.sort, limit=question.limit
    )
    stages = await store.query("stages", sessions=[row["session_id"] for row in sessions]) if with_stages else ()
    totals = await store.query("totals", since_ns=since, session=session, search=search)
    return build_report(sessions, stages, totals[0])


async def read_session(store: Reader, session: str, tenant: str | None = None) -> SessionDetail | None:
    """One session close up; without ``tenant`` the latest of that id. None when the store has none.

    Raises:
        StoreError: the store does not answer.
    """
    rows = await store.query("sessions", since_ns=0, session=session, search="", sort="recent", limit=MOST_SESSIONS)
    found = next((row for row in rows if tenant is None or row["tenant"] == tenant), None)
    if found is None or not session:
        return None
    owner = found["tenant"]
    stages = await store.query("stages", sessions=[session])
    return build_detail(
        found,
        [row for row in stages if row["tenant"] == owner],
        await store.query("session_calls", tenant=owner, session=session, limit=MOST_CALLS),
        await store.query("session_handoffs", tenant=owner, session=session, limit=MOST_CALLS),
    )


def _sort(text: str) -> Sort:
    for known in get_args(Sort):
        if text == known:
            return known  # type: ignore[no-any-return]  # get_args gives the literal's own members
    raise BadQuestion("sort", text, f"write one of {', '.join(get_args(Sort))}")


def _limit(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= MOST_SESSIONS:
        raise BadQuestion("limit", text, f"write a whole number from 1 to {MOST_SESSIONS}")
    return int(text)


def _short(name: str, text: str) -> str:
    if len(text) > 256 or not text.isprintable():
        raise BadQuestion(name, text, "at most 256 printable characters")
    return text
