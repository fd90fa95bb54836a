"""Candidates come and go beside partitions; whatever befalls them, production goes on."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from detector.engine import new_state, step
from detector.errors import ArtifactError
from detector.hosts import live_shadow
from detector.hosts.live_shadow import Beside, Shadows, place_of, read_tally
from detector.plan import Plan
from detector.registry import Registry
from detector.registry.files import Files, UnwritableError
from detector.telemetry import Logs, Metrics, Telemetry
from tests.streams import batch_of, plan_of, usual_work, weekdays

PRODUCTION = replace(plan_of(min_score=0.3), artifact_digest="p")
PLANS = {
    name: replace(plan_of(min_score=score), artifact_digest=name)
    for name, score in (("c", 0.1), ("d", 0.2))
}
FIRST = batch_of(usual_work("u1", weekdays(3)))
SECOND = batch_of(usual_work("u1", weekdays(6)[3:], per_day=200, first=500))


class Partition:
    """What shadows see of a partition that is read."""

    stream = "t/0"


class Run:
    """A partition's plan and state, and what is beside it."""

    def __init__(self) -> None:
        self.partition, self.plan, self.state = Partition(), PRODUCTION, new_state(PRODUCTION)
        self.beside: Beside | None = None


def shadows_of(folder: Path) -> tuple[Shadows, Callable[[], float]]:
    """Shadows that hand over at every turn, and how many were dropped."""
    telemetry = Telemetry(Metrics(), address=None, logs=Logs(stream=io.StringIO()))
    name, labels = "detector_model_problems_total", {"problem": "shadow"}

    def n_dropped() -> float:
        return telemetry.metrics.registry.get_sample_value(name, labels) or 0.0

    return Shadows(Registry(str(folder)), telemetry, 0.0), n_dropped


def score(run: Any, batch: Any) -> list[bytes]:
    """Score as a partition does, with the candidate behind."""
    result = step(run.state, batch, run.plan)
    run.state = result.state
    if run.beside is not None:
        run.beside.note(batch, result.alerts, 0.5)
    return [alert.to_json_line() for alert in result.alerts]


def test_a_candidate_begins_with_what_production_has_learned(tmp_path: Path) -> None:
    """And says what it would say if it had been promoted then; production says the same."""
    shadows, _ = shadows_of(tmp_path)
    run: Any = Run()
    alone: Any = Run()
    assert score(run, FIRST) == score(alone, FIRST)
    shadows.look("c", PLANS.__getitem__)
    shadows.accompany(run)
    assert score(run, SECOND) == score(alone, SECOND) != []
    promoted: Any = Run()
    score(promoted, FIRST)
    promoted.plan = PLANS["c"]
    expected = [orjson.loads(line) for line in score(promoted, SECOND)]
    tally = run.beside.tally

    assert {i: one["score"] for i, one in tally.after.items()} == {
        one["alert_id"]: max(o["score"] for o in expected if o["alert_id"] == one["alert_id"])
        for one in expected
    }
    assert tally.n_events == len(SECOND)
    assert tally.seconds[0] == 0.5


def test_a_tally_goes_on_behind_what_lay_there(tmp_path: Path) -> None:
    """After a restart, and however often it is written."""
    place = place_of("p", "c", "t/0")
    for _ in range(2):
        shadows, _ = shadows_of(tmp_path)
        run: Any = Run()
        shadows.look("c", PLANS.__getitem__)
        shadows.accompany(run)
        shadows.accompany(run)  # has seen nothing yet
        for batch in (FIRST, SECOND):
            score(run, batch)
            shadows.accompany(run)
            shadows.look("c", PLANS.__getitem__)
    found = read_tally(Registry(str(tmp_path)), place)

    assert found.n_events == 2 * (len(FIRST) + len(SECOND))
    assert found.days == run.beside.tally.days
    assert found.before.keys() == run.beside.tally.before.keys()


@pytest.mark.parametrize("wanted", ["d", "", "p"])
def test_another_candidate_or_none_ends_it(tmp_path: Path, wanted: str) -> None:
    """So does the promotion of this one: nothing is left to compare."""
    shadows, n_dropped = shadows_of(tmp_path)
    run: Any = Run()
    shadows.look("c", PLANS.__getitem__)
    shadows.accompany(run)
    assert run.beside is not None
    if wanted == "p":
        run.plan = PLANS["c"]
    else:
        shadows.look(wanted, PLANS.__getitem__)
    shadows.accompany(run)
    names = None if run.beside is None else (run.beside.production, run.beside.candidate)

    assert names == (("p", PLANS["d"]) if wanted == "d" else None)
    assert n_dropped() == 0


def refuse(version: str) -> Plan:
    """No version can be loaded."""
    raise ArtifactError("is broken", where=version, hint="Mend it")


def explode(*_: object) -> None:
    """A bug."""
    raise RuntimeError


@pytest.mark.parametrize("fault", ["load", "begin", "score", "too many alerts"])
def test_a_candidate_that_fails_is_dropped_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """Wherever it fails; another one, or the same one named anew, may try again."""
    shadows, n_dropped = shadows_of(tmp_path)
    run: Any = Run()
    alone: Any = Run()
    with monkeypatch.context() as patch:
        if fault == "begin":
            patch.setattr(live_shadow, "renumbered", explode)
        if fault == "score":
            patch.setattr(live_shadow, "step", explode)
        if fault == "too many alerts":
            patch.setattr(live_shadow, "_MAX_ALERTS", 0)
        for batch in (FIRST, SECOND):
            shadows.look("c", refuse if fault == "load" else PLANS.__getitem__)
            shadows.accompany(run)
            assert score(run, batch) == score(alone, batch)
        shadows.accompany(run)
    assert run.beside is None
    assert n_dropped() == 1
    shadows.look("", PLANS.__getitem__)
    shadows.look("c", PLANS.__getitem__)
    shadows.accompany(run)

    assert run.beside is not None


def test_a_tally_that_cannot_be_written_is_an_error_of_the_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted there as an unreadable registry; the next one holds it all."""
    shadows, n_dropped = shadows_of(tmp_path)
    run: Any = Run()
    shadows.look("c", PLANS.__getitem__)
    shadows.accompany(run)

    def refuse_all(_: Files, name: str, content: bytes) -> None:
        raise UnwritableError(f"{len(content)}", where=name, hint="No")

    score(run, FIRST)
    shadows.accompany(run)
    with monkeypatch.context() as patch:
        patch.setattr(Files, "write", refuse_all)
        with pytest.raises(UnwritableError):
            shadows.look("c", PLANS.__getitem__)
    score(run, SECOND)
    shadows.accompany(run)
    shadows.look("c", PLANS.__getitem__)
    place = place_of("p", "c", "t/0")

    assert read_tally(Registry(str(tmp_path)), place).n_events == len(FIRST) + len(SECOND)
    assert n_dropped() == 0
