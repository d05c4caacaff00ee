"""The demo as a user runs it, against a count made independently from the provider's own journal: calls, retries,
tokens and money, per session and stage, to the token and to the nano-dollar."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from proxy.demo.journal import read_journal
from tests.e2e.ledger_of_provider import by_session, by_stage
from tests.serving import ROOT, clean_env

LINES = ("retry", "route", "coordinate", "validate", "aggregate", "handoff", "work")
PATTERNS = {
    "single": "single",
    "routed": "routing",
    "pipeline": "sequential",
    "parallel": "parallel",
    "supervised": "hierarchical",
}


@pytest.fixture(scope="module")
def played() -> Any:
    """One run of ``orchtax demo`` without a terminal: it ends by itself with exit code 0."""
    shown = asyncio.run(_play())
    yield shown
    shutil.rmtree(Path(shown["journal"]).parent)


async def _play() -> Any:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "proxy.cli", "demo", "--json", "--keep", "--sessions", "2"),
        cwd=ROOT,
        env=clean_env(),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 110)
    assert process.returncode == 0, err.decode()
    return json.loads(out, parse_float=Decimal)


def test_every_stage_equals_the_provider_s_own_count(played: Any) -> None:
    counted = by_stage(read_journal(Path(played["journal"])))
    told = {
        (session["session_id"], stage["stage"]): stage
        for session in played["report"]["sessions"]
        for stage in session["stages"]
    }
    assert told.keys() == counted.keys()
    for key, stage in told.items():
        own = counted[key]
        assert stage["calls"] == own.calls, key
        assert stage["retries"] == own.retries, key
        assert stage["failed_calls"] == own.failed, key
        assert stage["input_tokens"] == own.prompt_tokens, key
        assert stage["output_tokens"] == own.completion_tokens, key
        assert stage["cost_usd"] == own.cost_usd.quantize(Decimal("1e-9")), key


def test_sessions_and_totals_are_sums(played: Any) -> None:
    report = played["report"]
    counted = by_session(read_journal(Path(played["journal"])))
    assert {session["session_id"] for session in report["sessions"]} == counted.keys()
    for session in report["sessions"]:
        own = counted[session["session_id"]]
        assert (session["calls"], session["retries"]) == (own.calls, own.retries)
        assert session["cache_read_tokens"] == own.cached_tokens
        assert session["cost_usd"] == own.cost_usd
        for unit, whole in (("tokens", own.prompt_tokens + own.completion_tokens), ("cost", own.cost_usd)):
            tax = session["tax"][unit]
            assert sum(tax[line] for line in LINES) == tax["total"] == whole
            assert tax["tax"] == whole - tax["work"]
            assert abs(tax["share"] - (1 - Decimal(tax["work"]) / whole)) < Decimal("1e-12")
    assert report["totals"]["calls"] == sum(own.calls for own in counted.values())
    assert report["totals"]["cost_usd"] == sum(own.cost_usd for own in counted.values())


def test_each_fleet_is_recognised_and_each_call_attributed(played: Any) -> None:
    for session in played["report"]["sessions"]:
        fleet = session["session_id"].rpartition("-")[0]
        assert session["pattern"] == PATTERNS[fleet]
        assert session["attribution"] == {"source": "path", "confidence": 1}
        assert session["coverage"] == 1
        assert (session["handoffs"] == 0) == (fleet == "single")
