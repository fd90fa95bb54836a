"""What the compiled loop tells the alert builder about one raised row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

DETECTORS = (
    "bulk_read", "off_hours", "cross_branch", "unfamiliar", "slow_drip", "enumeration",
    "repeat_target", "sensitive", "under_cap", "account",
)  # fmt: skip
"""Order of every per-detector tuple and array axis."""


@dataclass(frozen=True, slots=True)
class CountEvidence:
    """The most surprising count of a detector that counts.

    ``quantity`` and ``window`` are those of ``scoring.counts.STATS``. Means and dispersions
    describe a negative binomial with variance ``mean + dispersion * mean**2``, of this
    actor and of the peer group.
    """

    quantity: str
    window: str
    observed: int
    expected: float
    dispersion: float
    peer_expected: float
    peer_dispersion: float


@dataclass(frozen=True, slots=True)
class HoursEvidence:
    """The rarest moment of the day in ``off_hours``.

    ``bin_index`` is the quarter of an hour (0..95) in branch time; ``share`` the share of
    this actor's usual activity in hours no busier than it; ``active_share`` the share of
    such days (work or rest) on which the actor works at all; ``n_events`` and
    ``n_customers`` what was done out of hours on this day.
    """

    bin_index: int
    rest_day: bool
    share: float
    active_share: float
    n_events: int
    n_customers: int


@dataclass(frozen=True, slots=True)
class BranchEvidence:
    """The most surprising branch of the day in ``cross_branch``.

    ``branch`` is None when all foreign branches together are the surprise. ``share`` is
    the share of this actor's work expected there, ``peer_share`` that of the peer group,
    ``bank_share`` that of the whole bank's work.
    """

    branch: str | None
    n_customers: int
    expected: float
    share: float
    peer_share: float
    bank_share: float


@dataclass(frozen=True, slots=True)
class UnfamiliarEvidence:
    """How many values the actor had never used before today, per field, where any.

    ``likelihood`` is log10 of how much better "somebody else at times" fits than the actor.
    """

    new_values: Mapping[str, int]
    likelihood: float


@dataclass(frozen=True, slots=True)
class DripEvidence:
    """The most surprising sum over ``n_days`` active days; figures as in CountEvidence."""

    quantity: str
    n_days: int
    observed: int
    expected: float
    dispersion: float
    peer_expected: float


@dataclass(frozen=True, slots=True)
class RepeatEvidence:
    """One customer on ``n_days`` distinct days of two weeks; rates are customers per day."""

    n_days: int
    own_rate: float
    peer_rate: float


@dataclass(frozen=True, slots=True)
class AccountEvidence:
    """The rule that was broken: left, on_leave, dormant or None; days since or silent."""

    rule: str | None
    n_days: int


@dataclass(frozen=True, slots=True)
class Detection:
    """One row at which an episode opened or grew. Times are UTC nanoseconds.

    ``surprises`` follow ``DETECTORS`` (calibrated powers of ten, 0 = ordinary); ``fired``
    are those at or above their own threshold, most surprising first, never empty.
    ``n_*`` and the two event times describe the actor's local ``day`` (days since
    1970-01-01) up to and with this row. ``n_unexplained`` are customers new to the actor
    and without ticket, approval, cover or business action; ``n_*_30d`` count 30 local
    days. ``counts`` has an entry for each detector that counts and has something to say.
    """

    row: int
    user_hash: int
    day: int
    utc_offset_s: int
    score: float
    surprises: tuple[float, ...]
    fired: tuple[str, ...]
    first_event_time_ns: int
    last_event_time_ns: int
    n_events: int
    n_records: int
    n_customers: int
    n_unexplained: int
    n_customers_30d: int
    n_events_30d: int
    n_records_30d: int
    learning: bool
    counts: Mapping[str, CountEvidence]
    hours: HoursEvidence
    branch: BranchEvidence
    unfamiliar: UnfamiliarEvidence
    drip: DripEvidence
    repeat: RepeatEvidence
    account: AccountEvidence
