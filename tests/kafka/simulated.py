"""A simulated cluster: groups, transactions and workers that die at any call, from one seed."""

from __future__ import annotations

import io
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from detector.alerts import Alert
from detector.hosts.live import Timing, Wiring, Worker
from detector.hosts.live_decode import Decoding
from detector.hosts.live_models import OneModel
from detector.kafka.ports import DeadLetter, LostOwnershipError, Partition, Polled
from detector.kafka.records import Records, lay_out
from detector.plan import Plan
from detector.sinks import Outbox
from detector.store import Store
from detector.telemetry import Logs, Metrics, Telemetry
from tests.kafka.tripping import Fuse, Killed, TrippingStore

QUIET = Logs(stream=io.StringIO(), level=logging.CRITICAL)
TELEMETRY = Telemetry(Metrics(), ("kafka", "store"), address=None, logs=QUIET)


class Record(NamedTuple):
    """A record as the client would hand it over."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass
class Cluster:
    """What survives workers: logs, group, transactions."""

    dice: random.Random
    logs: dict[Partition, list[Record]]
    members: list[SimulatedSource] = field(default_factory=list)
    owner: dict[Partition, SimulatedSource | None] = field(default_factory=dict)
    sent: dict[Partition, int] = field(default_factory=dict)
    epoch: dict[Partition, int] = field(default_factory=dict)
    topic: dict[Partition, list[bytes]] = field(default_factory=dict)
    letters: dict[Partition, list[int]] = field(default_factory=dict)
    shown: dict[Partition, int] = field(default_factory=dict)
    is_slow: bool = False
    now_s: float = 0.0

    def rebalance(self) -> None:
        """Spread the partitions anew over the members, as a coordinator might."""
        for partition in self.logs:
            old = self.owner.get(partition)
            new = self.dice.choice(self.members) if self.members else None
            if new is old or (old is not None and partition in old.leaving):
                continue
            if old is not None and old in self.members:
                old.leaving.add(partition)  # the next owner gets it when this one has left
            else:
                self._give(partition, new)

    def settle(self) -> None:
        """Give what nobody holds to somebody."""
        for partition in self.logs:
            owner = self.owner.get(partition)
            if (owner is None or owner not in self.members) and self.members:
                self._give(partition, self.dice.choice(self.members))

    def _give(self, partition: Partition, member: SimulatedSource | None) -> None:
        self.owner[partition] = member
        if member is not None:
            member.coming.add(partition)

    def leave(self, source: SimulatedSource) -> None:
        """Take a member out of the group."""
        if source in self.members:
            self.members.remove(source)
        self.settle()


class SimulatedSource:
    """A member: delivers some records of some partitions, in any order of partitions."""

    def __init__(self, cluster: Cluster, trip: Callable[[str], None]) -> None:
        self._cluster, self._trip = cluster, trip
        self.coming: set[Partition] = set()
        self.leaving: set[Partition] = set()
        self._position: dict[Partition, int] = {}
        self._held: set[Partition] = set()
        self._stale_polls = 0
        self._is_paused = False
        cluster.members.append(self)
        cluster.settle()

    def cut_off(self, n_polls: int) -> None:
        """Be thrown out of the group, and not notice for some polls."""
        self._stale_polls = n_polls
        self._cluster.members.remove(self)
        self._cluster.settle()

    def poll(self, timeout_s: float) -> Polled:
        """Return changes and records."""
        self._trip("poll")
        self._cluster.now_s += timeout_s
        if self not in self._cluster.members:
            if self._stale_polls == 0:
                raise LostOwnershipError("the group went on")
            self._stale_polls -= 1
            return Polled(records=self._records(), positions=dict(self._position))
        revoked, self.leaving = self.leaving & self._held, set()
        self._let_go(revoked)
        assigned, self.coming = self.coming - self._held, set()
        self._held |= assigned
        records = self._records()
        return Polled(
            revoked=frozenset(revoked),
            assigned=frozenset(assigned),
            records=records,
            positions=dict(self._position),
        )

    def _let_go(self, partitions: set[Partition]) -> None:
        for partition in partitions:
            self._held.discard(partition)
            self._position.pop(partition, None)
            self._cluster.owner[partition] = None
        if partitions:
            self._cluster.settle()

    def _records(self) -> dict[Partition, Records]:
        dice, found = self._cluster.dice, {}
        wanted = [] if self._is_paused else list(self._position)
        dice.shuffle(wanted)
        for partition in wanted:
            log, at = self._cluster.logs[partition], self._position[partition]
            n = dice.choice((0, 1, 2, 5, 40))
            again = dice.choice((0, 0, 0, 3))  # a broker may deliver from before the position
            part = log[max(0, at - again) : at + n]
            if part:
                stop = max(at, part[-1].offset + 1)
                found[partition] = lay_out(part, stop)
                self._position[partition] = stop
        return found

    def first_offset(self, partition: Partition) -> int:
        """Return the oldest offset."""
        del partition
        return 0

    def topic_id(self, topic: str) -> str:
        """Topics here are never created anew."""
        return topic

    def seek(self, partition: Partition, offset: int) -> None:
        """Deliver from an offset on."""
        self._trip("seek")
        if partition in self._held:
            self._position[partition] = offset

    def pause(self) -> None:
        """Deliver nothing."""
        self._trip("pause")
        self._is_paused = True

    def resume(self) -> None:
        """Deliver again."""
        self._is_paused = False

    def commit(self, positions: Mapping[Partition, int]) -> bool:
        """Show positions."""
        self._trip("commit offsets")
        if self not in self._cluster.members:
            raise LostOwnershipError("the group went on")
        self._cluster.shown.update(positions)
        self._trip("offsets committed")
        return True

    def lag(self) -> dict[Partition, int]:
        """Return how much is left."""
        return {p: len(self._cluster.logs[p]) - at for p, at in self._position.items()}

    def close(self) -> None:
        """Leave."""
        self._cluster.leave(self)


class SimulatedPublishers:
    """Transactions that hold messages and a position; a new owner shuts out the last one."""

    def __init__(self, cluster: Cluster, trip: Callable[[str], None]) -> None:
        self._cluster, self._trip = cluster, trip
        self._open: list[SimulatedPublisher] = []

    def open(self, partition: Partition) -> SimulatedPublisher:
        """Take over a partition."""
        self._trip("open publisher")
        publisher = SimulatedPublisher(self._cluster, partition, self._trip)
        self._open.append(publisher)
        return publisher

    def is_full(self) -> bool:
        """A slow topic lets few offers wait."""
        return sum(len(one._waiting) for one in self._open) > 1

    def flush(self, timeout_s: float) -> None:
        """Send what waits, unless the topic is slow."""
        self._cluster.now_s += timeout_s
        for publisher in self._open:
            publisher.send()

    def close(self) -> None:
        """Nothing is held."""


class SimulatedPublisher:
    """One partition's transactions."""

    def __init__(self, cluster: Cluster, partition: Partition, trip: Callable[[str], None]) -> None:
        self._cluster, self._partition, self._trip = cluster, partition, trip
        self._epoch = cluster.epoch.get(partition, 0) + 1
        cluster.epoch[partition] = self._epoch
        self._sent = cluster.sent.get(partition, 0)
        self._waiting: list[tuple[Sequence[Alert], Sequence[DeadLetter], int]] = []

    def offer(self, alerts: Sequence[Alert], letters: Sequence[DeadLetter], position: int) -> None:
        """Queue messages."""
        self._trip("offer")
        self._waiting.append((alerts, letters, position))
        if self._cluster.dice.random() < 0.7:
            self.send()

    def send(self) -> None:
        """Run one transaction per offer."""
        while self._waiting and not self._cluster.is_slow:
            if self._cluster.epoch[self._partition] != self._epoch:
                return
            self._trip("transaction begun")
            alerts, letters, position = self._waiting.pop(0)
            topic = self._cluster.topic.setdefault(self._partition, [])
            topic += [alert.to_json_line() for alert in alerts]
            kept = self._cluster.letters.setdefault(self._partition, [])
            kept += [letter.offset for letter in letters]
            self._sent = self._cluster.sent[self._partition] = position
            self._trip("transaction committed")

    def sent(self) -> int:
        """Return the offset up to which everything has been sent."""
        if self._cluster.epoch[self._partition] != self._epoch:
            raise LostOwnershipError("another worker publishes")
        self.send()
        return self._sent

    def close(self) -> None:
        """Drop what waits."""
        self._waiting.clear()


@dataclass
class Schedule:
    """Some workers, and what befalls them; everything follows from the dice."""

    dice: random.Random
    cluster: Cluster
    store: Store
    plan: Plan
    decoding: Decoding
    n_workers: int = 2
    models: Any = None
    hits: set[str] = field(default_factory=set)
    n_turns: int = 0

    def run(self, n_faults: int) -> None:
        """Turn workers, break things `n_faults` times, then let them finish."""
        workers = [self._spawn() for _ in range(self.n_workers)]
        for _ in range(3_000):
            if n_faults == 0 and self._is_done():
                return
            self.n_turns += 1
            place = self.dice.randrange(len(workers))
            worker, fuse = workers[place]
            try:
                if n_faults and self.dice.random() < 0.35:
                    n_faults -= 1
                    workers[place] = worker, fuse = self._break(worker, fuse)
                if n_faults == 0:
                    self.cluster.is_slow = False
                worker.turn()
            except Killed:
                self.hits.add(fuse.tripped_at)
                workers[place] = self._replace(worker)
        raise AssertionError(f"not done: {self.cluster.sent} {self.cluster.shown}")

    def _spawn(self) -> tuple[Worker, Fuse]:
        fuse = Fuse()
        timing = Timing(
            save_every_s=0.3,
            clock_s=lambda: self.cluster.now_s,
            sleep=lambda _: None,
            stalled_after_s=1e9,
        )
        wiring = Wiring(
            join=lambda: SimulatedSource(self.cluster, fuse),
            store=TrippingStore(self.store, fuse),  # type: ignore[arg-type]  forwards the rest
            publishers=SimulatedPublishers(self.cluster, fuse),
            outbox=Outbox(self.store, [], TELEMETRY),
            telemetry=TELEMETRY,
            owner="simulated",
            models=self.models or OneModel(self.plan),
        )
        return Worker(wiring, self.decoding, timing), fuse

    def _replace(self, worker: Worker) -> tuple[Worker, Fuse]:
        """The group notices a death and goes on; another process is started."""
        self.cluster.leave(worker._source)  # type: ignore[arg-type]
        return self._spawn()

    def _break(self, worker: Worker, fuse: Fuse) -> tuple[Worker, Fuse]:
        """Choose one of the things that go wrong."""
        source: Any = worker._source
        kind = self.dice.randrange(6)
        if kind <= 1:
            fuse.n_calls_left = self.dice.randrange(14)
        elif kind == 2:
            self.cluster.rebalance()
        elif kind == 3 and source in self.cluster.members and len(self.cluster.members) > 1:
            source.cut_off(self.dice.randrange(4))
        elif kind == 4:
            self.cluster.is_slow = not self.cluster.is_slow
        else:
            worker.drain()
            return self._replace(worker)
        return worker, fuse

    def _is_done(self) -> bool:
        return all(self.cluster.shown.get(p) == len(log) for p, log in self.cluster.logs.items())
