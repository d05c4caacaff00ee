"""The admin port: health, metrics, the report as JSON, and the built-in page.

Fires for people and scrapers only; no agent's call passes here, and nothing here can slow one down. Reads only. Every
collaborator is passed in. All refusals become problem+json in one function.
"""

from __future__ import annotations

import hmac
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, fields
from typing import Protocol, TypeVar

from aiohttp import web

from collectors.fleet import FleetStatus
from collectors.page import Page
from collectors.reading import BadQuestion, Question, Reader, read_report, read_session
from collectors.report import dump
from collectors.store.errors import StoreError

Answer = TypeVar("Answer")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
OPEN_PATHS = frozenset({"/livez", "/readyz"})
SECURITY = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Server": "orchtax",
}
_log = logging.getLogger("orchtax.admin")


class Scrape(Protocol):
    """``Metrics.exposition``."""

    def __call__(self, status: FleetStatus) -> bytes: ...


class Problem(Exception):
    """An answer that is not the one asked for: RFC 9457, with what the caller can do about it."""

    def __init__(self, status: int, title: str, detail: str, remedy: str) -> None:
        super().__init__(detail)
        self.status, self.title, self.detail, self.remedy = status, title, detail, remedy

    def response(self) -> web.Response:
        body = {"type": "about:blank", "title": self.title, "status": self.status}
        body |= {"detail": self.detail, "remedy": self.remedy}
        response = web.Response(body=dump(body), status=self.status, content_type="application/problem+json")
        if self.status == 401:
            response.headers["WWW-Authenticate"] = 'Bearer realm="orchtax"'
        if self.status == 503:
            response.headers["Retry-After"] = "1"
        return response


@dataclass(frozen=True, slots=True)
class AdminApp:
    """What the admin port needs. ``store`` gives None while the store warms up; ``listen_host`` is the address it will
    be bound to: on loopback the Host header is checked, so that no web page can reach it by DNS rebinding."""

    store: Callable[[], Reader | None]
    status: Callable[[], FleetStatus]
    metrics: Scrape
    page: Page
    listen_host: str = "127.0.0.1"
    token: str | None = None
    now_ns: Callable[[], int] = time.time_ns

    def build(self) -> web.Application:
        """The aiohttp application, to be run by the collector's process."""
        app = web.Application(middlewares=[self._answer], client_max_size=0)
        routes = {
            "/livez": self._livez,
            "/readyz": self._readyz,
            "/metrics": self._metrics,
            "/api/status": self._status,
            "/api/report": self._report,
            "/api/sessions": self._sessions,
            "/api/sessions/{session}": self._session,
            "/": self._file,
            "/assets/{name}": self._file,
        }
        app.add_routes([web.get(path, handler) for path, handler in routes.items()])
        return app

    @web.middleware
    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuses first, then handles; the one place where an error becomes a response."""
        try:
            self._admit(request)
            response = await handler(request)
        except Problem as problem:
            response = problem.response()
        except BadQuestion as bad:
            response = Problem(400, "Bad parameter", str(bad), bad.remedy).response()
        except web.HTTPException as error:
            response = Problem(error.status, error.reason, f"{error.reason}.", "the paths are in the README").response()
        except Exception:  # noqa: BLE001  # a handler's edge: logged, and answered as 500
            _log.exception("admin request failed")
            response = Problem(500, "Internal error", "The request failed.", "see the collector's log").response()
        response.headers.update(SECURITY)
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    def _admit(self, request: web.Request) -> None:
        if self.listen_host in LOOPBACK and _host_name(request.host) not in {*LOOPBACK, self.listen_host}:
            detail = "The Host header names another site."
            raise Problem(421, "Misdirected request", detail, f"open http://{self.listen_host} instead")
        if request.path.startswith(("/api/", "/metrics")) and not self._is_known(request):
            detail = "This port asks for its token."
            raise Problem(401, "Token needed", detail, "send Authorization: Bearer with the value of admin.token")

    def _is_known(self, request: web.Request) -> bool:
        if self.token is None:
            return True
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        same = hmac.compare_digest(given.strip().encode("utf-8", "surrogateescape"), self.token.encode())
        return scheme.lower() == "bearer" and same

    async def _livez(self, request: web.Request) -> web.Response:
        return _json({"live": True})

    async def _readyz(self, request: web.Request) -> web.Response:
        """Open to probes; only who has the token also learns why."""
        status = self.status()
        body: dict[str, object] = {"ready": status.is_ready}
        if self._is_known(request):
            body |= {"workers": status.workers, "store": status.store, "spool": status.spool}
        return _json(body, 200 if status.is_ready else 503)

    async def _metrics(self, request: web.Request) -> web.Response:
        body = self.metrics(self.status())
        return web.Response(body=body, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    async def _status(self, request: web.Request) -> web.Response:
        return _json(self.status())

    async def _report(self, request: web.Request) -> web.Response:
        question = Question.of(request.query, self.now_ns())
        report = await self._read(lambda store: read_report(store, question))
        return _json(report)

    async def _sessions(self, request: web.Request) -> web.Response:
        """The report without its stages: a list that is asked for every few seconds should cost little."""
        question = Question.of(request.query, self.now_ns())
        report = await self._read(lambda store: read_report(store, question, with_stages=False))
        sessions = [{f.name: getattr(s, f.name) for f in fields(s) if f.name != "stages"} for s in report.sessions]
        return _json({"sessions": sessions, "totals": report.totals})

    async def _session(self, request: web.Request) -> web.Response:
        session = request.match_info["session"]
        tenant = request.query.get("tenant")
        detail = await self._read(lambda store: read_session(store, session, tenant))
        if detail is None:
            raise Problem(404, "No such session", "The store has no session of that id.", "list them at /api/sessions")
        return _json(detail)

    async def _read(self, work: Callable[[Reader], Awaitable[Answer]]) -> Answer:
        store = self.store()
        health = self.status().store
        if store is None:
            wait = "wait: records are kept on disk and appear when the store is ready"
            raise Problem(503, f"Store {health.state}", health.reason or f"The store is {health.state}.", wait)
        try:
            return await work(store)
        except StoreError as error:
            raise Problem(503, "Store down", str(error), "see /api/status; records are kept on disk") from error

    async def _file(self, request: web.Request) -> web.Response:
        """Static and public: it holds no figures, and it is where the token is typed."""
        file = self.page.find(request.match_info.get("name", "index.html"))
        if file is None:
            raise web.HTTPNotFound
        headers = {"ETag": file.etag, "Cache-Control": "no-cache"}
        if request.headers.get("If-None-Match") == file.etag:
            return web.Response(status=304, headers=headers)
        return web.Response(body=file.body, headers={**headers, "Content-Type": file.content_type})


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(body=dump(value), status=status, content_type="application/json")


def _host_name(host: str) -> str:
    """``[::1]:8401`` → ``::1``, ``localhost:8401`` → ``localhost``."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()
