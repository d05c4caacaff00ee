"""The admin port: its figures are the seeded records' own sums; its refusals name a remedy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest

from collectors.figures import LINES, SessionAnalysis
from collectors.records import CallRecord
from collectors.store.clickhouse import Store
from collectors.store.errors import StoreUnavailable
from collectors.store.rows import CALL_COLUMNS, call_row
from tests.admin_port import Port, admin_port
from tests.seeding import LOOP, ORIGIN_NS, UNPRICED, analysed, demo_sessions, seed, tax_of

SESSIONS = demo_sessions()


@pytest.fixture
async def port(engine: Store) -> AsyncIterator[Port]:
    await seed(engine, SESSIONS)
    async with admin_port(engine, now_ns=lambda: ORIGIN_NS + 3700 * 10**9) as port:
        yield port


class Gone:
    """A store that does not answer."""

    async def query(self, name: str, **parameters: object) -> Sequence[dict[str, object]]:
        raise StoreUnavailable("connection refused at db:8123")


@pytest.mark.engine
async def test_report_equals_sums_over_the_records(port: Port) -> None:
    status, report, headers = await port.get("/api/report")
    assert (status, headers["Cache-Control"]) == (200, "no-store")
    assert len(report["sessions"]) == len(SESSIONS) == report["totals"]["sessions"]
    by_id = {session["session_id"]: session for session in report["sessions"]}
    for calls, analysis in SESSIONS:
        _equal(by_id[calls[0].session_id], calls, analysis)
    everything = [call for calls, _ in SESSIONS for call in calls]
    totals = report["totals"]
    assert totals["calls"] == len(everything)
    assert totals["input_tokens"] + totals["output_tokens"] == sum(call.tokens for call in everything)
    assert round(totals["cost_usd"] * 10**9) == sum(call.cost_nano or 0 for call in everything)
    assert totals["tax"]["tokens"]["tax"] == sum(tax_of(analysis) for _, analysis in SESSIONS)


@pytest.mark.engine
async def test_calls_without_a_session_are_counted_apart(port: Port, engine: Store) -> None:
    _, before, _ = await port.get("/api/report")
    call = next(call for calls, _ in SESSIONS for call in calls if call.cost_nano)
    lost = [replace(call, call_id=f"lost-{n}", session_id="") for n in range(3)]
    await engine.insert("calls", CALL_COLUMNS, [call_row(record) for record in lost], "lost")
    _, after, _ = await port.get("/api/report")
    assert after["totals"].pop("unattributed_calls") == 3
    assert round(after["totals"].pop("unattributed_cost_usd") * 10**9) == 3 * (call.cost_nano or 0)
    assert before["totals"].pop("unattributed_calls") == before["totals"].pop("unattributed_cost_usd") == 0
    assert after == before
    _, later, _ = await port.get("/api/report?since=1m")
    assert later["totals"]["unattributed_calls"] == 0


def _equal(session: dict[str, object], calls: list[CallRecord], analysis: SessionAnalysis) -> None:
    tax = session["tax"]
    assert isinstance(tax, dict)
    tokens = sum(call.tokens for call in calls)
    nano = sum(call.cost_nano or 0 for call in calls)
    assert tax["tokens"]["total"] == tokens
    assert tax["tokens"]["tax"] == tax_of(analysis)
    for line in LINES:
        assert tax["tokens"][line] == sum(getattr(receipt, f"{line}_tokens") for receipt in analysis.receipts)
        assert round(tax["cost"][line] * 10**9) == sum(getattr(r, f"{line}_nano") for r in analysis.receipts)
    assert tax["latency"]["total"] == analysis.session.wall_us
    assert session["cost_usd"] is None or round(session["cost_usd"] * 10**9) == nano  # type: ignore[operator]  # JSON
    stages = session["stages"]
    assert isinstance(stages, list)
    assert sum(stage["unpriced_calls"] for stage in stages) == session["unpriced_calls"]
    assert {stage["stage"] for stage in stages} == {call.stage for call in calls}
    for stage in stages:
        own = [call for call in calls if call.stage == stage["stage"]]
        assert stage["calls"] == len(own)
        assert stage["input_tokens"] + stage["output_tokens"] == sum(call.tokens for call in own)
        assert stage["latency"]["busy_us"] == sum(call.duration_us for call in own)
        assert stage["tax"]["tokens"]["total"] == sum(call.tokens for call in own)


@pytest.mark.engine
async def test_a_session_close_up(port: Port) -> None:
    calls, analysis = SESSIONS[0]
    _, detail, _ = await port.get(f"/api/sessions/{calls[0].session_id}")
    assert [call["call_id"] for call in detail["calls"]] == [call.call_id for call in calls]
    assert [call["start_us"] for call in detail["calls"]] == [(c.ts_ns - calls[0].ts_ns) // 1000 for c in calls]
    assert [call["is_rework"] for call in detail["calls"]] == [r.is_rework for r in analysis.receipts]
    assert len(detail["handoffs"]) == len(analysis.handoffs)
    receipt = detail["receipt"]
    assert sum(line["tokens"] for line in receipt["lines"]) == receipt["total"]["tokens"]
    assert receipt["tax"]["tokens"] == tax_of(analysis)
    beside = {line["line"]: line["tokens"] for line in receipt["beside"]}
    assert beside["own_reread"] == sum(r.own_reread_tokens for r in analysis.receipts)


@pytest.mark.engine
async def test_the_list_is_the_report_without_stages(port: Port) -> None:
    _, report, _ = await port.get("/api/report?sort=tax")
    _, listed, _ = await port.get("/api/sessions?sort=tax")
    for session in report["sessions"]:
        del session["stages"]
    assert listed == report


@pytest.mark.engine
@pytest.mark.parametrize("sort", ["recent", "tax", "cost", "tokens", "duration"])
async def test_a_limit_keeps_the_first_of_the_whole_order(port: Port, sort: str) -> None:
    _, whole, _ = await port.get(f"/api/sessions?sort={sort}")
    _, short, _ = await port.get(f"/api/sessions?sort={sort}&limit=3")
    assert short["sessions"] == whole["sessions"][:3]
    assert short["totals"] == {**whole["totals"], "listed": 3}


@pytest.mark.engine
async def test_questions_narrow_sort_and_limit(port: Port) -> None:
    found: dict[str, list[str]] = {}
    asked = {"recent": "limit=2", "dear": "sort=cost&limit=1", "searched": "search=RESEARCH", "young": "since=5m"}
    for name, query in {**asked, "one": "session=loop-single", "none": "session=nobody"}.items():
        _, report, _ = await port.get(f"/api/report?{query}")
        found[name] = [session["session_id"] for session in report["sessions"]]
        assert report["totals"]["listed"] == len(found[name])
    starts = sorted(SESSIONS, key=lambda session: -session[1].session.started_ns)
    assert found["recent"] == [analysis.session.session_id for _, analysis in starts[:2]]
    dearest = max(SESSIONS, key=lambda session: session[1].session.cost_nano)[1].session.session_id
    assert found["dear"] == [dearest]
    edge = ORIGIN_NS + 3400 * 10**9
    young = {analysis.session.session_id for _, analysis in SESSIONS if analysis.session.ended_ns >= edge}
    assert set(found["young"]) == young
    assert (found["searched"], found["one"], found["none"]) == (["research-88"], ["loop-single"], [])


@pytest.mark.engine
async def test_a_later_analysis_replaces_the_earlier_one(engine: Store, port: Port) -> None:
    calls, analysis = SESSIONS[2]
    names = ("call_id", "session_id", "version", "stage", "role", "route_tokens")
    rows = [
        [r.call_id, r.session_id, 2, r.stage, "route", call.tokens]
        for r, call in zip(analysis.receipts, calls, strict=True)
    ]
    await engine.insert("receipts", names, rows, "again")
    _, report, _ = await port.get("/api/report?session=loop-single")
    tax = report["sessions"][0]["tax"]["tokens"]
    assert (tax["route"], tax["work"]) == (sum(call.tokens for call in calls), 0)


@pytest.mark.engine
async def test_one_id_at_two_tenants_is_two_sessions(engine: Store) -> None:
    both = []
    for tenant, specs in (("blue", LOOP), ("green", UNPRICED)):
        calls, analysis = analysed("same-id", specs, pattern="single")
        calls = [replace(call, tenant=tenant, call_id=f"{tenant}-{call.call_id}") for call in calls]
        receipts = tuple(replace(r, call_id=f"{tenant}-{r.call_id}") for r in analysis.receipts)
        both.append((calls, replace(analysis, session=replace(analysis.session, tenant=tenant), receipts=receipts)))
    await seed(engine, both)
    async with admin_port(engine) as port:
        _, report, _ = await port.get("/api/report")
        assert {session["tenant"] for session in report["sessions"]} == {"blue", "green"}
        for session in report["sessions"]:
            calls = next(calls for calls, _ in both if calls[0].tenant == session["tenant"])
            assert session["tax"]["tokens"]["total"] == sum(call.tokens for call in calls)
            assert sum(stage["calls"] for stage in session["stages"]) == len(calls)
            _, detail, _ = await port.get(f"/api/sessions/same-id?tenant={session['tenant']}")
            assert [call["call_id"] for call in detail["calls"]] == [call.call_id for call in calls]
        everything = sum(call.tokens for calls, _ in both for call in calls)
        assert report["totals"]["tax"]["tokens"]["total"] == everything


@pytest.mark.engine
async def test_injection_is_only_text(port: Port) -> None:
    for text in ("' OR 1=1 --", "'; DROP TABLE calls; --", "{session:String}", "\\'", "%27)"):
        status, report, _ = await port.get(f"/api/report?session={_quoted(text)}&search={_quoted(text)}")
        assert (status, report["sessions"]) == (200, [])
        status, _, _ = await port.get(f"/api/sessions/{_quoted(text)}")
        assert status == 404
    _, report, _ = await port.get("/api/report")
    assert len(report["sessions"]) == len(SESSIONS)


def _quoted(text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode())


@pytest.mark.parametrize("query", ["limit=0", "limit=many", "since=soon", "sort=x", "colour=red"])
async def test_bad_parameters_are_named_with_a_remedy(query: str) -> None:
    async with admin_port(Gone()) as port:
        status, problem, headers = await port.get(f"/api/report?{query}")
    assert (status, headers["Content-Type"]) == (400, "application/problem+json")
    assert problem["detail"].startswith(query.partition("=")[0])
    assert problem["remedy"]


async def test_while_the_store_warms_up_and_when_it_is_down() -> None:
    async with admin_port(None) as port:
        port.now(store=type(port.fleet.store)("warming", "opening the engine"))
        for path in ("/api/report", "/api/sessions", "/api/sessions/x"):
            status, problem, headers = await port.get(path)
            assert (status, problem["detail"], headers["Retry-After"]) == (503, "opening the engine", "1")
        port.store = Gone()
        status, problem, _ = await port.get("/api/report")
        assert (status, problem["detail"]) == (503, "connection refused at db:8123")
        assert (await port.get("/readyz"))[0] == 200  # calls are served all the same


async def test_readiness_follows_the_workers() -> None:
    async with admin_port(None) as port:
        status, body, _ = await port.get("/readyz")
        assert (status, body["workers"]["ready"], body["spool"]["segments"]) == (200, 2, 3)
        port.now(workers=type(port.fleet.workers)(wanted=2, ready=1))
        status, body, _ = await port.get("/readyz")
        assert (status, body["ready"]) == (503, False)
        assert (await port.get("/livez"))[0] == 200


async def test_a_token_is_asked_for_and_probes_stay_open() -> None:
    async with admin_port(Gone(), token="s3cret") as port:
        for path in ("/api/report", "/api/status", "/metrics", "/api/nothing"):
            for sent in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic s3cret"}):
                status, problem, headers = await port.get(path, **sent)
                assert (status, bool(problem["remedy"])) == (401, True)
                assert headers["WWW-Authenticate"].startswith("Bearer")
        assert (await port.get("/api/status", Authorization="Bearer s3cret"))[0] == 200
        assert (await port.get("/readyz"))[1] == {"ready": True}
        assert "spool" in (await port.get("/readyz", Authorization="Bearer s3cret"))[1]
        assert (await port.get("/livez"))[0] == 200
        assert (await port.get("/"))[0] == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:1", 200),
        ("127.0.0.1", 200),
        ("[::1]:8401", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
    ],
)
async def test_another_site_cannot_rebind_its_name_to_this_port(host: str, status: int) -> None:
    async with admin_port(None) as port:
        assert (await port.get("/livez", Host=host))[0] == status


async def test_static_files_are_closed_in_and_revalidated() -> None:
    async with admin_port(None) as port:
        status, body, headers = await port.get("/")
        assert (status, "<title>orchtax" in body) == (200, True)
        assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'")
        assert (headers["X-Content-Type-Options"], headers["Server"]) == ("nosniff", "orchtax")
        again, empty, _ = await port.get("/", If_None_Match=headers["ETag"])
        assert (again, empty) == (304, "")
        for path in ("/assets/..%2f..%2fpyproject.toml", "/assets/none.js", "/assets/", "/__init__.py"):
            status, problem, _ = await port.get(path)
            assert (status, problem["status"]) == (404, 404)


async def test_only_reading_is_possible() -> None:
    async with admin_port(None) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(port.url.rpartition(":")[2]))
        writer.write(b"DELETE /api/sessions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 405")
