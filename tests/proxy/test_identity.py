"""Who is calling, and what of an agent's headers goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from collectors.records import Attribution
from proxy.call import Tally
from proxy.dialects import Described
from proxy.id_register import IdRegister
from proxy.identity import Identity, forwarded
from proxy.routes import Refused, Route, Routes
from proxy.settings import Settings, Stage

Attribute = Callable[[CIMultiDictProxy[str], Route], Attribution]

ROUTES = Routes(Settings().upstreams)
STAGES = {"router": Stage(role="route"), "valid*": Stage(role="validate")}


@pytest.fixture(scope="module")
def register(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IdRegister]:
    made = IdRegister(tmp_path_factory.mktemp("ids") / "ids")
    yield made
    made.close()


@pytest.fixture
def attribute(register: IdRegister) -> Attribute:
    identity = Identity(STAGES, b"salt" * 8, register, Tally())
    return lambda sent, to: identity.attribute(identity.read(sent, to), Described("model"))


def headers(*pairs: tuple[str, str]) -> CIMultiDictProxy[str]:
    return CIMultiDictProxy(CIMultiDict(pairs))


def route(prefix: str = "") -> Route:
    return ROUTES.match(f"{prefix}/openai/v1/chat/completions")


def test_header_wins_over_path_and_each_is_resolved_alone(attribute: Attribute) -> None:
    who = attribute(headers(("x-orchtax-session", "h")), route("/session/p/stage/validator"))
    assert (who.session_id, who.session_source, who.session_confidence) == ("h", "header", 1.0)
    assert (who.stage, who.stage_source, who.role, who.role_source) == ("validator", "path", "validate", "configured")


def test_nobody_said_anything(attribute: Attribute) -> None:
    who = attribute(headers(), route())
    assert (who.session_id, who.session_source, who.stage, who.stage_source) == ("", "none", "", "none")
    assert who.session_confidence == 0.0
    assert who.role is None


def test_declared_role_wins_over_the_configured_one(attribute: Attribute) -> None:
    who = attribute(headers(("X-Orchtax-Role", "aggregate")), route("/stage/router"))
    assert (who.role, who.role_source) == ("aggregate", "declared")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Orchtax-Session", "a\x1bb"),
        ("X-Orchtax-Stage", "x" * 257),
        ("X-Orchtax-Role", "boss"),
        ("X-Orchtax-Verdict", "maybe"),
        ("X-Orchtax-Essential", "perhaps"),
    ],
)
def test_a_bad_value_is_refused_by_the_header_s_name(attribute: Attribute, name: str, value: str) -> None:
    with pytest.raises(Refused, match=name) as caught:
        attribute(headers((name, value)), route())
    assert value not in caught.value.fault.message


def test_a_credential_is_known_by_its_salted_hash_only(attribute: Attribute, register: IdRegister) -> None:
    bearer = attribute(headers(("Authorization", "Bearer sk-canary")), route())
    plain = attribute(headers(("x-api-key", "sk-canary")), route())
    other = attribute(headers(("x-api-key", "sk-other")), route())
    peppered = Identity({}, b"pepper" * 4, register, Tally())
    elsewhere = peppered.attribute(peppered.read(headers(("x-api-key", "sk-canary")), route()), Described("model"))
    assert bearer.key_hash == plain.key_hash
    assert len({bearer.key_hash, other.key_hash, elsewhere.key_hash, ""}) == 4
    assert "canary" not in bearer.key_hash


def test_forwarded_headers_keep_order_spelling_and_repetition() -> None:
    sent = headers(
        ("Host", "localhost"),
        ("AUTHORIZATION", "Bearer k"),
        ("X-Twice", "1"),
        ("X-Orchtax-Session", "s"),
        ("Connection", "close, X-Gone"),
        ("x-gone", "named by Connection"),
        ("Keep-Alive", "5"),
        ("Transfer-Encoding", "chunked"),
        ("x_under", "score"),
        ("x-twice", "2"),
        ("traceparent", "00-1-2-01"),
    )
    assert list(forwarded(sent).items()) == [
        ("AUTHORIZATION", "Bearer k"),
        ("X-Twice", "1"),
        ("x-twice", "2"),
        ("traceparent", "00-1-2-01"),
    ]
