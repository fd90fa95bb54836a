"""A store full of made-up alerts of three years, most of them judged."""

from __future__ import annotations

import hashlib
import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import psycopg
from psycopg import sql

from detector.detections import DETECTORS
from detector.store.console import console_file
from detector.store.whole import prepare
from tests.contracts.alerts import an_alert

N_DAYS, N_BRANCHES = 1_000, 300
LAST = date(2026, 11, 25)
FIRST = LAST - timedelta(days=N_DAYS - 1)
_DAY_MS = 86_400_000
_AT_ONCE = 20_000
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
_TABLES = (("alert", _ALERT, 0), ("episode", _EPISODE, 0), ("triage", _TRIAGE, 1))

Row = dict[str, Any]


def n_users(n_alerts: int) -> int:
    """Return how many people the alerts are about."""
    return max(n_alerts // 50, 20)


def made_up(n_alerts: int) -> Iterator[tuple[Row, Row | None]]:
    """Yield alerts of three years in order of arrival; most of the old ones are judged."""
    rng = random.Random(5)
    for number in range(1, n_alerts + 1):
        offset = (number - 1) * N_DAYS // n_alerts
        day = FIRST + timedelta(days=offset)
        time_ms = 1_000 * int(time.mktime(day.timetuple())) + rng.randrange(_DAY_MS)
        user = rng.randrange(n_users(n_alerts))
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
    with psycopg.connect(url, autocommit=True) as db:
        found = db.execute(
            "select indexname, indexdef from pg_indexes where indexname like 'episode_by%' "
            "or indexname like 'alert_by%' or indexname like 'triage_by%'"
        ).fetchall()
        for name, _ in found:
            db.execute(sql.SQL("drop index {}").format(sql.Identifier(name)))
        for chunk in chunks:
            _copy(db, chunk)
        for _, statement in found:
            db.execute(statement)
        db.execute("vacuum analyze")


def _copy(db: psycopg.Connection[Any], chunk: list[tuple[Row, Row | None]]) -> None:
    for name, columns, which in _TABLES:
        rows = [pair[which] for pair in chunk]
        statement = f"copy {name} ({', '.join(columns)}) from stdin"
        with db.cursor() as cursor, cursor.copy(statement) as copy:
            for row in filter(None, rows):
                copy.write_row([row[column] for column in columns])


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
            for name, columns, which in _TABLES:
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
