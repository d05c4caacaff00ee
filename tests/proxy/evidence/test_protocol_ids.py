"""Ids that orchtax saw: what names one belongs to the session of the call that gave it out or used it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from proxy.dialects import Described, Json
from proxy.id_register import IdRegister
from proxy.identity import Identity
from tests.proxy.evidence.cases import CODEX, TRACEPARENT, Case
from tests.proxy.evidence.test_clients import ROUTES, Stand

KNOWN = {"X-Orchtax-Session": "s1", "X-Orchtax-Stage": "planner"}
OURS = ("s1", "protocol", 0.95, "planner")
NOBODYS = ("", "none", 0.0, "")


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    made = Stand(tmp_path)
    yield made
    made.register.close()


def told(stand: Stand, case: Case) -> tuple[str, str, float, str]:
    who = stand.who(case)
    return who.session_id, who.session_source, who.session_confidence, who.parent


ANSWERED: tuple[Json, ...] = (
    {"previous_response_id": "given"},
    {"thread": {"previous_message_id": "given"}},
    {"diagnostics": {"previous_message_id": "given"}},
    {"previous_interaction_id": "given"},
    {"conversation": "given"},
    {"conversation": {"id": "given"}},
)
OF_AGENTS: tuple[Json, ...] = (
    {"method": "message/send", "params": {"message": {"contextId": "given"}}},
    {"method": "SendMessage", "params": {"message": {"taskId": "given"}}},
    {"method": "message/stream", "params": {"message": {"referenceTaskIds": ["other", "given"]}}},
    {"method": "tasks/get", "params": {"id": "given"}},
    {"message": {"contextId": "given", "messageId": "m"}},
)


@pytest.mark.parametrize(
    ("body", "to"),
    [*((body, "model") for body in ANSWERED), *((body, "agent") for body in ANSWERED + OF_AGENTS)],
    ids=str,
)
def test_what_names_an_answer_belongs_to_its_session(stand: Stand, body: Json, to: str) -> None:
    stand.identity.remember(stand.who(Case("first", KNOWN)), ["id:given"])
    assert told(stand, Case("next", body=body, to=to)) == OURS


@pytest.mark.parametrize("body", [ANSWERED[4], *OF_AGENTS[:2]], ids=str)
def test_an_id_that_lasts_is_known_from_its_use(stand: Stand, body: Json) -> None:
    stand.who(Case("first", KNOWN, body, to="agent"))
    assert told(stand, Case("next", body=body, to="agent")) == OURS


def test_an_id_that_a_caller_only_names_is_not_its_own(stand: Stand) -> None:
    stand.who(Case("first", KNOWN, ANSWERED[0]))
    assert told(stand, Case("next", body=ANSWERED[0])) == NOBODYS


@pytest.mark.parametrize(
    "path",
    [
        "/openai/v1/responses/given",
        "/openai/v1/responses/given/cancel",
        "/openai/v1/conversations/given/items",
        "/agent/writer/tasks/given:subscribe",
    ],
)
def test_what_reads_an_answer_again_belongs_to_its_session(stand: Stand, path: str) -> None:
    stand.identity.remember(stand.who(Case("first", KNOWN)), ["id:given"])
    nothing: CIMultiDictProxy[str] = CIMultiDictProxy(CIMultiDict())
    evidence = stand.identity.read(nothing, ROUTES.match(path))
    assert stand.identity.attribute(evidence, Described("other")).session_id == "s1"


def test_a_dialect_may_find_the_named_answer_itself(stand: Stand) -> None:
    stand.identity.remember(stand.who(Case("first", KNOWN)), ["id:given"])
    nothing: CIMultiDictProxy[str] = CIMultiDictProxy(CIMultiDict())
    evidence = stand.identity.read(nothing, ROUTES.match("/openai/v1/odd"))
    described = Described("model", previous_id="given")
    for _ in range(2):  # one head, many messages: reading one leaves the head as it was
        assert stand.identity.attribute(evidence, described).session_id == "s1"
    assert stand.identity.attribute(evidence, Described("model")).session_id == ""


def test_a_tool_server_s_session(stand: Stand) -> None:
    stand.identity.remember(stand.who(Case("initialize", KNOWN, to="mcp")), ["mcp:m1"])
    assert told(stand, Case("call", {"Mcp-Session-Id": "m1"}, to="mcp")) == OURS
    assert told(stand, Case("call", {"Mcp-Session-Id": "m2"}, to="mcp")) == NOBODYS


def test_a_trace_joins_across_keys_and_never_separates(stand: Stand) -> None:
    stand.who(Case("model", {**KNOWN, "traceparent": TRACEPARENT, "Authorization": "Bearer model-key"}))
    assert told(stand, Case("tool", {"traceparent": TRACEPARENT}, to="tool")) == ("s1", "baggage", 0.7, "")
    body = {"params": {"_meta": {"traceparent": TRACEPARENT}}}
    assert told(stand, Case("tool", body=body, to="mcp")) == ("s1", "baggage", 0.7, "")
    assert told(stand, Case("other tenant", {"traceparent": TRACEPARENT, "X-Orchtax-Tenant": "t"})) == NOBODYS
    stand.who(Case("model", {"X-Orchtax-Session": "s2", "traceparent": TRACEPARENT}))
    assert told(stand, Case("tool", {"traceparent": TRACEPARENT}, to="tool")) == NOBODYS  # a tie abstains


def test_ids_are_known_within_the_caller_s_key_and_tenant(stand: Stand) -> None:
    mine = {"Authorization": "Bearer mine"}
    stand.who(Case("first", {**KNOWN, **mine, "X-Orchtax-Tenant": "t"}, ANSWERED[4]))
    assert told(stand, Case("next", {**mine, "X-Orchtax-Tenant": "t"}, ANSWERED[4])) == OURS
    for others in ({"Authorization": "Bearer other", "X-Orchtax-Tenant": "t"}, mine, {}):
        assert told(stand, Case("next", others, ANSWERED[4])) == NOBODYS


def test_a_tenant_told_last_still_counts_first(stand: Stand) -> None:
    told_last = {"metadata": {"tenant": "t"}, "conversation": "given"}
    stand.who(Case("first", KNOWN, told_last))
    assert told(stand, Case("next", body=told_last)) == OURS


def test_what_is_inherited_is_no_surer_than_its_origin(stand: Stand) -> None:
    stand.who(Case("first", body={"prompt_cache_key": "k", "conversation": "given"}))
    assert told(stand, Case("next", body={"conversation": "given"}))[:3] == ("k", "protocol", 0.6)


def test_a_parent_agent_is_told_by_its_stage_once_it_called(stand: Stand) -> None:
    lead = {"x-codex-turn-metadata": '{"session_id":"cx","thread_id":"th-1","agent_name":"lead"}'}
    child = {**CODEX, "session-id": "cx", "thread-id": "th-2", "x-codex-parent-thread-id": "th-1"}
    assert stand.who(Case("child", child)).parent == "th-1"
    stand.who(Case("lead", lead))
    who = stand.who(Case("child", child))
    assert (who.parent, who.parent_agent_id, who.stage) == ("lead", "th-1", "subagent")


def test_a_register_that_fails_costs_the_ids_only(tmp_path: Path, stand: Stand) -> None:
    closed = IdRegister(tmp_path / "closed")
    identity = Identity({}, b"salt" * 8, closed, stand.tally)
    closed.close()
    headers: CIMultiDictProxy[str] = CIMultiDictProxy(CIMultiDict(KNOWN))
    evidence = identity.read(headers, ROUTES.match("/openai/v1/responses"))
    who = identity.attribute(evidence, Described("model", parsed=dict(ANSWERED[4])))
    assert (who.session_id, who.stage) == ("s1", "planner")
    assert set(stand.tally.measuring_failures) == {"ids"}
