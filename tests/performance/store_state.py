"""How long a checkpoint holds up the stream, and how long a restore takes."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from detector.engine import State, new_state, restore_state, step
from detector.plan import Plan, build_plan
from detector.policy import load_policy
from detector.reference import load_reference
from detector.state.snapshot import ChangedPages, arrays_of, layout_of
from detector.store import Checkpoint, Claim, Store, open_store
from tests.performance.material import Crowd

Numbers = dict[str, float]
_ROUNDS = 5


@contextmanager
def seconds(name: str, numbers: Numbers) -> Iterator[None]:
    """Time a block by the clock on the wall, and by what this process has worked."""
    gc.collect()
    started, worked = time.perf_counter(), time.process_time()
    yield
    numbers[name] = time.perf_counter() - started
    numbers[f"{name}, CPU"] = time.process_time() - worked


@dataclass(slots=True)
class _Stream:
    """A partition: its crowd, its state, its place in a store."""

    crowd: Crowd
    state: State
    plan: Plan
    pages: ChangedPages
    number: int = 0

    def go_on(self, n_events: int) -> None:
        for batch in self.crowd.batches(n_events):
            self.state = step(self.state, batch, self.plan).state

    def save(self, store: Store, claim: Claim) -> None:
        arrays = self.state.arrays()
        self.number += 1
        facts = {"layout": layout_of(arrays), "meta": self.state.meta()}
        store.commit(claim, Checkpoint(self.number, facts), [], self.pages.since_last(arrays))


def measure_state(url: str, n_actors: int, n_active: int) -> Numbers:
    """Save everything, then after ``n_active`` events of as many actors; restore all."""
    plan = build_plan(load_policy(None), None, load_reference(None))
    numbers: Numbers = {}
    stream = _Stream(Crowd(n_actors), new_state(plan), plan, ChangedPages())
    for batch in stream.crowd.everybody():
        stream.state = step(stream.state, batch, plan).state
    with closing(open_store(url)) as store:
        claim = store.claim("bench", "bench")
        with seconds("first checkpoint", numbers):
            stream.save(store, claim)
        pauses: list[Numbers] = []
        for _ in range(_ROUNDS):
            stream.go_on(n_active)
            pauses.append({})
            with seconds("checkpoint", pauses[-1]):
                stream.save(store, claim)
        for name in ("checkpoint", "checkpoint, CPU"):
            numbers[name] = sorted(pause[name] for pause in pauses)[_ROUNDS // 2]
        del stream
        with seconds("restore", numbers):
            held = store.last_checkpoint("bench")
            assert held is not None
            content = store.state_content(claim, held.facts["layout"])
            arrays = arrays_of(held.facts["layout"], content)
            restore_state(plan, arrays, held.facts["meta"])
    numbers["state, MB"] = len(content) / 1e6
    return numbers
