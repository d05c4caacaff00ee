"""The store: one client for the embedded engine and for a server. The only file that imports the driver.

The driver blocks, and the embedded engine must not be called from several threads at once: each :class:`Lane` owns one
client and one thread, and everything on the event loop only waits for it. Errors of the driver become those of
``errors.py`` here. The process must not fork once an embedded store is open (start children by spawn).
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import clickhouse_connect
from clickhouse_connect.driver.exceptions import ClickHouseError, DataError

from collectors.store.address import Address, parse
from collectors.store.errors import StoreError, StoreLocked, StoreRejected, StoreUnavailable
from collectors.store.holder import holder

Row = Sequence[object]
Record = dict[str, Any]
T = TypeVar("T")

_QUERIES = Path(__file__).parent / "queries"
_EMBEDDED = "the embedded store needs chDB: pip install 'orchtax[embedded]', or set store.url to a ClickHouse server"
# Error codes of ClickHouse that only the rows can be blamed for (src/Common/ErrorCodes.cpp, 26.9).
_DATA_CODES = frozenset({6, 20, 26, 27, 32, 33, 38, 41, 49, 53, 69, 70, 72, 117, 130, 131, 190, 321, 349, 407, 691})
_CLOSE_S = 5.0
_FOREIGN_LIMITS = {"max_execution_time": 15, "max_result_rows": 100_000, "max_memory_usage": 1_000_000_000}


class Lane:
    """One client and the thread that alone may use it."""

    def __init__(self, address: Address, path: Path, settings: Mapping[str, int] | None = None) -> None:
        self._thread = ThreadPoolExecutor(1, "store")
        self._address, self._path, self._settings = address, path, dict(settings or {})
        self._client: Any = None
        self._types: dict[tuple[str, tuple[str, ...]], Any] = {}

    async def open(self) -> None:
        await self.call(self._connect)

    async def call(self, action: Callable[..., T], *arguments: object) -> T:
        """Run ``action`` in the lane's thread, its errors mapped."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, action, *arguments)
        except StoreError:
            raise
        except (DataError, ValueError, TypeError, OverflowError, struct.error, AttributeError) as error:
            raise StoreRejected(_brief(error)) from error  # the driver could not even write the rows down
        except ClickHouseError as error:
            code = getattr(error, "code", None)
            raise (StoreRejected if code in _DATA_CODES else StoreUnavailable)(_brief(error)) from error
        except (OSError, RuntimeError) as error:
            raise StoreUnavailable(_brief(error)) from error

    async def close(self) -> None:
        """Safe twice. A server that does not answer is not waited for longer than :data:`_CLOSE_S`."""
        if self._client is not None:
            client, self._client = self._client, None
            closing = asyncio.get_running_loop().run_in_executor(self._thread, client.close)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(closing, _CLOSE_S)
        self._thread.shutdown(wait=False)

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Row], settings: Mapping[str, Any]) -> None:
        key = (table, tuple(columns))
        if key not in self._types:  # asked once, not at every insert
            context = self._client.create_insert_context(table, list(columns), data=[])
            self._types[key] = context.column_types
        self._client.insert(table, rows, column_names=list(columns), column_types=self._types[key], settings=settings)

    def rows(self, sql: str, parameters: Mapping[str, object]) -> list[Record]:
        return list(self._client.query(sql, parameters=dict(parameters)).named_results())

    def command(self, sql: str, settings: Mapping[str, Any] | None = None) -> None:
        self._client.command(sql, settings=dict(settings or {}))

    def _connect(self) -> None:
        address = self._address
        if address.interface == "chdb":
            self._client = self._embedded()
        else:
            self._client = clickhouse_connect.get_client(
                interface=address.interface,
                host=address.host,
                port=address.port,
                username=address.user,
                password=address.password,
                connect_timeout=5,
                send_receive_timeout=30,
                query_retries=0,  # the collector retries, with back-off and with its state shown
                autogenerate_session_id=False,
                tz_mode="aware",
            )
        self._client.command(f"CREATE DATABASE IF NOT EXISTS {address.database}")
        self._client.database = address.database
        for name, value in self._settings.items():  # after the database: a read-only handle cannot make one
            self._client.set_client_setting(name, value)

    def _embedded(self) -> Any:
        self._path.mkdir(parents=True, exist_ok=True)
        try:
            return clickhouse_connect.get_client(interface="chdb", path=str(self._path), tz_mode="aware")
        except ImportError as error:
            raise StoreUnavailable(_EMBEDDED) from error
        except ClickHouseError as error:
            held_by = holder(self._path)
            if held_by is None:
                raise
            raise StoreLocked(
                f"the embedded store {self._path} is held by {held_by}: stop it, or use another data_dir"
            ) from error


class ReadOnly:
    """Statements that are not ours (a person's, a dashboard's), on a handle that cannot write and has limits."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane

    async def query(self, sql: str, **parameters: object) -> list[Record]:
        """Rows by column name.

        Raises:
            StoreUnavailable: also for a statement that is wrong, or that would write.
        """
        return await self._lane.call(self._lane.rows, sql, parameters)


class Store:
    """Tables in, rows out. Make it with :meth:`open`; all methods are for one event loop."""

    def __init__(self, address: Address, path: Path) -> None:
        self._address, self._path = address, path
        self._lane = Lane(address, path)
        self._read_only: Lane | None = None
        self._texts: dict[str, str] = {}

    @classmethod
    async def open(cls, url: str, path: Path) -> Store:
        """Connect, and make the database if it is missing. ``path`` is the embedded store's directory.

        Raises:
            StoreLocked: another process has it open.
            StoreUnavailable: anything else in the way.
            ValueError: the url.
        """
        store = cls(parse(url), path)
        try:
            await store._lane.open()
        except BaseException:
            await store.close()
            raise
        return store

    @property
    def database(self) -> str:
        return self._address.database

    async def insert(self, table: str, columns: Sequence[str], rows: Sequence[Row], token: str) -> None:
        """One insert, atomic per month and replayable: the same ``token`` again changes nothing, here and in the
        rollups, and completes what a crash had left undone.

        Raises:
            StoreRejected: a row does not fit the table.
            StoreUnavailable: try the same again, with the same token.
        """
        if rows:
            settings = {
                "async_insert": 0,
                "insert_deduplication_token": token,
                "deduplicate_blocks_in_dependent_materialized_views": 1,
            }
            await self._lane.call(self._lane.insert, table, columns, rows, settings)

    async def query(self, name: str, **parameters: object) -> list[Record]:
        """Run ``queries/{name}.sql`` with its ``{parameter:Type}`` bound; rows by column name.

        Raises:
            StoreUnavailable, StoreRejected: as for :meth:`insert`.
        """
        if name not in self._texts:
            self._texts[name] = (_QUERIES / f"{name}.sql").read_text(encoding="utf-8")
        return await self._lane.call(self._lane.rows, self._texts[name], parameters)

    async def rows(self, sql: str, **parameters: object) -> list[Record]:
        """Rows of a statement of our own that has no file (migrations, tests)."""
        return await self._lane.call(self._lane.rows, sql, parameters)

    async def command(self, *statements: str, settings: Mapping[str, Any] | None = None) -> None:
        """Run statements of our own, in order, with nothing else of this store in between."""

        def run() -> None:
            for sql in statements:
                self._lane.command(sql, settings)

        await self._lane.call(run)

    async def read_only(self) -> ReadOnly:
        """The handle for foreign SQL; made at first use, closed with the store."""
        if self._read_only is None:
            # The server's HTTP handler wants to set per-query settings, which mode 1 refuses and mode 2 allows.
            mode = 1 if self._address.interface == "chdb" else 2
            lane = Lane(self._address, self._path, {**_FOREIGN_LIMITS, "readonly": mode})
            await lane.open()
            self._read_only = lane
        return ReadOnly(self._read_only)

    async def close(self) -> None:
        """Safe twice. The embedded store's lock is free afterwards."""
        if self._read_only is not None:
            await self._read_only.close()
        await self._lane.close()


def _brief(error: BaseException) -> str:
    return str(error).strip()[:1000] or type(error).__name__
