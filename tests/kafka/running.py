"""Workers on the real broker: in a thread of this process, so that a test can hold its hand."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from detector.hosts.live import WAITING, Timing, Wiring, Worker
from detector.hosts.live_decode import Decoding
from detector.hosts.live_models import OneModel
from detector.kafka.ports import Publishers
from detector.kafka.publisher import KafkaPublishers, Topics
from detector.kafka.settings import KafkaSettings
from detector.kafka.source import KafkaSource
from detector.mapping import load_mapping
from detector.plan import Plan
from detector.sinks import Outbox
from detector.store import Store, open_store
from detector.telemetry import Logs, Metrics, Telemetry
from tests.kafka.access import Expected, Log, by_actor, dead, published, stored


@dataclass
class Stream:
    """One stream under test: topics, group and store."""

    settings: KafkaSettings
    topic: str
    alerts: str
    letters: str
    store_url: str
    plan: Plan
    wrap: Callable[[Store], Any] = field(default=lambda store: store)
    publish: Callable[[Publishers], Publishers] = field(default=lambda publishers: publishers)
    timing: Timing = field(default_factory=lambda: Timing(save_every_s=0.5, rejoin_after_s=0.2))
    waiting_bytes: int = 1_000_000
    metrics: list[Metrics] = field(default_factory=list)

    @contextmanager
    def worker(self) -> Iterator[Worker]:
        """Open a worker; who turns it is the caller's business."""
        store = open_store(self.store_url)
        topics = Topics(
            self.topic, self.alerts, self.letters or None, waiting_bytes=self.waiting_bytes
        )
        publishers = self.publish(KafkaPublishers(self.settings, topics))
        metrics = Metrics([self.topic], limits=[WAITING])
        self.metrics.append(metrics)
        telemetry = Telemetry(
            metrics, ("kafka", "store"), address=None, logs=Logs(stream=io.StringIO())
        )
        wrapped = self.wrap(store)
        wiring = Wiring(
            join=lambda: KafkaSource(self.settings, [self.topic], self.topic),
            store=wrapped,
            publishers=publishers,
            outbox=Outbox(store, [], telemetry),
            telemetry=telemetry,
            owner="test",
            models=OneModel(self.plan),
        )
        worker = Worker(wiring, Decoding(load_mapping(None), 1_000_000), self.timing)
        try:
            yield worker
        finally:
            publishers.close()
            store.close()

    @contextmanager
    def running(self) -> Iterator[Running]:
        """Run a worker in a thread until the block is left; its error is raised then."""
        running = Running(self)
        try:
            yield running
        finally:
            running.stop()

    def wait_until_saved(self, ends: dict[int, int], timeout_s: float = 60.0) -> None:
        """Wait until the checkpoints have reached the ends."""
        store = open_store(self.store_url)
        deadline = time.monotonic() + timeout_s
        try:
            while time.monotonic() < deadline:
                if all(self._position(store, n) >= end for n, end in ends.items()):
                    return
                time.sleep(0.1)
        finally:
            positions = {n: self._position(store, n) for n in ends}
            store.close()
        raise TimeoutError(f"{positions} instead of {ends}")

    def _position(self, store: Store, number: int) -> int:
        saved = store.last_checkpoint(f"{self.topic}/{number}")
        return -1 if saved is None else int(saved.facts["position"])


@contextmanager
def turning(worker: Worker) -> Iterator[list[BaseException]]:
    """Let an opened worker run in a thread until the block is left; what ended it is listed."""
    over, errors = threading.Event(), list[BaseException]()

    def work() -> None:
        try:
            worker.run(over.is_set)
        except BaseException as error:  # noqa: BLE001  the caller looks at it
            errors.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield errors
    finally:
        over.set()
        thread.join(60)


class Running:
    """A worker in a thread."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._over = threading.Event()
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            with self._stream.worker() as worker:
                worker.run(self._over.is_set)
        except BaseException as error:  # noqa: BLE001  raised by stop()
            self.error = error

    def wait_for_error(self, timeout_s: float = 60.0) -> BaseException:
        """Wait until the worker gives up; return why."""
        self._thread.join(timeout_s)
        assert self.error is not None
        return self.error

    def stop(self) -> None:
        """Ask it to stop, as SIGTERM does."""
        self._over.set()
        self._thread.join(60)
        assert not self._thread.is_alive()
        if self.error is not None:
            error, self.error = self.error, None
            raise error


def wait_until_shown(stream: Stream, ends: dict[int, int], timeout_s: float = 60.0) -> None:
    """Wait until the group's offsets have reached the ends."""
    consumer = KafkaConsumer(
        **stream.settings.client(), group_id=stream.topic, enable_auto_commit=False
    )
    deadline = time.monotonic() + timeout_s
    shown: dict[int, int | None] = {}
    try:
        while shown != ends and time.monotonic() < deadline:
            time.sleep(0.2)
            shown = {n: consumer.committed(TopicPartition(stream.topic, n)) for n in ends}
    finally:
        consumer.close(autocommit=False)
    assert shown == ends


def assert_calm(stream: Stream, logs: dict[int, Log]) -> None:
    """Table, topic and dead letters are those of an undisturbed run, each once."""
    expected = assert_calm_alerts(stream, logs)
    assert dead(stream.settings, stream.letters) == sorted(expected.letters.items())


def assert_calm_alerts(stream: Stream, logs: dict[int, Log]) -> Expected:
    """Table and topic are those of an undisturbed run; return what that gives."""
    expected = Expected(stream.plan, logs, stream.topic)
    store = open_store(stream.store_url)
    try:
        table = stored(store, stream.topic, len(logs))
    finally:
        store.close()
    lines = [line for number in logs for line in expected.alerts[number]]
    assert len(lines) > 20
    assert table == expected.alerts
    assert published(stream.settings, stream.alerts) == by_actor(lines)
    return expected
