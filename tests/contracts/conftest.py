"""Both databases, empty, for each test of the store's contract."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from detector.store import Store, open_store
from tests.parts.postgresql import Server


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Address of an empty store."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/alerts.db"
    running: Server = request.getfixturevalue("postgresql")
    return running.create("store")


@pytest.fixture
def opened(url: str) -> Iterator[Callable[[], Store]]:
    """Open the store; on SQLite, which allows one process, always the same one."""
    stores: list[Store] = []

    def another() -> Store:
        if not stores or url.startswith("postgresql"):
            stores.append(open_store(url))
        return stores[-1]

    yield another
    for store in stores:
        store.close()


@pytest.fixture
def store(opened: Callable[[], Store]) -> Store:
    """An empty store."""
    return opened()
