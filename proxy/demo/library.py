"""What the demo's tools know: a small library that is really searched, orders, and arithmetic that is really done."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable
from importlib.resources import files
from typing import Final

from proxy.demo.cases import ORDERS

_WORD = re.compile(r"[a-z0-9]+")
_BASE: Final = "https://library.example/"
_OPERATIONS: Final[dict[type[ast.operator], Callable[[float, float], float]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def _documents() -> dict[str, str]:
    folder = files("proxy.demo") / "texts" / "library"
    return {
        f.name.removesuffix(".md"): f.read_text("utf-8").strip() for f in folder.iterdir() if f.name.endswith(".md")
    }


def search(query: str, most: int = 3) -> str:
    """The documents that share most words with the query, with address, title and first paragraph."""
    wanted = set(_WORD.findall(query.lower()))
    ranked = sorted(_documents().items(), key=lambda item: (-_shared(wanted, item[1]), item[0]))
    found = [(name, body) for name, body in ranked[:most] if _shared(wanted, body)]
    return "\n\n".join(f"{_BASE}{name}\n{_opening(body)}" for name, body in found) or "Nothing found."


def _shared(wanted: set[str], body: str) -> int:
    return len(wanted & set(_WORD.findall(body.lower())))


def _opening(body: str) -> str:
    return "\n".join(body.split("\n\n")[:2])


def fetch(url: str) -> str:
    """A document in full. Raises ``ValueError`` for an address that the library does not hold."""
    body = _documents().get(url.removeprefix(_BASE))
    if body is None:
        raise ValueError(f"{url} is not in the library; search gives the addresses")
    return body


def calculate(expression: str) -> str:
    """Plain arithmetic (+ - * / and brackets). Raises ``ValueError`` on anything else."""
    try:
        value = _value(ast.parse(expression, mode="eval").body)
    except (SyntaxError, ZeroDivisionError) as error:
        raise ValueError(f"cannot calculate {expression!r}: {error}") from error
    return f"{expression} = {value:g}" if abs(value) < 1e5 else f"{expression} = {value:.2f}"


def _value(node: ast.expr) -> float:
    match node:
        case ast.Constant(value=int() | float() as number):
            return number
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return -_value(inner)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATIONS:
            return _OPERATIONS[type(op)](_value(left), _value(right))
        case _:
            raise ValueError("only numbers, + - * / and brackets")


def order(number: str) -> dict[str, str]:
    """The shop's record of an order. Raises ``KeyError`` for an unknown number."""
    return dict(ORDERS[number])
