"""A pipeline file and the settings → a running worker."""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from detector.artifacts import Artifact
from detector.errors import OptionError, PipelineError
from detector.hosts.followers import Follower, Followers
from detector.hosts.learned import learned
from detector.hosts.live import WAITING, Timing, Wiring, Worker
from detector.hosts.live_decode import Decoding
from detector.hosts.live_models import Choice, Models, OneModel, RoleModels
from detector.hosts.live_pipeline import Pipeline, load_pipeline
from detector.hosts.statements import refuse_mute_mapping
from detector.hosts.verdict_feed import VerdictFeed, VerdictTopic
from detector.kafka.dead_letter_file import DeadLetterFile
from detector.kafka.ports import Publishers, Source
from detector.kafka.preflight import refuse_unreachable
from detector.kafka.publisher import KafkaPublishers, Topics, Unpublished
from detector.kafka.settings import KafkaSettings, kafka_settings
from detector.kafka.source import KafkaSource
from detector.mapping import load_mapping
from detector.plan import Plan, build_plan
from detector.policy import Policy, load_policy
from detector.reference import load_reference
from detector.registry import Registry
from detector.registry.ledger import PRODUCTION
from detector.sinks import Outbox, open_sinks
from detector.store import Store, open_store
from detector.store.verdicts import FOLLOWER
from detector.telemetry import Logs, Metrics, Telemetry, parse_address

_STORE, _METRICS = "DETECTOR_STORE", "DETECTOR_METRICS_ADDRESS"
_DEAD_LETTERS = "dead_letters"


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything a worker is made of; what is open is closed by whoever opened it."""

    pipeline: Pipeline
    settings: KafkaSettings
    models: Models
    decoding: Decoding
    telemetry: Telemetry
    store: Store
    publishers: Publishers
    outbox: Follower

    def join(self) -> Source:
        """Become a member of the group."""
        pipeline, telemetry = self.pipeline, self.telemetry
        source = KafkaSource(self.settings, pipeline.topics, pipeline.group, pipeline.reading)
        telemetry.metrics.raw_fetch.set(int(source.is_raw))
        if not source.is_raw:
            telemetry.log.warning("records are read one by one", why=source.misfit)
        return source

    def worker(self, join: Callable[[], Source] | None = None) -> Worker:
        """Return a worker that has joined the group, in another way if one is given."""
        pipeline = self.pipeline
        timing = Timing(
            save_every_s=pipeline.save_every_s,
            save_every_events=pipeline.save_every_events,
            stalled_after_s=pipeline.stalled_after_s,
        )
        wiring = Wiring(
            join=join or self.join,
            store=self.store,
            publishers=self.publishers,
            outbox=self.outbox,
            telemetry=self.telemetry,
            owner=f"{socket.gethostname()}/{os.getpid()}",
            models=self.models,
        )
        return Worker(wiring, self.decoding, timing)


def run_pipeline(path: Path) -> None:
    """Consume until SIGTERM or SIGINT, then save and leave.

    Raises:
        DetectorError: a file or a setting is wrong, or the worker cannot go on.
    """
    with stop_requests() as is_over:
        pipeline, settings = load_pipeline(path), kafka_settings()
        if not pipeline.topics:
            raise PipelineError("has no [source]", where=str(path), hint="Use `detector route`")
        topics = [pipeline.alerts_topic, pipeline.dead_letters.topic]
        writes = [one for one in topics if one is not None]
        writes += pipeline.topics if pipeline.publish_verdicts else ()
        refuse_unreachable(settings, pipeline.topics, pipeline.group, writes)
        with opened(pipeline, settings) as parts, end_if_hanging(parts.telemetry):
            parts.worker().run(is_over)


@contextmanager
def opened(pipeline: Pipeline, settings: KafkaSettings) -> Iterator[Parts]:
    """Open everything, and close it whatever happens."""
    policy = load_policy(pipeline.policy)
    decoding = Decoding(
        load_mapping(pipeline.mapping), policy.limits.max_line_bytes, pipeline.scanner
    )
    if pipeline.publish_verdicts:
        refuse_mute_mapping(decoding.mapping, pipeline.path)
    reference = load_reference(pipeline.reference)

    def plan_of(artifact: Artifact | None) -> Plan:
        return build_plan(policy, artifact, reference)

    with ExitStack() as stack:
        secrets = [*settings.secrets()]
        sinks = open_sinks(pipeline.sinks, secrets.append)
        names = [sink.name for sink in sinks] + [FOLLOWER] * pipeline.publish_verdicts
        telemetry = stack.enter_context(_telemetry(pipeline, policy, names, secrets))
        store = open_store(store_url(pipeline))
        stack.callback(store.close)
        alerts = Outbox(store, sinks, telemetry)
        stack.callback(alerts.close)
        outbox: Follower = alerts
        if pipeline.publish_verdicts:
            topic = VerdictTopic(settings, decoding.mapping)
            feed = VerdictFeed(store, store_url(pipeline), topic, telemetry)
            stack.callback(feed.close)
            outbox = Followers([alerts, feed])
        telemetry.health.good("store")
        models: Models
        if pipeline.registry is None:
            models = OneModel(plan_of(learned(pipeline.artifact, None)))
        else:
            role = str(pipeline.artifact or PRODUCTION)
            choice = Choice(Registry(pipeline.registry), role, plan_of)
            models = stack.enter_context(RoleModels(choice, store, telemetry))
        publishers = _publishers(pipeline, settings, telemetry)
        stack.callback(publishers.close)
        yield Parts(pipeline, settings, models, decoding, telemetry, store, publishers, outbox)


def store_url(pipeline: Pipeline) -> str:
    """Return where the store is: the environment goes before the file.

    Raises:
        OptionError: neither names one.
    """
    url = os.environ.get("DETECTOR_STORE") or pipeline.store
    if url is None:
        what, hint = "no store is named", f"Set {_STORE}, or store in the pipeline"
        raise OptionError(what, where=str(pipeline.path), hint=hint)
    return url


def _telemetry(
    pipeline: Pipeline, policy: Policy, sinks: Sequence[str], secrets: Sequence[str]
) -> Telemetry:
    text = (
        os.environ.get("DETECTOR_METRICS_ADDRESS") or pipeline.telemetry_address or "127.0.0.1:9464"
    )
    metrics = Metrics(pipeline.topics, sinks, limits=[_DEAD_LETTERS, WAITING])
    metrics.alert_budget.set(policy.alerts.budget_per_day)
    level = logging.getLevelNamesMapping()[pipeline.log_level.upper()]
    return Telemetry(
        metrics,
        ("kafka", "store"),
        address=None if text == "none" else parse_address(text, _METRICS),
        logs=Logs(secrets=tuple(secrets), level=level),
    )


def _publishers(pipeline: Pipeline, settings: KafkaSettings, telemetry: Telemetry) -> Publishers:
    letters = pipeline.dead_letters
    topics = Topics(
        pipeline.group,
        pipeline.alerts_topic,
        letters.topic,
        waiting_bytes=pipeline.reading.waiting_bytes,
    )
    found: Publishers = Unpublished()
    if topics.alerts or topics.dead_letters:
        found = KafkaPublishers(settings, topics)
    if letters.file is None:
        return found

    def on_limit(n: int) -> None:
        telemetry.metrics.limit_hits.labels(_DEAD_LETTERS).inc(n)
        telemetry.log.warning("dead letters not kept: the file is full", n=n)

    return DeadLetterFile(letters.file, letters.max_bytes, found, on_limit)


@contextmanager
def end_if_hanging(telemetry: Telemetry, look_every_s: float = 5.0) -> Iterator[None]:
    """End the process when the loop no longer turns: a call of the client can wait for ever."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(look_every_s):
            if not telemetry.health.is_alive:
                telemetry.log.error("the loop hangs; the process ends so that it is started anew")
                faulthandler.dump_traceback(all_threads=True)
                os._exit(1)

    thread = threading.Thread(target=watch, name="watchdog", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Tell whether SIGTERM or SIGINT has come; a second one ends the process."""
    received: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def note(number: int, _frame: object) -> None:
        received.append(number)
        for one, handler in before.items():
            signal.signal(one, handler)

    for number in before:
        signal.signal(number, note)
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
