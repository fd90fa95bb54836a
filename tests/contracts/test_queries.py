"""What the console asks of a store, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from itertools import pairwise

import pytest
from sqlalchemy import insert, select, update

from detector.errors import OptionError, StoreError
from detector.store import Checkpoint, Store
from detector.store.alert_queries import (
    alert_by_id,
    last_arrival,
    reasons_of,
    similar,
    versions_after,
)
from detector.store.console import ConsoleStore
from detector.store.overview import (
    alerts_per_day,
    branch_heatmap,
    freshness,
    precision,
    triage_times,
    workload,
)
from detector.store.people import ledger, newest_day, riskiest
from detector.store.queries import (
    Filed,
    Filter,
    Sort,
    count_alerts,
    count_by,
    hidden_by,
    list_alerts,
)
from detector.store.tables import audit_entry, episode, suppression, triage, verdict
from tests.contracts.alerts import an_alert

STREAM = "access/0"
DAY = date(2026, 3, 23)
FOREVER_MS = 2**50


@pytest.fixture
def console(store: Store, url: str) -> Iterator[ConsoleStore]:
    """The console of a store with eight alerts: four people on two days, scores 1 to 8."""
    claim = store.claim(STREAM, "one")
    for number in range(8):
        user, day = f"u{number % 4}", number // 4
        alert = an_alert(user, 1 + number % 2, day=day, score=1.0 + number)
        alert.fields["user_branch"] = f"B{number % 2}"
        store.write_alerts(claim, [alert])
    store.commit(claim, Checkpoint(1, {}, 1_774_240_000_000_000_000), [], [])
    opened = ConsoleStore(url)
    yield opened
    opened.close()


def judge(console: ConsoleStore, score: float, **values: object) -> str:
    """Write the triage row of the alert with this score; return its id."""
    with console.writing() as db:
        alert_id: str = db.execute(
            select(episode.c.alert_id).where(episode.c.score == score)
        ).scalar_one()
        row = {"status": "closed", "changed_ms": 1, "changed_by": "a", **values}
        db.execute(insert(triage).values(alert_id=alert_id, **row))
    return alert_id


def scores(console: ConsoleStore, which: Filter, sort: Sort = "score") -> list[float]:
    """Scores of the alerts a filter finds."""
    with console.reading() as db:
        return [row["score"] for row in list_alerts(db, which, sort).rows]


@pytest.mark.parametrize(
    ("which", "expected"),
    [
        (Filter(), [8, 7, 6, 5, 4, 3, 2, 1]),
        (Filter(first_day=DAY + timedelta(1)), [8, 7, 6, 5]),
        (Filter(last_day=DAY, branches=("B1",)), [4, 2]),
        (Filter(users=("u0", "u3")), [8, 5, 4, 1]),
        (Filter(severities=("critical", "low")), [8, 7, 6, 3, 2, 1]),
        (Filter(detectors=("cross_branch",), min_score=6.5), [8, 7]),
        (Filter(detectors=("slow_drip",)), []),
        (Filter(detectors=("%",)), []),
        (Filter(roles=("teller",), learning=False, min_score=8), [8]),
        (Filter(learning=True), []),
        (Filter(since_ms=1_774_300_000_000), [8, 7, 6, 5]),
        (Filter(until_ms=1_774_300_000_000), [4, 3, 2, 1]),
        (Filter(scope=frozenset({"B0"})), [7, 5, 3, 1]),
        (Filter(scope=frozenset()), []),
        (Filter(search="u2"), [7, 3]),
        (Filter(search="TELL u1 b1"), [6, 2]),
        (Filter(search="u"), [8, 7, 6, 5, 4, 3, 2, 1]),
        (Filter(search="'; drop table episode; --"), []),
        (Filter(search='" OR "'), []),
        (Filter(filed=(Filed(branches=("B1",)),)), [8, 6, 4, 2]),
        (Filter(filed=(Filed(branches=("B1",), severities=("low",)),)), [8, 6, 4, 3, 2, 1]),
        (Filter(filed=(Filed(branches=("B1",)), Filed(severities=("low",)))), [2]),
        (Filter(filed=(Filed(detectors=("slow_drip",)),)), []),
        (Filter(filed=(Filed(alert_id="zz"),)), []),
        (Filter(filed=(Filed(),)), []),
        (Filter(statuses=("closed",)), [3, 2]),
        (Filter(statuses=("new",), min_score=7), [8, 7]),
        (Filter(verdicts=("benign",)), [3]),
        (Filter(verdicts=("none",), last_day=DAY), [4, 1]),
        (Filter(verdicts=("none", "benign"), last_day=DAY), [4, 3, 1]),
        (Filter(assignees=("chen",)), [2]),
        (Filter(assignees=("none",), min_score=6.5), [8, 7]),
    ],
)
def test_a_filter_finds_what_it_names(
    which: Filter, expected: list[float], console: ConsoleStore
) -> None:
    """The same on both databases; hostile words are words."""
    judge(console, 3.0, verdict="benign")
    judge(console, 2.0, verdict="confirmed", assignee="chen")
    with console.reading() as db:
        n = count_alerts(db, which)

    assert scores(console, which) == expected
    assert n == len(expected)


@pytest.mark.parametrize("which", [Filter(), Filter(search="tell")])
@pytest.mark.parametrize("sort", ["score", "time", "arrival"])
def test_pages_join_without_a_gap_or_a_repeat(
    sort: Sort, which: Filter, console: ConsoleStore
) -> None:
    """Even where keys are equal: the id decides."""
    with console.reading() as db:
        whole = list_alerts(db, which, sort).rows
        found, cursor = [], None
        for _ in range(4):
            page = list_alerts(db, which, sort, cursor, limit=2)
            found += page.rows
            cursor = page.next_cursor

    assert cursor is None
    assert len(whole) == 8
    assert found == whole
    key = {"score": "score", "time": "time_ms", "arrival": "arrival"}[sort]
    assert all(a[key] >= b[key] for a, b in pairwise(found))


@pytest.mark.parametrize(
    "cursor", ["", "x", "bm9uZQ", "WyJ0aW1lIiwxLCJhIl0", "WyJzY29yZSIsW10sImEiXQ"]
)
def test_a_foreign_cursor_is_refused(cursor: str, console: ConsoleStore) -> None:
    """It comes from outside."""
    with console.reading() as db, pytest.raises(OptionError, match="none of this list"):
        list_alerts(db, Filter(), "score", cursor)


def test_counts_stop_at_a_limit(console: ConsoleStore) -> None:
    """Nobody reads 5 million; counting them would take longer than a page may."""
    with console.reading() as db:
        assert count_alerts(db, Filter(), at_most=5) == 5
        assert count_by(db, Filter(), "user_branch") == {"B0": 4, "B1": 4}
        assert count_by(db, Filter(first_day=DAY + timedelta(1)), "day") == {DAY + timedelta(1): 4}
        assert count_by(db, Filter(), "status") == {"new": 8}
        with pytest.raises(OptionError, match="nothing to count by"):
            count_by(db, Filter(), "content")


def test_a_suppression_hides_only_what_it_names_while_it_holds(console: ConsoleStore) -> None:
    """What came before or after, is worse, or belongs to others, shows."""
    with console.writing() as db:
        common = {"author": "chen", "reason": "audit"}
        for row in (
            {"user_id": "u1", "user_branch": "B1", "created_ms": 0, "expires_ms": FOREVER_MS},
            {"user_id": "u2", "created_ms": 0, "expires_ms": 1_000},
            {"user_id": "u3", "created_ms": 0, "expires_ms": FOREVER_MS, "max_score": 4.5},
            {"user_id": "u0", "created_ms": FOREVER_MS - 1, "expires_ms": FOREVER_MS},
            {"detector": "bulk_read", "created_ms": 0, "expires_ms": 9, "withdrawn_ms": 5},
        ):
            columns = dict.fromkeys(
                ("user_id", "user_branch", "detector", "max_score", "withdrawn_ms")
            )
            db.execute(insert(suppression), {**columns, **common, **row})

    assert scores(console, Filter()) == [8, 7, 5, 3, 1]
    assert scores(console, Filter(is_hidden=True)) == [6, 4, 2]
    assert scores(console, Filter(is_hidden=None)) == [8, 7, 6, 5, 4, 3, 2, 1]
    judge(console, 6.0)
    assert scores(console, Filter(is_hidden=True)) == [6, 4, 2]


def test_what_a_suppression_would_hide_is_known_before(console: ConsoleStore) -> None:
    """The number stands beside the button."""
    with console.reading() as db:
        assert hidden_by(db, {"user_id": "u1"}, Filter()) == 2
        assert hidden_by(db, {"user_branch": "B1", "max_score": 4.0}, Filter()) == 2
        assert hidden_by(db, {"detector": "bulk_read"}, Filter(first_day=DAY + timedelta(1))) == 4


def test_an_alert_opens_with_its_versions(console: ConsoleStore) -> None:
    """Every line ever written, and what people did about it."""
    alert_id = judge(console, 4.0, verdict="benign", assignee="chen")
    with console.writing() as db:
        row = {"alert_id": alert_id, "alert_version": 2, "author": "chen", "given_ms": 5}
        db.execute(insert(verdict).values(verdict="benign", reason="cover", **row))
    with console.reading() as db:
        found = alert_by_id(db, alert_id)
        assert found is not None

        assert found.fields["alert_id"] == alert_id
        assert [v["fields"]["version"] for v in found.versions] == [2]
        assert (found.triage["assignee"], found.verdicts[0]["reason"]) == ("chen", "cover")
        assert alert_by_id(db, alert_id, frozenset({"B0"})) is None
        assert alert_by_id(db, alert_id, frozenset({"B1"})) == found
        assert alert_by_id(db, "nothing") is None


def test_a_new_version_replaces_the_old_one_in_the_list(
    store: Store, console: ConsoleStore
) -> None:
    """One row an alert; an older version that arrives again does not come back."""
    claim = store.claim(STREAM, "two")
    for version, score in ((1, 9.0), (2, 9.5), (1, 9.0)):
        store.write_alerts(claim, [an_alert("u9", version, score=score)])
    with console.reading() as db:
        (row,) = list_alerts(db, Filter(users=("u9",))).rows
        found = alert_by_id(db, row["alert_id"])

    assert (row["version"], row["score"]) == (2, 9.5)
    assert row["first_arrival"] < row["arrival"]
    assert found is not None
    assert [v["fields"]["version"] for v in found.versions] == [1, 2]
    assert (found.triage["status"], found.triage["row_version"]) == ("new", 0)


def test_similar_alerts_are_earlier_ones_with_their_verdicts(console: ConsoleStore) -> None:
    """First the same person's, then the branch's; never the future."""
    judge(console, 2.0, verdict="benign")
    with console.reading() as db:
        alert_id = list_alerts(db, Filter(users=("u1",), first_day=DAY + timedelta(1))).rows[0][
            "alert_id"
        ]
        found = similar(db, alert_id)

    assert [(row["score"], row["same_person"]) for row in found] == [(2.0, True), (4.0, False)]
    assert found[0]["verdict"] == "benign"


def test_the_newest_reason_of_each_verdict_is_told(console: ConsoleStore) -> None:
    """What was said to the last one counts; nothing said is nothing told."""
    said = [("a", "campaign"), ("b", "first"), ("c", "taken back"), ("b", "second"), ("c", "")]
    rows = [
        {"alert_id": alert_id, "alert_version": 1, "verdict": "benign", "reason": reason,
         "author": "chen", "given_ms": 1}
        for alert_id, reason in said
    ]  # fmt: skip
    with console.writing() as db:
        for row in rows:
            db.execute(insert(verdict).values(**row))
    with console.reading() as db:
        assert reasons_of(db, ["b", "c", "d"]) == {"b": "second"}
        assert reasons_of(db, []) == {}


def test_a_live_page_asks_for_what_it_has_not_shown(console: ConsoleStore) -> None:
    """After a number, in order."""
    with console.reading() as db:
        last = last_arrival(db)
        found = versions_after(db, last - 3, 10)

        assert [row["score"] for row in found] == [6.0, 7.0, 8.0]
        assert versions_after(db, last, 10) == []


def test_risk_fades_and_forgets_what_was_benign(console: ConsoleStore) -> None:
    """Half after two weeks; the list of people and a person's page say the same."""
    judge(console, 2.0, verdict="benign")
    with console.reading() as db:
        today = newest_day(db)
        assert today == DAY + timedelta(1)
        now, later = ledger(db, "u1", today), ledger(db, "u1", today + timedelta(14))
        people = riskiest(db, today)

        assert (now.risk, later.risk) == (6.0, 3.0)
        assert now.parts == {"bulk_read": 6.0}
        assert [row["score"] for row in now.rows] == [6.0, 2.0]
        assert [(row["user_id"], row["risk"]) for row in people] == [
            ("u3", 12.0), ("u2", 10.0), ("u0", 6.0), ("u1", 6.0),
        ]  # fmt: skip
        assert ledger(db, "u1", today + timedelta(200)).risk == 0.0
        assert ledger(db, "u1", today, frozenset({"B0"})).rows == []


def test_the_overview_s_figures_equal_their_definition(console: ConsoleStore) -> None:
    """On eight alerts they can be counted by hand."""
    with console.reading() as db:
        arrived = {row["score"]: row["arrived_ms"] for row in list_alerts(db, Filter()).rows}
    for score, judged, seconds in ((8.0, "confirmed", 10), (7.0, "benign", 30), (6.0, "test", 20)):
        at_ms = arrived[score] + 1_000 * seconds
        judge(
            console,
            score,
            verdict=judged,
            first_look_ms=at_ms,
            decided_ms=2 * at_ms - arrived[score],
        )
    judge(console, 5.0, status="escalated", assignee="chen")
    last = DAY + timedelta(1)
    with console.reading() as db:
        assert [(row["day"], row["n_alerts"]) for row in alerts_per_day(db, DAY, last)] == [
            (DAY, 4), (last, 4),
        ]  # fmt: skip
        assert [(row["user_branch"], row["n_alerts"]) for row in branch_heatmap(db, DAY, DAY)] == [
            ("B0", 2), ("B1", 2),
        ]  # fmt: skip
        (found,) = precision(db, DAY, last)
        assert (found["n_confirmed"], found["n_benign"], found["precision"]) == (1, 1, 0.5)
        assert triage_times(db, DAY, last) == {"first_look_s": 20.0, "decision_s": 40.0}
        assert triage_times(db, DAY, DAY) == {"first_look_s": None, "decision_s": None}
        (open_,) = workload(db)
        assert (open_["assignee"], open_["status"], open_["n_alerts"]) == ("chen", "escalated", 1)
        (stream,) = freshness(db)
        assert (stream["stream"], stream["number"]) == (STREAM, 1)
        assert stream["newest_event_ms"] == 1_774_240_000_000


def test_the_console_cannot_write_what_the_detector_found(console: ConsoleStore, url: str) -> None:
    """Two writers, two sets of tables. On PostgreSQL the roles say so; see test_postgresql."""
    if url.startswith("sqlite"):
        with pytest.raises(StoreError, match="readonly"), console.writing() as db:
            db.execute(update(episode).values(score=0.0))

    assert scores(console, Filter(min_score=8)) == [8]


def test_reading_cannot_write(console: ConsoleStore) -> None:
    """A page that only looks leaves no trace, whatever its code says."""
    row = {"alert_id": "x", "status": "new", "changed_ms": 1, "changed_by": "a"}
    with pytest.raises(StoreError, match=r"read.?only"), console.reading() as db:
        db.execute(insert(triage).values(**row))


def test_an_audit_entry_is_never_changed_or_removed(console: ConsoleStore) -> None:
    """Not even by a mistake of our own."""
    entry = {"at_ms": 1, "actor": "a", "act": "look", "object": "x", "detail": "{}"}
    with console.writing() as db:
        db.execute(insert(audit_entry).values(number=1, previous=b"", digest=b"d", **entry))
    for statement in (update(audit_entry).values(actor="b"), audit_entry.delete()):
        with pytest.raises(StoreError, match="never changed or removed"), console.writing() as db:
            db.execute(statement)


def test_a_failed_write_leaves_nothing(console: ConsoleStore) -> None:
    """One act is one transaction, and its error holds no value of a row."""
    row = {"status": "new", "changed_ms": 1, "changed_by": "secret name"}
    rows = [{**row, "alert_id": "x"}, {**row, "alert_id": "y", "status": "nonsense"}]
    with pytest.raises(StoreError) as raised, console.writing() as db:
        db.execute(insert(triage), rows)

    assert "secret name" not in str(raised.value)
    with console.reading() as db:
        assert db.execute(select(triage)).all() == []
