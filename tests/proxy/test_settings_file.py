"""Settings from file and environment: what wins, and that every error names key, value and remedy."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from proxy.settings import Settings
from proxy.settings_file import MASK, BadSettings, Loaded, load_with_origins


def loaded(tmp_path: Path, text: str, **environment: str) -> Loaded:
    file = tmp_path / "orchtax.yaml"
    file.write_text(text, encoding="utf-8")
    return load_with_origins(str(file), {f"ORCHTAX_{name}": value for name, value in environment.items()})


def problems(tmp_path: Path, text: str, **environment: str) -> tuple[str, ...]:
    with pytest.raises(BadSettings) as caught:
        loaded(tmp_path, text, **environment)
    return caught.value.problems


def test_no_file_and_no_environment_gives_the_defaults(tmp_path: Path) -> None:
    assert loaded(tmp_path, "").settings == Settings()
    assert loaded(tmp_path, "# nothing yet\n").origins == {}


def test_the_environment_wins_field_by_field(tmp_path: Path) -> None:
    text = "workers: 2\nadmin: {listen: '127.0.0.1:9001'}\nupstreams: {search: {kind: tool, base_url: 'http://a'}}\n"
    found = loaded(tmp_path, text, WORKERS="3", UPSTREAMS__SEARCH__PRICE_PER_CALL_USD="0.005", DRAIN_S="")
    assert found.settings.workers == 3
    assert found.settings.admin.listen == "127.0.0.1:9001"
    search = found.settings.upstreams["search"]
    assert (search.kind, search.base_url, search.price_per_call_usd) == ("tool", "http://a", Decimal("0.005"))
    assert found.origins["workers",] == "ORCHTAX_WORKERS"
    assert found.origins["admin", "listen"] == "file"


def test_environment_spellings_reach_names_with_dashes_and_capitals(tmp_path: Path) -> None:
    price = "{input_per_million_usd: 1, output_per_million_usd: 2}"
    text = f"upstreams: {{my-tool: {{kind: tool, base_url: 'http://a'}}}}\nprices: {{My-Model.v2: {price}}}\n"
    found = loaded(
        tmp_path, text, UPSTREAMS__MY_TOOL__BASE_URL="http://b", PRICES__MY_MODEL_V2__INPUT_PER_MILLION_USD="7"
    ).settings
    assert found.upstreams["my-tool"].base_url == "http://b"
    assert found.prices["My-Model.v2"].input_per_million_usd == 7
    assert "my_tool" not in found.upstreams


def test_environment_alone_adds_an_upstream_and_takes_json_for_mappings(tmp_path: Path) -> None:
    stages = '{"router": {"role": "route"}, "valid*": {"role": "validate"}}'
    found = loaded(tmp_path, "", UPSTREAMS__OWN__BASE_URL="http://127.0.0.1:9", STAGES=stages).settings
    assert found.upstreams["own"].kind == "model"
    assert {name: stage.role for name, stage in found.stages.items()} == {"router": "route", "valid*": "validate"}
    assert found.upstreams["openai"].base_url.startswith("https://")


@pytest.mark.parametrize(
    ("text", "environment", "named"),
    [
        ("wokers: 2", {}, ("wokers", "did you mean workers?")),
        ("limits: {max_conections: 5}", {}, ("limits.max_conections", "limits.max_connections")),
        ("upstreams: {x: {base_ulr: 'http://a'}}", {}, ("upstreams.x.base_ulr", "upstreams.x.base_url")),
        ("", {"WROKERS": "2"}, ("ORCHTAX_WROKERS", "'2'", "workers")),
        ("", {"LISTEN__PORT": "2"}, ("ORCHTAX_LISTEN__PORT", "listen has nothing below it")),
        ("workers: 0", {}, ("workers", "'0'", "greater than or equal to 1")),
        ("", {"WORKERS": "many"}, ("workers", "'many'", "ORCHTAX_WORKERS", "integer")),
        ("listen: nowhere", {}, ("listen", "'nowhere'", "127.0.0.1:8400")),
        ("upstreams: {x: {base_url: 'ftp://a'}}", {}, ("upstreams.x.base_url", "'ftp://a'", "https://")),
        ("upstreams: {x: {kind: tool}}", {}, ("upstreams.x.base_url", "missing")),
        ("upstreams: {X Y: {base_url: 'http://a'}}", {}, ("upstreams", "X Y")),
        ("store: {url: 'mysql://u:hunter2@h/db'}", {}, ("store.url", MASK, "clickhouse://")),
        ("admin: {listen: '0.0.0.0:8401'}", {}, ("admin", "admin.token")),
        ("", {"STAGES": "router=route"}, ("ORCHTAX_STAGES", "JSON")),
        ("workers: 1\nworkers: 2", {}, ("line 2", "stands twice")),
        ("a: [1\nb: 2", {}, ("line 2", "YAML")),
        ("- workers", {}, ("list", "key: value")),
        ("workers: \tx: {", {}, ("line 1",)),
        ("upstreams: 5", {}, ("upstreams",)),
    ],
)
def test_an_error_names_key_value_and_remedy(
    tmp_path: Path, text: str, environment: dict[str, str], named: tuple[str, ...]
) -> None:
    told = "\n".join(problems(tmp_path, text, **environment))
    assert all(word in told for word in named), told
    assert "hunter2" not in told


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    assert len(problems(tmp_path, "workers: 0\ndrain_s: -1\nlisten: x\n")) == 3
    assert len(problems(tmp_path, "wokers: 1\nlisen: x\n", NOPE="1")) == 3


def test_an_unknown_key_hides_no_other_problem(tmp_path: Path) -> None:
    told = problems(tmp_path, "workrs: 2\nworkers: 0\nadmin: {listen: '0.0.0.0:1', tokn: x}\n")
    assert len(told) == 4
    for key in ("workrs", "workers", "admin.tokn", "admin.token"):
        assert any(key in problem for problem in told), key


def test_what_kubernetes_sets_beside_a_service_is_not_a_setting(tmp_path: Path) -> None:
    foreign = {"PORT": "tcp://10.0.0.1:8400", "SERVICE_HOST": "10.0.0.1", "PORT_8400_TCP_ADDR": "10.0.0.1"}
    assert loaded(tmp_path, "", **foreign).settings == Settings()


def test_secrets_are_masked_in_errors(tmp_path: Path) -> None:
    told = problems(tmp_path, "admin: {token: [canary-1]}\n")
    assert "canary-1" not in "".join(told)
    told = problems(tmp_path, "", ADMIN__TOKEN__X="canary-2", STORE__URL="pg://me:canary-3@host/db")
    assert not any(word in "".join(told) for word in ("canary-2", "canary-3"))


def test_a_missing_file_is_named() -> None:
    with pytest.raises(BadSettings, match=r"/nowhere/o\.yaml.*no such file"):
        load_with_origins("/nowhere/o.yaml", {})
