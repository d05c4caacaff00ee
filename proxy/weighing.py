"""Weighing of clues: session, stage, parent and the rest are each decided alone, by the first clue in the order of
evidence. Pure: what an id belongs to comes from a function that is passed in.

A later clue of another family that says otherwise is a conflict, where both are explicit (confidence of 0.9 and more,
not by way of an id): it changes nothing and is counted.
"""

from __future__ import annotations

from collections.abc import Callable

from collectors.nouns import noun
from collectors.records import Source
from proxy.evidence import Clue, Told, What
from proxy.id_register import Owner

_EXPLICIT = 0.9
_WEIGHED: frozenset[What] = frozenset({"session", "stage", "parent", "task", "tenant"})


@noun
class Found:
    """What was decided, where it was learned and how sure it is."""

    value: str = ""
    source: Source = "none"
    confidence: float = 0.0
    family: str = ""


NOTHING = Found()


class Weighed:
    """What is known of a call's caller so far. ``used`` are ids that the call goes by, ``conflicts`` what was
    contradicted."""

    def __init__(self, find: Callable[[str, str], Owner | None]) -> None:
        """``find`` gives the owner of an id within a tenant."""
        self._find = find
        self._found: dict[What, Found] = {}
        self.used: list[str] = []
        self.conflicts: list[str] = []

    def get(self, what: What) -> Found:
        return self._found.get(what, NOTHING)

    def declare(self, what: What, value: str, source: Source) -> None:
        """What orchtax's own header or path says."""
        if value:
            self._set(what, Found(value, source, 1.0, source))

    def take(self, clue: Clue) -> None:
        """The next clue; they come in the order of evidence, the tenant's first."""
        told, rule = clue.told, clue.rule
        found = Found(told.value, rule.source, rule.confidence, rule.family)
        match told.what:
            case "within" | "follows":
                self._follow(told, found)
            case "trace":
                self._join(told, found)
            case "parent_agent":
                self._set("parent_agent", found)
                self._descend(told, found)
            case "agent":
                self._set("agent", found)
                self.used.append(told.value)
            case _:
                self._set(told.what, found)

    def _set(self, what: What, found: Found) -> None:
        known = self._found.setdefault(what, found)
        if what in _WEIGHED and known.value != found.value and known.family != found.family:
            is_explicit = min(known.confidence, found.confidence) >= _EXPLICIT and known.source != "protocol"
            if is_explicit:
                self.conflicts.append(what)

    def _follow(self, told: Told, found: Found) -> None:
        """An id of an earlier answer: its session is this call's, its stage the parent. An id that lasts is from now
        on this call's as well."""
        if told.what == "within":
            self.used.append(told.value)
        if "session" in self._found and "parent" in self._found:
            return
        owner = self._owner(told.value)
        if owner is not None:
            self._inherit("session", owner.session_id, found, owner)
            self._inherit("parent", owner.stage, found, owner)

    def _join(self, told: Told, found: Found) -> None:
        """A trace id: the session of an earlier call of the same trace, and no more."""
        self._set("trace", found)
        name = f"trace:{told.value}"
        self.used.append(name)
        if "session" not in self._found and (owner := self._owner(name)) is not None:
            self._inherit("session", owner.session_id, found, owner)

    def _descend(self, told: Told, found: Found) -> None:
        """The agent that started this one: its stage is the parent, or its id where its stage is not known."""
        if "parent" not in self._found:
            owner = self._owner(told.value)
            stage = owner.stage if owner is not None else ""
            self._inherit("parent", stage or told.value.removeprefix("agent:"), found, owner)

    def _inherit(self, what: What, value: str, found: Found, owner: Owner | None) -> None:
        if value:
            sure = found.confidence if owner is None else min(found.confidence, owner.confidence)
            self._found.setdefault(what, Found(value, found.source, sure, found.family))

    def _owner(self, name: str) -> Owner | None:
        """Whose an id is; nobody's when two sessions used it."""
        owner = self._find(self.get("tenant").value, name)
        return owner if owner is not None and owner.session_id else None
