"""A state learned under one artifact, numbered as another one numbers roles and branches.

A state names people, customers, branches and values by keys that mean the same everywhere. Only
roles and branches it also knows by their row in the model, and each artifact has rows of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from detector.errors import SnapshotError
from detector.hashing import hash_strings
from detector.lookup import looked_up
from detector.plan import Plan
from detector.state.layout import HOME, HOME_KEY, I64, N_ACTORS, ROLE

_ACTORS, _ROWS = "actors.ints", "branches.row"
Arrays = Mapping[str, NDArray[np.generic]]


def renumbered(arrays: Arrays, roles: Sequence[str], plan: Plan) -> dict[str, NDArray[np.generic]]:
    """Return the arrays of a state with the rows of ``plan``; what was given stays as it is.

    A role or branch the plan does not know becomes unknown, as for an event that names it;
    a person of unknown role has the staff directory's. Both come back with the next event
    that names them.

    Args:
        arrays: as ``State.arrays()`` returns them.
        roles: names of the roles the state's rows stand for, in order.
        plan: what the state is to be used under.

    Raises:
        SnapshotError: the state has more roles than names, so they are not its own.
    """
    ints = np.array(arrays[_ACTORS], dtype=np.int64)
    mine = ints[: int(arrays["counts"][N_ACTORS])]
    mine[:, ROLE] = _roles(mine[:, ROLE], arrays["actors.user"][: len(mine)], roles, plan)
    has_home = mine[:, HOME_KEY] != 0
    mine[has_home, HOME] = _branch_rows(mine[has_home, HOME_KEY], plan)
    keys, row = np.asarray(arrays["branches.branch"]), np.array(arrays[_ROWS], dtype=np.int32)
    used = np.asarray(arrays["branches.key"]) != 0
    row[used] = _branch_rows(keys[used], plan)
    return {**arrays, _ACTORS: ints, _ROWS: row}


def _roles(held: I64, users: NDArray[np.generic], roles: Sequence[str], plan: Plan) -> I64:
    """(n,) rows of the same roles in the plan, -1 = unknown."""
    if held.size and not -1 <= held.min() <= held.max() < len(roles):
        hint = "Start with an empty store, or restore an unchanged copy"
        raise SnapshotError("names an unknown role", where=_ACTORS, hint=hint)
    rows = np.array([*(plan.roles.get(name, -1) for name in roles), -1], dtype=np.int64)
    found = rows[held]
    staff = plan.model.staff_key
    order = np.argsort(staff, kind="stable")
    told = looked_up(
        users.astype(np.int64, copy=False), staff[order], plan.model.staff_role[order], -1
    )
    return np.asarray(np.where(found < 0, told, found), dtype=np.int64)


def _branch_rows(keys: I64, plan: Plan) -> I64:
    """(n,) rows of branches by their keys, 0 = unknown."""
    names = list(plan.branches)
    known = hash_strings(names)
    order = np.argsort(known, kind="stable")
    rows = np.array([plan.branches[name] for name in names], dtype=np.int64)
    return looked_up(keys, known[order], rows[order], 0)
