# %% [markdown]
"""# How many alerts a day should the team read?

First whether the score means what it says, on a quiet bank; then what each budget finds.
"""

# %%
import detector as ad
from detector import plots
from detector.analysis.tables import calibration, recall_curve

quiet = ad.example_bank(users=80, seed=12, incidents=0)
artifact = ad.fit(quiet.events, reference=quiet.reference, until=quiet.first_scored_day)
calm = ad.replay(
    quiet.events, artifact=artifact, reference=quiet.reference, since=quiet.first_scored_day
)

# %% [markdown]
"""## Is a rare day as rare as it says?

Points on the line: a score of 2 is reached by one person-day in a hundred. The days before
`since` taught the artifact, so the share is a little low.
"""

# %%
print(calibration(calm).round(4).to_string(index=False))
honest = plots.calibration(calm)
honest

# %% [markdown]
"""## What a budget finds

On a bank with labelled incidents, with its 90 % interval: twelve incidents are few.
"""

# %%
bank = ad.example_bank()
learned = ad.fit(bank.events, reference=bank.reference, until=bank.first_scored_day)
result = ad.replay(
    bank.events, artifact=learned, reference=bank.reference, since=bank.first_scored_day,
    min_score=0.5,
)  # fmt: skip
curve = recall_curve(result, bank.truth)
print(curve.round(2).to_string(index=False))
bought = plots.recall_budget(result, bank.truth)
bought

# %% [markdown]
"""## The answer

The smallest budget after which another alert a day finds almost nothing more.
"""

# %%
enough = curve[curve["recall"] >= curve["recall"].max() - 0.05].iloc[0]
print(
    f"{enough['budget']:.0f} alerts a day find {enough['recall']:.0%} of the incidents "
    f"({enough['recall_low']:.0%} to {enough['recall_high']:.0%}); the threshold is then "
    f"{ad.what_if(result, {'alerts.budget_per_day': enough['budget']}).threshold:.2f}"
)
