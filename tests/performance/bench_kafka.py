"""`make bench-kafka`: the consumer on a real broker, in CPU microseconds per event.

Everything in one run, in turn, as medians. CPU time is that of this process with all its
threads, from the moment all partitions are held; the broker is another process. The client's own
ways read without checking batches, ours checks them. quixstreams is not among our dependencies:
`--quix PYTHON` names an interpreter that has it, and adds a row.
"""

from __future__ import annotations

import argparse
import gc
import io
import multiprocessing
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from detector.artifacts import read_artifact
from detector.columns import Lines
from detector.decode import Bounds, decode_spans
from detector.hosts.live import WAITING, Timing, Wiring, Worker
from detector.hosts.live_decode import Decoding
from detector.hosts.live_models import OneModel
from detector.kafka.publisher import KafkaPublishers, Topics
from detector.kafka.records import Records
from detector.kafka.settings import KafkaSettings
from detector.kafka.source import KafkaSource
from detector.mapping import load_mapping
from detector.plan import Plan, build_plan
from detector.policy import load_policy
from detector.reference import load_reference
from detector.sinks import Outbox
from detector.store import open_store
from detector.telemetry import Logs, Metrics, Telemetry
from tests.parts.kafka import KafkaCluster, running
from tests.performance.feed import Feed, send_all, send_at_rate
from tests.performance.material import prepare
from tests.performance.usual_loop import User, score

N_PARTITIONS = 4
CHUNK = 1_000
_SHARES = (0.1, 0.8)  # of what one worker does alone; sender and broker are on the same cores
_LOW_SCORE = 0.7  # many alerts, to have a p99
MAPPING = load_mapping(None)
BOUNDS = Bounds(0, 2**62)
Numbers = dict[str, float]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small, only to see that it runs")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--data", type=Path, default=Path("bench-data"))
    parser.add_argument("--quix", type=Path, help="a Python that has quixstreams")
    parser.add_argument("--people", type=int, help="only: memory with so many, from a backlog")
    options = parser.parse_args()
    n_events, n_users = (100_000, 2_000) if options.quick else (200_000, 20_000)
    material = prepare(options.data, n_events=n_events, n_users=n_users)
    lines = material.events.read_bytes().splitlines()
    with tempfile.TemporaryDirectory() as folder, running(Path(folder) / "kafka") as cluster:
        bench = Bench(cluster, Path(folder), lines, material.plan(load_policy(None)))
        if options.people:
            bench.memory(options.people)
            return
        bench.fill()
        rounds = [bench.round() for _ in range(options.rounds + 1)][1:]  # the first one compiles
        found = {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
        if options.quix is not None:
            found["quix"] = bench.quix(options.quix)
        show(found, len(lines), statistics.mean(map(len, lines)), options.rounds)
        artifact, tables = read_artifact(material.artifact), load_reference(material.reference)
        bench.plan = build_plan(load_policy(None), artifact, tables, min_score=_LOW_SCORE)
        limit = 1e6 / found["wall"]
        for share in _SHARES:
            bench.delays(share * limit, 2.0 if options.quick else 20.0).show(share)


def show(found: Numbers, n: int, n_bytes: float, rounds: int) -> None:
    """Print the table."""
    print(f"{n:,} events of {n_bytes:.0f} bytes, median of {rounds} rounds, CPU µs per event")
    for name, value in found.items():
        print(f"  {name:8} {value:8.2f}")
    pairs: tuple[tuple[str, str, int], ...] = (
        ("worker", "usual", 5),
        ("raw", "poll", 5),
        ("scanner", "orjson", 4),
    )
    if "quix" in found:
        pairs += (("worker", "quix", 5),)
    for ours, theirs, must in pairs:
        print(f"  {ours} against {theirs}: {found[theirs] / found[ours]:.1f} × (must: {must} ×)")
    per_core = 1e6 / found["worker"]
    print(f"  {per_core:,.0f} events/s per core; 100,000 events/s: {100_000 / per_core:.1f} cores")
    print(f"  one worker beside its broker: {1e6 / found['wall']:,.0f} events/s")


@dataclass(frozen=True)
class Delays:
    """How long alerts took at a rate; ``late_s`` is what the sender was behind at its end."""

    rate: float
    late_s: float
    delays_s: list[float]

    def show(self, share: float) -> None:
        """Print them."""
        cuts = statistics.quantiles(self.delays_s, n=100, method="inclusive")
        print(
            f"  time to alert at {share:.0%} ({self.rate:,.0f} events/s): "
            f"p50 {cuts[49] * 1000:.0f} ms, p99 {cuts[98] * 1000:.0f} ms, "
            f"most {self.delays_s[-1] * 1000:.0f} ms ({len(self.delays_s)} alerts; "
            f"the sender ended {self.late_s * 1000:.0f} ms late)"
        )


@contextmanager
def cpu(name: str, numbers: Numbers, n: int) -> Iterator[None]:
    """Note the CPU microseconds per event of a block."""
    gc.collect()
    started = time.process_time()
    yield
    numbers[name] = (time.process_time() - started) / n * 1e6


def user_of(line: bytes) -> bytes:
    """Return the actor, the key of the topic."""
    return str(orjson.loads(line)["user_id"]).encode()


@dataclass
class Bench:
    """A filled topic, and the ways to read it."""

    cluster: KafkaCluster
    folder: Path
    lines: list[bytes]
    plan: Plan
    records: list[Records] = field(default_factory=list)
    n_rounds: int = 0

    def __post_init__(self) -> None:
        """Know the cluster."""
        self.settings = KafkaSettings(bootstrap=self.cluster.bootstrap)

    def memory(self, n_people: int) -> None:
        """Write an event of each, then read them; print what the process came to hold."""
        topic = self.cluster.create_topic("people", N_PARTITIONS)
        self.cluster.create_topic("alerts")
        lines = self.lines[:20_000]  # what only the feed needs should not be in the figure
        self.lines = []
        feed = Feed(self.cluster.bootstrap, topic, N_PARTITIONS, lines, 400_000.0, 0.0, n_people)
        feed = replace(feed, seconds=1.2 * n_people / feed.rate)
        sender = multiprocessing.get_context("spawn").Process(target=send_all, args=(feed,))
        sender.start()
        sender.join()
        with self._worker(topic, topic) as worker:
            self._join(worker)
            while sum(run.position for run in worker._runs.values()) < feed.n_events:
                worker.turn()
            arrays = [run.state.arrays().values() for run in worker._runs.values()]
            state = sum(one.nbytes for found in arrays for one in found)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(f"{n_people:,} people, {feed.n_events:,} events waiting, {N_PARTITIONS} partitions")
        print(f"  at most {peak / 1e9:.1f} GB resident, {state / 1e9:.1f} GB of it state")

    def fill(self) -> None:
        """Write all events, keyed by actor."""
        self.cluster.create_topic("access", N_PARTITIONS)
        self.cluster.create_topic("alerts")
        producer = KafkaProducer(**self.settings.client(), linger_ms=20, batch_size=131_072)
        for line in self.lines:
            producer.send("access", line, user_of(line))
        producer.flush()
        producer.close()

    def round(self) -> Numbers:
        """Measure every part once."""
        self.n_rounds += 1
        numbers: Numbers = {}
        for part in (self.usual, self.poll, self.raw, self.orjson, self.scanner, self.worker):
            print(f"round {self.n_rounds}: {part.__name__}", file=sys.stderr, flush=True)
            part(numbers)
        return numbers

    def usual(self, numbers: Numbers) -> None:
        """The client's iterator, orjson, dicts."""
        users: defaultdict[str, User] = defaultdict(User)
        consumer = self._consumer()
        with cpu("usual", numbers, len(self.lines)):
            for number, record in enumerate(consumer, 1):
                event = orjson.loads(record.value)
                score(users[event["user_id"]], event)
                if number == len(self.lines):
                    break
        consumer.close()

    def poll(self, numbers: Numbers) -> None:
        """The client's records, looked at no further."""
        consumer, n = self._consumer(), 0
        with cpu("poll", numbers, len(self.lines)):
            while n < len(self.lines):
                n += sum(map(len, consumer.poll(500, max_records=2_000).values()))
        consumer.close()

    def _consumer(self) -> KafkaConsumer:
        # without its extra `crc32c` the client checks in Python, at 45 µs an event: left out here
        consumer = KafkaConsumer(
            **self.settings.client(), auto_offset_reset="earliest", check_crcs=False
        )
        consumer.assign([TopicPartition("access", n) for n in range(N_PARTITIONS)])
        return consumer

    def raw(self, numbers: Numbers) -> None:
        """Our records: spans of whole batches."""
        source, n, self.records = self._source(f"raw{self.n_rounds}"), 0, []
        with cpu("raw", numbers, len(self.lines)):
            while n < len(self.lines):
                for records in source.poll(0.5).records.values():
                    n += len(records)
                    self.records.append(records)
        source.close()

    def _source(self, group: str) -> KafkaSource:
        source = KafkaSource(self.settings, ["access"], group)
        waiting = set(range(N_PARTITIONS))
        while waiting:
            for partition in source.poll(0.1).assigned:
                source.seek(partition, 0)
                waiting.discard(partition.number)
        return source

    def orjson(self, numbers: Numbers) -> None:
        """Columns by way of orjson."""
        self._decode("orjson", numbers, scanner=False)

    def scanner(self, numbers: Numbers) -> None:
        """Columns by the compiled scanner."""
        self._decode("scanner", numbers, scanner=True)

    def _decode(self, name: str, numbers: Numbers, *, scanner: bool) -> None:
        with cpu(name, numbers, len(self.lines)):
            for records in self.records:
                for start in range(0, len(records), CHUNK):
                    spans = records.cut(start, start + CHUNK).spans
                    lines = Lines(records.content, spans.value_start, spans.value_stop)
                    decode_spans(lines, spans.offset, MAPPING, BOUNDS, "t", scanner=scanner)

    def worker(self, numbers: Numbers) -> None:
        """The whole consumer: scored by all detectors, stored, published, saved.

        A run is shorter than the time between two checkpoints: one of all partitions, made at
        its end, is spread over the events of that time.
        """
        n = len(self.lines)
        with self._worker("access", f"worker{self.n_rounds}") as worker:
            self._join(worker)
            started = time.monotonic()
            with cpu("scoring", numbers, n):
                while sum(run.position for run in worker._runs.values()) < n:
                    worker.turn()
            numbers["wall"] = (time.monotonic() - started) / n * 1e6
            saved: Numbers = {}
            with cpu("checkpoint", saved, 1):
                worker.drain()
            share = saved["checkpoint"] / (Timing().save_every_s * 1e6)
            numbers["saving"] = numbers["scoring"] * share / (1 - share)
            numbers["worker"] = numbers["scoring"] + numbers["saving"]

    def _join(self, worker: Worker) -> None:
        """Turn until all partitions are held, none of them read yet."""
        while len(worker._runs) < N_PARTITIONS:
            worker.turn()

    @contextmanager
    def _worker(
        self, topic: str, group: str, wrap: Callable[[Any], Any] = lambda one: one
    ) -> Iterator[Worker]:
        store = open_store(f"sqlite:///{self.folder}/{group}.db")
        publishers = KafkaPublishers(self.settings, Topics(group, "alerts"))
        telemetry = Telemetry(
            Metrics([topic], limits=[WAITING]),
            ("kafka",),
            address=None,
            logs=Logs(stream=io.StringIO()),
        )
        wiring = Wiring(
            join=lambda: KafkaSource(self.settings, [topic], group),
            store=wrap(store),
            publishers=publishers,
            outbox=Outbox(store, [], telemetry),
            telemetry=telemetry,
            owner="bench",
            models=OneModel(self.plan),
        )
        worker = Worker(wiring, Decoding(MAPPING, 1_000_000), Timing())
        try:
            yield worker
        finally:
            worker.drain()
            worker._source.close()
            publishers.close()
            store.close()

    def quix(self, python: Path) -> float:
        """Measure quixstreams once, in its own interpreter; its start is in it."""
        script = Path(__file__).with_name("quix_loop.py")
        command = [str(python), str(script), self.cluster.bootstrap, "access"]
        done = subprocess.run(
            [*command, str(len(self.lines))], capture_output=True, text=True, check=True
        )
        return float(done.stdout.splitlines()[-1])

    def delays(self, rate: float, seconds: float) -> Delays:
        """Send events at a rate from another process; see when their alerts can be read."""
        topic = self.cluster.create_topic(f"delay-{rate:.0f}", N_PARTITIONS)
        feed = Feed(self.cluster.bootstrap, topic, N_PARTITIONS, self.lines, rate, seconds)
        written: dict[int, float] = {}

        class Timed:
            """A store that notes when alerts can be read."""

            def __init__(self, store: Any) -> None:
                self._store = store

            def __getattr__(self, name: str) -> Any:
                return getattr(self._store, name)

            def write_alerts(self, claim: Any, alerts: Any) -> None:
                self._store.write_alerts(claim, alerts)
                for alert in alerts:
                    written.setdefault(int(alert.fields["event_ids"][-1][1:]), time.time())

        context = multiprocessing.get_context("spawn")
        ready, results = context.Event(), context.Queue()
        sender = context.Process(target=send_at_rate, args=(feed, ready, results), daemon=True)
        with self._worker(topic, topic, Timed) as worker:
            self._join(worker)
            sender.start()
            results.get()  # everything is made
            ready.set()
            deadline = time.monotonic() + 3 * seconds + 30
            while sum(run.position for run in worker._runs.values()) < feed.n_events:
                worker.turn()
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{rate:,.0f} events/s are not read in time")
            started, ended = results.get()
        sender.join()
        delays_s = sorted(at - started - feed.turn_s(event) for event, at in written.items())
        return Delays(rate, ended - started - seconds, delays_s)


if __name__ == "__main__":
    main()
