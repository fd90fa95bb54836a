# %% [markdown]
"""# Would a detector of my own find more?

Thirty lines: people who look at customers whom nobody serves. Fitted on the history, judged on
later days, alone and beside the product.
"""

# %%
import numpy as np
import pandas as pd

import detector as ad
from detector import plots

bank = ad.example_bank()
events = ad.read_events(bank.events)
artifact = ad.fit(events, reference=bank.reference, until=bank.first_scored_day)
result = ad.replay(
    events, artifact=artifact, reference=bank.reference, since=bank.first_scored_day, min_score=0.5
)

# %% [markdown]
"""## The detector

A customer is served in a week in which anybody does business with them. The score of a day is
how rare so many unserved customers are among the history's days of such people: -log10 of a share.
"""

# %%
local = events["event_time"].dt.tz_convert("Asia/Shanghai")
looks = events.assign(
    day=local.dt.tz_localize(None).dt.normalize(), week=local.dt.isocalendar().week
)
looks = looks[looks["customer_id"].notna()]
business = looks[looks["action"].isin(result.plan.policy.events.business_actions)]
served = pd.MultiIndex.from_frame(business[["customer_id", "week"]].drop_duplicates())
alone = ~pd.MultiIndex.from_frame(looks[["customer_id", "week"]]).isin(served)
unserved = looks[alone].groupby(["user_id", "day"])["customer_id"].nunique()
count = unserved.rename("n").reset_index()
count["role"] = count["user_id"].map(events.groupby("user_id")["user_role"].first())


def rarity(group: pd.DataFrame) -> pd.Series:
    """-log10 of the share of the history's days with at least as many customers."""
    past = np.sort(group.loc[group["day"] < bank.first_scored_day, "n"].to_numpy())
    at_least = past.size - np.searchsorted(past, group["n"].to_numpy())
    return pd.Series(-np.log10((at_least + 1.0) / (past.size + 1.0)), index=group.index)


parts = [rarity(group) for _, group in count.groupby("role")]
own = count.assign(score=pd.concat(parts))
own = own[own["day"] >= bank.first_scored_day]

# %% [markdown]
"""## Alone, and beside the product

Beside: the larger of the two scores of a person's day, each a power of ten.
"""

# %%
product = result.actor_days[["user_id", "day", "score"]]
beside = pd.concat([product, own[["user_id", "day", "score"]]])
beside = beside.groupby(["user_id", "day"], as_index=False)["score"].max()
named = {"product": product, "own": own, "beside": beside}
table = pd.DataFrame(
    {
        name: {row.budget: row.recall for row in ad.evaluate(days, bank.truth).budgets}
        for name, days in named.items()
    }
)
print(table.round(2).to_string())
curves = plots.recall_budget(named, bank.truth)
curves

# %% [markdown]
"""## The answer

Worth a place only if *beside* beats *product* at your budget, on a bank it was not made on.
"""

# %%
gain = table.loc[5, "beside"] - table.loc[5, "product"]
print(
    f"beside the product it changes recall at 5 a day by {gain:+.2f}, on one bank of 12 incidents"
)
