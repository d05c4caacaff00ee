"""The demo's configuration is one that orchtax takes, its prices are the ones the independent count uses."""

from __future__ import annotations

import socket
from contextlib import ExitStack, suppress
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from proxy.demo import config, fleets, scripts
from proxy.demo.options import Options, parse
from proxy.settings import Settings
from tests.e2e.ledger_of_provider import PRICE_OF_TOOL_CALL, PRICES


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    roles = {stage: role for fleet in fleets.load() for stage, role in fleet.roles.items()}
    config.write_config(tmp_path / "orchtax.yaml", tmp_path / "data", config.Ports(8400, 8401, 9001, 9002), roles)
    return Settings.model_validate(yaml.safe_load((tmp_path / "orchtax.yaml").read_text()))


def test_settings_accept_it(settings: Settings) -> None:
    assert settings.upstreams["openai"].base_url == "http://127.0.0.1:9001"
    assert settings.upstreams["library"].kind == "mcp"
    assert {stage: entry.role for stage, entry in settings.stages.items()} == {
        "router": "route",
        "validator": "validate",
        "planner": "plan",
        "aggregator": "aggregate",
        "supervisor": "coordinate",
    }


def test_prices_are_those_of_the_independent_count(settings: Settings) -> None:
    own = settings.prices["house-70b"]
    assert (own.input_per_million_usd, own.cached_input_per_million_usd, own.output_per_million_usd) == (
        PRICES["house-70b"].fresh,
        PRICES["house-70b"].cached,
        PRICES["house-70b"].output,
    )
    fees = {name: settings.upstreams[name].price_per_call_usd for name in ("library", "orders")}
    assert fees == {"library": PRICE_OF_TOOL_CALL["mcp"], "orders": PRICE_OF_TOOL_CALL["tool"]}


def test_every_stage_with_a_role_has_lines() -> None:
    lines = scripts.load()
    assert {f.name for f in fleets.load()} == set(lines)
    assert all(stage in lines[f.name] for f in fleets.load() for stage in f.roles)


def test_other_ports_where_the_usual_ones_are_taken() -> None:
    with ExitStack() as held:
        with suppress(OSError):  # taken by somebody else: just as well
            held.enter_context(socket.create_server(("127.0.0.1", 8401)))
        assert not set(config.free_ports()) & set(config.USUAL_PORTS)


def test_command_line() -> None:
    assert parse([]) == Options(sessions=3, as_json=False, keep=False, stay=None)
    assert parse(["--sessions", "1", "--json", "--keep", "--no-stay"]) == Options(1, True, True, False)
    assert not Options(as_json=True).stays


@pytest.mark.parametrize("arguments", [["--sessions", "0"], ["--sessions", "x"], ["--sessions", "51"], ["--what"]])
def test_bad_command_lines(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        parse(arguments)
    assert left.value.code == 2
    assert arguments[-1] in capsys.readouterr().err


def test_money_of_the_independent_count_is_whole_nano_dollars() -> None:
    nano_per_token = [price * 1000 for row in PRICES.values() for price in row]
    assert all(price == price.to_integral() for price in nano_per_token)
    assert Decimal("0.002") in PRICE_OF_TOOL_CALL.values()
