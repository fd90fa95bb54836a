"""Kafka: reachable, allowed, kept long enough, keyed by actor, on time. Nothing is written."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_fixed

from detector.errors import DetectorError
from detector.hosts.doctor_finding import Finding, guarded, of_error
from detector.hosts.live_decode import Decoding, decode_records
from detector.hosts.live_pipeline import Pipeline
from detector.kafka import preflight
from detector.kafka.records import Records
from detector.kafka.sample import newest_records
from detector.kafka.settings import KafkaSettings, kafka_settings
from detector.mapping import load_mapping
from detector.policy import load_policy

N_SAMPLED = 300
_MAX_AHEAD_S = 60.0
_MAX_SILENT_H = 24.0
_MAX_REJECTS = 0.02
_HOUR_MS, _MS = 3_600_000, 1_000.0


@dataclass(frozen=True, slots=True)
class _Reads:
    """A group's topics; ``by_actor``: they must be keyed by actor."""

    group: str
    topics: tuple[str, ...]
    mapping: Any
    by_actor: bool


def examine_kafka(pipeline: Pipeline, catch_up_h: float) -> Iterator[Finding]:
    """Look at the cluster, then at each topic that is read or written."""
    yield from guarded("kafka", "kafka", _cluster(pipeline, catch_up_h))


def _cluster(pipeline: Pipeline, catch_up_h: float) -> Iterator[Finding]:
    settings = kafka_settings()
    yield from _addresses(settings)
    preflight.check_addresses(settings)
    admin = preflight.admin_client(settings)
    try:
        yield Finding("kafka", "ok", settings.bootstrap, "lets us in")
        reads = list(_reads(pipeline))
        for topic in _writes(pipeline):
            yield from guarded("kafka", f"topic {topic}", _writable(admin, topic))
        for read in reads:
            yield from guarded("kafka", f"group {read.group}", _group(admin, read.group))
            for topic in read.topics:
                look = _Topic(admin, settings, pipeline, read, topic)
                yield from guarded("kafka", look.where, look.examine(catch_up_h))
    finally:
        admin.close()


def _reads(pipeline: Pipeline) -> Iterator[_Reads]:
    if pipeline.topics:
        yield _Reads(pipeline.group, pipeline.topics, pipeline.mapping, by_actor=True)
    if pipeline.route is not None:
        for source in pipeline.route.sources:
            yield _Reads(pipeline.route.group, source.topics, source.mapping, by_actor=False)


def _writes(pipeline: Pipeline) -> list[str]:
    route = None if pipeline.route is None else pipeline.route.topic
    back = pipeline.topics if pipeline.publish_verdicts else ()
    named = (pipeline.alerts_topic, pipeline.dead_letters.topic, route, *back)
    return [topic for topic in named if topic is not None]


def _addresses(settings: KafkaSettings) -> Iterator[Finding]:
    """Try every address: one that answers is enough to work, and none in reserve."""
    for address in settings.client()["bootstrap_servers"]:
        try:
            preflight.check_addresses(settings.model_copy(update={"bootstrap": address}))
        except DetectorError as error:
            found = of_error("kafka", error)
            yield Finding("kafka", "warning", found.where, found.what, found.remedy)
        else:
            yield Finding("kafka", "ok", address, "answers")


def _group(admin: Any, group: str) -> Iterator[Finding]:
    """Ask for the group; a new cluster needs a moment to make the topic that keeps them."""
    retrying = Retrying(
        stop=stop_after_attempt(5),
        wait=wait_fixed(1.0),
        retry=retry_if_exception(lambda error: "Coordinator" in str(error)),
        reraise=True,
    )
    retrying(preflight.check_group, admin, group)
    yield Finding("kafka", "ok", f"group {group}", "may be joined")


def _writable(admin: Any, topic: str) -> Iterator[Finding]:
    where = f"topic {topic}"
    preflight.check_topics(admin, [topic])
    if "WRITE" in _rights(admin, topic):
        yield Finding("kafka", "ok", where, "may be written")
    else:
        what = "may not be written by this user"
        yield Finding("kafka", "error", where, what, "Grant WRITE and DESCRIBE on it")


def _rights(admin: Any, topic: str) -> set[str]:
    (found,) = admin.describe_topics([topic])
    return set(found["authorized_operations"] or ())


@dataclass(frozen=True, slots=True)
class _Topic:
    """One topic that is read."""

    admin: Any
    settings: KafkaSettings
    pipeline: Pipeline
    read: _Reads
    topic: str

    @property
    def where(self) -> str:
        return f"topic {self.topic}"

    def finding(self, level: Any, what: str, remedy: str = "") -> Finding:
        return Finding("kafka", level, self.where, what, remedy)

    def examine(self, catch_up_h: float) -> Iterator[Finding]:
        n_partitions = preflight.check_topics(self.admin, [self.topic])[self.topic]
        if "READ" not in _rights(self.admin, self.topic):
            yield self.finding("error", "may not be read by this user", "Grant READ on it")
            return
        yield self.finding("ok", f"has {n_partitions} partitions and may be read")
        yield from self.keeps(catch_up_h)
        sample = newest_records(self.settings, self.topic, n_partitions, N_SAMPLED)
        if not sample:
            what, remedy = "holds no record to look at", "Is the source sending?"
            yield self.finding("warning", what, remedy)
            return
        yield from self.times(sample)
        yield from self.rows(sample, n_partitions)

    def keeps(self, catch_up_h: float) -> Iterator[Finding]:
        """Compare retention with the longest time we may be away."""
        resource = ConfigResource(ConfigResourceType.TOPIC, self.topic)
        try:
            told = self.admin.describe_configs([resource], config_filter="all")
        except KafkaError as error:
            what = f"does not tell its retention ({type(error).__name__})"
            yield self.finding("warning", what, "Grant DESCRIBE_CONFIGS on it")
            return
        values = {name: held["value"] for name, held in told["topic"][self.topic].items()}
        yield from self.judged(values, catch_up_h)

    def judged(self, values: Mapping[str, str], catch_up_h: float) -> Iterator[Finding]:
        kept_ms = int(values.get("retention.ms", "-1"))
        if "compact" in values.get("cleanup.policy", ""):
            what = "is compacted: of each key only the newest event stays"
            yield self.finding("error", what, "Set cleanup.policy=delete")
        if 0 <= kept_ms < catch_up_h * _HOUR_MS:
            what = (
                f"keeps records for {kept_ms / _HOUR_MS:,.1f} h, and the longest catch-up is "
                f"{catch_up_h:g} h: what was not read in time is gone"
            )
            yield self.finding("error", what, "Raise retention.ms, or state --catch-up-hours")
        else:
            kept = "for ever" if kept_ms < 0 else f"for {kept_ms / _HOUR_MS:,.0f} h"
            yield self.finding("ok", f"keeps records {kept}")
        if int(values.get("retention.bytes", "-1")) >= 0:
            what = f"also drops records beyond {int(values['retention.bytes']):,} bytes a partition"
            yield self.finding("warning", what, f"See that it holds {catch_up_h:g} h of events")

    def times(self, sample: Mapping[int, Records]) -> Iterator[Finding]:
        """Compare the newest timestamps with this machine's clock."""
        newest_ms = max(int(records.spans.time_ms.max()) for records in sample.values())
        behind_s = time.time() - newest_ms / _MS
        if behind_s < -_MAX_AHEAD_S:
            what = f"holds records {-behind_s:,.0f} s ahead of this machine's clock"
            remedy = "One of the two clocks is wrong: synchronise broker, source and this machine"
            yield self.finding("warning", what, remedy)
        elif behind_s > _MAX_SILENT_H * 3_600:
            what = f"has got no record for {behind_s / 3_600:,.0f} h"
            yield self.finding("warning", what, "Is the source sending?")

    def rows(self, sample: Mapping[int, Records], n_partitions: int) -> Iterator[Finding]:
        """Decode the sample as a run would."""
        limits = load_policy(self.pipeline.policy).limits
        decoding = Decoding(load_mapping(self.read.mapping), limits.max_line_bytes)
        seen: dict[str, set[int]] = {}
        rejects: Counter[str] = Counter()
        n = 0
        for number, records in sample.items():
            decoded = decode_records(records, decoding, self.topic)
            n += len(records)
            rejects.update(reject.reason for reject in decoded.rejects)
            for user in decoded.batch.user_ids:
                seen.setdefault(user, set()).add(number)
        yield from self.used(n, rejects)
        if self.read.by_actor and n_partitions > 1 and seen:
            yield from self.keyed(seen)

    def used(self, n: int, rejects: Counter[str]) -> Iterator[Finding]:
        n_rejects = rejects.total()
        if n_rejects <= _MAX_REJECTS * n:
            yield self.finding("ok", f"{n - n_rejects} of {n} sampled records are events")
            return
        reasons = ", ".join(f"{count} {reason}" for reason, count in rejects.most_common(3))
        what = f"{n_rejects} of {n} sampled records cannot be used: {reasons}"
        yield self.finding("error", what, "Mend the mapping, see pipelines/INPUTS.md")

    def keyed(self, seen: Mapping[str, set[int]]) -> Iterator[Finding]:
        """See that no actor is in two partitions; names none."""
        n_spread = sum(len(partitions) > 1 for partitions in seen.values())
        if n_spread:
            what = (
                f"is not keyed by actor: {n_spread} of {len(seen)} people in the sample are in "
                "several partitions, and each part would be judged alone"
            )
            yield self.finding("error", what, "Key it by actor: `detector route`")
        else:
            yield self.finding("ok", f"each of {len(seen)} people sampled is in one partition")
