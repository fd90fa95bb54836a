"""What the compiled loop tells the alert builder about one raised row."""

from __future__ import annotations

from dataclasses import dataclass

DETECTORS = ("bulk_read", "off_hours", "cross_branch")
"""Order of every per-detector tuple and array axis."""


@dataclass(frozen=True, slots=True)
class BulkEvidence:
    """The most surprising of the nine counts of ``bulk_read``.

    ``quantity`` is records, customers or volume (records listed or exported); ``window``
    is 10m, 1h or 1d. Means and dispersions describe a negative binomial with variance
    ``mean + dispersion * mean**2``, of this actor and of the peer group.
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
class Detection:
    """One row at which an episode opened or grew. Times are UTC nanoseconds.

    ``surprises`` follow ``DETECTORS`` (calibrated powers of ten, 0 = ordinary); ``fired``
    are those at or above their own threshold, most surprising first, never empty.
    ``n_*`` and the two event times describe the actor's local ``day`` (days since
    1970-01-01) up to and with this row. ``n_customers_30d`` counts 30 local days.
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
    n_customers_30d: int
    learning: bool
    bulk: BulkEvidence
    hours: HoursEvidence
    branch: BranchEvidence
