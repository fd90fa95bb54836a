"""A live worker in trouble of its own machine: slow topics, full disks, jumping clocks, hangs."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from kafka.admin import ConfigResource

from detector.errors import StoreError
from detector.hosts.live import WAITING, Timing, Worker
from detector.kafka.dead_letter_file import DeadLetterFile, read_letter
from detector.kafka.ports import StalledError
from detector.kafka.settings import KafkaSettings
from detector.kafka.source import _theirs
from detector.store import Store
from tests.conftest import ROOT
from tests.kafka.access import Log, access_log, low_plan, send
from tests.kafka.running import (
    Running,
    Stream,
    assert_calm,
    assert_calm_alerts,
    wait_until_shown,
)
from tests.kafka.simulated import Record
from tests.parts.kafka import KafkaCluster

NewTopic = Callable[..., str]
_numbers = itertools.count(1)
_DAY_S = 86_400


@pytest.fixture
def stream(settings: KafkaSettings, new_topic: NewTopic, tmp_path: Path) -> Stream:
    """Topics of one partition, and an empty store in a file."""
    url = f"sqlite:///{tmp_path}/alerts{next(_numbers)}.db"
    return Stream(settings, new_topic(1), new_topic(1), new_topic(1), url, low_plan())


def poisoned(n: int) -> Log:
    """Return events with as many records behind them that are nothing but a kilobyte."""
    log = access_log(7, 400)
    return log + [Record(400 + i, -1, b"k", b"x" * 1_000, ()) for i in range(n)]


def turn_until(worker: Worker, is_so: Callable[[], bool], timeout_s: float = 60.0) -> None:
    """Turn a worker until something holds."""
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline
        worker.turn()


def test_reading_pauses_while_a_topic_takes_nothing(
    stream: Stream, kafka: KafkaCluster, new_topic: NewTopic
) -> None:
    """Memory holds so many unsent bytes and one poll; the member stays, nothing is lost."""
    held_back = new_topic(1, max_message_bytes="100")
    stream = replace(stream, letters=held_back, waiting_bytes=100_000)
    log = poisoned(3_000)
    with stream.worker() as worker:
        turn_until(worker, lambda: bool(worker._runs))
        for start in range(0, len(log), 200):
            send(stream.settings, stream.topic, 0, log[start : start + 200])
            worker.turn()
        turn_until(worker, lambda: worker._is_paused)
        (run,) = worker._runs.values()
        at = run.position
        for _ in range(10):
            worker.turn()

        assert run.position == at < len(log)
        assert 100_000 < run.publisher.n_bytes < 1_000_000  # type: ignore[attr-defined]
        assert stream.metrics[0].limit_hits.labels(WAITING)._value.get() == 1
        admin = kafka.admin()
        resource = ConfigResource("topic", held_back, {"max.message.bytes": "1000000"})
        admin.alter_configs([resource])
        admin.close()
        turn_until(worker, lambda: run.saved_position == len(log), 90)
        worker.drain()
        worker._source.close()

    assert_calm(stream, {0: log})


def test_a_partition_that_stands_still_ends_the_worker(stream: Stream) -> None:
    """Everything looks healthy, and no record comes: as after some rebalances of the client."""
    stream = replace(stream, timing=Timing(stalled_after_s=1.0))
    with stream.worker() as worker:
        turn_until(worker, lambda: bool(worker._runs))
        send(stream.settings, stream.topic, 0, access_log(1, 50))
        (partition,) = worker._runs
        turn_until(worker, lambda: worker._runs[partition].position == 50)
        worker._source._consumer.pause(_theirs(partition))  # type: ignore[attr-defined]
        send(stream.settings, stream.topic, 0, access_log(1, 50))
        worker._source._consumer._subscription.assignment[_theirs(partition)].highwater = 100  # type: ignore[attr-defined]
        with pytest.raises(StalledError, match=r"stands at 50 for \d s with 50 records to read"):
            turn_until(worker, lambda: False, 20)
        worker._source.close()


_HANGS = """
import sys, threading
from detector.hosts.live_run import end_if_hanging
from detector.telemetry import Health, Metrics, Telemetry

with Telemetry(Metrics(["t"]), address=None) as telemetry:
    telemetry.health = Health([], stalled_after_s=0.5)
    telemetry.health.beat()
    with end_if_hanging(telemetry, look_every_s=0.05):
        while sys.argv[1] == "turns":
            telemetry.health.beat()
            if threading.Event().wait(0.1) or (turns := globals().get("turns", 0) + 1) > 15:
                sys.exit(0)
        threading.Event().wait(30)
"""


@pytest.mark.parametrize(("loop", "code"), [("hangs", 1), ("turns", 0)])
def test_a_loop_that_hangs_ends_the_process(loop: str, code: int) -> None:
    """With the stack of every thread, so that somebody can see where; one that turns goes on."""
    done = subprocess.run(
        [sys.executable, "-c", _HANGS, loop],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert done.returncode == code
    assert ("the loop hangs" in done.stderr) == (loop == "hangs")
    assert ("most recent call first" in done.stderr) == (loop == "hangs")


def test_a_full_file_of_dead_letters_does_not_stop_the_worker(
    stream: Stream, tmp_path: Path
) -> None:
    """What does not fit is counted; alerts go on, and the records are still in their topic."""
    path, left_out = tmp_path / "letters.jsonl", list[int]()

    def into_file(inner: Any) -> DeadLetterFile:
        return DeadLetterFile(path, 3_000, inner, left_out.append)

    stream = replace(stream, letters="", publish=into_file)
    logs = {0: access_log(3, 600)}
    with stream.running():
        send(stream.settings, stream.topic, 0, logs[0])
        wait_until_shown(stream, {0: 600})

    expected = assert_calm_alerts(stream, logs)
    written = [read_letter(line).offset for line in path.read_bytes().splitlines(keepends=True)]
    offsets = sorted(offset for _, offset in expected.letters)
    assert path.stat().st_size <= 3_000
    assert 0 < len(written) < len(offsets)
    assert set(written) < set(offsets)
    assert len(written) + sum(left_out) == len(offsets)


def test_a_clock_that_jumps_changes_no_alert(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a year on, then back again: only what people are shown follows the clock."""
    log, jump_s = access_log(4, 600), [0.0]
    real, real_ns = time.time, time.time_ns
    with stream.running():
        for round_, days in enumerate((0, 180, -100)):
            send(stream.settings, stream.topic, 0, log[200 * round_ : 200 * round_ + 100])
            jump_s[0] = days * _DAY_S
            monkeypatch.setattr(time, "time", lambda: real() + jump_s[0])
            monkeypatch.setattr(time, "time_ns", lambda: real_ns() + int(jump_s[0] * 1e9))
            send(stream.settings, stream.topic, 0, log[200 * round_ + 100 : 200 * round_ + 200])
            wait_until_shown(stream, {0: 200 * round_ + 200})
        jump_s[0] = 0.0

    assert_calm(stream, {0: log})


def test_a_full_disk_of_the_store_ends_the_worker_and_loses_nothing(stream: Stream) -> None:
    """It says so at once; with room again, the next one goes on from the last checkpoint."""

    def filled(store: Store) -> Store:
        connection: Any = store._db._db  # type: ignore[attr-defined]
        (n_pages,) = connection.execute("pragma page_count").fetchone()
        connection.execute(f"pragma max_page_count = {n_pages + 2}")
        return store

    logs = {0: access_log(5, 400)}
    with stream.running():
        send(stream.settings, stream.topic, 0, logs[0][:200])
        wait_until_shown(stream, {0: 200})
    send(stream.settings, stream.topic, 0, logs[0][200:])
    error = Running(replace(stream, wrap=filled)).wait_for_error()

    assert isinstance(error, StoreError)
    assert "full" in str(error)
    with stream.running():
        wait_until_shown(stream, {0: 400})
    assert_calm(stream, logs)
