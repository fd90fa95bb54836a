# %% [markdown]
"""# Would another policy find more for the same reading?

Candidates are searched on the first part of the labelled days; the choice is compared with the
default on the later days, which the search never saw.
"""

# %%
import pandas as pd

import detector as ad
from detector import plots
from detector.analysis.tune import between, policy_text
from detector.evaluation import read_truth

bank = ad.example_bank(users=40, branches=3, seed=14, incidents=24)
truth = read_truth(bank.truth)
inputs = {
    "artifact": ad.fit(bank.events, reference=bank.reference, until=bank.first_scored_day),
    "reference": bank.reference,
}

# %% [markdown]
"""## The search

`known_share` says how much of what a flagged day has said is old news on the next days. Answered
from stored scores; keys that change what is learned would be replayed. Taken is only what is surely
better (a paired bootstrap over incidents): the best of many candidates is mostly luck.
"""

# %%
searched = {"alerts.known_share": (0.0, 0.8)}
found = ad.tune(bank.events, truth, budget=3, searched=searched, **inputs)
front = pd.DataFrame([(p.budget, p.recall, p.changes) for p in found.front])
print(front.set_axis(["alerts a day", "recall", "changes"], axis=1).round(2).to_string(index=False))
print(policy_text(found))

# %% [markdown]
"""## Two policies side by side, on days nobody has looked at

The default, and the candidate that forgets nothing it has said: chosen or not, here is its price.
"""

# %%
result = ad.replay(
    bank.events, since=bank.first_scored_day, min_score=0.5, features=False, **inputs
)
both = {"default": result, "all is news": ad.what_if(result, {"alerts.known_share": 0.0})}
later = between(truth, 0.6, 1.0)
curves = plots.recall_budget(both, later)
curves

# %% [markdown]
"""## The answer"""

# %%
judged = found.judged
print(
    f"{found.n_tried} policies tried; on {judged.n_incidents} later incidents the choice "
    f"{found.changes or '(no change)'} finds {judged.after:.0%}, the default {judged.before:.0%}; "
    f"gain {judged.gain:+.2f} ({judged.gain_low:+.2f} to {judged.gain_high:+.2f})"
)
