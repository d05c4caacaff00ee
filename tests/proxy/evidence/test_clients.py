"""What each client sends → session, stage, parent, and which evidence comes first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from collectors.records import Attribution
from proxy.call import Tally
from proxy.dialects import Described, Json
from proxy.id_register import IdRegister
from proxy.identity import Identity
from proxy.routes import Routes
from proxy.settings import Settings
from tests.proxy.evidence.cases import CASES, Case

UPSTREAMS: dict[str, Json] = {
    "docs": {"kind": "mcp", "base_url": "http://127.0.0.1:1/mcp"},
    "writer": {"kind": "agent", "base_url": "http://127.0.0.1:1"},
    "search": {"kind": "tool", "base_url": "http://127.0.0.1:1"},
}
ROUTES = Routes(Settings.model_validate({"upstreams": UPSTREAMS}).upstreams)
PATHS = {"model": "/openai/v1/responses", "mcp": "/mcp/docs", "agent": "/agent/writer", "tool": "/tool/search"}


class Stand:
    """An identity with a register and a tally of its own."""

    def __init__(self, folder: Path) -> None:
        self.tally = Tally()
        self.register = IdRegister(folder / "ids")
        self.identity = Identity({}, b"salt" * 8, self.register, self.tally)

    def who(self, case: Case, prefix: str = "") -> Attribution:
        route = ROUTES.match(prefix + PATHS[case.to])
        headers: CIMultiDictProxy[str] = CIMultiDictProxy(CIMultiDict(case.headers))
        body = orjson.loads(orjson.dumps(case.body)) if case.body else None
        return self.identity.attribute(self.identity.read(headers, route), Described("model", parsed=body))


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    made = Stand(tmp_path)
    yield made
    made.register.close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_a_client_tells(stand: Stand, case: Case) -> None:
    who = stand.who(case)
    assert (who.session_id, who.session_source, who.session_confidence) == case.session
    assert (who.stage, who.stage_source, who.stage_confidence) == case.stage
    assert {name: getattr(who, name) for name in case.more} == dict(case.more)
    assert not stand.tally.evidence_ignored
    assert not stand.tally.evidence_conflicts
    assert not stand.tally.measuring_failures


ORDER = (
    Case("own", {"X-Orchtax-Session": "1"}),
    Case("path"),
    Case("Claude Code", {"X-Claude-Code-Session-Id": "3"}),
    Case("peer", {"Helicone-Session-Id": "4"}),
    Case("body", body={"metadata": {"session_id": "5"}}),
    Case("cache key", body={"prompt_cache_key": "6"}),
    Case("baggage", {"baggage": "session.id=7"}),
    Case("trace"),
    Case("protocol", body={"previous_response_id": "resp_9"}),
)


def test_the_order_of_evidence(stand: Stand) -> None:
    stand.who(Case("seed", {"X-Orchtax-Session": "9", "X-Orchtax-Stage": "earlier"}, {"conversation": "resp_9"}))
    for at in range(len(ORDER)):
        traceparent = f"00-{at + 1:032x}-b7ad6b7169203331-01"  # a new one each time: two sessions make it nobody's
        stand.who(Case("seed", {"X-Orchtax-Session": "8", "traceparent": traceparent}))
        left = [replace(case, headers={"traceparent": traceparent}) if case.name == "trace" else case for case in ORDER]
        left = left[at:]
        headers = {name: value for case in left for name, value in case.headers.items()}
        body = {name: value for case in left for name, value in case.body.items()}
        prefix = "/session/2" if at <= 1 else ""
        who = stand.who(Case("all that is left", headers, body), prefix)
        assert who.session_id == str(at + 1)
        assert who.parent == "earlier"  # decided alone: the answer that is named stands last, yet tells the parent
