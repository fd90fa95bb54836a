"""A worker process that kills itself at a chosen call.

Before it dies it leaves a file of that name beside the pipeline: the proof that it came there.
Workers are forked from a process that has everything imported and compiled, and no threads.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from kafka import KafkaProducer

from detector.hosts.live_pipeline import load_pipeline
from detector.hosts.live_run import opened, stop_requests
from detector.kafka import publisher
from detector.kafka.settings import kafka_settings
from detector.kafka.source import KafkaSource
from tests.kafka.tripping import TrippingStore


class KillSwitch:
    """Sends SIGKILL to this very process at a call."""

    def __init__(self, folder: Path, point: str, n_passes: int) -> None:
        self._folder, self._point, self._n_left = folder, point, n_passes

    def __call__(self, name: str) -> None:
        """Pass a call."""
        if name != self._point:
            return
        if self._n_left > 0:
            self._n_left -= 1
            return
        (self._folder / name.replace(" ", "-")).touch()
        os.kill(os.getpid(), signal.SIGKILL)


class TrippingSource(KafkaSource):
    """The real source; dies between its calls."""

    trip: KillSwitch

    def poll(self, timeout_s: float) -> Any:
        """Poll, then perhaps die."""
        polled = super().poll(timeout_s)
        if polled.records:
            self.trip("records polled")
        return polled

    def seek(self, partition: Any, offset: int) -> None:
        """Die before a seek."""
        self.trip("seek")
        super().seek(partition, offset)

    def commit(self, positions: Any) -> bool:
        """Commit, and die before or after."""
        self.trip("commit offsets")
        is_shown = super().commit(positions)
        self.trip("offsets committed")
        return is_shown


@contextmanager
def tripping_producer(trip: KillSwitch) -> Iterator[None]:
    """Let the publisher's transactions die at each of their steps."""

    class TrippingProducer(KafkaProducer):
        def begin_transaction(self) -> None:
            super().begin_transaction()
            trip("transaction begun")

        def send_offsets_to_transaction(self, offsets: Any, group_metadata: Any) -> None:
            trip("alerts sent")
            super().send_offsets_to_transaction(offsets, group_metadata)
            trip("position sent")

        def commit_transaction(self) -> None:
            super().commit_transaction()
            trip("transaction committed")

    publisher.KafkaProducer = TrippingProducer
    yield


@dataclass(frozen=True)
class Order:
    """What a worker is to do: run a pipeline file, and die at a call (`none`: at SIGTERM)."""

    path: Path
    environment: dict[str, str]
    point: str = "none"
    n_passes: int = 0

    def start(self) -> BaseProcess:
        """Start the worker."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["tests.kafka.preloaded"])
        process = context.Process(target=work, args=(self,), daemon=True)
        process.start()
        return process


def work(order: Order) -> None:
    """Run in the new process."""
    os.environ.update(order.environment)
    with order.path.with_name("log").open("ab") as log:
        os.dup2(log.fileno(), sys.stdout.fileno())
        os.dup2(log.fileno(), sys.stderr.fileno())
    path = order.path
    trip = KillSwitch(path.parent, order.point, order.n_passes)
    TrippingSource.trip = trip
    pipeline, settings = load_pipeline(path), kafka_settings()
    with stop_requests() as is_over, tripping_producer(trip), opened(pipeline, settings) as parts:
        tripping = replace(parts, store=TrippingStore(parts.store, trip))

        def join() -> TrippingSource:
            return TrippingSource(settings, pipeline.topics, pipeline.group, pipeline.reading)

        tripping.worker(join).run(is_over)
