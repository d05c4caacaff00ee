"""What the models answer, one file a fleet: each exports ``SCRIPT``; the file's name is the fleet's."""

from __future__ import annotations

import importlib
import pkgutil

from proxy.demo.play import Script


def load() -> dict[str, Script]:
    """All scripts by fleet name."""
    names = [module.name for module in pkgutil.iter_modules(__path__)]
    return {name: importlib.import_module(f"{__name__}.{name}").SCRIPT for name in names}
