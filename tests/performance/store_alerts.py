"""The console's questions to a store full of alerts: how long each page takes to answer."""

from __future__ import annotations

import hashlib
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import psycopg
from psycopg import sql
from sqlalchemy import Connection

from detector.detections import DETECTORS
from detector.store.alert_queries import alert_by_id, similar
from detector.store.console import ConsoleStore, console_file
from detector.store.overview import alerts_per_day, branch_heatmap, precision, triage_times
from detector.store.people import ledger, riskiest
from detector.store.queries import Filter, count_alerts, count_by, list_alerts
from detector.store.whole import prepare
from tests.contracts.alerts import an_alert

N_DAYS, N_BRANCHES = 1_000, 300
LAST = date(2026, 11, 25)
_FIRST = LAST - timedelta(days=N_DAYS - 1)
_DAY_MS = 86_400_000
_AT_ONCE = 20_000
_ROUNDS = 15
_SEVERITIES = ("low", "medium", "high", "critical")
_ROLES = ("teller", "manager", "service", "analyst", "auditor")
_TEMPLATE = an_alert().fields

_ALERT = (
    "arrival", "stream", "alert_id", "version", "time_ms", "day", "score", "severity", "detector",
    "user_id", "content", "arrived_ms",
)  # fmt: skip
_EPISODE = (
    "alert_id", "stream", "version", "arrival", "first_arrival", "opened_ms", "arrived_ms",
    "time_ms", "day", "score", "severity", "detector", "detectors", "user_id", "user_role",
    "user_branch", "learning", "n_events", "n_records", "n_customers", "words",
)  # fmt: skip
_TRIAGE = (
    "alert_id",
    "status",
    "verdict",
    "first_look_ms",
    "decided_ms",
    "changed_ms",
    "changed_by",
)

Row = dict[str, Any]


def made_up(n_alerts: int) -> Iterator[tuple[Row, Row | None]]:
    """Yield alerts of three years in order of arrival; most of the old ones are judged."""
    rng = random.Random(5)
    for number in range(1, n_alerts + 1):
        offset = (number - 1) * N_DAYS // n_alerts
        day = _FIRST + timedelta(days=offset)
        time_ms = 1_000 * int(time.mktime(day.timetuple())) + rng.randrange(_DAY_MS)
        user = rng.randrange(max(n_alerts // 50, 20))
        alert_id = hashlib.blake2b(str(number).encode(), digest_size=16).hexdigest()
        detectors = rng.sample(DETECTORS, 1 + (rng.random() < 0.3))
        score = round(3.5 + rng.expovariate(1.0), 4)
        row: Row = {
            "arrival": number, "first_arrival": number, "stream": f"access/{number % 8}",
            "alert_id": alert_id, "version": 1, "time_ms": time_ms, "opened_ms": time_ms,
            "arrived_ms": time_ms, "day": day.isoformat(), "score": score,
            "severity": _SEVERITIES[min(int(score - 3.5), 3)], "detector": detectors[0],
            "detectors": f",{','.join(detectors)},", "user_id": f"u{user:06d}",
            "user_role": _ROLES[user % 5], "user_branch": f"B{user % N_BRANCHES:03d}",
            "learning": False, "n_events": 20, "n_records": 40, "n_customers": 18,
            "words": f"{alert_id} u{user:06d} {_ROLES[user % 5]} b{user % N_BRANCHES:03d} "
            f"{' '.join(detectors)} e{number}a e{number}b",
        }  # fmt: skip
        row["content"] = _line(row)
        yield row, _judged(row, rng) if rng.random() < 0.9 else None


def _line(row: Row) -> str:
    """Return a line as long as a real one."""
    names = ("alert_id", "version", "score", "severity", "detector", "user_id", "user_branch")
    fields = {**_TEMPLATE, **{name: row[name] for name in names}}
    return orjson.dumps(fields).decode()


def _judged(row: Row, rng: random.Random) -> Row:
    looked_ms = row["arrived_ms"] + rng.randrange(3_600_000)
    return {
        "alert_id": row["alert_id"], "status": "closed" if rng.random() < 0.95 else "escalated",
        "verdict": rng.choice(("confirmed", "benign", "benign", "wrong_team")),
        "first_look_ms": looked_ms, "decided_ms": looked_ms + 600_000, "changed_ms": looked_ms,
        "changed_by": "chen",
    }  # fmt: skip


def fill(url: str, n_alerts: int) -> None:
    """Fill an empty store past its interface: millions of alerts, in minutes."""
    prepare(url)
    source = made_up(n_alerts)
    load = _into_sqlite if url.startswith("sqlite") else _into_postgresql
    load(url, iter(lambda: list(islice(source, _AT_ONCE)), []))


def _into_postgresql(url: str, chunks: Iterator[list[tuple[Row, Row | None]]]) -> None:
    tables = (("alert", _ALERT, 0), ("episode", _EPISODE, 0), ("triage", _TRIAGE, 1))
    with psycopg.connect(url, autocommit=True) as db:
        found = db.execute(
            "select indexname, indexdef from pg_indexes where indexname like 'episode_by%' "
            "or indexname like 'alert_by%' or indexname like 'triage_by%'"
        ).fetchall()
        indexes = [definition for _, definition in found]
        for name, _ in found:
            db.execute(sql.SQL("drop index {}").format(sql.Identifier(name)))
        for chunk in chunks:
            for name, columns, which in tables:
                statement = f"copy {name} ({', '.join(columns)}) from stdin"
                with db.cursor() as cursor, cursor.copy(statement) as copy:
                    for pair in chunk:
                        row = pair[which]
                        if row is not None:
                            copy.write_row([row[column] for column in columns])
        for statement in indexes:
            db.execute(statement)
        db.execute("vacuum analyze")


def _into_sqlite(url: str, chunks: Iterator[list[tuple[Row, Row | None]]]) -> None:
    path = Path(url.removeprefix("sqlite:///"))
    with closing(sqlite3.connect(path)) as db:
        db.execute("attach ? as console", (str(console_file(path)),))
        db.execute("pragma cache_size = -400000")
        found = db.execute(
            "select type, name, sql from sqlite_schema where name like 'episode_by%' "
            "or name like 'alert_by%' or type = 'trigger'"
        ).fetchall()
        for kind, name, _ in found:
            db.execute(f"drop {kind} {name}")
        for chunk in chunks:
            for name, columns, which in (
                ("alert", _ALERT, 0), ("episode", _EPISODE, 0), ("triage", _TRIAGE, 1),
            ):  # fmt: skip
                values = ", ".join(f":{column}" for column in columns)
                rows = [pair[which] for pair in chunk if pair[which] is not None]
                statement = f"insert into {name} ({', '.join(columns)}) values ({values})"  # noqa: S608
                db.executemany(statement, rows)
            db.commit()
        for _, _, statement in found:
            db.execute(statement)
        db.execute("insert into episode_word (episode_word) values ('rebuild')")
        db.execute("analyze")
        db.commit()


Question = Callable[[Connection, random.Random], object]


def questions(n_alerts: int) -> dict[str, Question]:
    """Return what a page asks, by name; each time of something else."""

    def a_day(rng: random.Random) -> date:
        return _FIRST + timedelta(days=rng.randrange(N_DAYS))

    def a_user(rng: random.Random) -> str:
        return f"u{rng.randrange(max(n_alerts // 50, 20)):06d}"

    def an_id(rng: random.Random) -> str:
        number = 1 + rng.randrange(n_alerts)
        return hashlib.blake2b(str(number).encode(), digest_size=16).hexdigest()

    def branch(rng: random.Random) -> tuple[str, ...]:
        return (f"B{rng.randrange(N_BRANCHES):03d}",)

    def month(rng: random.Random) -> tuple[date, date]:
        first = a_day(rng)
        return first, first + timedelta(days=30)

    def listed(make: Callable[[random.Random], Filter], sort: Any = "score") -> Question:
        return lambda db, rng: list_alerts(db, make(rng), sort)

    def deep(db: Connection, rng: random.Random) -> object:
        page = list_alerts(db, Filter(min_score=rng.uniform(3.5, 6.0)), "time", limit=500)
        return list_alerts(db, Filter(), "time", page.next_cursor)

    return {
        "queue: a day, by score": listed(lambda r: Filter(first_day=(d := a_day(r)), last_day=d)),
        "queue: everything, by score": listed(lambda _: Filter()),
        "queue: everything, by time": listed(lambda _: Filter(), "time"),
        "queue: after 500 rows": deep,
        "filter: a branch": listed(lambda r: Filter(branches=branch(r))),
        "filter: a branch's high ones of a month": listed(
            lambda r: Filter(
                branches=branch(r),
                severities=("high", "critical"),
                first_day=month(r)[0],
                last_day=month(r)[1],
            )
        ),
        "filter: a detector and a role": listed(
            lambda r: Filter(detectors=(r.choice(DETECTORS),), roles=("auditor",))
        ),
        "filter: a month, by score": listed(
            lambda r: Filter(first_day=(d := a_day(r)), last_day=d + timedelta(days=30))
        ),
        "filter: not closed, by time": listed(
            lambda _: Filter(statuses=("new", "escalated")), "time"
        ),
        "filter: confirmed ones of a month": listed(
            lambda r: Filter(
                verdicts=("confirmed",), first_day=(d := a_day(r)), last_day=d + timedelta(days=30)
            )
        ),
        "filter: a person": listed(lambda r: Filter(users=(a_user(r),))),
        "search: a person": listed(lambda r: Filter(search=a_user(r))),
        "search: an event": listed(lambda r: Filter(search=f"e{1 + r.randrange(n_alerts)}a")),
        "search: a branch's tellers": listed(lambda r: Filter(search=f"teller {branch(r)[0]}")),
        "count: a filter, up to 10,000": lambda db, _: count_alerts(db, Filter(roles=("teller",))),
        "count: a month by severity": lambda db, r: count_by(
            db, Filter(first_day=(d := a_day(r)), last_day=d + timedelta(days=30)), "severity"
        ),
        "alert: open": lambda db, r: alert_by_id(db, an_id(r)),
        "alert: similar ones": lambda db, r: similar(db, an_id(r)),
        "employee: ledger and risk": lambda db, r: ledger(db, a_user(r), a_day(r)),
        "overview: alerts per day of a month": lambda db, r: alerts_per_day(db, *month(r)),
        "overview: branch × detector of a month": lambda db, r: branch_heatmap(db, *month(r)),
        "overview: precision of a month": lambda db, r: precision(db, *month(r)),
        "overview: times of a month": lambda db, r: triage_times(db, *month(r)),
        "overview: the riskiest of 91 days": lambda db, r: riskiest(db, a_day(r)),
    }


def measure_alerts(url: str, n_alerts: int) -> dict[str, list[float]]:
    """Return seconds of each question, asked several times over warm caches of the system."""
    rng = random.Random(8)
    found: dict[str, list[float]] = {}
    with closing(ConsoleStore(url)) as console:
        for name, ask in questions(n_alerts).items():
            times = []
            for _ in range(_ROUNDS):
                started = time.perf_counter()
                with console.reading() as db:
                    ask(db, rng)
                times.append(time.perf_counter() - started)
            found[name] = times
    return found


def measure(url: str, n_alerts: int) -> dict[str, tuple[float, float]]:
    """Fill a store and ask it everything; return median and longest answer in ms."""
    fill(url, n_alerts)
    answers = measure_alerts(url, n_alerts)
    return {
        name: (1e3 * sorted(times)[_ROUNDS // 2], 1e3 * max(times))
        for name, times in answers.items()
    }
