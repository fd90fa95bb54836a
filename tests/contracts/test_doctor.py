"""`detector doctor` on a real PostgreSQL."""

from __future__ import annotations

from itertools import count

import psycopg
import pytest

from detector.errors import StoreError
from detector.hosts.doctor_store import _store
from detector.store import open_store
from detector.store.migrations import scripts
from tests.parts.postgresql import Server

_NUMBERS = count()
KNOWN = len(scripts("postgresql"))


@pytest.fixture
def database(postgresql: Server) -> str:
    """Name of an empty database."""
    name = f"doctor_{next(_NUMBERS)}"
    postgresql.create(name)
    return name


def of(url: str) -> list[tuple[str, str]]:
    """Return level and words."""
    return [(finding.level, finding.what) for finding in _store(url)]


def test_an_empty_database_is_fine_and_stays_empty(postgresql: Server, database: str) -> None:
    """Looking makes no tables."""
    url = postgresql.url(database)

    assert of(url) == of(url) == [("ok", "has no tables yet, a first run makes them")]


def test_a_database_is_judged_by_its_schema(postgresql: Server, database: str) -> None:
    """Ours, one behind, one ahead."""
    url = postgresql.url(database)
    open_store(url).close()
    assert of(url) == [("ok", f"has schema {KNOWN}")]

    with psycopg.connect(url, autocommit=True) as db:
        db.execute("delete from schema_version where number = %s", (KNOWN,))
        assert of(url)[0] == (
            "warning",
            f"has schema {KNOWN - 1}, the next start brings it to {KNOWN}",
        )
        db.execute("insert into schema_version (number) values (99)")
    with pytest.raises(StoreError, match="has schema 99, this version knows"):
        of(url)


def test_missing_rights_are_named(postgresql: Server, database: str) -> None:
    """Before the first alert cannot be written."""
    open_store(postgresql.url(database)).close()
    with psycopg.connect(postgresql.url(database), autocommit=True) as db:
        db.execute("drop role if exists looker")
        db.execute("create role looker login")
        db.execute("grant select on all tables in schema public to looker")
    errors = [what for level, what in of(postgresql.url(database, "looker")) if level == "error"]

    assert errors == [
        "lets this user not insert in alert",
        "lets this user not insert, update in checkpoint",
    ]


def test_a_server_that_is_not_there_is_an_error_without_a_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With what libpq says."""
    monkeypatch.setenv("PGPASSWORD", "hunter2")
    (finding,) = _store("postgresql://writer@127.0.0.1:1/alerts")

    assert finding.level == "error"
    assert "refused" in finding.what
    assert "hunter2" not in str(finding)


def test_a_database_that_does_not_exist_is_named(postgresql: Server) -> None:
    """A typing error in the URL."""
    (finding,) = _store(postgresql.url("nowhere"))

    assert 'database "nowhere" does not exist' in finding.what
