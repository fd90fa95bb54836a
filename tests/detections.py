"""Detections made up for tests, as the engine could hand them over."""

from __future__ import annotations

from hypothesis import strategies as st

from detector.alerts import Alert, Episodes
from detector.detections import (
    DETECTORS,
    AccountEvidence,
    BranchEvidence,
    CountEvidence,
    Detection,
    DripEvidence,
    HoursEvidence,
    RepeatEvidence,
    UnfamiliarEvidence,
)
from detector.policy import load_policy
from detector.scoring.account import RULES
from detector.scoring.counts import STATS
from detector.state.layout import DRIP_STATS, FIELDS

POLICY = load_policy(None)
DETECTION = Detection(
    row=0, user_hash=7, day=20_535, utc_offset_s=28_800, score=4.2,
    surprises=(4.0, 0.1, 3.0, *[0.0] * 7), fired=("bulk_read", "cross_branch"),
    first_event_time_ns=1_774_230_000_000_000_000, last_event_time_ns=1_774_240_000_000_000_000,
    n_events=120, n_records=2_808, n_customers=118, n_unexplained=73, n_customers_30d=640,
    n_events_30d=410, n_records_30d=9_000,
    learning=False, counts={"bulk_read": CountEvidence("records", "10m", 2_808, 44, 0.3, 52, 0.6)},
    hours=HoursEvidence(10, False, 0.0004, 1.0, 12, 9),
    branch=BranchEvidence("B005", 31, 0.02, 0.004, 0.012, 0.2),
    unfamiliar=UnfamiliarEvidence({}, 0.0), drip=DripEvidence("customers", 0, 0, 1.0, 0.1, 1.0),
    repeat=RepeatEvidence(0, 0.0, 0.0), account=AccountEvidence(None, 0),
)  # fmt: skip


def raised(episodes: Episodes, found: Detection, event_id: str = "e1") -> Alert:
    """Raise a detection of u1."""
    return episodes.raise_alert(
        found, user_id="u1", user_role="teller", user_branch="B001",
        time_ns=found.last_event_time_ns, event_id=event_id, policy=POLICY,
        artifact_digest="builtin",
    )  # fmt: skip


COUNTING = ("bulk_read", "enumeration", "sensitive", "under_cap", "account")
COUNT, SHARE = st.integers(0, 5_000_000), st.floats(1e-6, 1.0)
MEAN, DISPERSION = st.floats(1e-3, 1e5), st.floats(0.0, 4.0)
counted = st.builds(
    lambda stat, *figures: CountEvidence(*stat, *figures),
    st.sampled_from(STATS), st.integers(0, 3) | COUNT, MEAN, DISPERSION, MEAN, DISPERSION,
)  # fmt: skip
news = st.dictionaries(st.sampled_from(FIELDS), st.integers(1, 3_000))
dripped = st.sampled_from([STATS[stat][0] for stat in DRIP_STATS])


@st.composite
def detections(draw: st.DrawFn) -> Detection:
    """Any detection the engine could hand over."""
    fired = draw(st.lists(st.sampled_from(DETECTORS), min_size=1, unique=True))
    places = st.none() | st.sampled_from(["North", "South-Gate"])
    rate = st.floats(0.0, 3.0)
    return Detection(
        row=0, user_hash=7, day=20_535, utc_offset_s=draw(st.integers(-12, 14)) * 3_600,
        score=draw(st.floats(0.0, 300.0)), surprises=(1.0,) * len(DETECTORS), fired=tuple(fired),
        first_event_time_ns=10**18, last_event_time_ns=10**18 + 5,
        n_events=draw(COUNT), n_records=draw(COUNT), n_customers=draw(COUNT),
        n_unexplained=draw(COUNT), n_customers_30d=draw(COUNT),
        n_events_30d=draw(COUNT), n_records_30d=draw(COUNT), learning=draw(st.booleans()),
        counts=draw(st.dictionaries(st.sampled_from(COUNTING), counted)),
        hours=draw(st.builds(
            HoursEvidence, st.integers(0, 95), st.booleans(), SHARE, SHARE, COUNT, COUNT,
        )),
        branch=draw(st.builds(BranchEvidence, places, COUNT, MEAN, SHARE, SHARE, SHARE)),
        unfamiliar=draw(st.builds(UnfamiliarEvidence, news, st.floats(0.0, 40.0))),
        drip=draw(st.builds(
            DripEvidence, dripped, st.integers(2, 16), COUNT, MEAN, DISPERSION, MEAN,
        )),
        repeat=draw(st.builds(RepeatEvidence, st.integers(2, 14), rate, rate)),
        account=draw(st.builds(AccountEvidence, st.sampled_from(RULES), COUNT)),
    )  # fmt: skip
