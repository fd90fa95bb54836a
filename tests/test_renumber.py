"""A state goes over from one artifact to another, whose rows are others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import detector as ad
from detector.artifacts import Artifact, read_artifact
from detector.columns import EventBatch
from detector.engine import State, new_state, restore_state, step
from detector.errors import SnapshotError
from detector.hashing import hash_strings
from detector.hosts.events import decoded
from detector.mapping import load_mapping
from detector.plan import Plan, build_plan
from detector.policy import load_policy
from detector.reference import Reference, Staff, load_reference
from detector.renumber import renumbered
from detector.scoring.builtin import SERVICE_ROLE
from detector.state.layout import HOME, HOME_KEY, N_ACTORS, ROLE
from tests.streams import MONDAY, event, plan_of, run

BY_BRANCH = {"branch_share": 0, "group_of": 1}
BY_ROLE = {"group_of": 0, "relation_share": 0}


def turned(artifact: Artifact) -> Artifact:
    """The same artifact with its roles and branches in reverse order."""
    roles, branches = artifact.manifest["roles"][::-1], artifact.manifest["branches"][::-1]
    arrays: dict[str, NDArray[Any]] = dict(artifact.arrays)
    for axes in (BY_BRANCH, BY_ROLE):
        for name, axis in axes.items():
            head, rest = np.split(arrays[name], [1], axis=axis)  # row 0 is "unknown"
            arrays[name] = np.concatenate([head, np.flip(rest, axis=axis)], axis=axis)
    role, home, branch = arrays["visit_key"].T
    role = np.where(role < 0, role, len(roles) - 1 - role)
    home, branch = (np.where(row == 0, row, len(branches) + 1 - row) for row in (home, branch))
    arrays["visit_key"] = np.column_stack([role, home, branch])
    manifest = {**artifact.manifest, "roles": roles, "branches": branches}
    return Artifact(arrays, manifest, artifact.digest)


@pytest.fixture(scope="module")
def plans(bank: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Plan]:
    """An artifact of the bank, as fitted and turned."""
    folder = tmp_path_factory.mktemp("fitted") / "artifact"
    ad.fit(
        bank / "events.jsonl",
        output=folder,
        reference=bank / "reference",
        until="2026-03-09",
    )
    fitted, reference = read_artifact(folder), load_reference(bank / "reference")
    first, second = (
        build_plan(load_policy(None), one, reference, min_score=0.5)
        for one in (fitted, turned(fitted))
    )
    return first, second


@pytest.fixture(scope="module")
def batches(bank: Path) -> list[EventBatch]:
    """The bank's events."""
    chunks = decoded(str(bank / "events.jsonl"), load_mapping(None), 1_000_000)
    return [chunk.batch for chunk in chunks]


def parts(batches: Sequence[EventBatch], size: int = 2_000) -> list[EventBatch]:
    """Cut batches, so that a switch falls into days that are open."""
    return [
        batch.take(np.arange(first, min(first + size, len(batch))))
        for batch in batches
        for first in range(0, len(batch), size)
    ]


def moved(state: State, before: Plan, after: Plan) -> State:
    """Take a state from one plan to another."""
    arrays = renumbered(state.arrays(), list(before.roles), after)
    return restore_state(after, arrays, state.meta())


def test_an_artifact_that_says_the_same_in_other_rows_raises_the_same_alerts(
    plans: tuple[Plan, Plan], batches: list[EventBatch]
) -> None:
    """Switched to and fro all the time: nothing that was learned is lost or mistaken."""
    assert list(plans[0].roles) == list(plans[1].roles)[::-1]
    calm, changing = new_state(plans[0]), new_state(plans[0])
    expected, found = [], []
    for number, batch in enumerate(parts(batches)):
        before, after = plans[number % 2], plans[(number + 1) % 2]
        one, other = step(calm, batch, plans[0]), step(changing, batch, before)
        calm, changing = one.state, moved(other.state, before, after)
        expected += [alert.to_json_line() for alert in one.alerts]
        found += [alert.to_json_line() for alert in other.alerts]

    assert found == expected
    assert len(expected) > 20


def test_without_new_numbers_the_alerts_would_be_others(
    plans: tuple[Plan, Plan], batches: list[EventBatch]
) -> None:
    """The test above would notice."""

    def lines(*used: Plan) -> list[bytes]:
        state, found = new_state(plans[0]), []
        for number, batch in enumerate(parts(batches)):
            result = step(state, batch, used[number % len(used)])
            state = result.state
            found += [alert.to_json_line() for alert in result.alerts]
        return found

    assert lines(*plans) != lines(plans[0])


ROLES = (SERVICE_ROLE, "teller", "auditor")


def known(
    roles: Sequence[str] = ROLES, branches: Sequence[str] = ("B1", "B2"), **reference: Any
) -> Plan:
    """A plan that knows these roles and branches; built-in priors for each of them."""
    plan = plan_of(min_score=0.2, reference=Reference(**reference))
    model = plan.model._replace(
        group_of=np.zeros((len(roles) + 1, len(branches) + 1), dtype=np.int32),
        relation_share=np.repeat(plan.model.relation_share[:1], len(roles) + 1, axis=0),
        branch_share=np.full(len(branches) + 1, 0.3),
        branch_region=np.full(len(branches) + 1, -1, dtype=np.int32),
        branch_clock=np.zeros(len(branches) + 1, dtype=np.int32),
    )
    rows: Mapping[str, int] = {name: row for row, name in enumerate(roles)}
    homes = {name: row for row, name in enumerate(branches, start=1)}
    return replace(plan, model=model, roles=rows, branches=homes)


def test_what_the_other_artifact_does_not_know_is_unknown_until_it_is_named_again() -> None:
    """A role by no row, a branch by row 0; both keep their place where they are known."""
    before = known()
    events = [
        event(1, "u1", MONDAY, role="teller", home="B2", branch="B1"),
        event(2, "u2", MONDAY, role="auditor", home="B1", branch="B2"),
    ]
    _, _, state = run(events, before)
    after = known((SERVICE_ROLE, "auditor"), ("B9", "B2"))
    found = moved(state, before, after)

    assert found.tables.actors.ints[:2, ROLE].tolist() == [-1, 1]
    assert found.tables.actors.ints[:2, HOME].tolist() == [2, 0]
    assert found.tables.actors.ints[0, HOME_KEY] == hash_strings(["B2"])[0]
    pairs = found.tables.branches
    rows = dict(zip(pairs.branch[pairs.key != 0].tolist(), pairs.row[pairs.key != 0], strict=True))
    assert [rows.get(int(key)) for key in hash_strings(["B1", "B2"])] == [0, 2]


def test_the_staff_directory_names_a_role_that_has_become_known() -> None:
    """Where events carry none, nobody else would."""
    staff = Staff(
        user_ids=("u1", "u2"),
        roles=("auditor", None),
        branches=("B1", None),
        account_types=("person", "person"),
        left=(None, None),
        leave=((), ()),
    )
    before, after = known((SERVICE_ROLE,), staff=staff), known(staff=staff)
    model = after.model._replace(staff_role=np.where(after.model.staff_key > 0, 2, -1))
    after = replace(after, model=model)
    nameless = [event(n, f"u{n}", MONDAY + timedelta(minutes=n), role=None) for n in (1, 3)]
    _, _, state = run(nameless, before)

    assert state.tables.actors.ints[:2, ROLE].tolist() == [-1, -1]
    assert moved(state, before, after).tables.actors.ints[:2, ROLE].tolist() == [2, -1]


def test_what_is_given_stays_as_it_is() -> None:
    """The store still has these pages, and the loop these arrays."""
    before = known()
    _, _, state = run([event(1, "u1", MONDAY, role="auditor", home="B2")], before)
    kept = {name: array.copy() for name, array in state.arrays().items()}
    renumbered(state.arrays(), list(before.roles), known((SERVICE_ROLE,), ()))

    for name, array in state.arrays().items():
        np.testing.assert_array_equal(array, kept[name])


def test_a_state_of_more_roles_than_names_is_refused() -> None:
    """They would be somebody else's."""
    before = known()
    _, _, state = run([event(1, "u1", MONDAY, role="auditor")], before)

    with pytest.raises(SnapshotError, match=r"actors\.ints: names an unknown role"):
        renumbered(state.arrays(), [SERVICE_ROLE, "teller"], before)


def test_an_empty_state_goes_over_too() -> None:
    """Before the first event, and to an artifact without branches."""
    before = known()
    found = moved(new_state(before), before, known((SERVICE_ROLE,), ()))

    assert found.tables.counts[N_ACTORS] == 0
