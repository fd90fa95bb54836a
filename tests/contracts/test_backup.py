"""Backup, restore and archive, tested by bringing everything back, from and to both databases."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import insert, select

from detector.errors import StoreError
from detector.store import Activation, Checkpoint, archive, open_store
from detector.store.alert_queries import alert_by_id
from detector.store.archive import archive as archive_days
from detector.store.backup import back_up, restore
from detector.store.console import ConsoleStore
from detector.store.queries import Filter, list_alerts
from detector.store.tables import METADATA, account, audit_entry, comment, mention, triage, verdict
from detector.store.whole import prepare, reading
from tests.conftest import Run
from tests.contracts.alerts import an_alert, lines
from tests.parts.postgresql import Server

STREAM = "access/0"
LAYOUT = {"a": ["|u1", [3]]}
DAY = date(2026, 3, 23)


@pytest.fixture(params=["sqlite", "postgresql"])
def another_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A second, empty store: where a backup goes."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/another.db"
    running: Server = request.getfixturevalue("postgresql")
    return running.create("another")


@pytest.fixture
def filled(url: str) -> str:
    """A store with state, two days of alerts, and what people did about them."""
    prepare(url)
    with closing(open_store(url)) as store:
        claim = store.claim(STREAM, "one")
        alerts = [an_alert(f"柜员{n}", 1 + n % 2, day=n // 3) for n in range(6)]
        store.activate(claim, Activation(0, {"policy": "p"}))
        store.commit(claim, Checkpoint(3, {"layout": LAYOUT}), alerts, [("a", 0, b"a\x00c")])
        store.move_sink("webhook:access/0", 6)
    with closing(ConsoleStore(url)) as console, console.writing() as db:
        row = {"changed_ms": 1, "changed_by": "chen", "status": "closed"}
        by = {"author": "chen", "body": "=1+1 <script>", "written_ms": 1}
        person = {"name": "chen", "display_name": "陈", "role": "admin", "created_ms": 1}
        db.execute(insert(account).values(**person, language="zh", is_disabled=False))
        for alert in alerts:
            db.execute(insert(triage).values(alert_id=alert.alert_id, **row))
            said = db.execute(insert(comment).values(alert_id=alert.alert_id, **by))
            key = said.inserted_primary_key
            assert key is not None
            db.execute(insert(mention).values(comment=key[0], account="chen"))
        entry = {"number": 1, "at_ms": 1, "actor": "chen", "act": "look", "object": "x"}
        db.execute(insert(audit_entry).values(**entry, detail="{}", previous=b"", digest=b"\x00"))
    return url


def everything(url: str) -> dict[str, list[dict[str, Any]]]:
    """All rows of all tables."""
    with reading(url) as db:
        return {
            name: [
                dict(row)
                for row in db.execute(select(table).order_by(*table.primary_key.columns)).mappings()
            ]
            for name, table in METADATA.tables.items()
        }


def test_a_backup_brings_everything_back(filled: str, another_url: str, tmp_path: Path) -> None:
    """Each row of each table; numbers go on where they were; detection goes on from there."""
    saved = back_up(filled, tmp_path / "store.zip")
    restored = restore(another_url, tmp_path / "store.zip")

    assert everything(another_url) == everything(filled)
    assert restored == saved
    assert (saved["episode"], saved["state_page"], saved["audit_entry"]) == (6, 1, 1)
    with closing(open_store(another_url)) as store:
        claim = store.claim(STREAM, "two")
        assert claim.epoch == 2
        assert store.state_content(claim, LAYOUT) == b"a\x00c"
        last = store.arrivals(0, 100)[-1].number
        store.commit(claim, Checkpoint(4, {"layout": LAYOUT}), [an_alert("new")], [])
        assert [a.line for a in store.arrivals(last, 10)] == lines(an_alert("new"))
    with closing(ConsoleStore(another_url)) as console, console.writing() as db:
        db.execute(insert(comment).values(alert_id="x", author="a", body="b", written_ms=1))


def test_numbers_of_what_was_archived_are_not_given_again(
    filled: str, another_url: str, tmp_path: Path
) -> None:
    """A sink has gone on to number 6: alert 7 must not be called 1."""
    archive_days(filled, DAY + timedelta(9), tmp_path / "old")
    back_up(filled, tmp_path / "store.zip")
    restore(another_url, tmp_path / "store.zip")
    for url in (filled, another_url):
        with closing(open_store(url)) as store:
            store.write_alerts(store.claim(STREAM, "two"), [an_alert("new")])
            assert [a.number for a in store.arrivals(6, 10)] == [7]


def test_a_backup_is_its_owner_s_alone_and_never_overwrites(filled: str, tmp_path: Path) -> None:
    """It holds names; and a good backup must not fall to a bad one."""
    file = tmp_path / "store.zip"
    back_up(filled, file)

    assert file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(StoreError, match="is there already"):
        back_up(filled, file)


def test_a_backup_is_taken_while_the_store_is_in_use(filled: str, tmp_path: Path) -> None:
    """Nobody stops detection for a backup."""
    with closing(open_store(filled)) as store:
        claim = store.claim(STREAM, "two")
        assert back_up(filled, tmp_path / "store.zip")["episode"] == 6
        store.write_alerts(claim, [an_alert("new")])


def test_a_store_without_a_console_is_saved_too(url: str, another_url: str, tmp_path: Path) -> None:
    """A replay alone has left it; its console's tables are empty."""
    with closing(open_store(url)) as store:
        store.write_alerts(store.claim(STREAM, "one"), [an_alert()])
    back_up(url, tmp_path / "store.zip")

    assert restore(another_url, tmp_path / "store.zip")["alert"] == 1


def _flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 1
    file.write_bytes(content)


def _rewrite(file: Path, change: Callable[[dict[str, Any]], None]) -> None:
    with zipfile.ZipFile(file) as old:
        content = {name: old.read(name) for name in old.namelist()}
    manifest = json.loads(content["manifest.json"])
    change(manifest)
    content["manifest.json"] = json.dumps(manifest).encode()
    with zipfile.ZipFile(file, "w") as new:
        for name, data in content.items():
            new.writestr(name, data)


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a flipped bit": (_flip, "is no backup of ours|has changed"),
    "another digest": (
        lambda file: _rewrite(file, lambda m: m["tables"]["alert"].update(digest="0")),
        "has changed",
    ),
    "another version": (
        lambda file: _rewrite(file, lambda m: m.update(format=2)),
        "another version",
    ),
    "a missing table": (lambda file: _rewrite(file, lambda m: m["tables"].pop("alert")), "version"),
    "no manifest": (lambda file: _rewrite(file, lambda m: m.clear()), "no backup of ours"),
    "holiday pictures": (lambda file: file.write_bytes(b"pictures" * 99), "no backup of ours"),
    "nothing": (lambda file: file.unlink(), "no backup of ours"),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_backup_is_refused_and_nothing_is_written(
    what: str, filled: str, another_url: str, tmp_path: Path
) -> None:
    """Half a store would score on."""
    damage, pattern = DAMAGE[what]
    back_up(filled, tmp_path / "store.zip")
    damage(tmp_path / "store.zip")
    with pytest.raises(StoreError, match=pattern):
        restore(another_url, tmp_path / "store.zip")

    prepare(another_url)
    assert not any(everything(another_url).values())


def test_a_store_that_is_not_empty_is_not_restored_into(filled: str, tmp_path: Path) -> None:
    """Two histories do not mix."""
    back_up(filled, tmp_path / "store.zip")
    before = everything(filled)
    with pytest.raises(StoreError, match="is not empty"):
        restore(filled, tmp_path / "store.zip")

    assert everything(filled) == before


# -- archive


def archived(folder: Path, table: str) -> list[dict[str, Any]]:
    """Rows of a table's files, in order of days."""
    files = sorted((folder / table).glob("*.parquet"))
    return [row for file in files for row in pq.ParquetFile(file).read().to_pylist()]


def sorted_rows(name: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows by their table's key."""
    key = METADATA.tables[name].primary_key.columns.keys()
    return sorted(rows, key=lambda row: [row[column] for column in key])


def test_old_alerts_are_in_the_archive_and_no_longer_in_the_store(
    filled: str, tmp_path: Path
) -> None:
    """Every line to the byte, and every act; what is younger and the audit log stay."""
    before = everything(filled)
    moved = archive_days(filled, DAY + timedelta(1), tmp_path / "old").rows
    after = everything(filled)

    assert moved == {
        "mention": 3, "comment": 3, "justification": 0, "verdict": 0, "triage": 3, "alert": 3,
        "episode": 3,
    }  # fmt: skip
    for name in ("alert", "episode", "triage", "comment", "mention"):
        both = [*archived(tmp_path / "old", name), *after[name]]
        assert sorted_rows(name, both) == before[name], name
    assert {row["day"] for row in after["episode"]} == {DAY + timedelta(1)}
    assert after["audit_entry"] == before["audit_entry"]
    file = tmp_path / "old" / "alert" / f"day={DAY}.parquet"
    assert file.stat().st_mode & 0o777 == 0o600


def test_archiving_again_changes_nothing(filled: str, tmp_path: Path) -> None:
    """A nightly job may run twice."""
    archive_days(filled, DAY + timedelta(1), tmp_path / "old")
    before = everything(filled), archived(tmp_path / "old", "alert")
    moved = archive_days(filled, DAY + timedelta(1), tmp_path / "old").rows

    assert set(moved.values()) == {0}
    assert (everything(filled), archived(tmp_path / "old", "alert")) == before


@pytest.mark.parametrize("at", range(10))
def test_an_archive_run_that_was_killed_is_finished_by_the_next(
    at: int, filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it stopped, between any two files: nothing lost, nothing twice."""
    calls = count()
    keep = archive._keep

    def dying(*arguments: Any) -> None:
        if next(calls) == at:
            raise KeyboardInterrupt
        keep(*arguments)

    before = everything(filled)
    monkeypatch.setattr(archive, "_keep", dying)
    with pytest.raises(KeyboardInterrupt):
        archive_days(filled, DAY + timedelta(2), tmp_path / "old")
    monkeypatch.undo()
    archive_days(filled, DAY + timedelta(2), tmp_path / "old")

    for name in ("alert", "episode", "triage", "comment", "mention"):
        assert sorted_rows(name, archived(tmp_path / "old", name)) == before[name], name
    assert everything(filled)["alert"] == []


def test_an_alert_of_an_archived_day_joins_the_others(filled: str, tmp_path: Path) -> None:
    """A late partition raises one more; the file of the day holds both."""
    archive_days(filled, DAY + timedelta(1), tmp_path / "old")
    with closing(open_store(filled)) as store:
        store.write_alerts(store.claim("access/9", "late"), [an_alert("late")])
    archive_days(filled, DAY + timedelta(1), tmp_path / "old")

    assert len(archived(tmp_path / "old", "alert")) == 4


def test_what_a_sink_has_not_delivered_stays(filled: str, tmp_path: Path, detector: Run) -> None:
    """A receiver that was away for a month still gets them; unless somebody says otherwise."""
    with closing(open_store(filled)) as store:
        store.move_sink("syslog:access/0", 3)
        store.claim("access/1", "one")
        store.move_sink("syslog:access/1", 1)
    done = archive_days(filled, DAY + timedelta(2), tmp_path / "old")
    command = ("store", "archive", "--older-than", 1, "--to", tmp_path / "old", "--store", filled)
    told = detector(*command)

    assert done.waiting == {"syslog:access/0": DAY + timedelta(1)}
    assert done.rows["episode"] == 3
    assert (told.code, "syslog:access/0 has not delivered" in told.err) == (0, True)
    assert detector(*command, "--undelivered-too").code == 0
    assert everything(filled)["alert"] == []


def test_a_verdict_that_has_not_been_published_stays(filled: str, tmp_path: Path) -> None:
    """With its alert: the engine has still to learn it; numbers of verdicts are their own."""
    late = an_alert("柜员3", 2, day=1)
    with closing(open_store(filled)) as store:
        store.move_sink("verdicts:access/0", 1)
    with closing(ConsoleStore(filled)) as console, console.writing() as db:
        by = {"alert_id": late.alert_id, "alert_version": 1, "reason": "", "author": "chen"}
        for word in ("benign", "confirmed", "test"):
            db.execute(insert(verdict).values(**by, verdict=word, given_ms=1))
    done = archive_days(filled, DAY + timedelta(2), tmp_path / "old")
    with closing(open_store(filled)) as store:
        store.move_sink("verdicts:access/0", 2)
    again = archive_days(filled, DAY + timedelta(2), tmp_path / "old")

    assert done.waiting == {"verdicts:access/0": DAY + timedelta(1)}
    assert done.rows["episode"] == again.rows["episode"] == 3
    assert again.waiting == {}


def test_a_foreign_file_in_the_archive_is_not_overwritten(filled: str, tmp_path: Path) -> None:
    """Rows stay in the store until they are safe."""
    file = tmp_path / "old" / "alert" / f"day={DAY}.parquet"
    file.parent.mkdir(parents=True)
    before = everything(filled)
    for content, pattern in ((b"pictures", "cannot be read"), (None, "another version")):
        if content is None:
            pq.write_table(pa.table({"a": [1]}), file)
        else:
            file.write_bytes(content)
        with pytest.raises(StoreError, match=pattern):
            archive_days(filled, DAY + timedelta(1), tmp_path / "old")

    assert everything(filled) == before


# -- the commands


def test_the_commands_make_save_restore_and_archive(
    filled: str, another_url: str, tmp_path: Path, detector: Run
) -> None:
    """As an operator types them; figures as JSON."""
    file = tmp_path / "store.zip"
    made = detector("store", "init", "--store", filled, "--json")
    saved = detector("store", "backup", file, "--store", filled, "--json")
    brought = detector("store", "restore", file, "--store", another_url)
    n_days = (datetime.now(tz=UTC).date() - DAY).days - 1
    moved = detector(
        "store", "archive", "--older-than", n_days, "--to", tmp_path / "old",
        "--store", another_url, "--json",
    )  # fmt: skip
    again = detector("store", "restore", file, "--store", filled)

    assert (made.code, json.loads(made.out)) == (0, {"ready": True, "roles": []})
    assert json.loads(saved.out)["rows"]["alert"] == 6
    assert (brought.code, "restored from" in brought.out) == (0, True)
    assert json.loads(moved.out)["rows"]["episode"] == 3
    assert (again.code, "is not empty" in again.err) == (1, True)


def test_roles_are_made_on_request_and_only_on_postgresql(url: str, detector: Run) -> None:
    """SQLite has none: the option says so instead of doing nothing."""
    done = detector("store", "init", "--roles", "--store", url)
    if url.startswith("sqlite"):
        assert (done.code, "PostgreSQL only" in done.err) == (2, True)
        return
    assert (done.code, "detector_writer" in done.out) == (0, True)
    assert detector("store", "init", "--store", url).code == 0


@pytest.fixture
def opened_alert(filled: str) -> Iterator[dict[str, Any]]:
    """An alert as the console opens it after a restore."""
    with closing(ConsoleStore(filled)) as console, console.reading() as db:
        (row, *_) = list_alerts(db, Filter()).rows
        found = alert_by_id(db, row["alert_id"])
        assert found is not None
        yield found.comments[0]


def test_hostile_text_is_kept_as_it_is(opened_alert: dict[str, Any]) -> None:
    """The store neither escapes nor runs it; whoever shows it escapes."""
    assert opened_alert["body"] == "=1+1 <script>"
