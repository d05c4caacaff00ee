"""URL → upstream, session and stage. Pure: a raw request target in, a :class:`Route` out.

``/[session/{id}/][stage/{name}/]{upstream}/{path…}`` and ``…/mcp|tool|agent/{name}/{path…}``; Bedrock takes its region
as a further part. Destinations come only from configuration: the request chooses among them by name and can change
neither scheme nor host, whatever its path holds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from collectors.nouns import noun
from collectors.records import Kind
from proxy.dialects import Fault
from proxy.settings import Upstream

_GROUPS = {"mcp": "mcp", "tool": "tool", "agent": "agent"}
_DOT_SEGMENT = re.compile(r"(?:^|/)(?:\.|%2e){1,2}(?:/|$)", re.IGNORECASE)
_UNSAFE = re.compile(r"[\x00-\x1f\x7f\\]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d")
MAX_NAME = 256
_MAX_KNOWN = 1024
_MAX_KNOWN_LENGTH = 512  # characters; together at most about 1 MB


class Refused(Exception):
    """orchtax itself answers this call. Carries what to tell the agent."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Destination:
    """A configured upstream, made ready: ``base`` is origin and base path, without a final slash."""

    name: str
    kind: Kind
    base: str
    api: str
    upstream: Upstream


@noun
class Route:
    """Where one request goes. ``path`` is what follows the upstream's name, ``query`` without its question mark; both
    are the agent's own bytes."""

    destination: Destination
    base: str
    path: str
    query: str
    session: str = ""
    stage: str = ""

    @property
    def url(self) -> str:
        path = self.path if self.path or self.base.count("/") > 2 else "/"
        return f"{self.base}{path}?{self.query}" if self.query else f"{self.base}{path}"


def checked_name(value: str, what: str) -> str:
    """A session, stage or other attribution value, refused when it could break a log, a label or a query.

    Raises:
        Refused: 400, naming ``what`` and never echoing the value.
    """
    if len(value) > MAX_NAME or _CONTROL.search(value) or not value.isprintable():
        text = f"{what} must be printable text of at most {MAX_NAME} characters"
        raise Refused(Fault(400, "invalid_attribution", text))
    return value


class Routes:
    """All destinations by name, and the grammar of the addresses that reach them."""

    def __init__(self, upstreams: Mapping[str, Upstream]) -> None:
        self._by_name = {name: _destination(name, upstream) for name, upstream in upstreams.items()}
        self._known: dict[str, Route] = {}

    def match(self, target: str) -> Route:
        """The route of a raw request target (path and query as received). Remembered: agents call few targets.

        Raises:
            Refused: 400 for an unsafe path, 404 for an unknown upstream; the text says what would be right.
        """
        route = self._known.get(target)
        if route is None:
            route = self._resolve(target)
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            if len(target) <= _MAX_KNOWN_LENGTH and "?" not in target:  # a query may hold a key, which nothing keeps
                self._known[target] = route
        return route

    def _resolve(self, target: str) -> Route:
        path, _, query = target.partition("?")
        if (
            not path.startswith("/")
            or not target.isascii()
            or "\\" in path
            or _CONTROL.search(target)
            or _DOT_SEGMENT.search(path)
        ):
            raise Refused(Fault(400, "invalid_path", "the request path is not one that orchtax forwards"))
        named: dict[str, str] = {}
        for part in ("session", "stage"):
            if path.startswith(f"/{part}/"):
                name, slash, rest = path[len(part) + 2 :].partition("/")
                named[part] = checked_name(unquote(name), f"the {part} in the path")
                path = slash + rest
        _, name, rest = [*path.split("/", 2), "", ""][:3]
        rest = f"/{rest}" if path.count("/") > 1 else ""
        if name in _GROUPS:
            group, (name, slash, tail) = name, rest.removeprefix("/").partition("/")
            destination = self._find(name, group)
            rest = slash + tail
        else:
            destination = self._find(name, "")
        base, rest = _with_region(destination, rest)
        return Route(destination, base, rest, query, named.get("session", ""), named.get("stage", ""))

    def _find(self, name: str, group: str) -> Destination:
        found = self._by_name.get(name)
        if found is None or (group and found.upstream.kind != _GROUPS[group]):
            what = f"{group} " if group else ""
            known = sorted(n for n, d in self._by_name.items() if not group or d.upstream.kind == _GROUPS[group])
            text = (
                f"no {what}upstream of that name is configured; the path must begin with one of: "
                + (", ".join(f"/{group}/{n}" if group else f"/{n}" for n in known) or "(none configured)")
                + ". Point the base URL at http://HOST:PORT/openai/v1, /anthropic and so on, or add it under upstreams."
            )
            raise Refused(Fault(404, "unknown_upstream", text))
        return found


def _destination(name: str, upstream: Upstream) -> Destination:
    kind: Kind = {"model": "model", "mcp": "tool", "tool": "tool", "agent": "agent"}[upstream.kind]  # type: ignore[assignment]  # values are Kinds
    api = upstream.api or {"model": "openai"}.get(upstream.kind, upstream.kind)
    return Destination(name, kind, upstream.base_url, api, upstream)


def _with_region(destination: Destination, rest: str) -> tuple[str, str]:
    """Fill ``{region}`` of the base URL from the path's first part (``/bedrock/us-east-1/model/…``)."""
    if "{region}" not in destination.base:
        return destination.base, rest
    region, slash, tail = rest.removeprefix("/").partition("/")
    if not _REGION.fullmatch(region):
        text = f"write the region after the upstream: /{destination.name}/us-east-1/…"
        raise Refused(Fault(400, "missing_region", text))
    return destination.base.replace("{region}", region), slash + tail
