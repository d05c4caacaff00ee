"""The demo's texts: files of ``texts/`` filled in with the facts of a case."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from string import Template

from proxy.demo.cases import facts


@cache
def _template(name: str) -> Template:
    return Template((files("proxy.demo") / "texts" / f"{name}.md").read_text("utf-8").strip())


def text(name: str, session: str = "") -> str:
    """Text ``name`` (``routed/policy``) with ``$fact`` places filled for the session's case.

    Raises:
        FileNotFoundError: no such text. KeyError: it asks for a fact that the case lacks.
    """
    return _template(name).substitute(facts(session) if session else {})


def filled(template: str, session: str) -> str:
    """A short text given in place, filled in likewise; ``@name`` stands for the text of that name."""
    if template.startswith("@"):
        return text(template[1:], session)
    return Template(template).substitute(facts(session))
