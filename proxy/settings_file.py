"""Settings from a YAML file and ``ORCHTAX_*`` environment variables, or one error that names everything wrong.

The environment wins. ``ORCHTAX_UPSTREAMS__MY_TOOL__BASE_URL`` is ``upstreams.my_tool.base_url``; where the file already
has ``my-tool`` it means that one. Lists and mappings are JSON. Counterpart: ``settings.py`` says what there is.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from proxy.aws_keys import key_problems
from proxy.settings import Settings

DEFAULT_FILE = "orchtax.yaml"
PREFIX = "ORCHTAX_"
MASK = "********"
_FOREIGN = re.compile(r"ORCHTAX_(SERVICE_(HOST|PORT)|PORT)(_\w+)?")
"""What Kubernetes sets in every pod beside a Service named ``orchtax``; no setting of ours has such a name."""
_SECRET = re.compile(r"token|secret|password|api_?key|access_key", re.IGNORECASE)
_USER_INFO = re.compile(r"//[^/@\s]*@")

Tree = dict[str, Any]
Keys = tuple[str, ...]


class BadSettings(ValueError):
    """Configuration that cannot be used. The text has one line a problem: key, value (secrets masked), remedy."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings and where each given key came from (``file`` or the variable's name); what is not in ``origins`` is
    a default or a preset."""

    settings: Settings
    file: str | None
    origins: Mapping[Keys, str]


def load(path: str | None) -> Settings:
    """Reads ``path``, or ``./orchtax.yaml`` where present, and the environment.

    Raises:
        BadSettings: names every problem.
    """
    return load_with_origins(path, os.environ).settings


def load_with_origins(path: str | None, environment: Mapping[str, str]) -> Loaded:
    """As :func:`load`, and says where each key came from."""
    file = path if path is not None else DEFAULT_FILE if Path(DEFAULT_FILE).is_file() else None
    tree = _read_file(file) if file is not None else {}
    origins: dict[Keys, str] = dict.fromkeys(_leaves(tree), "file")
    problems: list[str] = []
    for name in sorted(environment):
        if name.startswith(PREFIX) and not _FOREIGN.fullmatch(name) and environment[name] != "":
            _overlay(tree, origins, problems, (name, environment[name]))
    unknown = _unknown_keys(Settings, tree)
    problems += [_unknown(keys) for keys in unknown]
    try:
        settings = Settings.model_validate(_without(tree, unknown))
    except ValidationError as error:
        problems += [_problem(detail, tree, origins) for detail in error.errors()]
    if problems:
        raise BadSettings(problems)
    if problems := key_problems(settings.upstreams, environment):
        raise BadSettings(problems)
    return Loaded(settings, file, origins)


def masked(keys: Keys, value: object) -> str:
    """A value as it may be shown: secrets and user info in URLs are not."""
    if value is None:
        return "none"
    if any(_SECRET.search(key) for key in keys) and not isinstance(value, dict):
        return MASK
    return _USER_INFO.sub(f"//{MASK}@", str(value))


def _read_file(file: str) -> Tree:
    try:
        tree = yaml.load(Path(file).read_text(encoding="utf-8"), Loader=_Strict)  # noqa: S506  # a SafeLoader, below
    except FileNotFoundError:
        raise BadSettings([f"--config = {file!r}: there is no such file; give the path of a YAML file"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings([f"--config = {file!r}: cannot be read ({error}); give a readable UTF-8 file"]) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{file}, line {mark.line + 1}, column {mark.column + 1}" if mark else file
        raise BadSettings([f"{where}: {error.problem}; correct the YAML there"]) from None
    except yaml.YAMLError as error:
        raise BadSettings([f"{file}: {error}; correct the YAML"]) from None
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise BadSettings([f"{file}: holds a {type(tree).__name__}; write settings as `key: value` lines"])
    return tree


class _Strict(yaml.SafeLoader):
    """A key that stands twice is an error: the first of the two would silently not hold."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                continue
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} stands twice", key.start_mark)
            seen.add(key.value)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping


def _overlay(tree: Tree, origins: dict[Keys, str], problems: list[str], variable: tuple[str, str]) -> None:
    """Puts one environment variable into the tree."""
    name, text = variable
    given = tuple(name.removeprefix(PREFIX).lower().split("__"))
    keys = _matched(tree, given)
    field = _annotation(Settings, keys)
    if field is None:
        near = _nearest(Settings, keys)
        problems.append(f"{name} = {masked(keys, text)!r}: there is no setting {'.'.join(keys)}{near}")
        return
    value: Any = text
    if _is_container(field):
        try:
            value = json.loads(text)
        except ValueError:
            problems.append(f'{name} = {masked(keys, text)!r}: write JSON, such as {{"name": {{…}}}}')
            return
    branch = tree
    for depth, key in enumerate(keys[:-1]):
        if not isinstance(branch.get(key), dict):
            if branch.get(key) is not None:
                problems.append(f"{name}: {'.'.join(keys[: depth + 1])} holds a plain value; remove one of the two")
                return
            branch[key] = {}
        branch = branch[key]
    branch[keys[-1]] = value
    origins.update(dict.fromkeys(_leaves(value, keys) if isinstance(value, dict) else [keys], name))


def _matched(tree: Tree, given: Keys) -> Keys:
    """The environment's spelling → the file's: an environment name has neither ``-`` nor capitals."""
    keys: list[str] = []
    branch: Any = tree
    for part in given:
        names = branch if isinstance(branch, dict) else {}
        same = [str(name) for name in names if _plain(str(name)) == _plain(part)]
        key = part if part in names or len(same) != 1 else same[0]
        keys.append(key)
        branch = names.get(key)
    return tuple(keys)


def _plain(name: str) -> str:
    return re.sub(r"[-.]", "_", name.lower())


def _annotation(model: type[BaseModel], keys: Keys) -> Any:
    """The type of the setting at ``keys``; None when there is none."""
    annotation: Any = model
    for key in keys:
        if not key:
            return None
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            field = annotation.model_fields.get(key)
            if field is None:
                return None
            annotation = field.annotation
        elif get_origin(annotation) is dict:
            annotation = get_args(annotation)[1]
        else:
            return None
    return annotation


def _is_container(annotation: Any) -> bool:
    if get_origin(annotation) in {dict, list, tuple}:
        return True
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _without(tree: Tree, gone: list[Keys]) -> Tree:
    """The tree less some of its keys, so that the rest can still be checked."""
    for first, *rest in gone:
        if rest:
            tree = {**tree, first: _without(tree[first], [tuple(rest)])}
        else:
            tree = {key: value for key, value in tree.items() if key != first}
    return tree


def _unknown_keys(model: Any, tree: object, above: Keys = ()) -> list[Keys]:
    """Keys of ``tree`` that no setting has, found here so that the nearest known name can be given."""
    if not isinstance(tree, dict):
        return []
    found: list[Keys] = []
    is_model = isinstance(model, type) and issubclass(model, BaseModel)
    for key, value in tree.items():
        keys = (*above, str(key))
        below = _annotation(model, (str(key),)) if is_model or get_origin(model) is dict else None
        if is_model and below is None:
            found.append(keys)
        elif below is not None:
            found += _unknown_keys(below, value, keys)
    return found


def _unknown(keys: Keys) -> str:
    return f"{'.'.join(keys)}: there is no such setting{_nearest(Settings, keys)}"


def _nearest(model: type[BaseModel], keys: Keys) -> str:
    """``; did you mean …?`` with the known name closest to the first key that is unknown."""
    for depth in range(len(keys)):
        parent = _annotation(model, keys[:depth]) if depth else model
        if _annotation(model, keys[: depth + 1]) is not None:
            continue
        if not (isinstance(parent, type) and issubclass(parent, BaseModel)):
            return f"; {'.'.join(keys[:depth])} has nothing below it"
        known = list(parent.model_fields)
        close = difflib.get_close_matches(keys[depth], known, 1, 0.5)
        prefix = "".join(f"{key}." for key in keys[:depth])
        return f"; did you mean {prefix}{close[0]}?" if close else f"; known here: {', '.join(known)}"
    return ""


def _problem(detail: Any, tree: Tree, origins: Mapping[Keys, str]) -> str:
    """One pydantic error → key = value: what to write."""
    keys = tuple(str(part) for part in detail["loc"] if part != "[key]")
    remedy = _USER_INFO.sub(f"//{MASK}@", re.sub(r"^(Value error|Assertion failed), ", "", detail["msg"]))
    origin = origins.get(keys, "")
    source = f" (from {origin})" if origin.startswith(PREFIX) else ""
    if detail["type"] == "missing":
        return f"{'.'.join(keys)}: is missing; set it"
    value = detail["input"]
    if isinstance(value, dict | list):
        return f"{'.'.join(keys)}{source}: {remedy}"
    return f"{'.'.join(keys)} = {masked(keys, value)!r}{source}: {remedy}"


def _leaves(tree: object, above: Keys = ()) -> list[Keys]:
    if not isinstance(tree, dict) or not tree:
        return [above] if above else []
    return [leaf for key, value in tree.items() for leaf in _leaves(value, (*above, str(key)))]
