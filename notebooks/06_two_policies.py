# %% [markdown]
"""# Would another policy find more for the same reading?

Candidates are judged on the first half of the labelled days; only the best of them is then compared
with the default on the second half, which nobody has looked at.
"""

# %%
import pandas as pd

import detector as ad
from detector import plots
from detector.analysis.tune import between
from detector.evaluation import read_truth

bank = ad.example_bank(users=80, days=42, seed=13, incidents=30)
artifact = ad.fit(bank.events, reference=bank.reference, until=bank.first_scored_day)
result = ad.replay(
    bank.events, artifact=artifact, reference=bank.reference, since=bank.first_scored_day,
    min_score=0.5,
)  # fmt: skip
truth = read_truth(bank.truth)
first, second = between(truth, 0.0, 0.5), between(truth, 0.5, 1.0)
print(f"{len(first.incidents)} incidents to choose with, {len(second.incidents)} to judge with")

# %% [markdown]
"""## The candidates

`known_share` says how much of what a flagged day has said is old news on the next days. All of them
are answered from one replay.
"""

# %%
shares = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
answers = {share: ad.what_if(result, {"alerts.known_share": share}) for share in shares}
found = {share: ad.evaluate(answer, first, [3]).budgets[0] for share, answer in answers.items()}
table = pd.DataFrame(
    {
        "known_share": shares,
        "recall": [row.recall for row in found.values()],
        "low": [row.recall_low for row in found.values()],
        "high": [row.recall_high for row in found.values()],
    }
)
print(table.round(2).to_string(index=False))

# %% [markdown]
"""## The best of them, on days nobody has looked at"""

# %%
best = max(shares, key=lambda share: (found[share].recall, -abs(share - 0.4)))
both = {"default": result, f"known_share {best:g}": answers[best]}
curves = plots.recall_budget(both, second)
curves

# %% [markdown]
"""## The answer"""

# %%
before, after = (ad.evaluate(one, second, [3]).budgets[0] for one in both.values())
verdict = "no reason to change" if after.recall <= before.recall_high else "look longer"
print(
    f"of the later incidents, known_share {best:g} finds {after.recall:.0%} where the default ",
    end="",
)
print(f"finds {before.recall:.0%} ({before.recall_low:.0%} to {before.recall_high:.0%}): {verdict}")
