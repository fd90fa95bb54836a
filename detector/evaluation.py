"""What a team finds that reads the day's best alerts: recall, precision and delay at a budget."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import orjson

from detector.errors import SourceError

_N_BOOTSTRAP = 2_000
_MAX_LINE_BYTES = 1_000_000
_MAX_TRUTH_BYTES = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Incident:
    """One labelled incident; days are the bank's local days, both inclusive."""

    kind: str
    users: frozenset[str]
    first_day: date
    last_day: date


@dataclass(frozen=True, slots=True)
class Truth:
    """Labelled incidents and the local days, from ``first_day`` on, that are scored."""

    first_day: date
    n_days: int
    incidents: tuple[Incident, ...]


Ranking = dict[date, list[tuple[str, str]]]
"""Local day → (alert id, user id), best first; one entry an alert."""


@dataclass(frozen=True, slots=True)
class BudgetResult:
    """What is found at one budget.

    ``recall_low`` and ``recall_high`` are the 90 % bootstrap interval over incidents.
    ``precision`` is the share of read alerts whose user has an incident on that day;
    ``precision_incident_days`` the same on days with an incident. The delay counts days
    from the first bad day to the first alert read, over caught incidents. ``by_kind``
    maps kind to (caught, all).
    """

    budget: int
    n_caught: int
    recall: float
    recall_low: float
    recall_high: float
    precision: float
    precision_incident_days: float
    alerts_per_day: float
    median_delay_days: float | None
    by_kind: dict[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Results per budget."""

    n_incidents: int
    n_days: int
    kinds: tuple[str, ...]
    budgets: tuple[BudgetResult, ...]

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return {
            "incidents": self.n_incidents,
            "days": self.n_days,
            "budgets": [
                {name: getattr(row, name) for name in BudgetResult.__slots__}
                for row in self.budgets
            ],
        }


def evaluate(
    alerts: Path, truth: Path, budgets: Sequence[int] = (1, 5, 20), *, seed: int = 0
) -> Evaluation:
    """Evaluate an alerts file against labelled incidents.

    Lines of one alert on one local day count once, with their highest score; the day's top
    N by score are read (ties by id). An incident is caught by a read alert of one of its
    users dated from its first to its last day.

    Args:
        alerts: alerts file.
        truth: truth file.
        budgets: alerts read per day.
        seed: of the bootstrap.

    Raises:
        SourceError: a file cannot be read; names line and remedy.
    """
    known = read_truth(truth)
    ranked = _ranked_days(alerts, known.first_day, known.n_days)
    return evaluate_ranking(ranked, known, budgets, seed=seed)


def evaluate_ranking(
    ranked: Ranking, truth: Truth, budgets: Sequence[int] = (1, 5, 20), *, seed: int = 0
) -> Evaluation:
    """Evaluate a ranking of each day's alerts, whoever made it.

    Args:
        ranked: days outside the scored period are left out by the caller.
        truth: incidents and period.
        budgets: alerts read per day.
        seed: of the bootstrap.
    """
    incidents, n_days = list(truth.incidents), truth.n_days
    kinds = tuple(sorted({incident.kind for incident in incidents}))
    rows = tuple(_at_budget(n, ranked, incidents, kinds, n_days, seed) for n in sorted(budgets))
    return Evaluation(len(incidents), n_days, kinds, rows)


def read_truth(path: Path) -> Truth:
    """Read a truth file.

    Raises:
        SourceError: it cannot be read or is no truth file.
    """
    try:
        if path.stat().st_size > _MAX_TRUTH_BYTES:
            raise SourceError("is too large", where=str(path), hint="Limit: 1 GB")
        content = orjson.loads(path.read_bytes())
        incidents = tuple(_incident(entry) for entry in content["incidents"])
        return Truth(*_period(content), incidents)
    except OSError as error:
        what = f"cannot be read ({error.strerror})"
        raise SourceError(what, where=str(path), hint="Check path and rights") from None
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        hint = "`detector simulate` writes a truth file"
        raise SourceError(
            f"is no truth file ({type(error).__name__})", where=str(path), hint=hint
        ) from None


def _period(content: dict[str, Any]) -> tuple[date, int]:
    """Read first day and number of days; the last day must be a date too."""
    first_day, n_days = date.fromisoformat(content["first_scored_day"]), int(content["days"])
    if n_days < 0 or date.max - first_day < timedelta(days=n_days):
        raise ValueError("days")
    return first_day, n_days


def _incident(entry: dict[str, Any]) -> Incident:
    """Read one entry of the truth file; a wrong one raises what JSON values raise."""
    users = entry["users"]
    first, last = date.fromisoformat(entry["start"]), date.fromisoformat(entry["end"])
    if not isinstance(users, list) or first > last:
        raise ValueError("incident")
    return Incident(str(entry["kind"]), frozenset(users), first, last)


def _ranked_days(path: Path, first_day: date, n_days: int) -> Ranking:
    """Return day → (alert id, user), best first."""
    best: dict[date, dict[str, tuple[float, str]]] = defaultdict(dict)
    last_day = first_day + timedelta(days=n_days - 1)
    for day, alert_id, score, user in _alert_lines(path):
        known = best[day].get(alert_id)
        if known is None or score > known[0]:
            best[day][alert_id] = (score, user)
    return {
        day: [
            (alert_id, user)
            for alert_id, (_, user) in sorted(found.items(), key=lambda i: (-i[1][0], i[0]))
        ]
        for day, found in best.items()
        if first_day <= day <= last_day
    }


def _alert_lines(path: Path) -> Iterator[tuple[date, str, float, str]]:
    try:
        stream = path.open("rb")
    except OSError as error:
        what = f"cannot be read ({error.strerror})"
        raise SourceError(what, where=str(path), hint="Check path and rights") from None
    with stream:
        for number, line in enumerate(stream, 1):
            try:
                alert = orjson.loads(line[:_MAX_LINE_BYTES])
                day = date.fromisoformat(alert["time"][:10])
                yield day, str(alert["alert_id"]), float(alert["score"]), str(alert["user_id"])
            except (ValueError, KeyError, TypeError):
                where = f"{path}:{number}"
                hint = "Expected a line of the alerts file, as `detector replay` writes it"
                raise SourceError("is no alert", where=where, hint=hint) from None


def _at_budget(
    budget: int,
    ranked: Ranking,
    incidents: list[Incident],
    kinds: tuple[str, ...],
    n_days: int,
    seed: int,
) -> BudgetResult:
    read = {day: alerts[:budget] for day, alerts in ranked.items()}
    delays = [_delay_days(incident, read) for incident in incidents]
    caught = np.array([delay is not None for delay in delays], dtype=np.float64)
    low, high = _bootstrap(caught, seed)
    hits, hits_on_bad, n_on_bad = _precision_counts(read, incidents)
    n_read = sum(map(len, read.values()))
    found = [delay for delay in delays if delay is not None]
    return BudgetResult(
        budget=budget,
        n_caught=int(caught.sum()),
        recall=float(caught.mean()) if caught.size else 0.0,
        recall_low=low,
        recall_high=high,
        precision=hits / n_read if n_read else 0.0,
        precision_incident_days=hits_on_bad / n_on_bad if n_on_bad else 0.0,
        alerts_per_day=n_read / max(n_days, 1),
        median_delay_days=median(found) if found else None,
        by_kind={kind: _caught_of(kind, incidents, caught) for kind in kinds},
    )


def _delay_days(incident: Incident, read: Ranking) -> int | None:
    """Return days from the incident's first day to its first read alert; None if missed."""
    for delay in range((incident.last_day - incident.first_day).days + 1):
        alerts = read.get(incident.first_day + timedelta(days=delay), [])
        if any(user in incident.users for _, user in alerts):
            return delay
    return None


def _caught_of(kind: str, incidents: list[Incident], caught: Any) -> tuple[int, int]:
    hits = [
        bool(hit) for incident, hit in zip(incidents, caught, strict=True) if incident.kind == kind
    ]
    return sum(hits), len(hits)


def _bootstrap(caught: Any, seed: int) -> tuple[float, float]:
    """Return the 5 % and 95 % quantiles of recall over resampled incidents."""
    if caught.size == 0:
        return 0.0, 0.0
    rng = np.random.default_rng(seed)
    means = rng.choice(caught, size=(_N_BOOTSTRAP, caught.size)).mean(axis=1)
    return float(np.quantile(means, 0.05)), float(np.quantile(means, 0.95))


def _precision_counts(read: Ranking, incidents: list[Incident]) -> tuple[int, int, int]:
    """Return hits, hits on days with an incident, alerts read on days with an incident."""
    hits = hits_on_bad = n_on_bad = 0
    for day, alerts in read.items():
        bad = set().union(*(i.users for i in incidents if i.first_day <= day <= i.last_day))
        n_hits = sum(user in bad for _, user in alerts)
        hits += n_hits
        if bad:
            hits_on_bad += n_hits
            n_on_bad += len(alerts)
    return hits, hits_on_bad, n_on_bad
