"""Who may do what on PostgreSQL: three roles, each in its own room."""

from __future__ import annotations

import re
from collections.abc import Callable

import psycopg
import pytest
from sqlalchemy import insert, update

from detector.console import events_behind
from detector.errors import StoreError
from detector.store import Activation, Checkpoint, open_store
from detector.store.alert_queries import alert_by_id
from detector.store.console import ConsoleStore
from detector.store.overview import freshness
from detector.store.queries import Filter, list_alerts
from detector.store.roles import ROLES, make_roles
from detector.store.tables import audit_entry, comment, triage, verdict
from tests.conftest import ROOT
from tests.contracts.alerts import an_alert, lines
from tests.parts.postgresql import Server
from tests.streams import MONDAY, batch_of, event

STREAM = "access/0"
LAYOUT = {"a": ["|u1", [3]]}


@pytest.fixture
def url(postgresql: Server) -> str:
    """Address of an empty database."""
    return postgresql.create("roles")


DENIED = {
    "detector_writer": [
        "select * from account",
        "select * from audit_entry",
        "insert into verdict (alert_id, verdict) values ('a', 'benign')",
        "update triage set status = 'closed'",
        "select * from alerts_latest",
        "create table mine (a integer)",
        "drop table alert",
    ],
    "detector_console": [
        "update alert set score = 0",
        "delete from episode",
        "insert into stream values ('a', 1, 'me', 1)",
        "select content from state_page",
        "select facts from checkpoint",
        "update checkpoint set number = 9",
        "update audit_entry set actor = 'nobody'",
        "delete from audit_entry",
        "truncate audit_entry",
        "update verdict set verdict = 'benign'",
        "delete from anchor",
        "create table mine (a integer)",
    ],
    "grafana_ro": [
        "select * from alert",
        "select * from episode",
        "select * from account",
        "select * from audit_entry",
        "select * from comment",
        "select * from api_token",
        "select * from state_page",
        "insert into alerts_latest (alert_id) values ('a')",
        "delete from freshness",
        "create table mine (a integer)",
    ],
}
VIEWS = (
    "alerts_latest", "alerts_per_day", "detector_precision", "triage_times", "workload",
    "freshness", "held_back", "employee_risk",
)  # fmt: skip


@pytest.fixture
def with_roles(postgresql: Server, url: str) -> Callable[[str], str]:
    """A database with an alert and the three roles; gives a role's address."""
    store = open_store(url)
    claim = store.claim(STREAM, "one")
    store.commit(claim, Checkpoint(1, {"layout": LAYOUT}), [an_alert()], [("a", 0, b"abc")])
    store.close()
    with psycopg.connect(url, autocommit=True) as db:
        make_roles(db)
        make_roles(db)
        db.execute(
            "insert into triage (alert_id, status, verdict, first_look_ms, decided_ms, "
            "changed_ms, changed_by) select alert_id, 'closed', 'confirmed', arrived_ms + 5000, "
            "arrived_ms + 9000, 1, 'chen' from episode"
        )
    name = url.rsplit("/", 1)[1]
    return lambda role: postgresql.url(name, role)


@pytest.mark.parametrize(
    ("role", "statement"), [(role, s) for role, denied in DENIED.items() for s in denied]
)
def test_a_role_cannot_do_what_is_not_its_own(
    role: str, statement: str, with_roles: Callable[[str], str]
) -> None:
    """A stolen password opens one room."""
    with (
        psycopg.connect(with_roles(role), autocommit=True) as db,
        pytest.raises(
            (psycopg.errors.InsufficientPrivilege, psycopg.errors.ObjectNotInPrerequisiteState)
        ),
    ):
        db.execute(statement)


def test_the_writer_can_do_the_detector_s_whole_work(with_roles: Callable[[str], str]) -> None:
    """Everything the interface has, and the verdicts it learns from."""
    store = open_store(with_roles("detector_writer"))
    claim = store.claim(STREAM, "two")
    held = store.last_checkpoint(STREAM)
    store.write_alerts(claim, [an_alert("u2")])
    store.activate(claim, Activation(0, {"policy": "p"}))
    store.commit(claim, Checkpoint(2, {"layout": LAYOUT}), [], [("a", 0, b"xyz")])
    store.move_sink("webhook", store.arrivals(0, 10)[-1].number)

    assert held is not None
    assert store.state_content(claim, LAYOUT) == b"xyz"
    assert list(store.alert_lines()) == lines(an_alert(), an_alert("u2"))
    store.close()
    with psycopg.connect(with_roles("detector_writer")) as db:
        assert db.execute("select * from verdict").fetchall() == []


def test_the_console_can_triage_and_read(with_roles: Callable[[str], str]) -> None:
    """Through its own connections, as its own role."""
    console = ConsoleStore(with_roles("detector_console"))
    with console.reading() as db:
        (row,) = list_alerts(db, Filter()).rows
        assert freshness(db)[0]["number"] == 1
    by = {"alert_id": row["alert_id"], "author": "chen"}
    with console.writing() as db:
        db.execute(update(triage).values(status="new"))
        db.execute(insert(comment).values(**by, body="?", written_ms=1))
        db.execute(insert(verdict).values(**by, alert_version=1, verdict="benign", given_ms=1))
        entry = {"number": 1, "at_ms": 1, "actor": "chen", "act": "look", "object": "x"}
        db.execute(insert(audit_entry).values(**entry, detail="{}", previous=b"", digest=b""))
    with console.reading() as db:
        found = alert_by_id(db, row["alert_id"])
    console.close()

    assert found is not None
    assert [c["body"] for c in found.comments] == ["?"]


def test_the_console_keeps_the_events_behind_alerts(with_roles: Callable[[str], str]) -> None:
    """`detector serve --events` as the console's own role, which may make no table."""
    batch = batch_of([event(n, "u1", MONDAY) for n in range(3)])
    console = ConsoleStore(with_roles("detector_console"))
    for _ in range(2):
        with console.writing() as db:
            events_behind.replace_all(db, [batch], {}, "UTC")
    with console.reading() as db:
        found = events_behind.by_ids(db, "u1", ["e0", "e2"])
        are_stored = events_behind.are_stored(db)
    console.close()

    assert are_stored
    assert [event["event_id"] for event in found] == ["e0", "e2"]


@pytest.mark.parametrize("view", VIEWS)
def test_grafana_reads_every_view(view: str, with_roles: Callable[[str], str]) -> None:
    """And each has a row to show: there is a judged alert."""
    with psycopg.connect(with_roles("grafana_ro")) as db:
        rows = db.execute(f"select * from {view}").fetchall()  # noqa: S608  a name from above

    assert len(rows) == 1
    assert None not in rows[0][:4]


def test_a_role_without_rights_is_told_who_makes_the_tables(postgresql: Server, url: str) -> None:
    """The detector need not own the database."""
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("do $$ begin create role stranger login; exception when others then end $$")
    with pytest.raises(StoreError, match=r"permission denied.*detector store init"):
        open_store(postgresql.url(url.rsplit("/", 1)[1], "stranger"))


def test_the_views_are_those_of_the_document(with_roles: Callable[[str], str]) -> None:
    """Dashboards of others hang on their names and columns."""
    text = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    table = text.split("| view for Grafana |")[1].split("\n\n")[0]
    told = {}
    for line in table.splitlines()[2:]:
        name, _, columns = line.strip("|").split(" | ")
        told[name.strip(" `")] = re.findall(r"`(\w+)`", columns)
    found: dict[str, list[str]] = {}
    with psycopg.connect(with_roles("grafana_ro")) as db:
        for name, column in db.execute(
            "select table_name, column_name from information_schema.columns "
            "where table_schema = 'public' order by table_name, ordinal_position"
        ):
            found.setdefault(name, []).append(column)

    assert found == told
    assert set(found) == set(VIEWS)


def test_every_role_is_tested() -> None:
    """A fourth one would come with rights nobody has looked at."""
    assert set(DENIED) == set(ROLES)
