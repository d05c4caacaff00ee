"""Who is calling: headers and path → :class:`Attribution`, and which headers go on to the upstream.

Order of evidence so far: orchtax's own headers (1.0), then the path (1.0). Session and stage are found independently,
the first hit wins. ``X-Orchtax-*`` never leaves the proxy, nor do hop-by-hop headers (RFC 9110 §7.6.1).
"""

from __future__ import annotations

import fnmatch
import hashlib
from collections.abc import Iterable, Mapping
from typing import cast

from multidict import CIMultiDict, CIMultiDictProxy

from collectors.records import ROLES, Attribution, Role, RoleSource, Source, Verdict
from proxy.dialects import Fault
from proxy.routes import Refused, Route, checked_name
from proxy.settings import Stage

OWN = "x-orchtax-"
HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection"}
    | {"te", "trailer", "transfer-encoding", "upgrade"}
)
_FRAMING = frozenset({"host", "content-length", "expect"})
_OWN_NAMES = frozenset(
    ("session", "stage", "role", "parent", "task", "variant", "tenant", "essential", "verdict", "outcome")
)
_YES_NO = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_KEY_HEADERS = ("Authorization", "x-api-key", "api-key", "x-goog-api-key")


class Identity:
    """Attribution of calls. ``salt`` keys the hash that stands for an agent's credential; the credential itself is
    neither kept nor written anywhere."""

    def __init__(self, stages: Mapping[str, Stage], salt: bytes) -> None:
        self._stages = dict(stages)
        self._salt = salt
        self._roles: dict[str, Role | None] = {}

    def attribute(self, headers: CIMultiDictProxy[str], route: Route) -> Attribution:
        """Attribution of one call.

        Raises:
            Refused: 400 when an ``X-Orchtax-*`` value is malformed; the text names the header.
        """
        own = _own_headers(headers)
        session, session_source = _first(own.get("session", ""), route.session)
        stage, stage_source = _first(own.get("stage", ""), route.stage)
        role, role_source = self._role(own, stage)
        return Attribution(
            tenant=own.get("tenant", ""),
            key_hash=self._key_hash(headers),
            session_id=session,
            session_source=session_source,
            session_confidence=1.0 if session else 0.0,
            stage=stage,
            stage_source=stage_source,
            stage_confidence=1.0 if stage else 0.0,
            role=role,
            role_source=role_source,
            parent=own.get("parent", ""),
            task=own.get("task", ""),
            variant=own.get("variant", ""),
            essential=_YES_NO[own["essential"].lower()] if "essential" in own else None,
            verdict=cast(Verdict, own["verdict"].lower()) if "verdict" in own else None,
        )

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
                key = value.rpartition(" ")[2].encode("utf-8", "surrogateescape")
                return hashlib.blake2b(key, digest_size=8, key=self._salt).hexdigest()
        return ""


def _first(header: str, path: str) -> tuple[str, Source]:
    if header:
        return header, "header"
    return (path, "path") if path else ("", "none")


def _own_headers(headers: CIMultiDictProxy[str]) -> dict[str, str]:
    own: dict[str, str] = {}
    for name, value in headers.items():
        if name[:10].lower() != OWN:
            continue
        key = name[10:].lower()
        if key in _OWN_NAMES:
            own[key] = checked_name(value.strip(), f"header X-Orchtax-{key.capitalize()}")
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
        if low in HOP_BY_HOP or low in _FRAMING or low in named or low.startswith(OWN) or "_" in name:
            continue
        kept.add(name, value)
    return kept
