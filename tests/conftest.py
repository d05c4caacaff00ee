"""Fixtures that several folders share."""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from collectors.store.clickhouse import Store
from collectors.store.migrate import migrate


@pytest.fixture(scope="session")
def chdb() -> None:
    """Skips where the embedded engine is not installed."""
    if importlib.util.find_spec("chdb") is None:
        pytest.skip("needs the embedded engine: pip install 'orchtax[embedded]'")


@pytest.fixture
async def empty_engine(chdb: None, tmp_path: Path) -> AsyncIterator[Store]:
    """A real embedded store on a fresh directory, without tables. One process has one engine: a test has one store."""
    store = await Store.open("chdb://", tmp_path / "store")
    yield store
    await store.close()


@pytest.fixture
async def engine(empty_engine: Store) -> Store:
    """A real embedded store on a fresh directory, with the current schema."""
    await migrate(empty_engine)
    return empty_engine
