"""History → artifact: priors per peer group, calibration per stratum, the threshold.

Two passes of the production engine over the history: the first collects what people do,
the second, with the priors of the first, how surprised the engine is on ordinary days.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.artifacts import Artifact
from detector.columns import EventBatch
from detector.fitting.branches import fit_branches
from detector.fitting.calibration import threshold_for
from detector.fitting.channels import fit_channels
from detector.fitting.history import History, run_history
from detector.fitting.priors import (
    Group,
    fit_away_share,
    fit_counts,
    fit_hours,
    fit_reach,
    fit_rest_share,
    fit_sizes,
    make_groups,
    out_events,
)
from detector.plan import Plan, branch_regions, build_plan, builtin_arrays
from detector.policy import Policy
from detector.reference import Reference
from detector.scoring.builtin import SERVICE_ROLE
from detector.state.layout import COUNTS, DAY, F64, FOREIGN, I64

_LEAST_STRATUM_DAYS = 100
_NEVER_NS = 2**62
_BUDGETS = (1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0)  # thresholds an analyst may ask for

Arrays = dict[str, NDArray[np.generic]]


def fit(
    batches: Callable[[], Iterable[EventBatch]], policy: Policy, reference: Reference
) -> tuple[Arrays, dict[str, Any]]:
    """Learn an artifact from a history.

    Args:
        batches: gives the history's events in arrival order, each time it is called.
        policy: limits, learning speed and alert budget.
        reference: staff, branches, calendars, cover.

    Returns:
        Arrays and manifest for ``write_artifact``.
    """
    plan = _quiet_plan(policy, None, reference)
    first = run_history(batches(), plan)
    arrays, names = _priors(first, plan, reference)
    draft = Artifact(arrays, {**names, "threshold": 0.0}, "draft")
    second = run_history(batches(), _quiet_plan(policy, draft, reference))
    stratum = _stratum_of_lines(second, arrays, names)
    scores = fit_channels(second, stratum, arrays, policy)
    n_days = np.unique(second.day[:, DAY]).size
    mature = second.n_before >= policy.learning.mature_days
    budget = policy.alerts.budget_per_day
    day = second.day[mature, DAY]
    threshold = round(threshold_for(scores[mature], day, budget), 4)
    n_mature_days = max(np.unique(day).size, 1)
    manifest = {
        **names,
        "budget_per_day": budget,
        "threshold": threshold,
        "alerts_per_day": round(float((scores[mature] >= threshold).sum()) / n_mature_days, 2),
        "thresholds": {
            f"{n:g}": round(threshold_for(scores[mature], day, n), 4)
            for n in sorted({*_BUDGETS, budget})
        },
        "policy_digest": policy.digest,
        "learned_from": {
            "events": first.n_events,
            "actors": len(first.days_seen),
            "actor_days": int(second.user.size),
            "local_days": int(n_days),
        },
    }
    return arrays, manifest


def _quiet_plan(policy: Policy, artifact: Artifact | None, reference: Reference) -> Plan:
    """Return a plan that raises nothing and reports every closed day."""
    return build_plan(policy, artifact, reference, emit_from_ns=_NEVER_NS, keep_ledger=True)


def _priors(history: History, plan: Plan, reference: Reference) -> tuple[Arrays, dict[str, Any]]:
    """Fit everything but the calibration."""
    builtin = builtin_arrays()
    groups = make_groups(history)
    people = {group.role for group in groups if group.role and group.role != SERVICE_ROLE}
    role_names = [SERVICE_ROLE, *sorted(people)]
    roles = {name: row for row, name in enumerate(role_names)}
    branches = {name: row for row, name in enumerate(history.branches, start=1)}
    mean, dispersion, spread = fit_counts(history, groups, _floats(builtin))
    arrays: Arrays = {
        "group_of": _group_table(groups, roles, branches),
        "mean": mean,
        "dispersion": dispersion,
        "spread": spread,
        "hours": fit_hours(history, groups, _floats(builtin)["hours"]),
        "rest_share": fit_rest_share(
            history, groups, _rest_days(history, plan), _floats(builtin)["rest_share"]
        ),
        "out_volume": fit_sizes(out_events(history), groups, _floats(builtin)["out_volume"]),
        "away_share": fit_away_share(history, groups, _floats(builtin)["away_share"]),
        "visit_size": fit_sizes(
            history.day[:, COUNTS + FOREIGN], groups, _floats(builtin)["visit_size"]
        ),
        "reach": fit_reach(history, groups, _floats(builtin)["reach"]),
        "value_key": history.value_key,
        "value_share": history.value_share,
        **fit_branches(history, roles, branches, branch_regions(reference, branches)),
    }
    stratum, n_strata = _strata(groups)
    arrays["stratum"] = stratum
    arrays["knots_raw"] = np.repeat(builtin["knots_raw"][:1], 2 * n_strata, axis=0)
    arrays["knots_surprise"] = np.repeat(builtin["knots_surprise"][:1], 2 * n_strata, axis=0)
    return arrays, {"roles": role_names, "branches": list(history.branches)}


def _floats(arrays: Arrays) -> dict[str, F64]:
    return {name: np.asarray(array, dtype=np.float64) for name, array in arrays.items()}


def _group_table(
    groups: list[Group], roles: dict[str, int], branches: dict[str, int]
) -> NDArray[np.int32]:
    """(roles + 1, branches + 1) the smallest group that covers a role and a home."""
    table = np.zeros((len(roles) + 1, len(branches) + 1), dtype=np.int32)
    for row, group in enumerate(groups):
        if group.role is None:
            continue
        if group.home is None:
            table[roles[group.role] + 1] = row
        else:
            table[roles[group.role] + 1, branches[group.home]] = row
    return table


def _strata(groups: list[Group]) -> tuple[NDArray[np.int32], int]:
    """Give every role with enough days its own stratum; the others share stratum 0."""
    stratum = np.zeros(len(groups), dtype=np.int32)
    n_strata = 1
    for row, group in enumerate(groups):
        if group.home is not None:
            stratum[row] = stratum[group.parent]
        elif group.role is not None and group.lines.size >= _LEAST_STRATUM_DAYS:
            stratum[row] = n_strata
            n_strata += 1
    return stratum, n_strata


def _rest_days(history: History, plan: Plan) -> F64:
    """(m,) rest days between the first and the last day of the history, default calendar."""
    first, last = int(history.day[:, DAY].min()), int(history.day[:, DAY].max())
    until = plan.clock.rest_until[plan.clock.branch_calendar[0]]
    at = plan.clock.first_day
    n = float(until[last - at] - until[max(first - at - 1, 0)])
    return np.full(history.user.size, n)


def _stratum_of_lines(history: History, arrays: Arrays, names: dict[str, Any]) -> I64:
    """(m,) stratum of each actor-day, without the split into learning and mature."""
    roles = {name: row for row, name in enumerate(names["roles"])}
    branches = {name: row for row, name in enumerate(names["branches"], start=1)}
    group_of, stratum = arrays["group_of"], arrays["stratum"]
    per_user = {
        user: int(
            stratum[
                group_of[
                    roles.get(history.role_of.get(user) or "", -1) + 1,
                    branches.get(history.home_of.get(user) or "", 0),
                ]
            ]
        )
        for user in np.unique(history.user).tolist()
    }
    return np.array([per_user[user] for user in history.user.tolist()], dtype=np.int64)
