"""The command line as a person runs it: real processes, exit codes, what is printed where."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from collectors.store.clickhouse import Store
from tests.admin_port import admin_port
from tests.seeding import demo_sessions, seed, tax_of

SESSIONS = demo_sessions()
COMMANDS = ("serve", "demo", "report", "session", "check")


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


async def orchtax(*arguments: str, cwd: Path, **environment: str) -> Ran:
    """Runs it in ``cwd`` with no ORCHTAX_ variables but those given."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ORCHTAX_")}
    root = str(Path(__file__).parents[2])
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "proxy.cli", *arguments,
        cwd=cwd,
        env={**inherited, **environment, "PYTHONPATH": root, "COLUMNS": "160"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return Ran(process.returncode, out.decode(), err.decode())


async def test_version_and_help_with_an_example_each(tmp_path: Path) -> None:
    assert (await orchtax("--version", cwd=tmp_path)).out.startswith("orchtax ")
    for command in COMMANDS:
        ran = await orchtax(command, "-h", cwd=tmp_path)
        assert ran.code == 0
        assert f"orchtax {command}" in ran.out


@pytest.mark.parametrize("arguments", [("repotr",), ("report", "--limit", "0"), ("session",), ("report", "--nope")])
async def test_bad_usage_is_2(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    ran = await orchtax(*arguments, cwd=tmp_path)
    assert (ran.code, bool(ran.err), "Traceback" in ran.err) == (2, True, False)


@pytest.mark.engine
async def test_report_and_session_from_a_running_collector(engine: Store, tmp_path: Path) -> None:
    await seed(engine, SESSIONS)
    async with admin_port(engine) as port:
        run = {"pid": os.getpid(), "listen": "", "admin": port.url.removeprefix("http://")}
        (tmp_path / ".orchtax").mkdir()
        (tmp_path / ".orchtax" / "run.json").write_text(json.dumps(run))
        as_json = await orchtax("report", "--json", cwd=tmp_path)
        table = await orchtax("report", "--url", port.url, cwd=tmp_path)
        one = await orchtax("session", "support-4711", cwd=tmp_path)
        one_json = await orchtax("session", "support-4711", "--json", cwd=tmp_path)
        absent = await orchtax("session", "nobody", cwd=tmp_path)
        nothing = await orchtax("report", "--session", "nobody", "--json", cwd=tmp_path)
        bad = await orchtax("report", "--since", "soon", cwd=tmp_path)
        _, api, _ = await port.get("/api/report")
    assert (as_json.code, as_json.json()) == (0, api)
    assert table.code == 0
    for _, analysis in SESSIONS:
        assert analysis.session.session_id in table.out
    assert "insufficient coverage" in table.out
    assert "1 call without a known price" in table.out
    assert one.code == 0
    assert f"{tax_of(SESSIONS[0][1]):,}" in one.out
    assert one_json.json()["receipt"]["tax"]["tokens"] == tax_of(SESSIONS[0][1])
    assert (absent.code, "nobody" in absent.err) == (1, True)
    assert (nothing.code, nothing.json()["sessions"]) == (1, [])
    assert (bad.code, "soon" in bad.err, "Traceback" in bad.err) == (2, True, False)


@pytest.mark.engine
async def test_report_reads_the_store_itself_when_nothing_runs(empty_engine: Store, tmp_path: Path) -> None:
    """One process at a time may have the store: a second one writes it, then it is read."""
    await empty_engine.close()
    program = (
        "import asyncio\nfrom pathlib import Path\nfrom collectors.store.clickhouse import Store\n"
        "from collectors.store.migrate import migrate\nfrom tests.seeding import demo_sessions, seed\n"
        "async def main():\n    store = await Store.open('chdb://', Path('.orchtax/store'))\n"
        "    await migrate(store)\n    await seed(store, demo_sessions())\n    await store.close()\n"
        "asyncio.run(main())\n"
    )
    root = str(Path(__file__).parents[2])
    writer = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, cwd=tmp_path, env={**os.environ, "PYTHONPATH": root}
    )
    assert await asyncio.wait_for(writer.wait(), 60) == 0
    stale = {"pid": 2**22 + 1, "listen": "", "admin": "127.0.0.1:1"}
    (tmp_path / ".orchtax" / "run.json").write_text(json.dumps(stale))
    ran = await orchtax("report", "--json", "--sort", "tax", cwd=tmp_path)
    assert ran.code == 0, ran.err
    assert ran.json()["totals"]["tax"]["tokens"]["tax"] == sum(tax_of(analysis) for _, analysis in SESSIONS)


async def test_no_source_is_1_and_says_what_to_do(tmp_path: Path) -> None:
    ran = await orchtax("report", cwd=tmp_path)
    assert (ran.code, "orchtax serve" in ran.err) == (1, True)
    ran = await orchtax("session", "x", "--url", "http://127.0.0.1:1", cwd=tmp_path)
    assert (ran.code, "127.0.0.1:1" in ran.err, "Traceback" in ran.err) == (1, True, False)


async def test_a_token_from_the_settings_is_sent(tmp_path: Path) -> None:
    async with admin_port(None, token="s3cret") as port:
        without = await orchtax("report", "--url", port.url, cwd=tmp_path)
        with_token = await orchtax("report", "--url", port.url, cwd=tmp_path, ORCHTAX_ADMIN__TOKEN="s3cret")
    assert (without.code, "admin.token" in without.err) == (1, True)
    assert (with_token.code, "records are kept on disk" in with_token.err) == (1, True)


async def test_check_shows_settings_masked(tmp_path: Path) -> None:
    text = "workers: 3\nadmin: {token: canary-1}\nstore: {url: 'clickhouse://me:canary-2@db:8123/orchtax'}\n"
    (tmp_path / "orchtax.yaml").write_text(text)
    shown = await orchtax("check", cwd=tmp_path)
    told = await orchtax("check", "--json", cwd=tmp_path, ORCHTAX_DRAIN_S="7")
    assert (shown.code, told.code) == (0, 0)
    assert "canary" not in shown.out + told.out + shown.err + told.err
    settings = told.json()["settings"]
    assert (settings["workers"], settings["drain_s"]) == ("3", "7.0")
    assert settings["store.url"].endswith("@db:8123/orchtax")


@pytest.mark.parametrize("command", ["check", "report", "serve"])
async def test_a_bad_configuration_is_2_with_key_value_and_remedy(tmp_path: Path, command: str) -> None:
    (tmp_path / "o.yaml").write_text("wokers: 3\n")
    ran = await orchtax(command, "--config", "o.yaml", cwd=tmp_path)
    assert (ran.code, "Traceback" in ran.err) == (2, False)
    assert "wokers" in ran.err
    assert "did you mean workers?" in ran.err


async def test_check_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ran = await orchtax("check", "--json", cwd=tmp_path, ORCHTAX_DATA_DIR=str(tmp_path / "file" / "below"))
    told = ran.json()
    assert (ran.code, told["ok"]) == (1, False)
    assert any("data_dir" in lack for lack in told["missing"])
