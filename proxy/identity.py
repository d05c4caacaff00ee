"""Who is calling: headers, path and body → :class:`Attribution`, and which headers go on to the upstream.

Order of evidence: orchtax's own headers (1.0), the path (1.0), then what others say by the tables in ``evidence/``:
agents that name themselves, peers' headers, ids in the body, baggage and trace context, protocol ids. Session, stage
and parent are found independently, the first hit wins (``weighing.py``). Only a malformed header of orchtax's own
refuses a call. ``X-Orchtax-*`` never leaves the proxy, nor do hop-by-hop headers (RFC 9110 §7.6.1).
"""

from __future__ import annotations

import fnmatch
import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import TypedDict, cast

from multidict import CIMultiDict, CIMultiDictProxy

from collectors.nouns import noun
from collectors.records import ROLES, Attribution, Role, RoleSource, Verdict
from proxy.call import Call, Tally
from proxy.dialects import Described, Fault
from proxy.evidence import OWN_PREFIX, Clue, Clues, Rulebook, What
from proxy.id_register import IdRegister, Owner
from proxy.routes import Refused, Route, checked_name
from proxy.settings import Stage
from proxy.weighing import Weighed

HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection"}
    | {"te", "trailer", "transfer-encoding", "upgrade"}
)
_FRAMING = frozenset({"host", "content-length", "expect"})
_OWN_NAMES = frozenset(
    ("session", "stage", "role", "parent", "task", "variant", "tenant", "essential", "verdict", "outcome")
)
_OWN_CLUES: tuple[What, ...] = ("session", "stage", "parent", "task", "tenant")
_YES_NO = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_NEVER_NAMED = frozenset({"openai_chat", "cohere", "gemini"})
"""Formats whose answers have ids that no request can name: they would only push out others."""
_AWS_KEY_ID = re.compile(r"AWS4-\S+ (?:.*[ ,])?Credential=([^/,\s]+)")
_KEY_HEADERS = ("Authorization", "x-api-key", "api-key", "x-goog-api-key")


@noun
class Evidence:
    """What a request's head says of its caller; the body is still to come."""

    route: Route
    own: Mapping[str, str]
    key_hash: str
    clues: Clues


class Identity:
    """Attribution of calls. ``salt`` keys the hash that stands for an agent's credential; the credential itself is
    neither kept nor written anywhere. ``register`` knows the ids that calls made or used."""

    def __init__(self, stages: Mapping[str, Stage], salt: bytes, register: IdRegister, tally: Tally) -> None:
        self._stages = dict(stages)
        self._salt = salt
        self._roles: dict[str, Role | None] = {}
        self._rules = Rulebook()
        self._register = register
        self._tally = tally

    def read(self, headers: CIMultiDictProxy[str], route: Route) -> Evidence:
        """What a request's head says. One reading serves any number of messages under the same head.

        Raises:
            Refused: 400 when an ``X-Orchtax-*`` value is malformed; the text names the header.
        """
        clues = Clues()
        with self._tally.measuring("evidence"):
            self._rules.read_headers(clues, headers)
            self._rules.read_path(clues, route.destination.upstream.kind, route.path)
        return Evidence(route, _own_values(clues.own), self._key_hash(headers), clues)

    def attribute(self, evidence: Evidence, described: Described) -> Attribution:
        """Attribution of one call, from its head and what its body says. Never raises: evidence that cannot be read
        is ignored and counted."""
        known = Weighed(lambda tenant, name: self._owner(_scope(name, tenant, evidence.key_hash), name))
        with self._tally.measuring("evidence"):
            self._weigh(known, evidence, described)
        session, stage = known.get("session"), known.get("stage")
        role, role_source = self._role(evidence.own, stage.value)
        outer = known.get("parent_session").value
        who = Attribution(
            tenant=known.get("tenant").value,
            key_hash=evidence.key_hash,
            session_id=session.value,
            session_source=session.source,
            session_confidence=session.confidence,
            stage=stage.value,
            stage_source=stage.source,
            stage_confidence=stage.confidence,
            role=role,
            role_source=role_source,
            parent=known.get("parent").value,
            task=known.get("task").value,
            agent_id=known.get("agent").value.removeprefix("agent:"),
            parent_agent_id=known.get("parent_agent").value.removeprefix("agent:"),
            parent_session_id=outer if outer != session.value else "",
            trace_id=known.get("trace").value,
            parent_span_id=known.get("span").value,
            **_declared(evidence.own),
        )
        if known.used:
            self.remember(who, known.used)
        return who

    def remember(self, who: Attribution, ids: Iterable[str]) -> None:
        """From now on, a call that names one of these ids belongs to this one's session. Trace ids are known across the
        credentials of a tenant, all others only to who made them."""
        if not who.session_id:
            return
        owner = Owner(who.session_id, who.stage, who.session_confidence)
        with self._tally.measuring("ids"):
            for name in ids:
                self._register.put(_scope(name, who.tenant, who.key_hash), name, owner)

    def learn(self, call: Call) -> None:
        """Remember the ids that the answer of a finished call gave out, where the format lets a request name them."""
        seen, ids = call.seen, self._rules.read_answer(call.answer_headers)
        if seen is not None and call.dialect.name not in _NEVER_NAMED:
            ids += [f"id:{name}" for name in (seen.response_id, *seen.ids) if name]
        if ids:
            self.remember(call.attribution, ids)

    def _weigh(self, known: Weighed, evidence: Evidence, described: Described) -> None:
        """All clues in the order of evidence: own headers, path, then what others say."""
        route, clues = evidence.route, evidence.clues.copy()
        if body := _body(described):
            self._rules.read_body(clues, route.destination.upstream.kind, body)
        if evidence.own:
            for what in _OWN_CLUES:
                known.declare(what, evidence.own.get(what, ""), "header")
        known.declare("session", route.session, "path")
        known.declare("stage", route.stage, "path")
        for clue in sorted(clues.found, key=_order):
            known.take(clue)
        if clues.ignored or known.conflicts:
            self._tally.count_evidence(clues.ignored, known.conflicts)

    def _owner(self, scope: str, name: str) -> Owner | None:
        with self._tally.measuring("ids"):
            return self._register.find(scope, name)
        return None

    def _role(self, own: Mapping[str, str], stage: str) -> tuple[Role | None, RoleSource]:
        if "role" in own:
            return cast(Role, own["role"].lower()), "declared"
        configured = self._configured_role(stage) if stage else None
        return (configured, "configured") if configured else (None, "none")

    def _configured_role(self, stage: str) -> Role | None:
        """Exact name, else the first pattern that fits. Remembered: stage names are few, but a caller chooses them."""
        if stage not in self._roles:
            if len(self._roles) >= 4096:
                self._roles.clear()
            exact = self._stages.get(stage)
            fits = (s for pattern, s in self._stages.items() if fnmatch.fnmatchcase(stage, pattern))
            found = exact or next(fits, None)
            self._roles[stage] = found.role if found else None
        return self._roles[stage]

    def _key_hash(self, headers: CIMultiDictProxy[str]) -> str:
        for name in _KEY_HEADERS:
            if value := headers.get(name):
                key = _lasting(value).encode("utf-8", "surrogateescape")
                return hashlib.blake2b(key, digest_size=8, key=self._salt).hexdigest()
        return ""


def _lasting(credential: str) -> str:
    """What of a credential is the same in every call. An AWS signature is new each time, the key id in it is not."""
    key_id = _AWS_KEY_ID.match(credential)
    return key_id[1] if key_id else credential.rpartition(" ")[2]


def _order(clue: Clue) -> tuple[bool, int]:
    """The tenant first, because ids are looked up within it."""
    return clue.told.what != "tenant", clue.rank


def _scope(name: str, tenant: str, key_hash: str) -> str:
    return tenant if name.startswith("trace:") else f"{tenant}\0{key_hash}"


def _body(described: Described) -> Mapping[str, object]:
    """The parsed body, with the earlier answer that a dialect found named in it or in the path."""
    body = described.parsed or {}
    if described.previous_id and "previous_response_id" not in body:
        return {**body, "previous_response_id": described.previous_id}
    return body


class _Declared(TypedDict):
    variant: str
    essential: bool | None
    verdict: Verdict | None


def _declared(own: Mapping[str, str]) -> _Declared:
    """What only orchtax's own headers say."""
    return _Declared(
        variant=own.get("variant", ""),
        essential=_YES_NO[own["essential"].lower()] if "essential" in own else None,
        verdict=cast(Verdict, own["verdict"].lower()) if "verdict" in own else None,
    )


def _own_values(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    own: dict[str, str] = {}
    for name, value in headers:
        if name in _OWN_NAMES:
            own[name] = checked_name(value.strip(), f"header X-Orchtax-{name.capitalize()}")
    if not own:
        return own
    _check_choice(own, "role", ROLES)
    _check_choice(own, "verdict", ("pass", "fail"))
    _check_choice(own, "essential", _YES_NO)
    return {key: value for key, value in own.items() if value}


def _check_choice(own: Mapping[str, str], key: str, choices: Iterable[str]) -> None:
    if own.get(key) and own[key].lower() not in choices:
        text = f"header X-Orchtax-{key.capitalize()} must be one of: {', '.join(choices)}"
        raise Refused(Fault(400, "invalid_attribution", text))


def forwarded(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    """The agent's headers as the upstream gets them: own order, spelling and repetition, less what is orchtax's, what
    ends at this hop, and what frames the message anew. Names with an underscore are dropped: servers that map ``-``
    to ``_`` could take them for another header."""
    named: frozenset[str] = frozenset()
    if "Connection" in headers:
        listed = ",".join(headers.getall("Connection"))
        named = frozenset(token.strip().lower() for token in listed.split(","))
    kept: CIMultiDict[str] = CIMultiDict()
    for name, value in headers.items():
        low = name.lower()
        if low in HOP_BY_HOP or low in _FRAMING or low in named or low.startswith(OWN_PREFIX) or "_" in name:
            continue
        kept.add(name, value)
    return kept
