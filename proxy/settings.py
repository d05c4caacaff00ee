"""The settings: one frozen tree, from a YAML file and ``ORCHTAX_*`` environment variables.

Every setting stands in the README's table (a test compares). Bad configuration raises :class:`BadSettings`, whose text
names key, value and remedy. Reading is in ``settings_file.py``; this module only says what there is.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from collectors.records import Role
from proxy.presets import PRESETS

NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"
Seconds = Annotated[float, Field(gt=0, le=86_400)]
Usd = Annotated[Decimal, Field(ge=0)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def split_listen(listen: str) -> tuple[str, int]:
    """``host:port`` → its parts; ``[::1]:8400`` for IPv6.

    Raises:
        ValueError: not of that form.
    """
    host, _, port = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdigit() or int(port) > 65_535:
        raise ValueError(f"{listen!r} is not host:port; write for example 127.0.0.1:8400")
    return host, int(port)


def _listen(value: str) -> str:
    split_listen(value)
    return value


Listen = Annotated[str, AfterValidator(_listen)]


class Limits(_Frozen):
    """What the data port accepts, and for how long it waits."""

    header_timeout_s: Seconds = Field(10, description="a request's headers must be complete by then")
    body_timeout_s: Seconds = Field(60, description="longest pause between two parts of a request body")
    idle_timeout_s: Seconds = Field(75, description="an idle keep-alive connection is closed after it")
    write_timeout_s: Seconds = Field(60, description="longest wait for an agent that does not read its answer")
    max_connections: int = Field(10_000, ge=1, description="open agent connections per worker")
    max_body_bytes: int = Field(512 * 1024 * 1024, ge=1, description="a longer request body is refused with 413")
    max_read_bytes: int = Field(16 * 1024 * 1024, ge=1, description="a longer body streams through without being read")
    max_message_bytes: int = Field(
        64 * 1024 * 1024, ge=1, description="a longer WebSocket message closes its socket with code 1009"
    )


class Timeouts(_Frozen):
    """Deadlines towards an upstream."""

    connect_s: Seconds = Field(10, description="TCP and TLS set-up")
    read_s: Seconds = Field(600, description="longest silence, before the answer or within it")


class Aws(_Frozen):
    """Keys that calls to this upstream are signed with; without any, the standard ``AWS_*`` environment variables."""

    access_key_id: SecretStr | None = Field(None, description="key id to sign calls with")
    secret_access_key: SecretStr | None = Field(None, description="its secret")
    session_token: SecretStr | None = Field(None, description="its session token, for temporary keys")
    access_key_id_file: str = Field("", description="a file that holds the key id; read again when it changes")
    secret_access_key_file: str = Field("", description="a file that holds the secret")
    session_token_file: str = Field("", description="a file that holds the session token")
    credentials_file: str = Field("", description="AWS credentials file; default ~/.aws/credentials with a profile")
    profile: str = Field("", description="profile in the credentials file")
    region: str = Field("", pattern=r"^[a-z0-9-]*$", description="where path and host do not name the region")
    service: str = Field("bedrock", pattern=r"^[a-z0-9-]+$", description="the service's signing name")


class Upstream(_Frozen):
    """One destination. A key that names a preset (``openai``, ``anthropic`` …) takes what it leaves out from there."""

    kind: Literal["model", "tool", "mcp", "agent"] = Field("model", description="what is behind it")
    base_url: str = Field(description="where calls go; a path of it is kept in front")
    api: str = Field("", description="wire format family; default by preset or kind")
    provider: str = Field("", description="provider id of the price data; default by preset")
    ask_usage: bool | None = Field(None, description="ask chat streams for usage (stream_options)")
    price_per_call_usd: Usd | None = Field(None, description="fee of each call, for tools")
    essential: bool = Field(True, description="false: may be paused before others")
    rewrite_card: bool = Field(
        False, description="agents: let the card name orchtax's address; a signature of the card then fails"
    )
    timeouts: Timeouts = Timeouts()
    aws: Aws = Aws()

    @field_validator("base_url")
    @classmethod
    def _origin(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")) or "@" in value or "?" in value or "#" in value:
            raise ValueError("write http:// or https://, a host, and at most a path")
        return value.rstrip("/")


class Stage(_Frozen):
    """What the operator knows of a stage; the key may be a pattern (``valid*``)."""

    role: Role | None = Field(None, description="work, plan, route, coordinate, validate or aggregate")


class Price(_Frozen):
    """An operator's own price of a model, USD per million tokens; it wins over the shipped price data."""

    input_per_million_usd: Usd
    output_per_million_usd: Usd
    cached_input_per_million_usd: Usd | None = Field(None, description="cache reads; default: the input price")
    cache_write_per_million_usd: Usd | None = Field(None, description="cache writes; default: the input price")


class Admin(_Frozen):
    listen: Listen = Field("127.0.0.1:8401", description="admin API, metrics and page")
    token: SecretStr | None = Field(None, description="needed beyond loopback; sent as Authorization: Bearer")

    @model_validator(mode="after")
    def _closed(self) -> Admin:
        host = split_listen(self.listen)[0]
        if self.token is None and host not in {"127.0.0.1", "::1", "localhost"}:
            raise ValueError(f"listen on {host} opens the admin port to others: set admin.token, or listen on loopback")
        return self


class Store(_Frozen):
    url: SecretStr = Field(
        SecretStr("chdb://"), description="chdb:// (embedded) or clickhouse://user:pw@host:8123/orchtax"
    )

    @field_validator("url")
    @classmethod
    def _scheme(cls, value: SecretStr) -> SecretStr:
        if not value.get_secret_value().startswith(("chdb://", "clickhouse://", "clickhouses://")):
            raise ValueError("write chdb://, clickhouse://user:password@host:8123/orchtax or clickhouses://… for TLS")
        return value


class Spool(_Frozen):
    seal_after_s: Seconds = Field(1, description="a segment is handed over after it at the latest")
    sync_every_s: float = Field(0.1, ge=0, le=60, description="fdatasync interval; 0 = every record")
    max_bytes: int = Field(2 * 1024**3, ge=1024**2, description="beyond it new records are dropped and counted")


class Tax(_Frozen):
    """Choices in the definition of the tax that can be argued either way."""

    plan_counts_as: Literal["work", "coordinate"] = Field("work", description="the receipt line of planning stages")
    after_free_failure: Literal["retry", "role"] = Field(
        "retry", description="the line of a resend whose failed first sending cost nothing: retry, or its role's own"
    )


class Settings(_Frozen):
    """The whole."""

    listen: Listen = Field("127.0.0.1:8400", description="the data port: agents' base URL")
    admin: Admin = Admin()
    workers: int = Field(1, ge=1, le=64, description="worker processes on the data port")
    data_dir: str = Field("./.orchtax", description="spool, ledger, embedded store")
    drain_s: Seconds = Field(30, description="time that open calls get after SIGTERM")
    store: Store = Store()
    spool: Spool = Spool()
    limits: Limits = Limits()
    upstreams: dict[Annotated[str, Field(pattern=NAME)], Upstream] = Field(
        {}, description="destinations by name; presets need no entry"
    )
    stages: dict[str, Stage] = Field({}, description="what is known of stages, by name or pattern")
    tax: Tax = Tax()
    prices: dict[str, Price] = Field({}, description="own prices of models, by model name")

    @model_validator(mode="before")
    @classmethod
    def _presets(cls, data: Any) -> Any:
        """Every preset is an upstream; what the operator says of it wins, field by field."""
        if not isinstance(data, dict):
            return data
        given = data.get("upstreams") or {}
        if not isinstance(given, dict):
            return data
        merged = {name: {**PRESETS.get(name, {}), **(given.get(name) or {})} for name in {**PRESETS, **given}}
        return {**data, "upstreams": merged}


def reveal(settings: Settings) -> dict[str, Any]:
    """The settings as JSON values, secrets in clear: only for the boot line of our own child processes."""

    def plain(value: Any) -> Any:
        match value:
            case SecretStr():
                return value.get_secret_value()
            case Decimal():
                return str(value)
            case dict():
                return {key: plain(item) for key, item in value.items()}
            case _:
                return value

    revealed: dict[str, Any] = plain(settings.model_dump())
    return revealed
