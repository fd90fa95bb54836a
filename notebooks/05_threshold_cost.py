# %% [markdown]
"""# What would another threshold have cost?

A lower threshold catches more incidents and costs more reading. One replay with a low bar; then
every threshold is answered from the stored scores, without replaying.
"""

# %%
from itertools import pairwise

import numpy as np
import pandas as pd

import detector as ad
from detector import plots

bank = ad.example_bank()
artifact = ad.fit(bank.events, reference=bank.reference, until=bank.first_scored_day)
result = ad.replay(
    bank.events, artifact=artifact, reference=bank.reference, since=bank.first_scored_day,
    min_score=0.5,
)  # fmt: skip
print(f"{len(result.trace):,} events, {result.alerts['alert_id'].nunique()} alerts from 0.5 on")

# %% [markdown]
"""## What each threshold would have said

`min_score` and `threshold` change what is said, not what is learned: that is why no replay is
needed. Every alert is read; the threshold alone decides.
"""

# %%
EVERYTHING = 1_000_000
thresholds = np.arange(0.5, 6.01, 0.5).round(1).tolist()
answers = {at: ad.what_if(result, {"threshold": at}) for at in thresholds}
found = {at: ad.evaluate(answer, bank.truth, [EVERYTHING]) for at, answer in answers.items()}
table = pd.DataFrame(
    {
        "threshold": thresholds,
        "caught": [one.budgets[0].n_caught for one in found.values()],
        "precision": [one.budgets[0].precision for one in found.values()],
        "alerts_per_day": [one.budgets[0].alerts_per_day for one in found.values()],
    }
)
print(table.round(2).to_string(index=False))

# %% [markdown]
"""## Side by side

Recall at each budget, with the fitted threshold and with one a step higher.
"""

# %%
fitted = float(artifact.manifest["threshold"])
both = {
    f"fitted, {fitted:.1f}": ad.what_if(result, {"threshold": fitted}),
    f"higher, {fitted + 1:.1f}": ad.what_if(result, {"threshold": fitted + 1.0}),
}
curves = plots.recall_budget(both, bank.truth)
curves

# %% [markdown]
"""## The answer

Take the highest threshold whose recall you can live with; each line says what one step down would
have bought. One bank and one seed: change `seed` before believing the second digit.
"""

# %%
for (_, low), (_, high) in pairwise(table.iterrows()):
    if low["caught"] > high["caught"]:
        more = low["alerts_per_day"] - high["alerts_per_day"]
        print(
            f"down to {low['threshold']:.1f}: {low['caught'] - high['caught']:.0f} more caught for "
            f"{more:.2f} more alerts a day"
        )
