"""Passwords of a store: from the environment or a file, never shown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from detector.errors import OptionError, StoreError
from detector.store import open_store
from detector.store.address import address_of
from detector.store.roles import make_roles
from tests.parts.postgresql import Server


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://writer:s3cret@db/alerts",
        "postgresql://writer@db/alerts?password=s3cret",
        "postgresql://writer:s3cret@db:notaport/alerts",
        "postgresql://writer:s3cret@db/alerts?sslmode=require&x=s3cret",
        "postgresql://writer@db/alerts?x=s3cret",
        "postgresql://writer@db/alerts#s3cret",
        "postgresql://[s3cret/alerts",
    ],
)
def test_a_password_in_the_url_is_refused_and_never_repeated(url: str) -> None:
    """A URL ends in process lists, shell histories and logs."""
    with pytest.raises(OptionError) as raised:
        open_store(url)

    assert "s3cret" not in str(raised.value)


def test_a_password_comes_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And is never shown, not even by repr."""
    (tmp_path / "password").write_text("s3cret\n")
    monkeypatch.setenv("PGPASSWORD_FILE", str(tmp_path / "password"))
    address = address_of("postgresql://writer@db/alerts?sslmode=verify-full")

    assert address.parameters["password"] == "s3cret"  # noqa: S105
    assert "s3cret" not in repr(address)
    monkeypatch.setenv("PGPASSWORD_FILE", str(tmp_path / "nothing"))
    with pytest.raises(OptionError, match=r"PGPASSWORD_FILE.*cannot be read"):
        address_of("postgresql://writer@db/alerts")


@pytest.fixture
def closed_door(postgresql: Server) -> Iterator[str]:
    """A database whose writer needs a password, over a server that asks for it."""
    url = postgresql.create("closed_door")
    open_store(url).close()
    rules = postgresql.folder / "data" / "pg_hba.conf"
    before = rules.read_text()
    with psycopg.connect(url, autocommit=True) as db:
        make_roles(db)
        db.execute("alter role detector_writer password 'right'")
    rules.write_text("host all detector_writer 127.0.0.1/32 scram-sha-256\n" + before)
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("select pg_reload_conf()")
    yield postgresql.url("closed_door", "detector_writer")
    rules.write_text(before)
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("select pg_reload_conf()")


@pytest.mark.parametrize("where", ["PGPASSWORD", "PGPASSWORD_FILE", "passfile"])
def test_a_wrong_password_is_told_without_it(
    where: str, closed_door: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence; with the right one the door opens."""
    for password in ("wr0ng", "right"):
        url = closed_door
        if where == "PGPASSWORD":
            monkeypatch.setenv(where, password)
        elif where == "PGPASSWORD_FILE":
            (tmp_path / "secret").write_text(password)
            monkeypatch.setenv(where, str(tmp_path / "secret"))
        else:
            (tmp_path / "pgpass").write_text(f"*:*:*:*:{password}\n")
            (tmp_path / "pgpass").chmod(0o600)
            url = f"{closed_door}?passfile={tmp_path}/pgpass"
        if password == "right":  # noqa: S105
            open_store(url).close()
            continue
        with pytest.raises(StoreError, match="password authentication failed") as raised:
            open_store(url)
        assert "wr0ng" not in str(raised.value)
