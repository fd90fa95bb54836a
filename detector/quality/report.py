"""One Markdown report: tables of what was reached, with intervals, floors and goals beside."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from detector.evaluation import BudgetResult, Evaluation
from detector.quality.attackers import Attack
from detector.quality.banks import POWERS, Calibration
from detector.quality.masquerade import Hits
from detector.quality.measures import Interval, interval
from detector.quality.real import Finding

_NONE = "–"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table.

    >>> print(table(["a", "b"], [["1", "2"]]))
    | a | b |
    | --- | --- |
    | 1 | 2 |
    """
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def number(value: float, digits: int = 2) -> str:
    """Return a number as text, a dash for NaN.

    >>> number(0.456), number(float("nan"))
    ('0.46', '–')
    """
    return _NONE if math.isnan(value) else f"{value:.{digits}f}"


def between(found: Interval, digits: int = 2) -> str:
    """Return a mean with its interval.

    >>> between(Interval(0.5, 0.4, 0.6, 8)), between(Interval(0.5, float("nan"), 0.0, 1))
    ('0.50 (0.40–0.60)', '0.50')
    """
    if math.isnan(found.low):
        return number(found.mean, digits)
    return f"{found.mean:.{digits}f} ({found.low:.{digits}f}–{found.high:.{digits}f})"


def section(title: str, words: str, body: str) -> str:
    """Return one section."""
    return f"## {title}\n\n{words}\n\n{body}\n"


def findings_table(findings: Sequence[Finding]) -> str:
    """Injections into real logs against floors and goals."""
    rows = [
        [
            found.what, found.measure, between(found.reached, 3), number(found.floor, 3),
            number(found.goal, 3), verdict(found), f"{found.n:,}",
        ]
        for found in findings
    ]  # fmt: skip
    header = ["injected", "measure", "reached (90 %)", "floor", "goal", "", "injections"]
    return table(header, rows)


def verdict(found: Finding) -> str:
    """Say in a word where a finding stands; nothing where no bar was set.

    >>> verdict(Finding("x", "auc", Interval(0.5, 0.4, 0.6, 8), 0.3, 0.6, 9))
    'above the floor'
    """
    if math.isnan(found.floor):
        return ""
    if found.reached.mean >= found.goal:
        return "goal met"
    return "above the floor" if found.reached.mean >= found.floor else "below the floor"


def over_seeds(
    found: Sequence[Evaluation],
    budget: int,
    value: Callable[[BudgetResult], float | None],
    most: float = 1.0,
) -> Interval:
    """Mean and interval over seeds of one figure at one budget; missing ones are left out."""
    values = [value(result) for one in found for result in one.budgets if result.budget == budget]
    return interval([math.nan if v is None else float(v) for v in values], most=most)


def banks_table(by_size: Mapping[int, Sequence[Evaluation]]) -> str:
    """What a team finds, per bank size and budget."""
    rows = []
    for size, found in by_size.items():
        for budget in [result.budget for result in found[0].budgets]:
            figures = [
                over_seeds(found, budget, lambda r: r.recall),
                over_seeds(found, budget, lambda r: r.precision),
                over_seeds(found, budget, lambda r: r.precision_incident_days),
                over_seeds(found, budget, lambda r: r.median_delay_days, math.inf),
            ]
            rows.append([f"{size:,}", str(budget), *map(between, figures), str(len(found))])
    header = [
        "staff", "alerts/day", "recall", "precision", "precision on incident days",
        "median delay, days", "seeds",
    ]  # fmt: skip
    return table(header, rows)


def kinds_table(by_size: Mapping[int, Sequence[Evaluation]], budget: int) -> str:
    """Recall per kind of incident at one budget, a column per bank size."""
    kinds = sorted({kind for found in by_size.values() for one in found for kind in one.kinds})
    rows = [
        [kind, *(between(_kind_recall(found, kind, budget)) for found in by_size.values())]
        for kind in kinds
    ]
    return table(["kind", *(f"{size:,} staff" for size in by_size)], rows)


def _kind_recall(found: Sequence[Evaluation], kind: str, budget: int) -> Interval:
    def recall(result: BudgetResult) -> float | None:
        caught, n = result.by_kind.get(kind, (0, 0))
        return caught / n if n else None

    return over_seeds(found, budget, recall)


def calibration_table(found: Sequence[Calibration]) -> str:
    """Observed ÷ nominal, per detector; 1 is right, [0.5, 2] is the goal."""
    names = sorted({name for one in found for name in one.ratios}, key=lambda n: (n != "score", n))
    rows = [[name, *(_ratio(found, name, at) for at in range(len(POWERS)))] for name in names]
    n_days = sum(one.n_days for one in found)
    header = ["", *(f"10^-{power}" for power in POWERS)]
    return table(header, rows) + f"\n\n{n_days:,} person-days."


def _ratio(found: Sequence[Calibration], name: str, at: int) -> str:
    """A dash where fewer than three days would be expected."""
    if sum(one.n_days for one in found) * 10.0 ** -POWERS[at] < 3.0:
        return _NONE
    silent = (0.0,) * len(POWERS)
    return between(interval([one.ratios.get(name, silent)[at] for one in found], most=math.inf))


def named_table(first: str, by_name: Mapping[str, Sequence[Evaluation]]) -> str:
    """Recall and precision at 1, 5 and 20 alerts a day, a row per name."""
    rows = []
    for name, found in by_name.items():
        recalls = [over_seeds(found, budget, lambda r: r.recall) for budget in (1, 5, 20)]
        precision = over_seeds(found, 5, lambda r: r.precision_incident_days)
        rows.append([name, *map(between, recalls), between(precision)])
    header = [first, "recall at 1", "recall at 5", "recall at 20", "precision at 5, incident days"]
    return table(header, rows)


def ablation_table(whole: Sequence[Evaluation], lost: Mapping[str, Sequence[Evaluation]]) -> str:
    """Recall lost without each detector, seed by seed; negative means better without."""
    rows = []
    for name, found in lost.items():
        losses = [_losses(whole, found, budget) for budget in (1, 5, 20)]
        rows.append([name, *(between(interval(loss, least=-1.0), 3) for loss in losses)])
    header = ["without", "recall lost at 1", "recall lost at 5", "recall lost at 20"]
    return table(header, rows)


def _losses(whole: Sequence[Evaluation], without: Sequence[Evaluation], budget: int) -> list[float]:
    pairs = zip(_recalls(whole, budget), _recalls(without, budget), strict=True)
    return [before - after for before, after in pairs]


def _recalls(found: Sequence[Evaluation], budget: int) -> list[float]:
    return [r.recall for one in found for r in one.budgets if r.budget == budget]


def attack_table(by_seed: Sequence[Sequence[Attack]]) -> str:
    """Share of attackers found, delay, and how much they had taken by then."""
    kinds = sorted({(a.scenario, a.budget) for one in by_seed for a in one})
    rows = []
    for scenario, budget in kinds:
        seeds = [
            [a for a in one if (a.scenario, a.budget) == (scenario, budget)] for one in by_seed
        ]
        every = [attack for one in seeds for attack in one]
        caught = interval([_share_caught(one) for one in seeds])
        taken = float(np.mean([attack.taken for attack in every]))
        figures = [between(caught), _delays(every), number(taken), f"{len(every):,}"]
        rows.append([scenario, str(budget), *figures])
    header = [
        "scenario",
        "alerts/day",
        "found",
        "delay, days: 50 % / 90 %",
        "taken by then",
        "attackers",
    ]
    return table(header, rows)


def _share_caught(found: Sequence[Attack]) -> float:
    if not found:
        return float("nan")
    return sum(attack.delay_days is not None for attack in found) / len(found)


def _delays(found: Sequence[Attack]) -> str:
    """Quantiles over those who are found."""
    delays = [attack.delay_days for attack in found if attack.delay_days is not None]
    if not delays:
        return _NONE
    return " / ".join(f"{value:.0f}" for value in np.quantile(delays, [0.5, 0.9]))


def hits_table(by_seed: Sequence[Hits]) -> str:
    """Share of strangers' days that are found."""
    rows = [
        ["score", between(interval([one.score for one in by_seed]))],
        ["unfamiliar alone", between(interval([one.unfamiliar for one in by_seed]))],
    ]
    return table(["ranked by", "found (90 %)"], rows)
