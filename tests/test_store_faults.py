"""PostgreSQL when things go wrong: restarts, full disks, two workers at once."""

from __future__ import annotations

import random
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from detector.errors import FencedError, StoreError
from detector.store import Checkpoint, Store, open_store
from detector.store.address import address_of
from detector.store.migrations import scripts
from detector.store.postgresql import PostgresqlDatabase
from detector.store.sql import SqlStore
from detector.store.sqlite import SqliteDatabase
from tests.contracts.alerts import an_alert, lines
from tests.parts.postgresql import Server, server

STREAM = "access/0"
LAYOUT = {"a": ["|u1", [3]]}


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    """A server of this module's own: its tests stop it."""
    with server() as started:
        yield started


@pytest.fixture
def url(running: Server) -> str:
    """Address of an empty database."""
    return running.create("faults")


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """A store that waits 30 s for the server."""
    opened = open_store(url)
    yield opened
    opened.close()


def patient(url: str, patience_s: float) -> SqlStore:
    """Open a store that gives up after a time."""
    return SqlStore(PostgresqlDatabase(address_of(url), patience_s))


# -- the server goes away


def test_a_restart_between_two_calls_is_not_noticed(running: Server, store: Store) -> None:
    """Tried again; the counter tells the operator."""
    claim = store.claim(STREAM, "one")
    running.stop()
    running.start()
    store.write_alerts(claim, [an_alert()])

    assert list(store.alert_lines()) == lines(an_alert())
    assert store.n_retries >= 1


def test_a_crash_in_the_middle_of_a_checkpoint_is_repeated_whole(
    running: Server, store: Store
) -> None:
    """The pages are an iterator, half used by then: all of them arrive all the same."""
    claim = store.claim(STREAM, "one")
    layout = {"a": ["|u1", [300 * 65_536]]}

    def pages() -> Iterator[tuple[str, int, bytes]]:
        for page in range(300):
            if page == 200:
                running.stop(signal.SIGQUIT)
                threading.Timer(0.5, running.start).start()
            yield "a", page, bytes([page % 251]) * 65_536

    store.commit(claim, Checkpoint(1, {"layout": layout}), [an_alert()], pages())
    content = store.state_content(claim, layout)

    assert [content[page * 65_536] for page in range(300)] == [page % 251 for page in range(300)]
    assert store.last_checkpoint(STREAM) == Checkpoint(1, {"layout": layout})
    assert list(store.alert_lines()) == lines(an_alert())


class _DeafOnce(PostgresqlDatabase):
    """Loses the connection once, after the server has committed and before its answer."""

    is_deaf = False

    def _once(self, work: Callable[[Any], Any], mode: str) -> Any:
        result = super()._once(work, mode)
        if self.is_deaf:
            self.is_deaf = False
            assert self._db is not None
            self._db.close()
            raise psycopg.OperationalError("server closed the connection unexpectedly")
        return result


def test_a_commit_whose_answer_was_lost_is_not_taken_for_somebody_else_s(url: str) -> None:
    """The number is already there: it is our own, and the work goes on."""
    database = _DeafOnce(address_of(url))
    store = SqlStore(database)
    claim = store.claim(STREAM, "one")
    database.is_deaf = True
    store.commit(claim, Checkpoint(1, {"layout": LAYOUT}), [an_alert()], [("a", 0, b"abc")])
    store.commit(claim, Checkpoint(2, {"layout": LAYOUT}), [an_alert()], [("a", 0, b"abd")])

    assert database.n_retries == 1
    assert store.state_content(claim, LAYOUT) == b"abd"
    assert list(store.alert_lines()) == lines(an_alert())
    store.close()


def test_a_server_that_stays_away_is_a_clear_error(running: Server, url: str) -> None:
    """After the patience is over: one line, with the address and what to do."""
    store = patient(url, patience_s=0.5)
    claim = store.claim(STREAM, "one")
    running.stop()
    try:
        with pytest.raises(StoreError, match=r"cannot be written.*Check that the server runs"):
            store.write_alerts(claim, [an_alert()])
        with pytest.raises(StoreError, match=r"cannot be used.*Check address"):
            open_store(url)
    finally:
        running.start()
    store.write_alerts(claim, [an_alert()])
    assert list(store.alert_lines()) == lines(an_alert())
    store.close()


def test_a_full_disk_is_told_at_once_and_leaves_nothing(url: str) -> None:
    """No waiting: a disk does not empty itself. What was whole before is whole after."""
    store = patient(url, patience_s=60.0)
    claim = store.claim(STREAM, "one")
    store.commit(claim, Checkpoint(1, {"layout": LAYOUT}), [], [("a", 0, b"abc")])
    with psycopg.connect(url, autocommit=True) as db:
        db.execute(
            "create function full_disk() returns trigger language plpgsql as $$ begin "
            "raise exception 'could not extend file: No space left on device' "
            "using errcode = 'disk_full'; end $$"
        )
        db.execute("create trigger no_space before insert on alert execute function full_disk()")
    with pytest.raises(StoreError, match="No space left"):
        store.commit(claim, Checkpoint(2, {"layout": LAYOUT}), [an_alert()], [("a", 0, b"xyz")])

    assert store.n_retries == 0
    assert store.last_checkpoint(STREAM) == Checkpoint(1, {"layout": LAYOUT})
    assert store.state_content(claim, LAYOUT) == b"abc"
    store.close()


def test_a_full_disk_under_sqlite_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    """What was whole before is whole after, and goes on once there is room."""
    database = SqliteDatabase(tmp_path / "a.db")
    store = SqlStore(database)
    claim = store.claim(STREAM, "one")
    store.commit(claim, Checkpoint(1, {"layout": LAYOUT}), [], [("a", 0, b"abc")])
    (n_pages,) = database._db.execute("pragma page_count").fetchone()
    database._db.execute(f"pragma max_page_count = {n_pages}")
    noise = [("b", n, random.Random(n).randbytes(65_536)) for n in range(20)]
    with pytest.raises(StoreError, match=r"full.*Check disk space"):
        store.commit(claim, Checkpoint(2, {"layout": LAYOUT}), [an_alert()], noise)

    assert store.last_checkpoint(STREAM) == Checkpoint(1, {"layout": LAYOUT})
    assert store.state_content(claim, LAYOUT) == b"abc"
    assert list(store.alert_lines()) == []
    database._db.execute("pragma max_page_count = 100000")
    store.commit(claim, Checkpoint(2, {"layout": LAYOUT}), [an_alert()], noise)
    assert list(store.alert_lines()) == lines(an_alert())
    store.close()


# -- two workers at once


def test_a_claim_waits_for_a_running_checkpoint_and_then_fences(url: str) -> None:
    """The old worker's transaction ends whole, its next one is refused."""
    old, new = open_store(url), open_store(url)
    stale = old.claim(STREAM, "old")
    halfway, go_on = threading.Event(), threading.Event()
    claims: list[Any] = []

    def pages() -> Iterator[tuple[str, int, bytes]]:
        yield "a", 0, b"abc"
        halfway.set()
        go_on.wait(20)

    def take() -> None:
        halfway.wait(20)
        claims.append(new.claim(STREAM, "new"))

    taker = threading.Thread(target=take)
    taker.start()
    releaser = threading.Timer(0.5, go_on.set)
    releaser.start()
    old.commit(stale, Checkpoint(1, {"layout": LAYOUT}), [], pages())
    taker.join(20)
    with pytest.raises(FencedError):
        old.commit(stale, Checkpoint(2, {"layout": LAYOUT}), [], [("a", 0, b"xyz")])

    assert new.state_content(claims[0], LAYOUT) == b"abc"
    old.close()
    new.close()


def test_arrivals_become_visible_in_the_order_of_their_numbers(url: str) -> None:
    """A sink that follows numbers would miss an alert that appears behind its back."""
    writers = [open_store(url) for _ in range(4)]
    reader = open_store(url)
    stop = threading.Event()
    seen: list[int] = []

    def write(number: int, store: Store) -> None:
        claim = store.claim(f"access/{number}", "one")
        for i in range(40):
            store.write_alerts(claim, [an_alert(f"u{number}-{i}-{j}") for j in range(3)])

    def follow() -> None:
        while not stop.is_set():
            seen.extend(a.number for a in reader.arrivals(seen[-1] if seen else 0, 7))

    threads = [threading.Thread(target=write, args=pair) for pair in enumerate(writers)]
    follower = threading.Thread(target=follow)
    follower.start()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    stop.set()
    follower.join(60)
    seen.extend(a.number for a in reader.arrivals(seen[-1] if seen else 0, 1_000))
    all_numbers = [a.number for a in reader.arrivals(0, 1_000)]
    for store in (*writers, reader):
        store.close()

    assert len(all_numbers) == 480
    assert seen == all_numbers


def test_many_workers_that_start_at_once_make_the_tables_once(url: str) -> None:
    """A deployment starts all its pods in the same second."""
    stores: list[Store] = []
    threads = [threading.Thread(target=lambda: stores.append(open_store(url))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    with psycopg.connect(url) as db:
        versions = db.execute("select number from schema_version order by number").fetchall()
    for store in stores:
        store.close()

    assert len(stores) == 6
    assert versions == [(number,) for number in range(1, len(scripts("postgresql")) + 1)]


def test_a_lock_that_is_not_given_back_ends_in_an_error(url: str) -> None:
    """Somebody's open session must not stop detection without a word."""
    store = patient(url, patience_s=0.1)
    claim = store.claim(STREAM, "one")
    with psycopg.connect(url) as other:
        other.execute("select * from stream for update")
        with pytest.raises(StoreError, match="lock timeout"):
            store.write_alerts(claim, [an_alert()])
    store.close()


def test_a_newer_schema_is_refused(url: str) -> None:
    """Down-grading would lose what the newer version wrote."""
    open_store(url).close()
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("insert into schema_version (number) values (99)")
    with pytest.raises(StoreError, match="schema 99"):
        open_store(url)
