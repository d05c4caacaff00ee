"""Where a command's figures come from: the running collector's admin API, or the store itself when none runs.

A running collector is found by ``data_dir/run.json``, which ``orchtax serve`` writes. The embedded store admits one
process, so the API goes first.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol, TypeVar
from urllib.parse import quote, urlencode

from collectors.reading import Question, Reader, read_report, read_session
from collectors.report import Report, load
from collectors.session_detail import SessionDetail
from collectors.store.errors import StoreError
from proxy.commands.problems import NoData
from proxy.data_dir import running
from proxy.settings import Settings

Value = TypeVar("Value")


class Source(Protocol):
    async def report(self, words: dict[str, str]) -> Report: ...

    async def session(self, session: str) -> SessionDetail | None: ...


class Api:
    """A running collector."""

    def __init__(self, url: str, token: str | None) -> None:
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def report(self, words: dict[str, str]) -> Report:
        body = await self._get(f"/api/report?{urlencode(words)}")
        assert body is not None
        return self._load(Report, body)

    async def session(self, session: str) -> SessionDetail | None:
        body = await self._get(f"/api/sessions/{quote(session, safe='')}")
        return None if body is None else self._load(SessionDetail, body)

    async def _get(self, path: str) -> bytes | None:
        """The body; None for a session that is not there.

        Raises:
            NoData: no answer, or a refusal.
        """
        import aiohttp  # slow to import, and ``orchtax serve`` starts faster without

        timeout = aiohttp.ClientTimeout(total=60, connect=3)
        try:
            async with (
                aiohttp.ClientSession(headers=self._headers, timeout=timeout) as client,
                client.get(self._url + path, allow_redirects=False) as response,
            ):
                body = await response.read()
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            text = f"{self._url} does not answer ({error or 'timeout'}); is orchtax serve running there?"
            raise NoData(text) from error
        if response.status == 404 and path.startswith("/api/sessions/"):
            return None
        if response.status != 200:
            raise NoData(f"{self._url} refused: {_told(response.status, body)}")
        return body

    def _load(self, kind: type[Value], body: bytes) -> Value:
        try:
            return load(kind, body)
        except ValueError as error:
            raise NoData(f"{self._url} gave an answer that is no report; is it orchtax of this version?") from error


class Direct:
    """The store, opened by this command, for reading only."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.store.url.get_secret_value()
        self._path = Path(settings.data_dir) / "store"

    async def report(self, words: dict[str, str]) -> Report:
        question = Question.of(words, time.time_ns())
        return await self._read(lambda store: read_report(store, question))

    async def session(self, session: str) -> SessionDetail | None:
        return await self._read(lambda store: read_session(store, session))

    async def _read(self, work: Callable[[Reader], Awaitable[Value]]) -> Value:
        from collectors.store.clickhouse import Store  # the driver is slow to import and only needed here

        if self._url.startswith("chdb:") and not self._path.is_dir():
            text = f"nothing recorded yet: no orchtax runs here and {self._path} does not exist; start orchtax serve"
            raise NoData(f"{text}, or give --url or --config")
        try:
            store = await Store.open(self._url, self._path)
            try:
                return await work(store)
            finally:
                await store.close()
        except StoreError as error:
            raise NoData(f"no orchtax runs here, and its store cannot be read: {error}") from error


def choose(url: str | None, settings: Settings) -> Source:
    """The address given, else the running collector, else the store.

    Raises:
        NoData: there is neither.
    """
    token = settings.admin.token.get_secret_value() if settings.admin.token else None
    if url:
        return Api(url if "://" in url else f"http://{url}", token)
    admin = running(Path(settings.data_dir))
    return Api(f"http://{admin}", token) if admin else Direct(settings)


def _told(status: int, body: bytes) -> str:
    """What the refusal says of itself; it is problem+json, but a stranger may answer too."""
    try:
        problem = json.loads(body)
        return f"{problem['detail']} ({problem['remedy']})"
    except (ValueError, KeyError, TypeError):
        return f"HTTP {status}; is this orchtax's admin port?"
