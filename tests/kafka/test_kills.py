"""kill -9 on real processes: at every step of a batch and a checkpoint, and in turn."""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from detector.kafka.settings import KafkaSettings
from tests.kafka.access import POLICY, Log, access_log, low_plan, send, slices
from tests.kafka.running import Stream, assert_calm, wait_until_shown
from tests.kafka.worker import Order
from tests.parts.postgresql import Server

IS_LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
KILLING_S = 60.0 if IS_LONG else 12.0
STEPS = (
    ("claimed", 0), ("activated", 0), ("in a commit", 1), ("records polled", 0),
    ("write alerts", 0), ("alerts written", 0), ("transaction begun", 0), ("alerts sent", 0),
    ("position sent", 0), ("transaction committed", 0), ("commit", 0), ("in a commit", 0),
    ("committed", 0), ("commit offsets", 1), ("offsets committed", 1), ("seek", 2),
)  # fmt: skip
N_PARTITIONS = 3

NewTopic = Callable[..., str]
_numbers = itertools.count(1)


def write_pipeline(folder: Path, stream: Stream) -> Path:
    """Write the pipeline of a stream."""
    (folder / "policy.toml").write_text(POLICY)
    path = folder / "pipeline.toml"
    path.write_text(
        f'policy = "policy.toml"\nstore = "{stream.store_url}"\n'
        f'[source]\ntopics = ["{stream.topic}"]\ngroup = "{stream.topic}"\n'
        f"[checkpoint]\nevery_s = 0.3\n"
        f'[alerts]\ntopic = "{stream.alerts}"\n[dead_letters]\ntopic = "{stream.letters}"\n'
        '[telemetry]\naddress = "127.0.0.1:0"\n'
    )
    return path


def start(
    path: Path, stream: Stream, point: str = "none", n_passes: int = 0, instance: str = ""
) -> BaseProcess:
    """Start a worker process that dies at a point."""
    environment = {
        "DETECTOR_KAFKA_BOOTSTRAP": stream.settings.bootstrap,
        "DETECTOR_KAFKA_SESSION_TIMEOUT_S": "3",
    }
    if instance:
        environment["DETECTOR_KAFKA_INSTANCE_ID"] = instance
    return Order(path, environment, point, n_passes).start()


def ended(process: BaseProcess, timeout_s: float = 60.0) -> int | None:
    """Wait for a process; return its exit code, None if it still runs."""
    process.join(timeout_s)
    return process.exitcode


@pytest.fixture
def topics(settings: KafkaSettings, new_topic: NewTopic) -> tuple[KafkaSettings, str, str, str]:
    """Topics of three partitions."""
    return settings, new_topic(N_PARTITIONS), new_topic(2), new_topic(1)


def test_killed_at_every_step(topics: tuple[KafkaSettings, str, str, str], tmp_path: Path) -> None:
    """Each process dies at its step, in front of new events; the last one ends in order.

    They are static members: each takes its forerunner's place at once.
    """
    stream = Stream(*topics, f"sqlite:///{tmp_path}/alerts.db", low_plan())
    path = write_pipeline(tmp_path, stream)
    logs = {n: access_log(n, 20 * (len(STEPS) + 1)) for n in range(N_PARTITIONS)}
    parts = {n: slices(log, 20) for n, log in logs.items()}
    for point, n_passes in STEPS:
        for number in logs:
            send(stream.settings, stream.topic, number, next(parts[number]))
        process = start(path, stream, point, n_passes, instance="worker-1")
        proof = tmp_path / point.replace(" ", "-")

        assert ended(process) == -signal.SIGKILL, (point, (tmp_path / "log").read_text()[-3000:])
        assert proof.exists(), point
        proof.unlink()
    for number in logs:
        send(stream.settings, stream.topic, number, next(parts[number]))
    process = start(path, stream, instance="worker-1")
    wait_until_shown(stream, {n: len(log) for n, log in logs.items()})
    process.terminate()

    assert ended(process) == 0, (tmp_path / "log").read_text()[-3000:]
    assert_calm(stream, logs)


def test_two_workers_killed_in_turn(
    topics: tuple[KafkaSettings, str, str, str], tmp_path: Path, postgresql: Server
) -> None:
    """Partitions move back and forth between processes that end without a word."""
    url = postgresql.create(f"turns_{next(_numbers)}")
    stream = Stream(*topics, url, low_plan())
    path = write_pipeline(tmp_path, stream)
    n_turns = int(KILLING_S / 3)
    logs: dict[int, Log] = {n: access_log(n, 40 * n_turns) for n in range(N_PARTITIONS)}
    parts = {n: slices(log, 40) for n, log in logs.items()}
    workers = [start(path, stream) for _ in range(2)]
    for turn in range(n_turns):
        for number in logs:
            send(stream.settings, stream.topic, number, next(parts[number]))
        time.sleep(3)
        workers[turn % 2].kill()
        workers[turn % 2].join(10)
        workers[turn % 2] = start(path, stream)
    stream.wait_until_saved({n: len(log) for n, log in logs.items()}, 90)
    wait_until_shown(stream, {n: len(log) for n, log in logs.items()})
    for worker in workers:
        worker.terminate()

    assert [ended(worker) for worker in workers] == [0, 0], (tmp_path / "log").read_text()[-3000:]
    assert_calm(stream, logs)
