# %% [markdown]
"""# What do the team's verdicts say about the threshold?

A week of verdicts chooses a threshold; the days after judge the choice. Here the labels of the
simulator stand in for the team; with your own, read `alert_id` and `verdict` from the console.
"""

# %%
import pandas as pd

import detector as ad
from detector import plots
from detector.analysis.judge import wilson
from detector.evaluation import read_truth

bank = ad.example_bank(users=80, days=42, seed=13, incidents=30)
artifact = ad.fit(bank.events, reference=bank.reference, until=bank.first_scored_day)
result = ad.replay(
    bank.events, artifact=artifact, reference=bank.reference, since=bank.first_scored_day,
    min_score=0.5,
)  # fmt: skip
alerts = ad.what_if(result).alerts.sort_values("score").drop_duplicates("alert_id", keep="last")

# %%
incidents = read_truth(bank.truth).incidents
bad = {
    (user, day.date())
    for case in incidents
    for user in case.users
    for day in pd.date_range(case.first_day, case.last_day)
}
is_bad = [pair in bad for pair in zip(alerts["user_id"], alerts["day"].dt.date, strict=True)]
verdicts = alerts.assign(verdict=["confirmed" if hit else "benign" for hit in is_bad])
half = alerts["day"].min() + (alerts["day"].max() - alerts["day"].min()) / 2
first, later = verdicts[verdicts["day"] <= half], verdicts[verdicts["day"] > half]
print(f"{len(first)} verdicts to learn from, {len(later)} to judge with")

# %% [markdown]
"""## Precision at each threshold, with what the number of verdicts allows to say

The lowest threshold whose precision is surely (Wilson, 90 %) above a third.
"""

# %%
rows = []
for threshold in (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0):
    said = first[first["score"] >= threshold]["verdict"].eq("confirmed")
    low, high = wilson(int(said.sum()), len(said))
    rows.append((threshold, len(said), said.mean(), low, high))
table = pd.DataFrame(rows, columns=["threshold", "n", "precision", "low", "high"])
print(table.round(2).to_string(index=False))
sure = table[table["low"] > 1 / 3]
chosen = float(sure["threshold"].iloc[0]) if len(sure) else float(table["threshold"].iloc[-1])

# %% [markdown]
"""## Which detector is right how often"""

# %%
print(
    first.groupby("detector")["verdict"].agg(n="size", confirmed=lambda v: v.eq("confirmed").mean())
)

# %%
both = {"before": result, "chosen": ad.what_if(result, {"threshold": chosen})}
curves = plots.recall_budget(both, bank.truth)
curves

# %% [markdown]
"""## The answer"""

# %%
kept = later[later["score"] >= chosen]["verdict"].eq("confirmed")
print(
    f"from {chosen:.1f} on, {kept.mean():.0%} of the {len(kept)} later alerts were right (all "
    f"{len(later)}: {later['verdict'].eq('confirmed').mean():.0%})"
)
