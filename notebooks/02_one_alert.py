# %% [markdown]
"""# Why was this alert raised, and do the raw events say the same?

The highest alert of the month, from its sentence down to the events it was counted from.
"""

# %%
import pandas as pd

import detector as ad
from detector import plots

bank = ad.example_bank()
events = ad.read_events(bank.events)
artifact = ad.fit(events, reference=bank.reference, until=bank.first_scored_day)
result = ad.replay(events, artifact=artifact, reference=bank.reference, since=bank.first_scored_day)
alert = result.alerts.sort_values("score").iloc[-1]
print(alert["explanation"]["en"])
print(alert["explanation"]["zh"])

# %% [markdown]
"""## What each detector added"""

# %%
parts = plots.contributions(alert)
parts

# %% [markdown]
"""## This day among the person's days, and among those of the peers"""

# %%
user = alert["user_id"]
days = plots.observed_expected(result, user, "n_records")
days

# %%
peers = plots.peer_distribution(result, user, "n_records")
peers

# %% [markdown]
"""## From the raw events

The same day counted by hand: every event of the person up to the one that raised this version.
"""

# %%
first, last = (pd.Timestamp(alert[name]) for name in ("first_event_time", "last_event_time"))
scored = result.scores["score"].notna()
mine = events[(events["user_id"] == user) & scored]
mine = mine[mine["event_time"].between(first, last + pd.Timedelta("1ms"))]
print(mine[["event_time", "action", "customer_id", "record_branch", "record_count"]].tail(10))

# %%
sample = events.set_index("event_id").loc[alert["event_ids"]]
print(sample["action"].value_counts().to_dict(), "in the alert's sample events")

# %% [markdown]
"""## The answer"""

# %%
n_records, n_customers = int(mine["record_count"].sum()), mine["customer_id"].nunique()
print(f"by hand {n_records:,} records of {n_customers} customers; ", end="")
print(f"the alert says {alert['n_records']:,} of {alert['n_customers']}")
