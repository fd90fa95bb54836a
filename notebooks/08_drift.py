# %% [markdown]
"""# Has the bank changed so much in a year that the artifact must be fitted again?

A small bank over a year. In September the work grows by half: a campaign, nobody's crime.
"""

# %%
import numpy as np
import pandas as pd

import detector as ad
from detector import plots
from detector.analysis.tables import drift

bank = ad.example_bank(users=20, branches=2, days=300, seed=4, incidents=0)
events = ad.read_events(bank.events)
events = events[~events["user_id"].str.startswith("svc")].reset_index(drop=True)
print(f"{len(events):,} events from {events['event_time'].min():%B %Y}")

# %% [markdown]
"""## The change

Every second look of the autumn is joined by one at another customer.
"""

# %%
autumn = events[events["event_time"] >= pd.Timestamp("2026-09-01", tz="Asia/Shanghai")]
more = autumn[np.arange(len(autumn)) % 2 == 0]
other = more["customer_id"].sample(frac=1.0, random_state=1).to_numpy()
more = more.assign(event_id="more-" + more["event_id"], customer_id=other)
year = pd.concat([events, more]).sort_values("event_time", kind="stable", ignore_index=True)

# %%
artifact = ad.fit(year, reference=bank.reference, until="2026-05-01")
result = ad.replay(year, artifact=artifact, reference=bank.reference, since="2026-05-01")
table = drift(result, "M")
print(table.set_index("period").round(2).to_string())
months = plots.drift(result, "M")
months

# %% [markdown]
"""## One person's year: own baselines follow, the artifact does not"""

# %%
name = result.actor_days["user_id"].value_counts().idxmax()
days = plots.observed_expected(result, name)
days

# %% [markdown]
"""## The answer

Fit again when scores are reached far more often than they say and stay there.
"""

# %%
late = table[table["period"] >= "2026-09-01"]
worst, last = late.loc[late["notable"].idxmax()], late.iloc[-1]
verdict = "fit again" if last["notable"] > 2.0 else "people's own baselines have caught up"
print(
    f"scores of 1 come {worst['notable']:.1f} times as often as they say in {worst['period']:%B}, "
    f"{last['notable']:.1f} times in {last['period']:%B}: {verdict}"
)
