"""What people decide in the console reaches the engine, as an event among that person's own."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from detector.console.triage_actions import Change, Seen, apply
from detector.hashing import hash_strings
from detector.hosts.live_pipeline import load_pipeline
from detector.hosts.live_run import Parts, opened
from detector.kafka.settings import KafkaSettings
from detector.scoring.verdicts import CONFIRMED
from detector.state.layout import VERDICT
from detector.state.snapshot import arrays_of
from detector.store import open_store
from detector.store.alert_queries import alert_by_id
from detector.store.console import ConsoleStore
from tests.kafka.access import POLICY, access_log, read_topic, send
from tests.kafka.running import turning
from tests.kafka.simulated import Record
from tests.parts.kafka import KafkaCluster
from tests.parts.postgresql import Server

NewTopic = Callable[..., str]
_numbers = itertools.count(1)
GIVEN_MS = 1_772_416_800_000


class Bank:
    """A pipeline on real parts, a console beside it, and workers that come and go."""

    def __init__(self, folder: Path, settings: KafkaSettings, topic: str, store: str) -> None:
        self.settings, self.topic, self.store = settings, topic, store
        self.path = folder / "pipeline.toml"
        (folder / "policy.toml").write_text(POLICY)
        self.path.write_text(
            f'store = "{store}"\npolicy = "policy.toml"\n'
            f'[source]\ntopics = ["{topic}"]\ngroup = "{topic}"\n'
            "[checkpoint]\nevery_s = 0.3\n[verdicts]\npublish = true\n"
            '[telemetry]\naddress = "none"\nlog_level = "error"\n'
        )

    @contextmanager
    def running(self) -> Iterator[Parts]:
        """A worker in a thread, from start to stop."""
        with (
            opened(load_pipeline(self.path), self.settings) as parts,
            turning(parts.worker()) as errors,
        ):
            yield parts
        assert not errors

    def judge(self, user: str, verdict: str) -> None:
        """Decide about the alert of a person, as the console does."""
        console = ConsoleStore(self.store)
        with console.writing() as db:
            (alert_id,) = db.exec_driver_sql(
                f"select alert_id from episode where user_id = '{user}' limit 1"  # noqa: S608
            ).one()
            found = alert_by_id(db, alert_id)
            assert found is not None
            seen = Seen(found, int(found.triage.get("row_version", 0)), "ana", GIVEN_MS)
            apply(db, seen, Change(verdict=verdict, reason="because"))
        console.close()

    def verdicts(self) -> list[Record]:
        """What the topic holds of them."""
        records = read_topic(self.settings, self.topic)
        return [one for one in records if one.value and b'"verdict"' in one.value]


@pytest.fixture(params=["postgresql", "sqlite"])
def bank(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    settings: KafkaSettings,
    new_topic: NewTopic,
    postgresql: Server,
) -> Bank:
    """Two partitions, no console yet."""
    url = f"sqlite:///{tmp_path}/alerts.db"
    if request.param == "postgresql":
        url = postgresql.create(f"verdicts_{next(_numbers)}")
    return Bank(tmp_path, settings, new_topic(2), url)


def wait_for(what: Callable[[], Any], timeout_s: float = 60.0) -> Any:
    """Ask again and again."""
    until = time.monotonic() + timeout_s
    while not (found := what()):
        assert time.monotonic() < until
        time.sleep(0.2)
    return found


def learned(bank: Bank, number: int, user: str) -> int:
    """The verdict a partition's saved state holds of a person."""
    store = open_store(bank.store)
    stream = f"{bank.topic}/{number}"
    saved = store.last_checkpoint(stream)
    assert saved is not None
    layout = saved.facts["layout"]
    arrays = arrays_of(layout, store.state_content(store.claim(stream, "test"), layout))
    store.close()
    (slot,) = np.flatnonzero(arrays["actors.user"] == hash_strings([user])[0])
    return int(arrays["actors.ints"][slot, VERDICT])


def test_a_verdict_of_the_console_is_learned_by_the_engine(bank: Bank) -> None:
    """Judged in the store, an event of that partition and person, in the engine's memory.

    What is no statement for the engine stays in the console; a later worker sends nothing
    again.
    """
    for number in range(2):
        send(bank.settings, bank.topic, number, access_log(number, 200))
    with bank.running() as parts:
        samples = parts.telemetry.metrics.registry.get_sample_value
        store = parts.store
        wait_for(lambda: store.last_arrival() > 10 and list(store.alert_lines(f"{bank.topic}/1")))
        users = {
            orjson.loads(line)["user_id"]: number
            for number in range(2)
            for line in store.alert_lines(f"{bank.topic}/{number}")
        }
        first, second = (next(u for u, n in users.items() if n == number) for number in range(2))
        other = next(user for user in users if user not in {first, second})
        for user, word in ((other, "test"), (first, "confirmed"), (second, "benign")):
            bank.judge(user, word)
        wait_for(lambda: samples("detector_sink_delivered_total", {"sink": "verdicts"}) == 2)
        ends = {record.offset + 1 for record in bank.verdicts()}
        wait_for(
            lambda: (
                {
                    saved.facts["position"]
                    for n in range(2)
                    if (saved := store.last_checkpoint(f"{bank.topic}/{n}"))
                }
                == ends
            )
        )
    said = [(r.key, orjson.loads(r.value or b"")) for r in bank.verdicts()]
    assert [(key, one["user_id"], one["verdict"]) for key, one in said] == [
        (first.encode(), first, "confirmed"),
        (second.encode(), second, "benign"),
    ]
    assert {one["event_time"] for _, one in said} == {"2026-03-02T02:00:00.000+00:00"}
    with bank.running() as parts:
        wait_for(lambda: parts.telemetry.health.is_alive)
        time.sleep(4)  # two looks

    assert len(bank.verdicts()) == 2
    assert learned(bank, 0, first) == CONFIRMED
    assert learned(bank, 1, second) > 0


def test_a_console_that_cannot_be_read_stops_no_worker(
    bank: Bank, kafka: KafkaCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted and told; verdicts go out when it can be read again."""
    del kafka
    send(bank.settings, bank.topic, 0, access_log(0, 200))
    with bank.running() as parts:
        store, samples = parts.store, parts.telemetry.metrics.registry.get_sample_value
        wait_for(lambda: store.last_arrival() > 10)
        user = orjson.loads(next(iter(store.alert_lines(f"{bank.topic}/0"))))["user_id"]
        bank.judge(user, "benign")
        wait_for(lambda: samples("detector_sink_delivered_total", {"sink": "verdicts"}) == 1)
        with monkeypatch.context() as patch:
            patch.setattr("detector.hosts.verdict_feed.judgements", broken)
            bank.judge(user, "confirmed")
            wait_for(lambda: samples("detector_sink_failures_total", {"sink": "verdicts"}))
        wait_for(lambda: samples("detector_sink_delivered_total", {"sink": "verdicts"}) == 2)

    words = [orjson.loads(record.value or b"")["verdict"] for record in bank.verdicts()]
    assert words == ["benign", "confirmed"]


def broken(db: Any, *_: object) -> None:
    """Ask for a table that nobody has."""
    db.exec_driver_sql("select 1 from no_such_table")
