"""Who called, as a running orchtax records it: by what clients send, by ids it saw, over workers and restarts."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from collectors.records import CallRecord
from proxy.dialects import Json
from tests.proxy.evidence.cases import CASES, TRACEPARENT, Case
from tests.serving import Serving, serving, spooled
from tests.upstream import Seen, Upstream, answer, until, upstream

NO_STORE = {"url": "clickhouse://127.0.0.1:9/orchtax"}  # records stay in the spool, where these tests read them
KNOWN = {"X-Orchtax-Session": "s1", "X-Orchtax-Stage": "planner"}
ANTHROPIC = "/anthropic/v1/messages"
RESPONSES = "/openai/v1/responses"
QUESTION: dict[str, Json] = {
    "/openai/v1/chat/completions": {"model": "m", "messages": [{"role": "user", "content": "hi"}]},
    ANTHROPIC: {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]},
    RESPONSES: {"model": "m", "input": "hi"},
    "/agent/writer": {"jsonrpc": "2.0", "id": 1, "method": "message/send"},
    "/mcp/docs": {"jsonrpc": "2.0", "id": 1},
    "/tool/search": {"q": "x"},
}
PATHS = {"model": "/openai/v1/chat/completions", "agent": "/agent/writer", "mcp": "/mcp/docs", "tool": "/tool/search"}


def provider() -> Any:
    """Answers in the form of whatever was asked, with a fresh id each time."""
    ids: Iterator[int] = itertools.count(1)

    async def respond(seen: Seen) -> AsyncIterator[bytes]:
        n, extra = next(ids), ""
        usage = {"input_tokens": 1, "output_tokens": 1}
        body: Json = {"id": f"chatcmpl-{n}", "model": "m", "choices": []}
        if seen.target.endswith("/messages"):
            body = {"id": f"msg_{n}", "type": "message", "model": "m", "content": [], "usage": usage}
        elif "/responses" in seen.target:
            body = {"id": f"resp_{n}", "object": "response", "status": "completed", "output": [], "usage": usage}
        elif "/mcp" in seen.target:
            extra = f"Mcp-Session-Id: tools-{n}\r\n"
            body = {"jsonrpc": "2.0", "id": 1, "result": {"content": []}}
        elif "/a2a" in seen.target:
            task = {"kind": "task", "id": f"task-{n}", "contextId": f"ctx-{n}", "status": {"state": "completed"}}
            body = {"jsonrpc": "2.0", "id": 1, "result": task}
        yield answer(orjson.dumps(body), extra=extra)

    return respond


class Stand:
    """orchtax in front of the provider."""

    def __init__(self, running: Serving) -> None:
        self.running = running
        self.sent = 0

    async def send(self, path: str, headers: Any = (), body: Json | None = None) -> tuple[CallRecord, Json, Any]:
        """One call on a connection of its own: its record, its answer, the answer's headers."""
        data = orjson.dumps({**QUESTION.get(path, {}), **(body or {})})
        told = {"Content-Type": "application/json", **dict(headers)}
        async with (
            aiohttp.ClientSession(skip_auto_headers=("User-Agent",)) as session,
            session.post(self.running.url + path, data=data, headers=told) as response,
        ):
            assert response.status == 200, await response.text()
            said = await response.json()
            call_id = response.headers["X-Orchtax-Call-Id"]
        found: list[CallRecord] = []

        def is_there() -> bool:
            found[:] = [record for record in spooled(self.running.data) if record.call_id == call_id]
            return bool(found)

        await until(is_there, what="the record")
        return found[0], said, response.headers


@asynccontextmanager
async def standing(tmp: Path, server: Upstream, workers: int = 1) -> AsyncIterator[Stand]:
    upstreams = {
        "openai": {"base_url": server.url},
        "anthropic": {"base_url": server.url},
        "docs": {"kind": "mcp", "base_url": server.url + "/mcp"},
        "writer": {"kind": "agent", "base_url": server.url + "/a2a"},
        "search": {"kind": "tool", "base_url": server.url + "/tool"},
    }
    async with serving(tmp, store=NO_STORE, upstreams=upstreams, workers=workers) as running:
        yield Stand(running)


async def test_each_client_is_recorded_as_it_names_itself(tmp_path: Path) -> None:
    async with upstream(provider()) as server, standing(tmp_path, server) as stand:
        for n, case in enumerate(CASES):
            apart = {"Authorization": f"Bearer {n}", **({} if "tenant" in case.more else {"X-Orchtax-Tenant": str(n)})}
            record, _, told = await stand.send(PATHS[case.to], {**apart, **case.headers}, case.body)
            assert (record.session_id, record.session_source, record.session_confidence) == case.session, case.name
            assert (record.stage, record.stage_source, record.stage_confidence) == case.stage, case.name
            assert {name: getattr(record, name) for name in case.more} == dict(case.more), case.name
            assert told.get("X-Orchtax-Session", "") == case.session[0]


async def test_an_own_header_is_refused_before_the_body_is_read_and_a_peer_s_never(tmp_path: Path) -> None:
    async with upstream(provider()) as server, standing(tmp_path, server) as stand:
        record, *_ = await stand.send(PATHS["model"], {"Helicone-Session-Id": "x" * 300})
        assert record.session_id == ""
        async with aiohttp.ClientSession() as session:
            headers = {"X-Orchtax-Session": "x" * 300, "Content-Length": "1000000", "Expect": "100-continue"}
            async with session.post(stand.running.url + PATHS["model"], headers=headers) as response:
                assert response.status == 400
                assert "X-Orchtax-Session" in await response.text()
        assert len(server.seen) == 1


def _named(path: str, said: Json, told: Any) -> Case:
    """A call that names what this answer gave out."""
    match path:
        case "/anthropic/v1/messages":
            return Case(path, body={"diagnostics": {"previous_message_id": said["id"]}})
        case "/openai/v1/responses":
            return Case(path, body={"previous_response_id": said["id"]})
        case "/mcp/docs":
            return Case(path, {"Mcp-Session-Id": told["Mcp-Session-Id"]}, {"method": "tools/list"})
        case _:
            return Case(path, body={"params": {"message": {"contextId": said["result"]["contextId"]}}})


CHAINS = [ANTHROPIC, RESPONSES, "/mcp/docs", "/agent/writer"]


async def test_a_chain_belongs_to_its_first_call_also_after_a_restart(tmp_path: Path) -> None:
    async with upstream(provider()) as server:
        named: dict[str, Case] = {}
        async with standing(tmp_path, server) as stand:
            for path in CHAINS:
                body = {"method": "initialize"} if path == "/mcp/docs" else {}
                _, said, told = await stand.send(path, KNOWN, body)
                named[path] = _named(path, said, told)
                second, said, told = await stand.send(path, named[path].headers, named[path].body)
                assert _join(second) == ("s1", "protocol", 0.95, "planner"), path
                if path != "/mcp/docs":
                    third = _named(path, said, told)
                    assert (await stand.send(path, body=third.body))[0].session_id == "s1", path
            await stand.running.stop()
        async with standing(tmp_path, server) as stand:
            for path in CHAINS:
                again, *_ = await stand.send(path, named[path].headers, named[path].body)
                assert _join(again) == ("s1", "protocol", 0.95, "planner"), path
                stranger = {**named[path].headers, "Authorization": "Bearer another"}
                assert (await stand.send(path, stranger, named[path].body))[0].session_id == "", path


def _join(record: CallRecord) -> tuple[str, str, float, str]:
    return record.session_id, record.session_source, record.session_confidence, record.parent


async def test_workers_know_each_other_s_ids(tmp_path: Path) -> None:
    async with upstream(provider()) as server, standing(tmp_path, server, workers=2) as stand:
        workers: set[str] = set()
        case = Case("first")
        for n in itertools.count():
            headers = {**(KNOWN if n == 0 else {}), "traceparent": TRACEPARENT}
            record, said, told = await stand.send(ANTHROPIC, headers if n % 2 == 0 else {}, case.body)
            assert record.session_id == "s1", n
            case = _named(ANTHROPIC, said, told)
            workers.add(record.worker)
            if n > 5 and len(workers) == 2:
                break
            assert n < 60, "all connections went to one worker"


@pytest.mark.parametrize("to", ["tool", "mcp"])
async def test_a_trace_brings_tools_into_the_session(tmp_path: Path, to: str) -> None:
    async with upstream(provider()) as server, standing(tmp_path, server) as stand:
        known = {**KNOWN, "traceparent": TRACEPARENT, "Authorization": "Bearer k"}
        await stand.send(PATHS["model"], known)
        record, *_ = await stand.send(PATHS[to], {"traceparent": TRACEPARENT}, {"method": "tools/list"})
        assert (record.session_id, record.session_source, record.session_confidence) == ("s1", "baggage", 0.7)
        assert record.trace_id == TRACEPARENT.split("-")[1]
