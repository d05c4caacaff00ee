"""Agents as people write them, one pattern a file: each exports ``FLEET``. They know nothing of orchtax."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from collectors.records import Role
from proxy.demo.desk import Desk


@dataclass(frozen=True, slots=True)
class Fleet:
    """A pattern. ``run`` plays one session; ``roles`` go into orchtax's configuration, unnamed stages work."""

    name: str
    title: str
    run: Callable[[Desk], Awaitable[str]]
    place: int  # order of showing
    roles: Mapping[str, Role] = field(default_factory=dict)


def load() -> tuple[Fleet, ...]:
    """All fleets, in the order of showing."""
    names = [module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")]
    found = [importlib.import_module(f"{__name__}.{name}").FLEET for name in names]
    return tuple(sorted(found, key=lambda fleet: fleet.place))
