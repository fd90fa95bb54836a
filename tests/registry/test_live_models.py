"""A worker follows the registry: what is promoted decides, what fails is undone, nothing stops."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from detector.alerts import Alert
from detector.artifacts import Artifact
from detector.errors import ArtifactError
from detector.hosts.live_models import Choice, OneModel, RoleModels
from detector.kafka.ports import NotReadyError
from detector.plan import Plan, build_plan
from detector.policy import load_policy
from detector.reference import Reference
from detector.registry import Decision, Registry
from detector.registry.files import Files, UnreadableError, UnwritableError
from detector.store import Activation, Store, open_store
from detector.telemetry import Logs, Metrics, Telemetry
from tests.contracts.alerts import an_alert
from tests.registry.conftest import ORIGIN, Shelf

POLICY = load_policy(None)
BUDGET = POLICY.alerts.budget_per_day


def plan_of(artifact: Artifact | None) -> Plan:
    """What the pipeline would make of it."""
    return build_plan(POLICY, artifact, Reference())


class Host:
    """A store, a log and the metrics of a worker that follows production."""

    def __init__(self, shelf: Shelf, store: Store) -> None:
        self.shelf, self.store, self._log = shelf, store, io.StringIO()
        self.telemetry = Telemetry(Metrics(), address=None, logs=Logs(stream=self._log))

    def follow(self, role: str = "production") -> RoleModels:
        """Begin to follow; the test looks itself."""
        choice = Choice(Registry(str(self.shelf.folder)), role, plan_of)
        return RoleModels(choice, self.store, self.telemetry)

    def promote(self, version: str) -> None:
        """Decide for a version."""
        before = self.shelf.registry.ledger().roles.get("production", "")
        self.shelf.registry.decide(Decision("t", "production", version, before, "ben"))

    @property
    def production(self) -> str:
        """Who has the role."""
        return self.shelf.registry.ledger().roles["production"]

    def problems(self, kind: str) -> float:
        """How many were counted."""
        name = "detector_model_problems_total"
        return self.telemetry.metrics.registry.get_sample_value(name, {"problem": kind}) or 0.0

    @property
    def told(self) -> list[str]:
        """What the log says of models."""
        lines = [json.loads(line) for line in self._log.getvalue().splitlines()]
        return [line["why"] for line in lines if line["event"] == "model"]

    def raise_alerts(self, n: int, digest: str, seconds_apart: float = 1.0) -> None:
        """Let a worker raise new alerts under an artifact."""
        claim = self.store.claim("t/0", "worker")
        first = datetime.fromisoformat("2026-03-02T10:00:00+08:00")
        found = []
        for number in range(n):
            time = first + timedelta(seconds=seconds_apart * number)
            fields = {**an_alert(f"u{number}").fields, "artifact_digest": digest}
            found.append(Alert({**fields, "time": time.isoformat()}))
        self.store.write_alerts(claim, found)


@pytest.fixture
def host(shelf: Shelf, tmp_path: Path) -> Iterator[Host]:
    """The first version is production."""
    store = open_store(f"sqlite:///{tmp_path}/alerts.db")
    found = Host(shelf, store)
    found.promote(shelf.first)
    yield found
    store.close()


def cut(shelf: Shelf, version: str) -> None:
    """Leave half of a version's arrays."""
    path = shelf.folder / "versions" / version / "arrays.npz"
    path.write_bytes(path.read_bytes()[:1_000])


def test_what_is_promoted_should_decide(host: Host) -> None:
    """And what is rolled back to, again."""
    models = host.follow()
    assert models.wanted.artifact_digest == host.shelf.first
    host.promote(host.shelf.second)
    models.look()
    assert models.wanted.artifact_digest == host.shelf.second
    back = Decision("t", "production", host.shelf.first, host.shelf.second, "ben", kind="rollback")
    host.shelf.registry.decide(back)
    models.look()

    assert models.wanted.artifact_digest == host.shelf.first
    assert host.told == []


def test_the_age_of_what_decides_is_told(host: Host) -> None:
    """From the version's record: an old one is an operational alert."""
    host.follow()
    age_s = host.telemetry.metrics.registry.get_sample_value("detector_artifact_age_seconds")
    made = datetime.fromisoformat(ORIGIN.made_at).timestamp()

    assert age_s == pytest.approx(time.time() - made, abs=60)


def test_the_thread_looks_by_itself(host: Host) -> None:
    """Nobody tells a worker."""
    choice = Choice(host.shelf.registry, "production", plan_of)
    with RoleModels(choice, host.store, host.telemetry, look_every_s=0.01) as models:
        host.promote(host.shelf.second)
        for _ in range(2_000):
            if models.wanted.artifact_digest == host.shelf.second:
                break
            models._over.wait(0.01)

    assert models.wanted.artifact_digest == host.shelf.second
    assert not models._thread.is_alive()


def test_a_stream_is_taken_over_under_what_decided_it_last(host: Host) -> None:
    """Not under what is newest; what nobody has recorded begins with production."""
    claim = host.store.claim("t/0", "worker")
    host.store.activate(claim, Activation(0, {"artifact": host.shelf.second}))
    host.store.activate(host.store.claim("t/1", "w"), Activation(0, {"artifact": "builtin"}))
    models = host.follow()

    assert [models.in_force(f"t/{n}").artifact_digest for n in range(3)] == [
        host.shelf.second,
        "builtin",
        host.shelf.first,
    ]


def test_a_recorded_version_that_is_gone_is_told(host: Host) -> None:
    """Production goes on with it; the store then says from where."""
    claim = host.store.claim("t/0", "worker")
    host.store.activate(claim, Activation(0, {"artifact": "0" * 32}))

    assert host.follow().in_force("t/0").artifact_digest == host.shelf.first
    assert host.problems("refused") == 1
    assert "t/0 was decided by 000000000000" in host.told[0]


def test_a_partition_waits_for_a_registry_that_does_not_answer(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another version than the recorded one would contradict alerts that are out already."""
    host.store.activate(host.store.claim("t/0", "w"), Activation(0, {"artifact": "0" * 32}))
    models = host.follow()

    def fail(_: Registry) -> None:
        raise UnreadableError("cannot be read", where="registry.toml", hint="Wait")

    monkeypatch.setattr(Registry, "ledger", fail)
    with pytest.raises(NotReadyError, match=r"registry\.toml: cannot be read"):
        models.in_force("t/0")
    models.raised(models.wanted, "IndexError")

    assert host.problems("unreadable") == 1


def test_a_version_that_raises_is_taken_back_and_not_used_again(host: Host) -> None:
    """Not even where it is recorded: it could never pass those events."""
    host.promote(host.shelf.second)
    host.store.activate(
        host.store.claim("t/0", "w"), Activation(7, {"artifact": host.shelf.second})
    )
    models = host.follow()
    assert models.in_force("t/0").artifact_digest == host.shelf.second
    models.raised(models.wanted, "t/0:8: IndexError")
    last = host.shelf.registry.ledger().history[-1]
    assert (last.kind, last.reason) == ("rollback", "raises while scoring: t/0:8: IndexError")
    models.raised(models.wanted, "the same with the version before")

    assert host.production == host.shelf.first
    assert host.follow().in_force("t/0").artifact_digest == host.shelf.first
    host.promote(host.shelf.second)
    assert host.follow().in_force("t/0").artifact_digest == host.shelf.second


def test_a_promotion_to_what_cannot_be_loaded_is_taken_back(host: Host) -> None:
    """The old version never stops deciding; ledger, metric and log say why."""
    models = host.follow()
    cut(host.shelf, host.shelf.second)
    host.promote(host.shelf.second)
    models.look()
    models.look()

    assert models.wanted.artifact_digest == host.production == host.shelf.first
    assert host.problems("refused") == 1
    assert "arrays.npz: has changed since it was added" in host.told[0]
    last = host.shelf.registry.ledger().history[-1]
    assert (last.kind, last.by, last.reason) == ("rollback", "detector", host.told[0])


def test_a_worker_starts_with_the_version_before(host: Host) -> None:
    """At 3 a.m. a broken file keeps nobody from starting."""
    host.promote(host.shelf.second)
    cut(host.shelf, host.shelf.second)

    assert host.follow().wanted.artifact_digest == host.production == host.shelf.first
    assert host.problems("refused") == 1


@pytest.mark.parametrize("n", [10, 11])
def test_more_than_ten_budgets_within_an_hour_take_a_promotion_back(host: Host, n: int) -> None:
    """Whichever worker raised them; ten are none yet."""
    host.promote(host.shelf.second)
    models = host.follow()
    models.look()
    host.raise_alerts(round(n * BUDGET), host.shelf.second)
    models.look()
    models.look()
    is_flood = n > 10

    assert host.problems("flood") == is_flood
    assert host.production == (host.shelf.first if is_flood else host.shelf.second)
    assert models.wanted.artifact_digest == host.production
    if is_flood:
        assert host.shelf.registry.ledger().history[-1].reason == host.told[0]
        assert f"more than {10 * BUDGET:g} alerts within an hour" in host.told[0]


def test_alerts_of_another_version_or_of_many_hours_are_no_flood(host: Host) -> None:
    """Those of the version before still arrive from partitions that have not switched."""
    host.promote(host.shelf.second)
    models = host.follow()
    models.look()
    host.raise_alerts(round(12 * BUDGET), host.shelf.first)
    models.look()
    host.raise_alerts(round(12 * BUDGET), host.shelf.second, seconds_apart=3_600)
    models.look()

    assert host.production == host.shelf.second
    assert host.told == []


def test_what_was_rolled_back_to_is_not_undone(host: Host) -> None:
    """Else an incident would lead back to the oldest version there is."""
    host.promote(host.shelf.second)
    models = host.follow()
    models.look()
    host.raise_alerts(round(11 * BUDGET), host.shelf.second)
    models.look()
    models.look()
    host.raise_alerts(round(25 * BUDGET), host.shelf.first)
    models.look()

    assert host.production == host.shelf.first
    assert host.problems("flood") == 1


def test_a_flood_of_the_only_version_is_told_and_changes_nothing(host: Host) -> None:
    """There is nothing to go back to."""
    models = host.follow()
    models.look()
    host.raise_alerts(round(11 * BUDGET), host.shelf.first)
    models.look()

    assert models.wanted.artifact_digest == host.production == host.shelf.first
    assert "there is no version to go back to" in host.told[1]


def test_a_registry_that_is_not_ours_to_write_keeps_no_worker_from_going_back(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker goes back alone, says so, and does not try the version again."""
    host.promote(host.shelf.second)
    models = host.follow()
    models.look()
    host.raise_alerts(round(11 * BUDGET), host.shelf.second)

    def refuse(_: Files, name: str, content: bytes) -> None:
        raise UnwritableError(f"{len(content)} bytes", where=name, hint="No")

    monkeypatch.setattr(Files, "write", refuse)
    models.look()
    models.look()

    assert models.wanted.artifact_digest == host.shelf.first
    assert host.production == host.shelf.second
    assert "promotion not undone in the registry" in host.told[1]
    assert len(host.told) == 2


def test_a_registry_that_does_not_answer_is_no_fault_of_the_version(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What decides goes on, nothing is rolled back, and the next look finds the new version."""
    models = host.follow()
    host.promote(host.shelf.second)
    read = Files.read

    def broken(files: Files, name: str) -> bytes:
        if name.startswith("versions"):
            raise UnreadableError("cannot be read", where=name, hint="Wait")
        return read(files, name)

    with monkeypatch.context() as patch:
        patch.setattr(Files, "read", broken)
        with pytest.raises(UnreadableError):
            models.look()
        with pytest.raises(UnreadableError):
            host.follow()
    assert models.wanted.artifact_digest == host.shelf.first
    assert host.production == host.shelf.second
    models.look()

    assert models.wanted.artifact_digest == host.shelf.second


def test_a_look_that_fails_is_counted_each_time_and_told_once(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever an object store raises."""
    n_looks = 0

    def fail(_: Registry) -> None:
        nonlocal n_looks
        n_looks += 1
        if n_looks == 5:
            models._over.set()
        raise ConnectionResetError

    monkeypatch.setattr(Registry, "ledger", fail)
    choice = Choice(Registry(str(host.shelf.folder)), host.shelf.first, plan_of)
    models = RoleModels(choice, host.store, host.telemetry, look_every_s=0.001)
    models._follow()

    assert host.problems("unreadable") == 5
    assert host.told == ["ConnectionResetError"]


def test_one_version_by_its_name_is_not_followed(host: Host) -> None:
    """Who names it decides."""
    with host.follow(host.shelf.second[:10]) as models:
        assert models.wanted.artifact_digest == host.shelf.second
        assert not models._thread.is_alive()
    with pytest.raises(ArtifactError, match="there is no 'shadow'"):
        host.follow("shadow")


def test_an_artifact_from_a_folder_decides_from_the_start_to_the_end() -> None:
    """As before there was a registry."""
    plan = plan_of(None)

    assert OneModel(plan).in_force("t/0") is OneModel(plan).wanted is plan


def test_a_failed_undo_needs_a_version_that_is_still_production(host: Host) -> None:
    """Two workers see one flood; the second must not go back once more."""
    host.promote(host.shelf.second)
    first, second = host.follow(), host.follow()
    for models in (first, second):
        models.look()
    host.raise_alerts(round(11 * BUDGET), host.shelf.second)
    stale: Callable[[], None] = second.look
    first.look()
    second._seen = (host.shelf.second, 2)
    stale()

    assert [one.kind for one in host.shelf.registry.ledger().history].count("rollback") == 1
    assert host.production == host.shelf.first
