"""Thousands of schedules of faults end with the alerts of a calm run, each one once."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import random
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson

from detector.engine import new_state, step
from detector.hosts.live_decode import Decoding, decode_records, offset_of
from detector.kafka.ports import Partition
from detector.kafka.records import lay_out
from detector.mapping import load_mapping
from detector.plan import Plan
from detector.store import Store, open_store
from tests.kafka.simulated import Cluster, Record, Schedule
from tests.streams import MONDAY, event, plan_of

IS_LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
N_SCHEDULES = 40_000 if IS_LONG else 2_000
ONLY_SEED = os.environ.get("SCHEDULE_SEED")
N_STREAMS = 8
N_PROCESSES = 2
DECODING = Decoding(load_mapping(None), 1_000_000)
POINTS = {
    "poll", "seek", "commit offsets", "offsets committed", "open publisher", "offer",
    "transaction begun", "transaction committed", "claimed", "write alerts", "alerts written",
    "activated", "commit", "in a commit", "committed", "pause",
}  # fmt: skip
_numbers = itertools.count()


def stream(seed: int) -> dict[int, list[Record]]:
    """Two partitions of events that raise alerts; some cannot be read, some come twice."""
    dice = random.Random(seed)
    logs: dict[int, list[Record]] = {0: [], 1: []}
    for number in range(44):
        partition = dice.randrange(2)
        user = f"u{partition}{dice.randrange(2)}"
        when = MONDAY + timedelta(minutes=11 * number - dice.choice((0, 0, 0, 400)))
        value: bytes | None = orjson.dumps(
            event(dice.choice((number, number, 3)), user, when, records=dice.choice((1, 4, 900)))
        )
        if dice.random() < 0.08:
            value = dice.choice((b"{", None, b'{"event_id":1}'))
        log = logs[partition]
        log.append(Record(len(log), 1_800_000_000_000, user.encode(), value))
    return logs


class Calm:
    """What an undisturbed run gives, from nothing but the engine."""

    def __init__(self, plan: Plan, logs: dict[int, list[Record]]) -> None:
        self.alerts: dict[int, list[bytes]] = {}
        self.letters: dict[int, list[int]] = {}
        for number, log in logs.items():
            found = decode_records(lay_out(log, len(log)), DECODING, f"t/{number}")
            result = step(new_state(plan), found.batch, plan)
            self.alerts[number] = [alert.to_json_line() for alert in result.alerts]
            rejects = [*found.rejects, *result.rejects]
            self.letters[number] = sorted(
                offset_of(reject) for reject in rejects if reject.reason != "tombstone"
            )


def run_schedule(seed: int, logs: dict[int, list[Record]], store: Store, plan: Plan) -> Schedule:
    """Run one schedule; its streams are named after its number."""
    topic, dice = f"t{next(_numbers)}", random.Random(seed)
    cluster = Cluster(dice, {Partition(topic, n): log for n, log in logs.items()})
    schedule = Schedule(dice, cluster, store, plan, DECODING, dice.choice((1, 2, 2, 3)))
    schedule.run(n_faults=dice.randrange(9))
    return schedule


def outcome(schedule: Schedule, store: Store) -> dict[str, Any]:
    """Return everything that is left behind, by number of partition."""
    cluster = schedule.cluster
    return {
        "table": {p.number: list(store.alert_lines(p.stream)) for p in cluster.logs},
        "topic": {p.number: cluster.topic.get(p, []) for p in cluster.logs},
        "letters": {p.number: sorted(cluster.letters.get(p, [])) for p in cluster.logs},
        "positions": {
            p.number: store.last_checkpoint(p.stream).facts["position"]  # type: ignore[union-attr]
            for p in cluster.logs
        },
    }


def run_seeds(seeds: Sequence[int], folder: str) -> set[str]:
    """Run schedules in a store of their own; return the calls at which workers died."""
    plan, streams = plan_of(min_score=0.05), [stream(n) for n in range(N_STREAMS)]
    calm = [Calm(plan, logs) for logs in streams]
    assert all(sum(map(len, run.alerts.values())) >= 6 for run in calm)
    store, hits = open_store(f"sqlite:///{folder}/alerts{seeds[0]}.db"), set()
    for seed in seeds:
        number = seed % N_STREAMS
        try:
            schedule = run_schedule(seed, streams[number], store, plan)
            found = outcome(schedule, store)
        except BaseException as error:
            raise AssertionError(f"SCHEDULE_SEED={seed}: {error!r}") from error
        expected = {
            "table": calm[number].alerts,
            "topic": calm[number].alerts,
            "letters": calm[number].letters,
            "positions": {n: len(log) for n, log in streams[number].items()},
        }
        assert found == expected, f"SCHEDULE_SEED={seed}"
        hits |= schedule.hits
    store.close()
    return hits


def test_every_schedule_of_faults_ends_like_the_calm_run(tmp_path: Path) -> None:
    """Crashes, rebalances, zombies, repeated records, slow topics: the same bytes, once each.

    `SCHEDULE_SEED=n pytest tests/kafka/test_schedules.py` replays a schedule.
    """
    if ONLY_SEED is not None:
        run_seeds([int(ONLY_SEED)], str(tmp_path))
        return
    shares = [range(start, N_SCHEDULES, N_PROCESSES) for start in range(N_PROCESSES)]
    with ProcessPoolExecutor(N_PROCESSES, multiprocessing.get_context("spawn")) as pool:
        found = pool.map(run_seeds, shares, [str(tmp_path)] * N_PROCESSES)
        hits = set().union(*found)

    assert hits == POINTS


def test_a_schedule_is_its_seed(tmp_path: Path) -> None:
    """A failure that is printed can be looked at again."""
    plan, store = plan_of(min_score=0.05), open_store(f"sqlite:///{tmp_path}/alerts.db")
    first, second = (run_schedule(5, stream(5), store, plan) for _ in range(2))
    store.close()

    assert first.n_turns == second.n_turns
    assert first.hits == second.hits
