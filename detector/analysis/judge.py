"""How good were the alerts: against labelled incidents, or against what people have decided."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from detector.alerts import alert_id
from detector.analysis.answers import WhatIf
from detector.analysis.result import Result
from detector.errors import OptionError
from detector.evaluation import Evaluation, Ranking, Truth, evaluate_ranking, read_truth
from detector.extras import needed
from detector.shares import wilson

CONFIRMED, BENIGN = "confirmed", "benign"
VERDICTS = (CONFIRMED, BENIGN, "wrong_team", "test")
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class VerdictResult:
    """What verdicts say about the alerts read at one budget.

    ``precision`` is confirmed over confirmed and benign, NaN while nobody has decided, with
    its 90 % Wilson interval; ``recall`` the share of all confirmed alerts that are read.
    """

    budget: int
    n_read: int
    n_confirmed: int
    n_benign: int
    n_undecided: int
    precision: float
    precision_low: float
    precision_high: float
    recall: float


def evaluate(
    alerts: Result | WhatIf | Any,
    truth: Any,
    budgets: Sequence[int] = (1, 5, 20),
    *,
    seed: int = 0,
) -> Evaluation | list[VerdictResult]:
    """Say what a team finds that reads each day's best alerts.

    Args:
        alerts: a replay, the answer of ``what_if``, or a data frame of actor-days with
            ``user_id``, ``day`` and ``score``.
        truth: a truth file (or what ``read_truth`` gave): labelled incidents, recall with
            a bootstrap interval; or a data frame (or records) with the columns ``alert_id`` and
            ``verdict`` (confirmed, benign, wrong_team, test): precision with a Wilson interval.
        budgets: alerts read a day.
        seed: of the bootstrap.

    Raises:
        DetectorError: the truth cannot be read, or a verdict has another name.
    """
    if isinstance(truth, str | Path | Truth):
        known = truth if isinstance(truth, Truth) else read_truth(Path(truth))
        return evaluate_ranking(_within(ranking_of(alerts), known), known, budgets, seed=seed)
    verdicts = _verdicts(truth)
    ranking = ranking_of(alerts)
    return [_at_budget(budget, ranking, verdicts) for budget in sorted(budgets)]


def ranking_of(alerts: Result | WhatIf | Any) -> Ranking:
    """Return each local day's alerts, best first; an alert counts once a day, at its best.

    Args:
        alerts: a replay, an answer, or a data frame of actor-days with ``user_id``, ``day`` and
            ``score``, whoever gave it.
    """
    frame = alerts.alerts if isinstance(alerts, Result | WhatIf) else _own_days(alerts)
    if not isinstance(alerts, Result):
        days = [moment.date() for moment in frame["day"]]
    else:
        days = [date.fromisoformat(text[:10]) for text in frame["time"]]
    best: dict[date, dict[str, tuple[float, str]]] = defaultdict(dict)
    columns = (frame["alert_id"], frame["score"], frame["user_id"])
    for day, name, score, user in zip(days, *columns, strict=True):
        known = best[day].get(name)
        if known is None or score > known[0]:
            best[day][name] = (float(score), user)
    return {
        day: [(i, user) for i, (_, user) in sorted(found.items(), key=lambda x: (-x[1][0], x[0]))]
        for day, found in best.items()
    }


def _own_days(frame: Any) -> Any:
    """Give actor-days of an analyst's own detector the ids that alerts have."""
    missing = {"user_id", "day", "score"} - set(getattr(frame, "columns", ()))
    if missing:
        what, hint = f"has no column {min(missing)}", "Expected user_id, day and score"
        raise OptionError(what, where="alerts", hint=hint)
    kept = frame[frame["score"].notna()]
    days = [(moment.date() - _EPOCH).days for moment in kept["day"]]
    ids = [alert_id(*pair) for pair in zip(kept["user_id"], days, strict=True)]
    return kept.assign(alert_id=ids)


def _within(ranking: Ranking, truth: Truth) -> Ranking:
    return {
        day: found
        for day, found in ranking.items()
        if 0 <= (day - truth.first_day).days < truth.n_days
    }


def _verdicts(table: Any) -> dict[str, str]:
    """Return alert id → verdict, the last one where there are several.

    Raises:
        OptionError: a column is missing or a verdict has another name.
    """
    nw = needed("narwhals")
    if isinstance(table, dict | list):
        table = needed("pandas").DataFrame(table)
    frame = nw.from_native(table, eager_only=True)
    missing = {"alert_id", "verdict"} - set(frame.columns)
    if missing:
        what, hint = f"has no column {min(missing)}", "Expected alert_id and verdict"
        raise OptionError(what, where="verdicts", hint=hint)
    found = dict(zip(frame["alert_id"].to_list(), frame["verdict"].to_list(), strict=True))
    odd = sorted({str(verdict) for verdict in found.values()} - set(VERDICTS))
    if odd:
        hint = f"Known verdicts: {', '.join(VERDICTS)}"
        raise OptionError(f"there is no verdict {odd[0]!r}", where="verdicts", hint=hint)
    return found


def _at_budget(budget: int, ranking: Ranking, verdicts: dict[str, str]) -> VerdictResult:
    read = {name for found in ranking.values() for name, _ in found[:budget]}
    said = [verdicts.get(name) for name in read]
    n_confirmed, n_benign = said.count(CONFIRMED), said.count(BENIGN)
    n_all = sum(verdict == CONFIRMED for verdict in verdicts.values())
    n = n_confirmed + n_benign
    low, high = wilson(n_confirmed, n)
    return VerdictResult(
        budget=budget,
        n_read=len(read),
        n_confirmed=n_confirmed,
        n_benign=n_benign,
        n_undecided=len(read) - n,
        precision=n_confirmed / n if n else float("nan"),
        precision_low=low,
        precision_high=high,
        recall=n_confirmed / n_all if n_all else float("nan"),
    )
