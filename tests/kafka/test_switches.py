"""Artifacts that change while workers die: what is recorded is what decided, event by event."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from detector.engine import new_state, restore_state, step
from detector.hosts.live_decode import decode_records
from detector.hosts.live_partition import PartitionRun
from detector.hosts.live_shadow import Shadows
from detector.kafka.ports import Partition
from detector.kafka.records import lay_out
from detector.plan import Plan
from detector.registry import Registry
from detector.renumber import renumbered
from detector.scoring.builtin import SERVICE_ROLE
from detector.store import Activation, Store, open_store
from tests.kafka.simulated import TELEMETRY, Cluster, Record, Schedule
from tests.kafka.test_schedules import DECODING, N_STREAMS, stream
from tests.streams import plan_of

N_SCHEDULES = 150


def version(name: str, min_score: float, *roles: str) -> Plan:
    """An artifact of that name, bar and order of roles."""
    plan = plan_of(min_score=min_score)
    model = plan.model._replace(
        group_of=np.zeros((len(roles) + 1, 1), dtype=np.int32),
        relation_share=np.repeat(plan.model.relation_share[:1], len(roles) + 1, axis=0),
    )
    rows: Mapping[str, int] = {role: row for row, role in enumerate(roles)}
    return replace(plan, model=model, roles=rows, artifact_digest=name)


VERSIONS = {
    plan.artifact_digest: plan
    for plan in (
        version("low", 0.05, SERVICE_ROLE, "teller"),
        version("high", 0.6, "auditor", "teller", SERVICE_ROLE),
        version("strange", 0.1, SERVICE_ROLE),
    )
}


@dataclass
class Fickle:
    """A registry whose production changes by the dice."""

    store: Store
    dice: random.Random
    shadows: Shadows
    name: str = "low"

    @property
    def wanted(self) -> Plan:
        """What should decide from now on."""
        if self.dice.random() < 0.15:
            self.name = self.dice.choice(list(VERSIONS))
        return VERSIONS[self.name]

    def in_force(self, stream: str) -> Plan:
        """What decided last."""
        history = self.store.activations(stream)
        return VERSIONS[history[-1].digests["artifact"]] if history else self.wanted

    def accompany(self, run: PartitionRun) -> None:
        """A candidate beside each partition; production must not notice."""
        self.shadows.accompany(run)


def in_turn(
    history: Sequence[Activation], log: list[Record], plans: Mapping[str, Plan], stream: str
) -> Iterator[bytes]:
    """Return the alerts of one calm reading under what the store has recorded."""
    starts = [*(one.position for one in history), len(log)]
    plan = plans[history[0].digests["artifact"]]
    state = new_state(plan)
    for one, (first, stop) in zip(history, pairwise(starts), strict=True):
        after = plans[one.digests["artifact"]]
        arrays = renumbered(state.arrays(), list(plan.roles), after)
        state, plan = restore_state(after, arrays, state.meta()), after
        part = lay_out(log[first:stop], stop)
        result = step(state, decode_records(part, DECODING, stream).batch, plan)
        state = result.state
        yield from (alert.to_json_line() for alert in result.alerts)


def test_every_alert_is_of_the_artifact_recorded_for_its_offset(tmp_path: Path) -> None:
    """Whatever dies, moves or comes twice: a calm reading of what is recorded says the same.

    The table and the topic hold its alerts, each once, byte for byte.
    """
    store = open_store(f"sqlite:///{tmp_path}/alerts.db")
    n_switched, hits = 0, set()
    for seed in range(N_SCHEDULES):
        dice, logs = random.Random(seed), stream(seed % N_STREAMS)
        cluster = Cluster(dice, {Partition(f"t{seed}", n): log for n, log in logs.items()})
        shadows = Shadows(Registry(str(tmp_path / "models")), TELEMETRY)
        shadows.look("strange", VERSIONS.__getitem__)
        models = Fickle(store, dice, shadows)
        schedule = Schedule(
            dice, cluster, store, VERSIONS["low"], DECODING, dice.choice((1, 2, 3)), models
        )
        schedule.run(n_faults=dice.randrange(9))
        hits |= schedule.hits
        for partition, log in cluster.logs.items():
            history = store.activations(partition.stream)
            expected = list(in_turn(history, log, VERSIONS, partition.stream))
            n_switched += len(history) - 1

            assert list(store.alert_lines(partition.stream)) == expected, f"seed {seed}"
            assert cluster.topic.get(partition, []) == expected, f"seed {seed}"
    store.close()

    assert n_switched > N_SCHEDULES
    assert {"activated", "in a commit", "alerts written", "transaction begun"} <= hits
