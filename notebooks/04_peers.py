# %% [markdown]
"""# Who works unlike the people of the same role?

Not an alert: a list for a conversation. Wrong roles in the directory show here first.
"""

# %%
import numpy as np
import pandas as pd

import detector as ad
from detector import plots
from detector.analysis.tables import peer_group

bank = ad.example_bank()
artifact = ad.fit(bank.events, reference=bank.reference, until=bank.first_scored_day)
result = ad.replay(bank.events, artifact=artifact, reference=bank.reference)
staff = pd.read_csv(bank.reference / "staff.csv")

# %% [markdown]
"""## What a usual day looks like, role by role"""

# %%
days = result.actor_days.merge(staff[["user_id", "role", "branch"]], on="user_id")
columns = ["n_events", "n_records", "n_customers"]
print(days.groupby("role")[columns].median().to_string())

# %% [markdown]
"""## How far each person's usual day is from the role's

In factors of two, on the logarithm of the median day, against the spread among colleagues.
"""

# %%
person = np.log2(days.groupby(["role", "user_id"])[columns].median() + 1.0)
role = person.groupby("role")
distance = ((person - role.transform("median")) / (role.transform("std") + 0.25)).abs()
unlike = distance.max(axis=1).sort_values(ascending=False).head(5)
print(unlike.round(1).to_string())

# %%
name = unlike.index[0][1]
peers = plots.peer_distribution(result, name)
peers

# %%
hours = plots.hour_day_heatmap(result, name)
hours

# %% [markdown]
"""## The answer"""

# %%
column = distance.loc[unlike.index[0]].idxmax()
print(
    f"{name} ({unlike.index[0][0]}) is furthest from the role, by {column}; the engine compares "
    f"this person with {len(peer_group(result, name)) - 1} others"
)
