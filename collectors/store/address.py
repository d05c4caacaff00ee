"""Where the store is: ``store.url`` taken apart. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import unquote, urlsplit

DEFAULT_DATABASE = "orchtax"
_DATABASE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True)
class Address:
    """``interface`` is the driver's word. Host, port and user mean nothing when it is ``chdb``."""

    interface: Literal["chdb", "http", "https"]
    database: str
    host: str = ""
    port: int = 0
    user: str = ""
    password: str = field(default="", repr=False)


def parse(url: str) -> Address:
    """``chdb://[/database]``, ``clickhouse://user:password@host:8123/database`` or ``clickhouses://…`` for TLS.

    The default database is ``orchtax``, the default port 8123, with TLS 8443. User and password may be %-encoded.

    Raises:
        ValueError: none of these.
    """
    parts = urlsplit(url)
    database = parts.path.strip("/") or DEFAULT_DATABASE
    if not _DATABASE.fullmatch(database):
        raise ValueError(f"store.url: {database!r} is no database name; write letters, digits and underscores")
    if parts.scheme == "chdb":
        return Address("chdb", database)
    if parts.scheme not in {"clickhouse", "clickhouses"} or not parts.hostname:
        raise ValueError("store.url: write chdb://, clickhouse://user:password@host:8123/orchtax or clickhouses://…")
    is_tls = parts.scheme == "clickhouses"
    return Address(
        interface="https" if is_tls else "http",
        database=database,
        host=parts.hostname,
        port=parts.port or (8443 if is_tls else 8123),
        user=unquote(parts.username or "default"),
        password=unquote(parts.password or ""),
    )
