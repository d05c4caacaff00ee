"""What contradicts, what is malformed, what nobody foresaw: counted, never a refusal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from proxy.dialects import Described
from proxy.routes import Refused
from tests.proxy.evidence.cases import CASES, TRACEPARENT, Case
from tests.proxy.evidence.test_clients import PATHS, ROUTES, Stand


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    made = Stand(tmp_path)
    yield made
    made.register.close()


def test_a_contradiction_is_counted_and_the_first_stands(stand: Stand) -> None:
    headers = {"Helicone-Session-Id": "a", "x-litellm-session-id": "b", "x-bf-session-id": "a"}
    who = stand.who(Case("two gateways", {**headers, "X-Orchtax-Stage": "s", "x-litellm-agent-id": "t"}))
    assert (who.session_id, who.stage) == ("a", "s")
    assert stand.tally.evidence_conflicts == {"session": 1, "stage": 1}
    assert orjson.loads(orjson.dumps(asdict(stand.tally)))["evidence_conflicts"] == {"session": 1, "stage": 1}


def test_a_guess_contradicts_nothing(stand: Stand) -> None:
    headers = {"X-Orchtax-Session": "s", "X-Orchtax-Stage": "t", "X-Claude-Code-Session-Id": "s"}
    stand.who(Case("named main", headers, {"prompt_cache_key": "k"}))
    assert not stand.tally.evidence_conflicts


@pytest.mark.parametrize(
    ("case", "family"),
    [
        (Case("", {"Helicone-Session-Id": "a\x1bb"}), "helicone"),
        (Case("", {"X-Claude-Code-Session-Id": "x" * 257}), "claude_code"),
        (Case("", {"cf-aig-metadata": "{"}), "cloudflare"),
        (Case("", {"x-portkey-metadata": "[1]"}), "portkey"),
        (Case("", {"x-codex-turn-metadata": '{"session_id":[1]}'}), "codex"),
        (Case("", {"baggage": "session.id=%00"}), "baggage"),
        (Case("", {"traceparent": f"00-{'0' * 32}-b7ad6b7169203331-01"}), "traceparent"),
        (Case("", {"traceparent": TRACEPARENT.upper()}), "traceparent"),
        (Case("", body={"metadata": {"user_id": '{"session_id":5}'}}), "claude_code"),
        (Case("", body={"metadata": ["session_id"]}), "metadata"),
        (Case("", body={"requestMetadata": {"session_id": 5}}), "bedrock"),
        (Case("", body={"previous_response_id": 5}), "responses"),
        (Case("", body={"params": {"message": {"contextId": "a\nb"}}}, to="agent"), "a2a"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_malformed_value_is_ignored_and_counted(stand: Stand, case: Case, family: str) -> None:
    who = stand.who(case)
    assert (who.session_id, who.stage, who.parent) == ("", "", "") or who.stage == "main"
    assert family in stand.tally.evidence_ignored
    assert not stand.tally.measuring_failures


def test_an_empty_value_says_nothing_and_is_no_mistake(stand: Stand) -> None:
    assert stand.who(Case("", {"Helicone-Session-Id": " "}, {"prompt_cache_key": ""})).session_id == ""
    assert not stand.tally.evidence_ignored


NAMES = st.sampled_from([*sorted({name for case in CASES for name in case.headers}), "mcp-session-id", "x-bf-dim-"])
TEXT = st.text(max_size=20) | st.sampled_from(["{", '{"session_id":1}', TRACEPARENT, "session.id=%ff", "/", ",,:"])
LEAVES = st.none() | st.booleans() | st.integers(0, 9) | TEXT
KEYS = sorted({key for case in CASES for key in case.body} | {"thread", "diagnostics", "message", "session_id", "id"})
JSON = st.recursive(
    LEAVES, lambda part: st.lists(part, max_size=3) | st.dictionaries(st.sampled_from(KEYS), part, max_size=4)
)


@given(
    st.lists(st.tuples(NAMES, TEXT), max_size=8),
    st.dictionaries(st.sampled_from(KEYS), JSON, max_size=6),
    st.sampled_from(sorted(PATHS)),
)
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_soup_is_read_without_harm(
    stand: Stand, pairs: list[tuple[str, str]], body: dict[str, object], to: str
) -> None:
    headers: CIMultiDictProxy[str] = CIMultiDictProxy(CIMultiDict(pairs))
    parsed = orjson.loads(orjson.dumps(body))
    try:
        evidence = stand.identity.read(headers, ROUTES.match(PATHS[to]))
    except Refused:
        assert any(name.lower().startswith("x-orchtax-") for name, _ in pairs)
        return
    who = stand.identity.attribute(evidence, Described("model", parsed=parsed))
    assert not stand.tally.measuring_failures
    for name in who.__slots__:
        value = getattr(who, name)
        assert not isinstance(value, str) or (value.isprintable() and len(value) <= 256)
    assert bool(who.session_id) == (who.session_source != "none") == (who.session_confidence > 0)
