"""The README is checked against the product: settings, commands, targets, presets, links and code cannot go stale."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
import yaml
from pydantic import BaseModel, SecretStr
from pydantic_core import PydanticUndefined

from proxy.cli import app
from proxy.presets import PRESETS
from proxy.settings import Price, Settings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CHANGELOG.md",
    "deploy/README.md",
    "docs/decisions/README.md",
)
ROW = re.compile(r"^\| `([\w.]+)` \| (.+?) \| (.+) \|$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def settings_of(model: type[BaseModel], above: str = "") -> Iterator[tuple[str, Any]]:
    """Every setting by its dotted name, with its default; what an operator names himself is NAME or MODEL."""
    for name, field in model.model_fields.items():
        annotation, key = field.annotation, f"{above}{name}"
        if get_origin(annotation) is dict:
            value = get_args(annotation)[1]
            yield from settings_of(value, f"{key}.{'MODEL' if value is Price else 'NAME'}.")
        elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from settings_of(annotation, f"{key}.")
        else:
            yield key, field.get_default()


def printed(default: Any) -> str:
    """A default as the table has it."""
    match default:
        case None:
            return "none"
        case SecretStr():
            return f"`{default.get_secret_value()}`"
        case bool():
            return f"`{str(default).lower()}`"
        case int() | float() | Decimal():
            return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"
        case "":
            return '`""`'
        case _:
            return "required" if default is PydanticUndefined else f"`{default}`"


def section(title: str) -> str:
    return README.split(f"\n## {title}\n")[1].split("\n## ")[0]


def slug(heading: str) -> str:
    """A heading's anchor, as the usual renderers make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def code(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def test_every_setting_stands_in_the_table_with_its_default() -> None:
    table = {key: default for key, default, _ in ROW.findall(section("Settings"))}
    assert table == {key: printed(default) for key, default in settings_of(Settings)}


def test_every_command_is_described_and_no_other() -> None:
    known = {command.name for command in app.registered_commands}
    described = set(re.findall(r"^\| `orchtax ([\w-]+)`", README, re.MULTILINE))
    assert described == known
    assert set(re.findall(r"`orchtax ([\w-]+)[ `]", README)) <= known


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for page in PAGES:
        named = set(re.findall(r"(?:^|`)make (\w+)", (ROOT / page).read_text("utf-8"), re.MULTILINE))
        assert named <= targets, page
    assert {"demo", "test", "bench"} <= set(re.findall(r"^make (\w+)", README, re.MULTILINE))


def test_every_preset_is_named() -> None:
    known = re.search(r"Known without configuration: (.*?)\. Anything", README, re.DOTALL)
    assert known is not None
    assert set(re.findall(r"`(\w+)`", known[1])) == set(PRESETS)


@pytest.mark.parametrize("page", PAGES)
def test_no_link_is_dead(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    anchors = {slug(heading) for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}
    for link in LINK.findall(text):
        path, _, anchor = link.partition("#")
        if path:
            assert ((ROOT / page).parent / path).exists(), link
        else:
            assert anchor in anchors, link


def test_the_code_compiles() -> None:
    blocks = code("python")
    assert blocks
    for block in blocks:
        compile(block, "README.md", "exec")


def test_the_configuration_is_valid() -> None:
    blocks = code("yaml")
    assert blocks
    for block in blocks:
        Settings.model_validate(yaml.safe_load(block))
