"""One partition, live: its state, where it stands, and what is not saved yet."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from detector.alerts import Alert
from detector.columns import Reject
from detector.engine import State, new_state, restore_state, step
from detector.errors import LocatedError, SnapshotError, SourceError
from detector.hosts.live_decode import TOMBSTONE, Decoding, decode_records, offset_of
from detector.hosts.live_shadow import Beside
from detector.kafka.ports import DeadLetter, Partition, Publisher, Publishers, Source
from detector.kafka.records import Records
from detector.plan import Plan
from detector.renumber import Arrays, renumbered
from detector.state.snapshot import VERSION, ChangedPages, arrays_of, layout_of
from detector.store import Activation, Checkpoint, Claim, Store

CHUNK_ROWS = 8_192  # most of what a chunk costs beside its rows is spread over so many


class ScoringError(LocatedError):
    """The engine raises: a fault of the program, or of what was learned. Nothing is skipped."""


@dataclass(slots=True)
class Taken:
    """What some records gave; ``unsent`` and ``letters`` have never been sent before."""

    n_events: int = 0
    n_refused: int = 0
    newest_event_ns: int | None = None
    alerts: list[Alert] = field(default_factory=list)
    unsent: list[Alert] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)
    rejects: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class PartitionRun:
    """A partition between its assignment and its loss.

    ``position`` is the next offset to score; before ``sent_until`` everything had been sent
    when the partition was taken over, and is not sent again. Before ``scored_until`` the last
    owner may have scored and written: there its artifact decides again. None is not known yet.
    """

    partition: Partition
    plan: Plan
    decoding: Decoding
    claim: Claim
    publisher: Publisher
    state: State
    position: int
    number: int
    sent_until: int
    newest_event_ns: int | None = None
    pages: ChangedPages = field(default_factory=ChangedPages)
    n_unsaved: int = 0
    saved_position: int = 0
    offered: int = 0
    topic_id: str = ""
    scored_until: int | None = None
    beside: Beside | None = None

    @property
    def may_switch(self) -> bool:
        """Tell whether another artifact may decide from here on: all before is done and saved."""
        if self.scored_until is None or self.position < self.scored_until:
            return False
        return self.position == self.saved_position

    def take(self, records: Records) -> Taken:
        """Score records, chunk by chunk; only then may the position go on."""
        taken = Taken()
        for chunk in self._chunks(records):
            self._score(chunk, taken)
            self.position = chunk.next_offset
        self.n_unsaved += taken.n_events
        if taken.newest_event_ns is not None:
            newest = self.newest_event_ns
            self.newest_event_ns = max(taken.newest_event_ns, newest or taken.newest_event_ns)
        return taken

    def _chunks(self, records: Records) -> Iterator[Records]:
        """Cut into chunks, and where sending begins."""
        offsets = records.spans.offset
        first = int(np.searchsorted(offsets, self.position))
        border = int(np.searchsorted(offsets, self.sent_until))
        cuts = {*range(first, len(records), CHUNK_ROWS), min(max(border, first), len(records))}
        edges = sorted(cuts | {len(records)})
        for start, stop in pairwise(edges):
            yield records.cut(start, stop)

    def _score(self, chunk: Records, taken: Taken) -> None:
        found = decode_records(chunk, self.decoding, self.partition.stream)
        started_s = time.perf_counter()
        try:
            result = step(self.state, found.batch, self.plan)
        except Exception as error:
            hint = "The log has the trace; the worker ends, nothing is skipped"
            what = f"cannot be scored with {self.plan.artifact_digest} ({type(error).__name__})"
            where = f"{self.partition.stream}:{chunk.spans.offset[0]}"
            raise ScoringError(what, where=where, hint=hint) from error
        self.state = result.state
        if self.beside is not None:
            self.beside.note(found.batch, result.alerts, time.perf_counter() - started_s)
        rejects = sorted([*found.rejects, *result.rejects], key=offset_of)
        taken.n_events += len(found.batch)
        taken.n_refused += found.n_refused
        taken.rejects.update(reject.reason for reject in rejects)
        taken.counts.update({k: n for k, n in result.counts.items() if k != "actors"})
        taken.alerts += result.alerts
        if len(found.batch):
            newest = int(found.batch.event_time_ns.max())
            taken.newest_event_ns = max(newest, taken.newest_event_ns or newest)
        if chunk.spans.offset[0] >= self.sent_until:
            taken.unsent += result.alerts
            unusable = [reject for reject in rejects if reject.reason != TOMBSTONE]
            mapping = self.decoding.mapping.digest
            taken.letters += [
                letter_of(self.partition, chunk, reject, mapping) for reject in unusable
            ]

    def offer(self, taken: Taken) -> None:
        """Hand over what is to be sent."""
        if taken.unsent or taken.letters:
            self.publisher.offer(taken.unsent, taken.letters, self.position)
            self.offered = self.position

    @property
    def may_save(self) -> bool:
        """Tell whether everything before the position has been sent: else it would be lost."""
        return self.publisher.sent() >= self.offered

    def checkpoint(self) -> tuple[Checkpoint, Iterator[tuple[str, int, bytes]]]:
        """Return what to save: facts, and the pages of state that have changed."""
        arrays = self.state.arrays()
        facts = {
            "position": self.position,
            "topic_id": self.topic_id,
            "layout": layout_of(arrays),
            "meta": self.state.meta(),
            "digests": digests_of(self.plan, self.decoding),
            "roles": list(self.plan.roles),
        }
        saved = Checkpoint(self.number + 1, facts, self.newest_event_ns)
        return saved, self.pages.since_last(arrays)

    def saved(self) -> None:
        """Note that the last checkpoint has been taken."""
        self.number += 1
        self.n_unsaved = 0
        self.saved_position = self.position


@dataclass(frozen=True, slots=True)
class Places:
    """Where partitions come from and go to, and who this worker is (for people)."""

    source: Source
    store: Store
    publishers: Publishers
    owner: str


def take_over(partition: Partition, plan: Plan, decoding: Decoding, places: Places) -> PartitionRun:
    """Claim a partition, shut out its last owner, and go on where its checkpoint says.

    A partition nobody has read gets a checkpoint before its first record: where it began is
    then known, and a gap that opens later is found.

    Raises:
        SnapshotError: the saved state is damaged, or of another form.
        FencedError: somebody else claimed it in the meantime.
    """
    store = places.store
    claim = store.claim(partition.stream, places.owner)
    publisher = places.publishers.open(partition)
    saved = store.last_checkpoint(partition.stream)
    topic_id = places.source.topic_id(partition.topic)
    if saved is None:
        position, number, newest_ns = places.source.first_offset(partition), 0, None
        state, pages = new_state(plan), ChangedPages()
    else:
        _refuse_another_topic(saved, topic_id, partition)
        state, position, pages = _restored(saved, claim, plan, store)
        number, newest_ns = saved.number, saved.newest_event_ns
    run = PartitionRun(
        partition=partition,
        plan=plan,
        decoding=decoding,
        claim=claim,
        publisher=publisher,
        state=state,
        position=position,
        number=number,
        sent_until=publisher.sent(),
        newest_event_ns=newest_ns,
        pages=pages,
        saved_position=position,
        topic_id=topic_id,
        scored_until=position if saved is None else None,
    )
    _note_digests(run, store)
    if saved is None:
        save(run, store)
    return run


def save(run: PartitionRun, store: Store) -> None:
    """Commit a checkpoint."""
    checkpoint, pages = run.checkpoint()
    store.commit(run.claim, checkpoint, [], pages)
    run.saved()


def _refuse_another_topic(saved: Checkpoint, topic_id: str, partition: Partition) -> None:
    """Offsets of a topic that was deleted and created mean other events."""
    held = saved.facts.get("topic_id")
    if held and topic_id and held != topic_id:
        raise SourceError(
            f"was created anew since offset {saved.facts['position']} was scored",
            where=partition.stream,
            hint="Nothing was skipped. Start with another group and an empty store",
        )


def _restored(
    saved: Checkpoint, claim: Claim, plan: Plan, store: Store
) -> tuple[State, int, ChangedPages]:
    """Take state and position from a checkpoint, and which pages of state the store has."""
    facts: dict[str, Any] = saved.facts
    try:
        form, layout, meta = facts["digests"]["state_version"], facts["layout"], facts["meta"]
        position = int(facts["position"])
    except (KeyError, TypeError, ValueError):
        form = "unknown"
    if form != str(VERSION):
        raise SnapshotError(
            f"holds a state of form {form}, this version reads {VERSION}",
            where=claim.stream,
            hint="Use the version that wrote it, or another group and an empty store",
        )
    arrays, pages = arrays_of(layout, store.state_content(claim, layout)), ChangedPages()
    pages.learn(arrays)
    ours = renumbered(arrays, _roles_of(facts, plan, claim.stream), plan)
    return restore_state(plan, ours, meta), position, pages


def _roles_of(facts: dict[str, Any], plan: Plan, stream: str) -> list[str]:
    """Return the names behind the state's rows of roles; checkpoints once did not tell them."""
    roles = facts.get("roles")
    if roles is None and facts["digests"].get("artifact") == plan.artifact_digest:
        return list(plan.roles)
    if not isinstance(roles, list):
        hint = "Start once more with the artifact before, which tells them"
        raise SnapshotError("does not tell the roles of its people", where=stream, hint=hint)
    return [str(role) for role in roles]


def switch(run: PartitionRun, plan: Plan, store: Store) -> None:
    """Let another artifact decide from the partition's position on, where a checkpoint lies.

    What was learned stays. A crash before the store has noted it changes nothing; one after
    it finds the same state and the same artifact at the same position.
    """
    arrays: Arrays = renumbered(run.state.arrays(), list(run.plan.roles), plan)
    state = restore_state(plan, arrays, run.state.meta())
    store.activate(run.claim, Activation(run.position, digests_of(plan, run.decoding)))
    run.plan, run.state = plan, state


def _note_digests(run: PartitionRun, store: Store) -> None:
    """Let the stream's history say from which offset on what decides."""
    digests = digests_of(run.plan, run.decoding)
    history = store.activations(run.partition.stream)
    if not history or history[-1].digests != digests:
        store.activate(run.claim, Activation(run.position, digests))


def letter_of(partition: Partition, records: Records, reject: Reject, mapping: str) -> DeadLetter:
    """Keep a record as it was; ``mapping`` is the digest under which it was refused."""
    offset = offset_of(reject)
    row = int(np.searchsorted(records.spans.offset, offset))
    return DeadLetter(
        partition=partition,
        offset=offset,
        reason=reject.reason,
        field=reject.field,
        mapping=mapping,
        key=records.key(row),
        value=records.value(row),
        headers=records.headers(row),
    )


def digests_of(plan: Plan, decoding: Decoding) -> dict[str, str]:
    """Return what decides: names of policy, artifact, reference, mapping and state's form."""
    return {
        "policy": plan.policy_digest,
        "artifact": plan.artifact_digest,
        "reference": plan.reference_digest,
        "mapping": decoding.mapping.digest,
        "state_version": str(VERSION),
    }
