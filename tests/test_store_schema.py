"""Schemas: every released one is brought to this version's, and the tables are what we say."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import orjson
import psycopg
import pytest
from sqlalchemy import select

from detector.alerts import Alert
from detector.console.events_behind import access_event
from detector.errors import StoreError
from detector.hosts.replay import replay
from detector.store import Checkpoint, migrations, open_store
from detector.store.alert_queries import alert_by_id
from detector.store.console import ConsoleStore, console_file
from detector.store.migrations import scripts
from detector.store.queries import Filter, count_alerts, list_alerts
from detector.store.sqlite import open_file
from detector.store.tables import METADATA, episode
from tests.conftest import ROOT
from tests.parts.postgresql import Server
from tests.test_replay import options

GOLDEN = ROOT / "tests" / "golden" / "alerts.jsonl"


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """A store as version 0.1.0 wrote it, before there were streams: 72 alert lines, a state."""
    path = tmp_path / "alerts.db"
    facts = json.dumps({"layout": {"a": ["|u1", [3]]}, "position": [0, 7]})
    content = bytes.fromhex("28b52ffd2003190000616263")  # zstd of abc
    with closing(sqlite3.connect(path)) as db:
        db.executescript(f"begin; {scripts('sqlite')[0]}; pragma user_version = 1; commit;")
        for line in GOLDEN.read_bytes().splitlines():
            fields = orjson.loads(line)
            names = ("alert_id", "version", "time", "score", "severity", "detector", "user_id")
            row = (*(fields[name] for name in names), line.decode())
            db.execute(
                "insert into alert (alert_id, version, time, score, severity, detector, user_id, "
                "content) values (?, ?, ?, ?, ?, ?, ?, ?)",
                row,
            )
        db.execute("insert into checkpoint values (1, 4, ?, ?)", (facts, _digest(f"4\x1f{facts}")))
        page = ("a", 0, content, _digest(b"a\x1f0\x1f" + content))
        db.execute("insert into state_page values (?, ?, ?, ?)", page)
        db.commit()
    return path


def _digest(content: str | bytes) -> bytes:
    encoded = content.encode() if isinstance(content, str) else content
    return hashlib.blake2b(encoded, digest_size=16).digest()


def test_a_store_of_the_first_schema_keeps_alerts_state_and_position(first: Path) -> None:
    """Its only run becomes the stream `replay`; the console finds every alert."""
    with closing(open_store(f"sqlite:///{first}")) as store:
        claim = store.claim("replay", "new")
        held = store.last_checkpoint("replay")

        assert held is not None
        assert (held.number, held.facts["position"]) == (4, [0, 7])
        assert store.state_content(claim, held.facts["layout"]) == b"abc"
        assert b"".join(store.alert_lines("replay")) == GOLDEN.read_bytes()
        store.commit(claim, Checkpoint(5, held.facts), [], [])
    lines = [orjson.loads(line) for line in GOLDEN.read_bytes().splitlines()]
    latest = {line["alert_id"]: line for line in lines}
    with closing(ConsoleStore(f"sqlite:///{first}")) as console, console.reading() as db:
        rows = {row["alert_id"]: row for row in list_alerts(db, Filter(), limit=500).rows}
        found_by_event = Filter(search=lines[0]["event_ids"][0])

        assert set(rows) == set(latest)
        for alert_id, line in latest.items():
            row = rows[alert_id]
            for name in ("version", "score", "severity", "user_id", "user_branch", "n_customers"):
                assert row[name] == line[name], name
            assert row["day"].isoformat() == line["time"][:10]
            assert row["detectors"] == f",{','.join(line['detectors'])},"
            found = alert_by_id(db, alert_id)
            assert found is not None
            assert found.fields == line
        assert count_alerts(db, found_by_event) >= 1


def test_columns_of_an_old_alert_equal_those_of_a_new_one(first: Path, tmp_path: Path) -> None:
    """What the migration cuts out of the lines in SQL, the program cuts out in Python."""
    open_store(f"sqlite:///{first}").close()
    with closing(open_store(f"sqlite:///{tmp_path}/new.db")) as store:
        claim = store.claim("replay", "new")
        lines = GOLDEN.read_bytes().splitlines()
        store.write_alerts(claim, [Alert(orjson.loads(line)) for line in lines])
    names = [c.name for c in episode.c if c.name not in {"words", "arrived_ms"}]
    by_id = select(*(episode.c[name] for name in names)).order_by(episode.c.alert_id)
    statements = (str(by_id), "select arrival, time_ms, day, content from alert order by arrival")
    with (
        closing(sqlite3.connect(first)) as old,
        closing(sqlite3.connect(tmp_path / "new.db")) as new,
    ):
        for statement in statements:
            assert old.execute(statement).fetchall() == new.execute(statement).fetchall()


def test_a_run_begun_in_the_first_schema_ends_in_the_same_bytes(bank: Path, tmp_path: Path) -> None:
    """Its checkpoint and pages are gone on with; a lost alerts file is rebuilt from them."""
    replay(options(bank, tmp_path))
    before = (tmp_path / "alerts.jsonl").read_bytes()
    new, old = tmp_path / "alerts.db", tmp_path / "old.db"
    with closing(sqlite3.connect(old)) as db:
        db.executescript(f"begin; {scripts('sqlite')[0]}; pragma user_version = 1; commit;")
        db.execute("attach ? as new", (str(new),))
        db.execute(
            "insert into alert select arrival, alert_id, version, "
            "json_extract(content, '$.time'), score, severity, detector, user_id, content "
            "from new.alert"
        )
        db.execute("insert into checkpoint select 1, number, facts, digest from new.checkpoint")
        db.execute("insert into state_page select name, page, content, digest from new.state_page")
        db.commit()
    for path in (*tmp_path.glob("alerts.db*"), tmp_path / "alerts.jsonl"):
        path.unlink()
    summary = replay(options(bank, tmp_path, store=f"sqlite:///{old}"))

    assert summary.resumed_at_line > 0
    assert (tmp_path / "alerts.jsonl").read_bytes() == before


@pytest.mark.parametrize("version", range(len(scripts("postgresql"))))
def test_every_earlier_schema_of_postgresql_is_brought_up(version: int, postgresql: Server) -> None:
    """Forward only, each file once."""
    url = postgresql.create("schema")
    with psycopg.connect(url, autocommit=True) as db:
        for number, script in enumerate(scripts("postgresql")[:version], 1):
            db.execute(script)
            db.execute("insert into schema_version (number) values (%s)", (number,))
    open_store(url).close()
    with psycopg.connect(url) as db:
        found = db.execute("select number from schema_version order by 1").fetchall()

    assert found == [(number,) for number in range(1, len(scripts("postgresql")) + 1)]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_migration_that_fails_leaves_the_store_as_it_was(
    kind: str, tmp_path: Path, postgresql: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of a file or nothing of it, so that the old version can go on."""
    url = f"sqlite:///{tmp_path}/a.db"
    if kind == "postgresql":
        url = postgresql.create("schema")
    with closing(open_store(url)) as store:
        store.commit(store.claim("s", "one"), Checkpoint(1, {}), [], [])
    broken = [*scripts(kind), "create table half (a integer); create table stream (a integer);"]
    for module in (f"detector.store.{kind}.scripts", "detector.store.migrations.scripts"):
        monkeypatch.setattr(module, lambda _dialect: broken)
    with pytest.raises(StoreError, match="already exists"):
        open_store(url)
    monkeypatch.undo()
    with closing(open_store(url)) as store:
        assert store.last_checkpoint("s") == Checkpoint(1, {})
    assert migrations.scripts(kind) == broken[:-1]


@pytest.fixture
def columns(tmp_path: Path, postgresql: Server) -> dict[str, dict[str, set[str]]]:
    """Column names per table: of SQLite (both files) and of PostgreSQL."""
    open_store(f"sqlite:///{tmp_path}/a.db").close()
    open_file(console_file(tmp_path / "a.db"), "sqlite_console").close()
    found: dict[str, dict[str, set[str]]] = {"sqlite": {}, "postgresql": {}}
    for path in (tmp_path / "a.db", console_file(tmp_path / "a.db")):
        with closing(sqlite3.connect(path)) as db:
            for (name,) in db.execute("select name from sqlite_schema where type = 'table'"):
                rows = db.execute("select name from pragma_table_info(?)", (name,))
                found["sqlite"][name] = {column for (column,) in rows}
    url = postgresql.create("schema")
    open_store(url).close()
    with psycopg.connect(url) as db:
        for name, column in db.execute(
            "select c.table_name, c.column_name from information_schema.columns as c "
            "join information_schema.tables as t on t.table_name = c.table_name "
            "and t.table_schema = c.table_schema "
            "where c.table_schema = 'public' and t.table_type = 'BASE TABLE'"
        ):
            found["postgresql"].setdefault(name, set()).add(column)
    return found


def test_both_databases_have_the_same_tables(columns: dict[str, dict[str, set[str]]]) -> None:
    """Except for what each needs for itself: row numbers, search, the schema's version."""
    lite = {
        n: c for n, c in columns["sqlite"].items() if not n.startswith(("sqlite_", "episode_word"))
    }
    lite["episode"] -= {"number"}
    postgresql = {n: c for n, c in columns["postgresql"].items() if n != "schema_version"}

    assert lite == postgresql


def test_queries_name_the_columns_there_are(columns: dict[str, dict[str, set[str]]]) -> None:
    """`tables.py` is written by hand, beside the schema files."""
    for name, table in {**METADATA.tables, "access_event": access_event}.items():
        assert {column.name for column in table.c} == columns["postgresql"][name], name


def test_the_console_refuses_a_store_that_is_not_there(tmp_path: Path) -> None:
    """It does not make the detector's file."""
    with pytest.raises(StoreError, match="does not exist"):
        ConsoleStore(f"sqlite:///{tmp_path}/a.db")

    assert list(tmp_path.iterdir()) == []


def test_the_console_refuses_a_store_of_another_schema(first: Path) -> None:
    """It may not migrate what it may not write."""
    with pytest.raises(StoreError, match=r"has schema 1.*detector store init"):
        ConsoleStore(f"sqlite:///{first}")


def test_one_console_at_a_time_on_sqlite(tmp_path: Path) -> None:
    """Two would write one file; the detector beside it is welcome."""
    url = f"sqlite:///{tmp_path}/a.db"
    pattern = r"a\.console\.db.*in use"
    with (
        closing(open_store(url)),
        closing(ConsoleStore(url)),
        pytest.raises(StoreError, match=pattern),
    ):
        ConsoleStore(url)
