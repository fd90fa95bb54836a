"""What is measured: each round gives CPU seconds, or another number, by name."""

from __future__ import annotations

import gc
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from detector.columns import EventBatch
from detector.decode import Bounds, decode
from detector.detections import DETECTORS
from detector.engine import State, new_state, step
from detector.hosts.events import decoded
from detector.hosts.replay import ReplayOptions, replay
from detector.mapping import load_mapping
from detector.plan import Plan
from detector.policy import load_policy
from detector.state.layout import (
    APPROVALS_TOP,
    ARENA_TOP,
    DAYS_TOP,
    N_ACTORS,
    N_BRANCHES,
    N_PAIRS,
    N_VALUE_PAIRS,
    REST_TOP,
)
from detector.state.snapshot import ChangedPages
from detector.store import Checkpoint, open_store
from tests.performance.material import Crowd, Material, policy_file
from tests.performance.usual_loop import usual_loop

_LINE_BYTES = 1_000_000
_SMALL_BATCHES = 200
_USED = {
    "actors": N_ACTORS,
    "days": DAYS_TOP,
    "rest": REST_TOP,
    "arena": ARENA_TOP,
    "customers": N_PAIRS,
    "branches": N_BRANCHES,
    "values": N_VALUE_PAIRS,
    "approvals": APPROVALS_TOP,
}
_NOT_ROWS = {"counts", "actors.table", "arena.free"}

Numbers = dict[str, float]


@contextmanager
def cpu_seconds(name: str, numbers: Numbers) -> Iterator[None]:
    """Time a block in CPU seconds of this process, garbage of before collected."""
    gc.collect()
    started = time.process_time()
    yield
    numbers[name] = time.process_time() - started


@dataclass(slots=True)
class Bench:
    """Everything that is measured; ``rounds`` in turn, so that all meet the same weather."""

    material: Material
    folder: Path
    crowds: tuple[int, int]
    n_crowd_events: int
    policies: dict[str, Path] = field(init=False)
    plans: dict[str, Plan] = field(init=False)
    batches: list[EventBatch] = field(init=False)
    many: tuple[Crowd, State] = field(init=False)

    def warm_up(self) -> None:
        """Compile or load all kernels, and let the many users in."""
        chosen: dict[str, tuple[str, ...]] = {"three": DETECTORS[:3], "ten": DETECTORS}
        for off in DETECTORS:
            chosen[f"without_{off}"] = tuple(name for name in DETECTORS if name != off)
        self.policies = {
            name: policy_file(self.folder / f"{name}.toml", detectors)
            for name, detectors in chosen.items()
        }
        self.plans = {
            name: self.material.plan(load_policy(path)) for name, path in self.policies.items()
        }
        self.many = self.arrived(self.crowds[1], "three")

    def arrived(self, n_users: int, policy: str) -> tuple[Crowd, State]:
        """Return a crowd and its state after one event of everybody."""
        crowd, plan = Crowd(n_users), self.plans[policy]
        return crowd, walk(new_state(plan), crowd.everybody(), plan)

    def parts(self) -> dict[str, Callable[[Numbers], None]]:
        """Return the parts of one round."""
        return {
            "replay, three detectors": lambda numbers: self.replay("three", numbers),
            "usual loop": self.usual_loop,
            "replay, ten detectors": lambda numbers: self.replay("ten", numbers),
            "decode": self.decode,
            "step, three detectors": lambda numbers: self.step("three", numbers),
            "step, ten detectors": lambda numbers: self.step("ten", numbers),
            "crowds": self.step_crowds,
            "one detector less": self.ablation,
            "small batches": self.small_batches,
            "help": self.start,
        }

    def replay(self, policy: str, numbers: Numbers) -> None:
        """The whole job: JSON lines to stored alerts."""
        folder = self.folder / "replay"
        shutil.rmtree(folder, ignore_errors=True)
        options = ReplayOptions(
            str(self.material.events),
            policy=self.policies[policy],
            artifact=self.material.artifact,
            reference=self.material.reference,
            alerts=folder / "alerts.jsonl",
            rejects=folder / "rejects.jsonl",
            store=f"sqlite:///{folder}/alerts.db",
        )
        with cpu_seconds(f"replay_{policy}_s", numbers):
            summary = replay(options)
        numbers[f"alert_lines_{policy}"] = summary.alert_lines
        shutil.rmtree(folder)

    def usual_loop(self, numbers: Numbers) -> None:
        """The same file through plain Python."""
        with cpu_seconds("usual_s", numbers):
            usual_loop(self.material.events)

    def decode(self, numbers: Numbers) -> None:
        """One half of a replay alone."""
        self.batches = []
        path, mapping = str(self.material.events), load_mapping(None)
        with cpu_seconds("decode_s", numbers):
            self.batches = [chunk.batch for chunk in decoded(path, mapping, _LINE_BYTES)]

    def step(self, policy: str, numbers: Numbers) -> None:
        """The other half alone, then the state it leaves."""
        plan = self.plans[policy]
        state = new_state(plan)
        with cpu_seconds(f"step_{policy}_s", numbers):
            state = walk(state, self.batches, plan)
        arrays = state.arrays()
        actors = int(state.tables.counts[N_ACTORS])
        numbers[f"state_{policy}_bytes"] = used_bytes(state) / actors
        numbers[f"held_{policy}_bytes"] = sum(a.nbytes for a in arrays.values()) / actors
        if policy == "ten":
            self.checkpoint(state, numbers)

    def ablation(self, numbers: Numbers) -> None:
        """A part of the file with all detectors, and with all but one."""
        part = self.batches[: max(len(self.batches) // 4, 1)]
        for policy in ("ten", *(f"without_{name}" for name in DETECTORS)):
            plan = self.plans[policy]
            state = new_state(plan)
            with cpu_seconds(f"ablation_{policy}_s", numbers):
                walk(state, part, plan)

    def small_batches(self, numbers: Numbers) -> None:
        """What a batch of hardly any rows costs: decode and step of one event."""
        lines = self.batches[0].raw[:_SMALL_BATCHES]
        mapping, bounds = load_mapping(None), Bounds(0, 2**62)
        plan = self.plans["ten"]
        state = new_state(plan)
        with cpu_seconds("small_s", numbers):
            for number, line in enumerate(lines):
                batch, _ = decode([line], mapping, bounds, source="small", first_line=number)
                state = step(state, batch, plan).state
        numbers["small_s"] /= len(lines)

    def checkpoint(self, state: State, numbers: Numbers) -> None:
        """Everything into an empty store: the first checkpoint, the largest."""
        path = self.folder / "checkpoint.db"
        store = open_store(f"sqlite:///{path}")
        try:
            with cpu_seconds("checkpoint_s", numbers):
                changed = ChangedPages().since_last(state.arrays())
                store.commit(store.claim("bench", "bench"), Checkpoint(1, {}), [], changed)
        finally:
            store.close()
        numbers["checkpoint_bytes"] = path.stat().st_size
        for file in self.folder.glob("checkpoint.db*"):
            file.unlink()

    def step_crowds(self, numbers: Numbers) -> None:
        """The same work with few and with many users: the second event of each, or so."""
        few = self.crowds[0]
        for policy in ("three", "ten"):
            total = 0.0
            for _ in range(self.n_crowd_events // few):
                crowd, state = self.arrived(few, policy)
                batches = list(crowd.batches(few))
                with cpu_seconds("part", numbers):
                    walk(state, batches, self.plans[policy])
                total += numbers.pop("part")
            numbers[f"few_{policy}_s"] = total
        crowd, state = self.many
        batches = list(crowd.batches(self.n_crowd_events))
        with cpu_seconds("many_three_s", numbers):
            walk(state, batches, self.plans["three"])

    def start(self, numbers: Numbers) -> None:
        """`detector --help`, as a user waits for it."""
        command = [str(Path(sys.executable).with_name("detector")), "--help"]
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        numbers["help_s"] = time.perf_counter() - started


def walk(state: State, batches: Iterable[EventBatch], plan: Plan) -> State:
    """Step through batches."""
    for batch in batches:
        state = step(state, batch, plan).state
    return state


def used_bytes(state: State) -> int:
    """Bytes of the rows in use; slack for growth is not counted."""
    total = 0
    for name, array in state.arrays().items():
        n_used = int(state.tables.counts[_USED.get(name.split(".")[0], N_ACTORS)])
        share = 1.0 if name in _NOT_ROWS else n_used / array.shape[0]
        total += int(array.nbytes * share)
    return total


def peak_megabytes() -> float:
    """Largest memory this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
