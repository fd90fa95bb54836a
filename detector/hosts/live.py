"""The live loop: poll, score, write, save; one state per partition.

What happens to a batch, in this order: its alerts are written to the store; they are offered
to the alerts topic; once that has them, a checkpoint may pass the batch; then the group's
offset shows it. So at every moment a crash repeats some work and loses or doubles nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from detector.errors import FencedError
from detector.hosts.followers import Follower
from detector.hosts.live_decode import Decoding
from detector.hosts.live_models import Models
from detector.hosts.live_partition import (
    PartitionRun,
    Places,
    ScoringError,
    Taken,
    save,
    switch,
    take_over,
)
from detector.kafka.ports import (
    LostOwnershipError,
    NotReadyError,
    Partition,
    Polled,
    Publishers,
    Source,
    StalledError,
)
from detector.kafka.records import Records
from detector.store import Store
from detector.telemetry import BatchReport, Telemetry


@dataclass(frozen=True, slots=True)
class Timing:
    """When the loop does what.

    Args:
        poll_s: how long to wait for records.
        save_every_s: seconds between checkpoints of a partition.
        save_every_events: a checkpoint at the latest after so many events.
        stalled_after_s: a partition with records that does not move for so long is an error.
        rejoin_after_s: pause before joining the group again.
        drain_s: how long to wait for the alerts topic when asked to stop.
        clock_s: seconds that only grow.
        sleep: waits so many seconds.
    """

    poll_s: float = 0.1
    save_every_s: float = 5.0
    save_every_events: int = 200_000
    stalled_after_s: float = 120.0
    rejoin_after_s: float = 1.0
    drain_s: float = 10.0
    clock_s: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


WAITING = "waiting_to_be_sent"
"""Name of the limit at which reading pauses."""

_TELL_EVERY_S = 30.0


@dataclass(slots=True)
class _Progress:
    """Where a partition stood when it last moved, and when."""

    position: int
    since_s: float
    saved_s: float
    shown: int = -1
    told_s: float = -1e9


@dataclass(frozen=True, slots=True)
class Wiring:
    """What a worker is connected to.

    Args:
        join: opens a source: at the start, and again after the group went on without us.
        store: alerts and checkpoints.
        publishers: alerts topic and dead letters.
        outbox: sinks, and the verdicts' way back, which follow the store.
        telemetry: counts and logs.
        owner: host and process, for people.
        models: says which artifact decides; that may change while the worker runs.
    """

    join: Callable[[], Source]
    store: Store
    publishers: Publishers
    outbox: Follower
    telemetry: Telemetry
    owner: str
    models: Models


class Worker:
    """One member of the group, with the partitions it holds.

    Args:
        wiring: what it reads and writes.
        decoding: how records become events.
        timing: when to do what.
    """

    def __init__(self, wiring: Wiring, decoding: Decoding, timing: Timing = Timing()) -> None:
        self._join, self._owner, self._timing = wiring.join, wiring.owner, timing
        self._store, self._publishers = wiring.store, wiring.publishers
        self._outbox, self._telemetry = wiring.outbox, wiring.telemetry
        self._models, self._decoding = wiring.models, decoding
        self._runs: dict[Partition, PartitionRun] = {}
        self._progress: dict[Partition, _Progress] = {}
        self._wanted: set[Partition] = set()
        self._try_again_s = 0.0
        self._is_paused = False
        self._source = self._join()

    def run(self, is_over: Callable[[], bool]) -> None:
        """Turn until told to stop; then save, send and leave in order.

        Raises:
            DetectorError: it cannot go on; a restart goes on from the last checkpoints.
        """
        try:
            while not is_over():
                self.turn()
            self.drain()
        finally:
            self._source.close()

    def turn(self) -> None:
        """Do one round; after the loss of what we held, join again."""
        try:
            self._turn()
        except (LostOwnershipError, FencedError) as error:
            self._telemetry.log.warning("partitions lost, joining again", why=str(error))
            self._forget(frozenset(self._runs))
            self._wanted.clear()
            self._source.close()
            self._timing.sleep(self._timing.rejoin_after_s)
            self._source, self._is_paused = self._join(), False

    def _turn(self) -> None:
        polled = self._source.poll(self._timing.poll_s)
        self._telemetry.health.beat()
        if polled.problem:
            self._telemetry.health.bad("kafka", f"no broker answers ({polled.problem})")
        else:
            self._telemetry.health.good("kafka")
        self._change(polled)
        self._take_over_wanted()
        for partition, records in polled.records.items():
            if partition in self._runs:
                self._score(self._runs[partition], records)
        self._move(polled.positions)
        for run in self._due():
            self._save(run)
        self._throttle()
        self._show()
        self._outbox.turn()
        behind = self._source.lag()
        self._switch(behind)
        self._watch(behind)

    def drain(self) -> None:
        """Send and save what has been scored, unless another worker has it already."""
        try:
            self._save_if_sent(list(self._runs.values()))
        except (LostOwnershipError, FencedError) as error:
            self._telemetry.log.warning("partitions lost while stopping", why=str(error))
        self._forget(frozenset(self._runs))

    def _save_if_sent(self, runs: Sequence[PartitionRun]) -> None:
        """Wait for the topics, within bounds, and save; what is not sent is done again."""
        if runs:
            self._publishers.flush(self._timing.drain_s)
        for run in runs:
            if run.may_save:
                self._save(run)
        self._show()

    def _change(self, polled: Polled) -> None:
        """Follow the group: what is lost is dropped, what is revoked saved first."""
        if not (polled.lost or polled.revoked or polled.assigned):
            return
        self._telemetry.metrics.rebalances.inc()
        self._forget(polled.lost)
        self._save_if_sent([self._runs[p] for p in sorted(polled.revoked) if p in self._runs])
        self._forget(polled.revoked)
        self._wanted = self._wanted - polled.lost - polled.revoked | polled.assigned

    def _take_over_wanted(self) -> None:
        """Take over what is assigned; a broker that is not ready yet is asked again."""
        if not self._wanted or self._timing.clock_s() < self._try_again_s:
            return
        for partition in sorted(self._wanted):
            try:
                self._take_over(partition)
            except NotReadyError as error:
                self._telemetry.log.warning("partition cannot be taken yet", why=str(error))
                self._try_again_s = self._timing.clock_s() + self._timing.rejoin_after_s
                break
            self._wanted.discard(partition)
        self._telemetry.metrics.partitions.set(len(self._runs))

    def _take_over(self, partition: Partition) -> None:
        self._forget(frozenset({partition}))
        places = Places(self._source, self._store, self._publishers, self._owner)
        plan = self._models.in_force(partition.stream)
        run = take_over(partition, plan, self._decoding, places)
        self._outbox.follow(partition.stream)
        self._source.seek(partition, run.position)
        now_s = self._timing.clock_s()
        self._runs[partition] = run
        self._progress[partition] = _Progress(run.position, now_s, now_s)
        self._telemetry.log.info(
            "partition taken", stream=partition.stream, position=run.position, epoch=run.claim.epoch
        )

    def _forget(self, partitions: frozenset[Partition]) -> None:
        for partition in partitions & set(self._runs):
            self._runs.pop(partition).publisher.close()
            self._outbox.leave(partition.stream)
            del self._progress[partition]
            self._telemetry.log.info("partition given up", stream=partition.stream)

    def _score(self, run: PartitionRun, records: Records) -> None:
        started_s = self._timing.clock_s()
        try:
            taken = run.take(records)
        except ScoringError as error:
            self._telemetry.log.exception("scoring failed")
            self._models.raised(run.plan, str(error))
            raise
        if taken.alerts:
            self._store.write_alerts(run.claim, taken.alerts)
            self._outbox.wake(run.partition.stream)
        run.offer(taken)
        self._report(run.partition, taken, self._timing.clock_s() - started_s)

    def _report(self, partition: Partition, taken: Taken, seconds: float) -> None:
        self._telemetry.batch(
            BatchReport(
                source=partition.topic,
                n_events=taken.n_events,
                seconds=seconds,
                rejects=taken.rejects,
                alerts=taken.alerts,
                counts=taken.counts,
                newest_event_ns=taken.newest_event_ns,
                n_scanner_refused=taken.n_refused,
            )
        )

    def _move(self, positions: Mapping[Partition, int]) -> None:
        """Pass what readers are not shown, now that all records have been scored."""
        for partition, position in positions.items():
            if partition in self._runs:
                run = self._runs[partition]
                run.position = max(run.position, position)

    def _throttle(self) -> None:
        """Read nothing more while too much waits for the topics; the group goes on."""
        is_full = self._publishers.is_full()
        if is_full and not self._is_paused:
            self._telemetry.metrics.limit_hits.labels(WAITING).inc()
            self._telemetry.log.warning("reading pauses until alerts and dead letters are sent")
            self._source.pause()
        elif self._is_paused and not is_full:
            self._telemetry.log.info("reading goes on")
            self._source.resume()
        self._is_paused = is_full

    def _due(self) -> list[PartitionRun]:
        """Return what is to be saved now: one partition a turn, and what is long overdue.

        All of them at once would hold up the next alerts by as many checkpoints.
        """
        due = [run for run in self._runs.values() if self._is_due(run)]
        due.sort(key=lambda run: self._progress[run.partition].saved_s)
        overdue_s = self._timing.clock_s() - 2 * self._timing.save_every_s
        overdue = [run for run in due[1:] if self._progress[run.partition].saved_s <= overdue_s]
        return due[:1] + overdue

    def _is_due(self, run: PartitionRun) -> bool:
        if run.position == run.saved_position:
            return False
        progress, now_s = self._progress[run.partition], self._timing.clock_s()
        is_late = now_s - progress.saved_s >= self._timing.save_every_s
        if not is_late and run.n_unsaved < self._timing.save_every_events:
            return False
        if not run.may_save and now_s - progress.told_s >= _TELL_EVERY_S:
            progress.told_s = now_s
            why = f"{run.partition.stream}: waits for the alerts topic; events are scored on"
            self._telemetry.checkpoint_failed(why)
        return run.may_save

    def _save(self, run: PartitionRun) -> None:
        started_s = self._timing.clock_s()
        try:
            save(run, self._store)
        except Exception as error:
            self._telemetry.checkpoint_failed(str(error))
            raise
        now_s = self._timing.clock_s()
        self._progress[run.partition].saved_s = now_s
        self._telemetry.checkpoint(now_s - started_s)

    def _switch(self, behind: Mapping[Partition, int]) -> None:
        """Let the artifact decide that should, partition by partition, at a checkpoint."""
        for run in self._runs.values():
            if run.scored_until is None and run.partition in behind:
                run.scored_until = run.position + behind[run.partition]
            plan = self._models.wanted
            if run.may_switch and run.plan.artifact_digest != plan.artifact_digest:
                switch(run, plan, self._store)
                self._telemetry.log.info(
                    "artifact switched",
                    stream=run.partition.stream,
                    position=run.position,
                    artifact=plan.artifact_digest,
                )
            self._models.accompany(run)

    def _show(self) -> None:
        """Let the group's offsets follow the checkpoints, for people and their tools."""
        behind = {
            partition: run.saved_position
            for partition, run in self._runs.items()
            if run.saved_position != self._progress[partition].shown
        }
        if behind and self._source.commit(behind):
            for partition, position in behind.items():
                self._progress[partition].shown = position

    def _watch(self, behind: Mapping[Partition, int]) -> None:
        """Find a partition that has records and gets none, though everything looks healthy."""
        now_s = self._timing.clock_s()
        for partition, run in self._runs.items():
            seen, lag = self._progress[partition], behind.get(partition, 0)
            self._telemetry.metrics.consumer_lag.labels(partition.topic, str(partition.number)).set(
                lag
            )
            if run.position != seen.position or not lag or self._is_paused:
                seen.position, seen.since_s = run.position, now_s
            elif now_s - seen.since_s > self._timing.stalled_after_s:
                raise StalledError(
                    f"stands at {run.position} for {now_s - seen.since_s:.0f} s with {lag:,} "
                    "records to read",
                    where=partition.stream,
                    hint="The worker ends so that it is started anew; look at the broker",
                )
