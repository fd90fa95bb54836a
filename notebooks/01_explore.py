# %% [markdown]
"""# What is in a month of events, and can they be trusted?

Before any threshold: how much there is, what is missing, what was refused, who works when. Point
`EVENTS` at files or a data frame of your own (and name a mapping) and run it again.
"""

# %%
import detector as ad
from detector import plots

bank = ad.example_bank()
EVENTS, MAPPING, REFERENCE = bank.events, None, bank.reference
events = ad.read_events(EVENTS, MAPPING)
print(f"{len(events):,} events, {events['user_id'].nunique()} people, refused: {events.attrs}")

# %% [markdown]
"""## What is missing

A field that is often missing blinds the detector that reads it: no `record_branch`, no
`cross_branch`; no `device_id`, a weaker `unfamiliar`.
"""

# %%
missing = events.isna().mean().sort_values(ascending=False)
print(missing[missing > 0].round(3).to_string())

# %% [markdown]
"""## How much a day, and are there gaps

A day far below its weekday's median is a gap of the source, not a quiet day.
"""

# %%
day = events["event_time"].dt.tz_convert("Asia/Shanghai").dt.normalize()
per_day = events.groupby(day).size()
usual = per_day.groupby(per_day.index.day_of_week).transform("median")
gaps = per_day[per_day < 0.3 * usual]
print(per_day.to_string())
print("gaps:", [f"{moment:%Y-%m-%d}" for moment in gaps.index] or "none")

# %% [markdown]
"""## What the engine would leave out

Duplicates, events that come too late, and every limit that was reached.
"""

# %%
result = ad.replay(events, reference=REFERENCE)
left_out = {name: n for name, n in result.counts.items() if n and name != "actors"}
print(left_out, result.rejects["reason"].value_counts().to_dict())

# %%
busiest = result.actor_days.groupby("user_id")["n_events"].sum()
people = busiest[~busiest.index.str.startswith("svc")]
heatmap = plots.hour_day_heatmap(result, people.idxmax())
heatmap

# %% [markdown]
"""## The answer"""

# %%
share = 1.0 - result.scores["score"].isna().mean()
print(
    f"{share:.1%} of the events can be scored; {len(gaps)} days are gaps; most often missing: "
    f"{missing.index[0]} ({missing.iloc[0]:.0%})"
)
