"""``@noun``: a frozen dataclass to the type checker, without the price of frozenness at run time.

A frozen dataclass sets each field through ``object.__setattr__``: 14 µs for a :class:`~collectors.records.CallRecord`
instead of 4, some 80 µs of a call all told. Nouns that are made for each call are declared with this; ``mypy --strict``
refuses to assign to them all the same. See ``docs/decisions/0003-lean-hot-path.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def noun(cls: type[T]) -> type[T]:
    """A dataclass with slots, equality and hash by value, never assigned to after it was made."""
    return dataclass(slots=True, unsafe_hash=True)(cls)
