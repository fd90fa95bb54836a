# ruff: noqa: INP001  scripts, not a package
# %% [markdown]
"""# What would another threshold have cost?

A lower threshold catches more incidents and costs more reading. This replays a simulated bank
once, with a low bar, and then asks for every threshold what a team would have read and found.
Run it whole (`python notebooks/threshold_cost.py`) or cell by cell.
"""

# %%
import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import orjson
from rich.console import Console
from rich.table import Table

from detector.evaluation import BudgetResult, evaluate
from detector.hosts.fit import FitOptions, fit_artifact
from detector.hosts.local_time import since_ns
from detector.hosts.replay import ReplayOptions, replay
from detector.simulate import SimulationConfig, simulate

console = Console(width=100)
folder = Path(tempfile.mkdtemp(prefix="threshold-cost-"))

# %% [markdown]
"""## A bank, its history, and everything that is at all unusual

60 staff, 4 weeks, 12 labelled incidents. The artifact is fitted on the days before the first
incident; the replay emits from score 0.5 on. `min_score` changes what is said, not what is learned.
"""

# %%
simulate(folder, SimulationConfig(users=60, branches=6, days=28, seed=11, incidents=12))
truth = orjson.loads((folder / "truth.json").read_bytes())
since = since_ns(truth["first_scored_day"], None, "truth")
events, reference = str(folder / "events.jsonl"), folder / "reference"
artifact = fit_artifact(
    FitOptions(events, folder / "artifact", until_ns=since, reference=reference)
)
options = ReplayOptions(
    events,
    artifact=folder / "artifact",
    reference=reference,
    since_ns=since,
    min_score=0.5,
    alerts=folder / "alerts.jsonl",
)
summary = replay(options)
console.print(
    f"{summary.events:,} events, {sum(summary.alerts_per_day.values())} alerts from 0.5 on"
)

# %% [markdown]
"""## What each threshold would have said

Keep the lines at or above a threshold and evaluate them, every alert read.
"""

# %%
lines = [orjson.loads(line) for line in (folder / "alerts.jsonl").read_bytes().splitlines()]
EVERYTHING = 1_000_000  # alerts read a day: no budget, the threshold alone decides


def at_threshold(threshold: float) -> BudgetResult:
    """Evaluate the alerts that reach a threshold."""
    kept = folder / "kept.jsonl"
    kept.write_bytes(b"".join(orjson.dumps(x) + b"\n" for x in lines if x["score"] >= threshold))
    return evaluate(kept, folder / "truth.json", [EVERYTHING]).budgets[0]


thresholds = np.arange(0.5, 6.01, 0.5).tolist()
results = [at_threshold(threshold) for threshold in thresholds]

# %% [markdown]
"""## The answer

Bars are recall (caught incidents) and alerts a day, as a share of the most. The threshold nearest
to the artifact's own, for five alerts a day on quiet days, is marked.
"""

# %%
chosen = float(artifact.manifest["threshold"])
nearest = int(np.argmin(np.abs(np.array(thresholds) - chosen)))
most = max(row.alerts_per_day for row in results)
table = Table("threshold", "caught", "", "precision", "alerts a day", "")
for i, (threshold, row) in enumerate(zip(thresholds, results, strict=True)):
    table.add_row(
        f"{threshold:.1f}{' fitted' if i == nearest else ''}",
        f"{row.n_caught} of {len(truth['incidents'])}",
        "█" * round(20 * row.recall),
        f"{row.precision:.2f}",
        f"{row.alerts_per_day:.2f}",
        "█" * round(20 * row.alerts_per_day / most),
    )
console.print(table)

# %% [markdown]
"""## How to read it

Take the highest threshold whose recall you can live with; each line says what one step down would
have bought. One bank and one seed: change `seed` above before believing the second digit.
"""

# %%
steps = zip(thresholds, pairwise(results), strict=False)
for threshold, (low, high) in steps:
    if low.n_caught > high.n_caught:
        console.print(
            f"down to {threshold:.1f}: {low.n_caught - high.n_caught} more caught for "
            f"{low.alerts_per_day - high.alerts_per_day:.2f} more alerts a day"
        )
