"""The tools' knowledge: arithmetic is right, search finds, nothing but arithmetic is worked out."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.demo import library
from proxy.demo.cases import ORDERS

numbers = st.integers(1, 999)


@given(numbers, numbers, numbers, st.sampled_from("+-*/"), st.sampled_from("+-*/"))
def test_arithmetic(a: int, b: int, c: int, first: str, second: str) -> None:
    expression = f"{a} {first} ({b} {second} {c})"
    inner = _apply(second, Fraction(b), Fraction(c))
    if first == "/" and inner == 0:
        with pytest.raises(ValueError, match="cannot calculate"):
            library.calculate(expression)
        return
    truth = _apply(first, Fraction(a), inner)
    said = float(library.calculate(expression).rpartition(" = ")[2])
    assert said == pytest.approx(float(truth), rel=1e-5, abs=0.01)


def _apply(sign: str, left: Fraction, right: Fraction) -> Fraction:
    match sign:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case _:
            return left / right


@pytest.mark.parametrize("expression", ["__import__('os')", "a + 1", "2 ** 9", "'x' * 9", "1 +", "[1][0]"])
def test_nothing_but_arithmetic(expression: str) -> None:
    with pytest.raises(ValueError, match=r"only numbers|cannot calculate"):
        library.calculate(expression)


def test_search_leads_to_documents_that_can_be_fetched() -> None:
    found = library.search("heat pump grid transformer connection")
    first = found.splitlines()[0]
    assert first == "https://library.example/heat-grid"
    assert "transformer" in library.fetch(first)


def test_search_without_a_hit_and_fetch_of_nothing() -> None:
    assert library.search("xylophone zeppelin") == "Nothing found."
    with pytest.raises(ValueError, match="not in the library"):
        library.fetch("https://library.example/../secrets")


def test_every_order_of_the_letters_is_known() -> None:
    assert all(library.order(number)["order"] == number for number in ORDERS)
