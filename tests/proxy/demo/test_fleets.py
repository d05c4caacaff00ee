"""The fleets straight against the demo's real server processes, without orchtax: who calls how often, and that it is
logged. The expected numbers follow from each pattern, stage by stage."""

from __future__ import annotations

from contextlib import AsyncExitStack
from decimal import Decimal
from pathlib import Path

import pytest

from proxy.demo import fleets
from proxy.demo.books import seen_by_servers
from proxy.demo.desk import Addresses, Desk, clients
from proxy.demo.journal import read_journal
from proxy.demo.processes import running
from tests.e2e.ledger_of_provider import by_session, by_stage
from tests.proxy.demo.scripted import tokens

START_S = 30
DISCOVERY = 2  # server/discover and tools/list, before an agent can call a tool over MCP

# (model calls that were answered, of which failed before, tool calls, MCP discovery)
EXPECTED = {
    "single": {"analyst": (4, 1, 1 + 3 + 1, DISCOVERY)},  # search; fetch and two sums; fetch; words
    "routed": {
        "router": (1, 0, 0, 0),
        "specialist": (3, 0, 1, 0),  # looks the order up, drafts, works over; the order is looked up once
        "validator": (2, 0, 0, 0),  # fail, pass
    },
    "pipeline": {"extract": (1, 0, 0, 0), "analyse": (1, 1, 0, 0), "write": (1, 0, 0, 0)},
    "parallel": {
        "planner": (1, 0, 0, 0),
        **{f"research-{part}": (2, 0, 1, DISCOVERY) for part in ("cost", "grid", "trade", "grants")},
        "aggregator": (1, 0, 0, 0),
    },
    "supervised": {
        "supervisor": (4, 0, 0, 0),  # once for each member, once to end
        "researcher": (2, 0, 1, DISCOVERY),
        "engineer": (1, 0, 0, 0),
        "writer": (1, 0, 0, 0),
    },
}


@pytest.fixture(params=fleets.load(), ids=lambda fleet: fleet.name)
def fleet(request: pytest.FixtureRequest) -> fleets.Fleet:
    found: fleets.Fleet = request.param
    return found


async def played(fleet: fleets.Fleet, folder: Path) -> tuple[str, Path]:
    """One session against fresh servers: what the fleet returned, and the journal."""
    journal = folder / "journal.jsonl"
    async with AsyncExitStack() as up:
        ports = []
        for which in ("models", "tools"):
            arguments = ("-m", "proxy.demo.children", which, "--journal", str(journal))
            child = await up.enter_async_context(running(which, arguments, folder / f"{which}.log", announces=True))
            ports.append(await child.announced_port(START_S))
        models, tools = (f"http://127.0.0.1:{port}" for port in ports)
        addresses = Addresses(f"{models}/v1", models, f"{tools}/mcp", f"{tools}/orders")
        shared = await up.enter_async_context(clients())
        return await fleet.run(Desk(f"{fleet.name}-1", addresses, shared)), journal


async def test_every_stage_calls_as_its_pattern_says(fleet: fleets.Fleet, tmp_path: Path) -> None:
    said, journal = await played(fleet, tmp_path)
    entries = read_journal(journal)
    seen = {
        stage: (s.model_calls - s.failed, s.failed, s.tool_calls, s.calls - s.model_calls - s.tool_calls)
        for (_, stage), s in by_stage(entries).items()
    }
    assert seen == EXPECTED[fleet.name]
    assert all(e.session == f"{fleet.name}-1" for e in entries)
    answers = [e for e in entries if e.api in ("openai", "anthropic") and e.status == 200]
    assert tokens([said]) in [e.completion_tokens for e in answers[-2:]]  # routed: the reply, then the verdict on it
    sums = by_session(entries)[f"{fleet.name}-1"]
    assert sums.cost_usd > Decimal(0)
    known = seen_by_servers(entries)[f"{fleet.name}-1"]
    assert (known.calls, known.input_tokens, known.output_tokens) == (
        sums.calls,
        sums.prompt_tokens,
        sums.completion_tokens,
    )


def test_fleets_are_the_five_patterns_in_order() -> None:
    assert [f.name for f in fleets.load()] == ["single", "routed", "pipeline", "parallel", "supervised"]
