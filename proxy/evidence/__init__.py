"""Who is calling, as others say it: one table a kind of evidence, found by listing this folder.

A file that exports ``STEP`` (its place in the order of evidence, lower is stronger) and any of ``HEADERS``, ``BODY``,
``PATHS`` and ``ANSWER`` takes part; adding one edits nothing else. A rule's place in its table is its rank within the
step. Everything here is pure: headers, the parsed body and the path in, clues out; ``weighing.py`` decides among them.
A value that is not what its rule expects is dropped and named by its family; it never refuses a call.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from collectors.records import Source

What = Literal[
    "session",  # the session itself
    "stage",
    "parent",  # the stage, or the call, that this one follows from
    "task",
    "tenant",
    "agent",  # the id by which this agent, thread or span goes: others may name it as their parent
    "parent_agent",  # such an id of whoever started this agent
    "parent_session",  # the session that this session is part of
    "within",  # a lasting id that calls share: a conversation, a context, a tool server's session
    "follows",  # the id of one earlier answer
    "trace",  # a trace id: joins calls, never separates them
    "span",  # the caller's span id
]

UpstreamKind = Literal["model", "tool", "mcp", "agent"]


class Told(NamedTuple):
    """One thing that one value says."""

    what: What
    value: str


Reader = Callable[[Any], Iterable[Told]]
"""Reads a value. Raises ``ValueError`` when it is not what it should be."""

Tells = What | Reader
"""What a plain value is, or how to read one that is not plain."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One name and what it tells. ``name`` is a header's in lower case (``prefix-*`` and ``x-*-session-id`` fit many),
    a body's top-level key, or a pattern for the path, whose first group is the value.

    Clues of one ``family`` complete each other, of two they may conflict. ``only`` limits a header to a client whose
    User-Agent or originator holds it; ``on`` limits a body's key, or a path, to kinds of upstream.
    """

    name: str
    tells: Tells
    family: str
    confidence: float
    source: Source
    only: str = ""
    on: tuple[UpstreamKind, ...] = ("model", "agent")


class Clue(NamedTuple):
    """What a rule found. Clues sort by ``rank``: the step, then the rule's place in its table."""

    rank: int
    told: Told
    rule: Rule


@dataclass(slots=True)
class Clues:
    """The clues of one call, and the families of which a value was dropped. ``own`` are orchtax's own headers, by what
    follows their prefix: they are not clues, for they may refuse a call."""

    found: list[Clue] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    own: list[tuple[str, str]] = field(default_factory=list)

    def copy(self) -> Clues:
        return Clues(self.found.copy(), self.ignored.copy(), self.own)

    def take(self, rank: int, rule: Rule, value: object) -> None:
        """Read one value by one rule."""
        try:
            if callable(rule.tells):
                self.found += [Clue(rank, told, rule) for told in rule.tells(value) if told.value]
            elif kept := clean(value):
                self.found.append(Clue(rank, Told(rule.tells, kept), rule))
        except ValueError:
            self.ignored.append(rule.family)


_MAX_VALUE = 256


def clean(value: object) -> str:
    """A session, stage or id as it may stand in a log, a label or a query.

    Raises:
        ValueError: not text, over 256 characters, or not printable.
    """
    if not isinstance(value, str):
        raise ValueError("not text")
    value = value.strip()
    if len(value) > _MAX_VALUE or not value.isprintable():
        raise ValueError("not short printable text")
    return value


Ranked = tuple[int, Rule]
OWN_PREFIX = "x-orchtax-"
_OWN: list[Ranked] = [(0, Rule("x-orchtax-", "session", "orchtax", 1.0, "header"))]
_SESSION_HEADER = "x-*-session-id"
_MAX_SPELLINGS = 4096


class Rulebook:
    """All rules of this folder, made for one pass over a request's headers and one over its body's keys."""

    def __init__(self, package: str = __name__) -> None:
        self._known: dict[str, list[Ranked]] = {}
        self._headers: dict[str, list[Ranked]] = {}
        self._prefixes: dict[str, list[Ranked]] = {}
        self._body: dict[tuple[str, str], list[Ranked]] = {}
        self._paths: list[tuple[re.Pattern[str], Ranked]] = []
        self._answer: list[tuple[str, str]] = []
        rank = 0
        for module in _modules(package):
            for table, add in (("HEADERS", self._add_header), ("BODY", self._add_body), ("PATHS", self._add_path)):
                for rule in getattr(module, table, ()):
                    rank += 1
                    add((rank, rule))
            self._answer += getattr(module, "ANSWER", ())

    def read_headers(self, clues: Clues, headers: Mapping[str, str]) -> None:
        """Add what the headers say. A header that no rule names costs one look-up."""
        known = self._known
        client: str | None = None
        for name, value in headers.items():
            rules = known.get(name)
            if rules is None:
                rules = self._learn(name)
            if not rules:
                continue
            if rules is _OWN:
                clues.own.append((name[len(OWN_PREFIX) :].lower(), value))
                continue
            for rank, rule in rules:
                if rule.only:
                    client = _client(headers) if client is None else client
                    if rule.only not in client:
                        continue
                clues.take(rank, rule, value if rule.name[-1] != "*" else (name[len(rule.name) - 1 :], value))

    def read_body(self, clues: Clues, kind: str, body: Mapping[str, Any]) -> None:
        """Add what the parsed body of a request says to an upstream of this kind."""
        for key in body:
            for rank, rule in self._body.get((kind, key), ()):
                clues.take(rank, rule, body[key])

    def read_path(self, clues: Clues, kind: str, path: str) -> None:
        """Add what the path below an upstream of this kind says."""
        for pattern, (rank, rule) in self._paths:
            if kind in rule.on and (found := pattern.search(path)):
                clues.take(rank, rule, found[1])

    def read_answer(self, headers: Mapping[str, str] | None) -> list[str]:
        """The ids that an answer's headers give out, with their spaces."""
        if headers is None:
            return []
        found = [(space, headers[name]) for name, space in self._answer if name in headers]
        return [f"{space}:{value}" for space, value in found if value and len(value) <= _MAX_VALUE]

    def _add_header(self, ranked: Ranked) -> None:
        name = ranked[1].name
        by_name = self._prefixes if name.endswith("*") else self._headers
        by_name.setdefault(name.removesuffix("*"), []).append(ranked)

    def _add_body(self, ranked: Ranked) -> None:
        for kind in ranked[1].on:
            self._body.setdefault((kind, ranked[1].name), []).append(ranked)

    def _add_path(self, ranked: Ranked) -> None:
        self._paths.append((re.compile(ranked[1].name), ranked))

    def _learn(self, name: str) -> list[Ranked]:
        """The rules for a header as it is spelled, remembered. Spellings are few, but a caller chooses them."""
        if len(self._known) >= _MAX_SPELLINGS:
            self._known.clear()
        rules = self._known[name] = self._fitting(name.lower())
        return rules

    def _fitting(self, name: str) -> list[Ranked]:
        """Rules that name a header, else those that fit many; a vendor's ``x-…-session-id`` of a parent is another."""
        if name.startswith(OWN_PREFIX):
            return _OWN
        for prefix, rules in self._prefixes.items():
            if name.startswith(prefix):
                return rules
        is_session = name.startswith("x-") and name.endswith("-session-id") and "parent" not in name
        return self._headers.get(name) or (self._headers.get(_SESSION_HEADER, []) if is_session else [])


def _modules(package: str) -> list[Any]:
    """The folder's files that take part, by their step."""
    names = [module.name for module in pkgutil.iter_modules(importlib.import_module(package).__path__)]
    modules = [importlib.import_module(f"{package}.{name}") for name in names]
    return sorted((module for module in modules if hasattr(module, "STEP")), key=lambda module: module.STEP)


def _client(headers: Mapping[str, str]) -> str:
    return f"{headers.get('User-Agent', '')} {headers.get('originator', '')}".lower()
