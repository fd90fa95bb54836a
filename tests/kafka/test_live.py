"""Workers on a real broker and PostgreSQL: whatever befalls them, the calm run's alerts."""

from __future__ import annotations

import itertools
import signal
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
from kafka import TopicPartition

from detector.alerts import Alert
from detector.errors import FencedError, SourceError
from detector.kafka.settings import KafkaSettings
from detector.plan import Plan
from detector.store import Claim, Store
from tests.kafka.access import access_log, low_plan, send, slices
from tests.kafka.running import Running, Stream, assert_calm
from tests.parts.kafka import KafkaCluster
from tests.parts.postgresql import Server

NewTopic = Callable[..., str]
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def plan() -> Plan:
    """A low bar: many alerts from few events."""
    return low_plan()


@pytest.fixture
def stream(settings: KafkaSettings, new_topic: NewTopic, postgresql: Server, plan: Plan) -> Stream:
    """Topics of three partitions, and an empty store."""
    url = postgresql.create(f"live_{next(_numbers)}")
    fast = settings.model_copy(update={"session_timeout_s": 3.0, "metadata_max_age_s": 1.0})
    return Stream(fast, new_topic(3), new_topic(2), new_topic(1), url, plan)


def test_one_worker_gives_what_the_engine_gives(stream: Stream) -> None:
    """Three partitions, bad records and repeated ones among them."""
    logs = {n: access_log(n, 400) for n in range(3)}
    with stream.running():
        for number, log in logs.items():
            send(stream.settings, stream.topic, number, log)
        stream.wait_until_saved(dict.fromkeys(logs, 400))

    assert_calm(stream, logs)


def test_a_worker_past_its_poll_interval_does_not_write(stream: Stream) -> None:
    """It was about to write when it was stopped; the group went on; the store refuses it."""
    logs = {n: access_log(n, 200) for n in range(3)}
    stopped, go_on = threading.Event(), threading.Event()
    refused: list[Exception] = []

    class Held:
        """A store whose first write waits until the test lets it go."""

        def __init__(self, store: Store) -> None:
            self._store = store

        def __getattr__(self, name: str) -> Any:
            return getattr(self._store, name)

        def write_alerts(self, claim: Claim, alerts: Iterable[Alert]) -> None:
            stopped.set()
            go_on.wait(60)
            try:
                self._store.write_alerts(claim, alerts)
            except FencedError as error:
                refused.append(error)
                raise

    for number, log in logs.items():
        send(stream.settings, stream.topic, number, log)
    late = replace(
        stream,
        settings=stream.settings.model_copy(update={"max_poll_interval_s": 3.0}),
        wrap=Held,
    )
    with late.running():
        assert stopped.wait(60)
        with stream.running():
            stream.wait_until_saved(dict.fromkeys(logs, 200))
            go_on.set()
            time.sleep(3)

    assert refused
    assert_calm(stream, logs)


def test_a_storm_of_rebalances_changes_nothing(stream: Stream) -> None:
    """Workers come and go while the stream is read."""
    logs = {n: access_log(n, 600) for n in range(3)}
    parts = {n: slices(log, 100) for n, log in logs.items()}
    with ExitStack() as stack:
        stack.enter_context(stream.running())
        for _ in range(6):
            for number in logs:
                send(stream.settings, stream.topic, number, next(parts[number]))
            with stream.running():
                time.sleep(1.5)
        stream.wait_until_saved(dict.fromkeys(logs, 600))

    assert_calm(stream, logs)


def test_a_new_partition_is_read_from_its_beginning(stream: Stream, kafka: KafkaCluster) -> None:
    """Nobody restarts a worker because a topic has grown."""
    logs = {n: access_log(n, 100) for n in range(4)}
    with stream.running():
        for number in range(3):
            send(stream.settings, stream.topic, number, logs[number])
        stream.wait_until_saved(dict.fromkeys(range(3), 100))
        admin = kafka.admin()
        admin.create_partitions({stream.topic: 4})
        admin.close()
        send(stream.settings, stream.topic, 3, logs[3])
        stream.wait_until_saved(dict.fromkeys(logs, 100))

    assert_calm(stream, logs)


def test_deleted_events_stop_the_worker(stream: Stream, kafka: KafkaCluster) -> None:
    """A gap between what was scored and what is there is told, not jumped over."""
    send(stream.settings, stream.topic, 0, access_log(0, 100))
    with stream.running():
        stream.wait_until_saved({0: 100})
    send(stream.settings, stream.topic, 0, access_log(1, 100))
    admin = kafka.admin()
    admin.delete_records({TopicPartition(stream.topic, 0): 150})
    admin.close()
    running = Running(stream)
    error = running.wait_for_error()

    assert isinstance(error, SourceError)
    assert "offset 100 is gone: the partition holds 150 to 200" in str(error)


def test_a_topic_created_anew_stops_the_worker(stream: Stream, kafka: KafkaCluster) -> None:
    """Its offsets mean other events, also where they exist."""
    send(stream.settings, stream.topic, 0, access_log(0, 50))
    with stream.running():
        stream.wait_until_saved({0: 50})
    admin = kafka.admin()
    admin.delete_topics([stream.topic])
    admin.close()
    time.sleep(2)
    kafka.create_topic(stream.topic, 3)
    send(stream.settings, stream.topic, 0, access_log(1, 100))
    running = Running(stream)
    error = running.wait_for_error()

    assert isinstance(error, SourceError)
    assert "was created anew" in str(error)


def test_a_restart_of_the_store_is_waited_for(stream: Stream, postgresql: Server) -> None:
    """PostgreSQL goes away in the middle of transactions, and comes back."""
    logs = {n: access_log(n, 600) for n in range(3)}
    with stream.running():
        for round_ in range(3):
            for number, log in logs.items():
                send(stream.settings, stream.topic, number, log[200 * round_ : 200 * round_ + 200])
            time.sleep(0.5)
            postgresql.stop(signal.SIGQUIT)
            time.sleep(0.5)
            postgresql.start()
        stream.wait_until_saved(dict.fromkeys(logs, 600))

    assert_calm(stream, logs)


def test_a_restart_of_the_broker_is_waited_for(stream: Stream, kafka: KafkaCluster) -> None:
    """The only broker is killed twice while events are read and alerts published."""
    logs = {n: access_log(n, 600) for n in range(3)}
    with stream.running():
        for round_ in range(3):
            for number, log in logs.items():
                send(stream.settings, stream.topic, number, log[200 * round_ : 200 * round_ + 200])
            if round_ < 2:
                kafka.kill(1)
                time.sleep(2)
                kafka.restart(1)
                kafka.wait()
        stream.wait_until_saved(dict.fromkeys(logs, 600), 90)

    assert_calm(stream, logs)
