"""A promotion reaches workers that run: where it begins is recorded, and a replay agrees."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from detector.artifacts import write_artifact
from detector.columns import EventBatch
from detector.engine import State, Step, step
from detector.errors import ArtifactError
from detector.hosts import live_partition, live_shadow
from detector.hosts.live_models import RoleModels
from detector.hosts.live_partition import ScoringError
from detector.hosts.live_pipeline import load_pipeline
from detector.hosts.live_run import Parts, opened
from detector.hosts.live_shadow import live_comparison
from detector.hosts.models import try_version
from detector.kafka.settings import KafkaSettings
from detector.plan import Plan, build_plan, builtin_arrays
from detector.policy import load_policy
from detector.reference import Reference
from detector.registry import Decision, Origin, Registry
from detector.registry.keys import read_private_key, write_key_pair
from detector.registry.ledger import RAISES
from detector.scoring.builtin import SERVICE_ROLE
from tests.kafka.access import access_log, send
from tests.kafka.running import turning
from tests.kafka.test_switches import in_turn

NewTopic = Callable[..., str]
ORIGIN = Origin(made_by="ana", made_at="2026-03-20T10:00:00+00:00")
VERSIONS = {
    "low": (0.3, ["teller", SERVICE_ROLE]),
    "high": (2.5, [SERVICE_ROLE, "auditor", "teller"]),
}


def add(registry: Registry, folder: Path, key: Path, name: str) -> str:
    """Add built-in priors with a bar and roles of their own."""
    threshold, roles = VERSIONS[name]
    arrays = dict(builtin_arrays())
    arrays["group_of"] = np.zeros((len(roles) + 1, 1), dtype=np.int32)
    arrays["relation_share"] = np.repeat(arrays["relation_share"][:1], len(roles) + 1, axis=0)
    arrays["visit_key"] = np.zeros((0, 3), dtype=np.int64)
    manifest: dict[str, Any] = {
        "roles": roles,
        "branches": [],
        "threshold": threshold,
        "budget_per_day": 20,
        "learned_from": {"events": 0, "actor_days": 0, "actors": 0},
        "policy_digest": "p",
        "mapping_digest": "canonical",
    }
    write_artifact(folder / name, arrays, manifest)
    return registry.add(folder / name, ORIGIN, read_private_key(key))


class Bank:
    """A registry of two versions, and a pipeline that follows it."""

    error: BaseException | None = None

    def __init__(self, folder: Path, settings: KafkaSettings, topic: str) -> None:
        self.settings, self.topic = settings, topic
        key, self.folder = folder / "key.pem", folder / "models"
        write_key_pair(key, self.folder / "trusted" / "ana.pem")
        self.registry = Registry(str(self.folder))
        self.names = {name: add(self.registry, folder, key, name) for name in VERSIONS}
        self.path = folder / "pipeline.toml"
        self.path.write_text(
            f'store = "sqlite:///{folder}/alerts.db"\nregistry = "models"\n'
            f'[source]\ntopics = ["{topic}"]\ngroup = "{topic}"\n[checkpoint]\nevery_s = 0.2\n'
            '[telemetry]\naddress = "none"\nlog_level = "error"\n'
        )

    def promote(self, name: str) -> None:
        """Decide for a version."""
        before = self.registry.ledger().roles.get("production", "")
        self.registry.decide(Decision("t", "production", self.names[name], before, "ben"))

    @contextmanager
    def running(self, *, may_fail: bool = False) -> Iterator[Parts]:
        """A worker in a thread, from start to stop."""
        with opened(load_pipeline(self.path), self.settings) as parts:
            self.worker = parts.worker()
            with turning(self.worker) as errors:
                yield parts
        self.error = errors[0] if errors else None
        if self.error is not None and not may_fail:
            raise self.error

    def look(self, parts: Parts) -> None:
        """Let the worker look at the registry now, and keep tallies at every turn."""
        assert isinstance(parts.models, RoleModels)
        parts.models._shadows._keep_every_s = 0.0
        parts.models.look()

    def wait_for_tally(self, parts: Parts) -> None:
        """Wait until the loop has handed over what it has by now."""
        assert isinstance(parts.models, RoleModels)
        waiting = parts.models._shadows._waiting
        n_before = waiting.qsize()
        wait_until(lambda: waiting.qsize() > n_before + 1)

    def wait_for_checkpoint(self, parts: Parts, position: int) -> None:
        """Wait until everything before a position has been scored and saved."""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            saved = parts.store.last_checkpoint(f"{self.topic}/0")
            if saved is not None and saved.facts["position"] >= position:
                return
            time.sleep(0.1)
        raise TimeoutError

    def in_force(self, parts: Parts) -> list[tuple[int, str]]:
        """What the store has recorded."""
        names = {digest: name for name, digest in self.names.items()}
        history = parts.store.activations(f"{self.topic}/0")
        return [(one.position, names[one.digests["artifact"]]) for one in history]


def wait_until(what: Callable[[], bool]) -> None:
    """Ask again and again."""
    until = time.monotonic() + 60
    while not what():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_worker_goes_over_to_what_is_promoted_and_back(
    tmp_path: Path, settings: KafkaSettings, new_topic: NewTopic
) -> None:
    """At recorded offsets, over a restart, with what it has learned: as a calm reading says."""
    bank, log = Bank(tmp_path, settings, new_topic(1)), access_log(3, 400)
    bank.promote("low")
    with bank.running() as parts:
        send(settings, bank.topic, 0, log[:150])
        bank.wait_for_checkpoint(parts, 150)
        bank.promote("high")
        bank.look(parts)
        wait_until(lambda: bank.in_force(parts)[-1] == (150, "high"))
        send(settings, bank.topic, 0, log[150:250])
        bank.wait_for_checkpoint(parts, 250)
    bank.promote("low")
    with bank.running() as parts:
        send(settings, bank.topic, 0, log[250:300])
        wait_until(lambda: bank.in_force(parts)[-1][1] == "low")
        send(settings, bank.topic, 0, log[300:])
        bank.wait_for_checkpoint(parts, 400)
        in_force = bank.in_force(parts)
        history = parts.store.activations(f"{bank.topic}/0")
        lines = list(parts.store.alert_lines(f"{bank.topic}/0"))
    plans = {
        name: build_plan(load_policy(None), bank.registry.load(name).artifact, Reference())
        for name in bank.names.values()
    }

    assert [name for _, name in in_force] == ["low", "high", "low"]
    assert [offset for offset, _ in in_force][:2] == [0, 150]
    assert 250 <= in_force[2][0] <= 300
    assert {orjson.loads(line)["artifact_digest"] for line in lines} == set(plans)
    assert lines == list(in_turn(history, log, plans, f"{bank.topic}/0"))


def test_a_candidate_runs_beside_production_until_it_is_promoted(
    tmp_path: Path, settings: KafkaSettings, new_topic: NewTopic
) -> None:
    """It raises nothing; what it would have raised is counted, over restarts, and promotes it."""
    bank, log = Bank(tmp_path, settings, new_topic(1)), access_log(3, 400)
    bank.promote("high")
    assert try_version(str(bank.folder), bank.names["low"][:9], "ben") == bank.names["low"]
    for start, stop in ((0, 200), (200, 400)):
        with bank.running() as parts:
            bank.look(parts)
            wait_until(lambda: any(run.beside for run in bank.worker._runs.values()))
            send(settings, bank.topic, 0, log[start:stop])
            bank.wait_for_checkpoint(parts, stop)
            bank.wait_for_tally(parts)
            bank.look(parts)
            lines = [orjson.loads(line) for line in parts.store.alert_lines()]
    found = live_comparison(bank.registry, "shadow")
    raised = {line["alert_id"] for line in lines}

    assert {line["artifact_digest"] for line in lines} == {bank.names["high"]}
    assert (found.production, found.candidate) == (bank.names["high"], bank.names["low"])
    assert found.n_before == len(raised)
    assert found.n_after == found.n_before + len(found.gained)
    assert found.gained
    assert 350 < found.n_events <= 400
    assert found.by["role"]["teller"] == (found.n_before, found.n_after)
    content = b"".join(path.read_bytes() for path in (bank.folder / "shadow").rglob("*.json"))
    assert b"u3-" not in content  # nobody's name lies beside models
    assert try_version(str(bank.folder), "", "ben") == ""
    with pytest.raises(ArtifactError, match="there is no 'shadow'"):
        live_comparison(bank.registry, "shadow")


def test_a_candidate_that_fails_is_dropped_and_production_goes_on(
    tmp_path: Path, settings: KafkaSettings, new_topic: NewTopic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted and told, once; the registry may name another one."""

    def fail(*_: object) -> None:
        raise IndexError("a bug")

    monkeypatch.setattr(live_shadow, "step", fail)
    bank, log = Bank(tmp_path, settings, new_topic(1)), access_log(3, 200)
    bank.promote("low")
    try_version(str(bank.folder), bank.names["high"], "ben")
    with bank.running() as parts:
        bank.look(parts)
        wait_until(lambda: any(run.beside for run in bank.worker._runs.values()))
        send(settings, bank.topic, 0, log)
        bank.wait_for_checkpoint(parts, 200)
        value = parts.telemetry.metrics.registry.get_sample_value
        problem = {"problem": "shadow"}
        wait_until(lambda: value("detector_model_problems_total", problem) == 1)
        bank.look(parts)
        n_alerts = len(list(parts.store.alert_lines()))

    assert n_alerts > 10
    assert value("detector_model_problems_total", problem) == 1
    assert not (bank.folder / "shadow").exists()


def test_a_version_that_raises_while_scoring_ends_one_worker_and_no_second(
    tmp_path: Path, settings: KafkaSettings, new_topic: NewTopic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The promotion is taken back; the next worker goes on with the version before."""
    bank, log = Bank(tmp_path, settings, new_topic(1)), access_log(3, 300)
    bank.promote("low")

    def failing(state: State, batch: EventBatch, plan: Plan) -> Step:
        if plan.artifact_digest == bank.names["high"]:
            raise IndexError
        return step(state, batch, plan)

    monkeypatch.setattr(live_partition, "step", failing)
    with bank.running(may_fail=True) as parts:
        send(settings, bank.topic, 0, log[:150])
        bank.wait_for_checkpoint(parts, 150)
        bank.promote("high")
        bank.look(parts)
        wait_until(lambda: bank.in_force(parts)[-1] == (150, "high"))
        send(settings, bank.topic, 0, log[150:])
        wait_until(lambda: bank.registry.ledger().history[-1].kind == "rollback")
    assert isinstance(bank.error, ScoringError)
    assert f"{bank.topic}/0:150: cannot be scored" in str(bank.error)
    with bank.running() as parts:
        bank.wait_for_checkpoint(parts, 300)
        assert bank.in_force(parts) == [(0, "low"), (150, "low")]
        used = {orjson.loads(line)["artifact_digest"] for line in parts.store.alert_lines()}

    assert used == {bank.names["low"]}
    assert bank.registry.ledger().history[-1].reason.startswith(RAISES)
