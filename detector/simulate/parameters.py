"""All parameters of the simulated bank, in one place.

Round figures, chosen before any detector was tuned: who works how much and when, and how
loud or quiet each kind of insider is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class SimulationConfig:
    """Size, period and seed."""

    users: int = 200
    branches: int = 12
    days: int = 28
    seed: int = 1
    incidents: int = 16
    start: date = date(2026, 3, 2)

    @property
    def first_scored_day(self) -> int:
        """Index of the first day with incidents: the first half teaches."""
        return self.days // 2


@dataclass(frozen=True, slots=True)
class Role:
    """One job. ``shifts`` are (start hour, end hour, share of the people)."""

    name: str
    share: float
    events_per_day: float
    dispersion: float
    shifts: tuple[tuple[float, float, float], ...]
    head_office: bool = False
    cross_share: float = 0.005  # of customer accesses that go to a neighbouring branch
    list_share: float = 0.08
    export_share: float = 0.002
    list_records: float = 20.0
    system: str = "core-banking"  # where most of the work is done
    hot_desks: bool = False  # any free desk of the department, not an own computer
    saturday_share: float = 0.05  # of the people who work on Saturdays


DAY = ((8.5, 17.5, 1.0),)
ROLES = (
    Role("teller", 0.38, 75, 0.15, ((8.0, 17.0, 0.8), (9.5, 18.5, 0.2)), saturday_share=0.25),
    Role("relationship_manager", 0.18, 55, 0.25, DAY, list_share=0.12, system="crm"),
    Role("loan_officer", 0.13, 45, 0.25, DAY, export_share=0.006, system="credit"),
    Role(
        "call_center", 0.14, 95, 0.15,
        ((7.0, 15.0, 0.4), (13.0, 21.0, 0.4), (21.0, 30.0, 0.2)),
        head_office=True, cross_share=1.0, list_share=0.15, saturday_share=0.4, system="crm",
        hot_desks=True,
    ),
    Role("branch_manager", 0.06, 35, 0.3, DAY, list_share=0.3, list_records=60.0),
    Role(
        "compliance", 0.05, 50, 0.5, DAY, head_office=True, cross_share=1.0, list_share=0.25,
        list_records=120.0, export_share=0.02,
    ),
    Role(
        "it_operations", 0.04, 20, 0.6, ((8.0, 17.0, 0.6), (18.0, 27.0, 0.4)),
        head_office=True, cross_share=1.0, list_share=0.2,
    ),
    Role("analyst", 0.02, 25, 0.6, DAY, list_share=0.5, list_records=300.0, export_share=0.05),
)  # fmt: skip

SERVICE_SHARE = 0.01
SERVICE_EVENTS = 1500.0  # a nightly batch between 01:00 and 05:00
SERVICE_HOURS = (1.0, 5.0)

TEMPO_SIGMA = 0.35  # of the log of personal tempo
OWN_SYSTEM_SHARE = 0.85  # of a person's events; the rest is core banking
OTHER_DESK_SHARE = 0.01  # of person-days at a colleague's computer
NEW_COMPUTER_SHARE = 0.05  # of people, once in the period
HOME_SHARE = 0.02  # of person-days over the bank's VPN
HOT_DESKS = 40
START_SIGMA_HOURS = 0.35  # people begin a little earlier or later
PART_TIME_SHARE, PART_TIME_PRESENCE = 0.1, 0.6
SICK_SHARE = 0.03  # of person-days
LEAVE_SHARE, LEAVE_DAYS = 0.25, (3, 10)  # people with a leave in the period
OVERTIME_SHARE = 0.02  # of person-days that run up to three hours late
COVER_SHARE, COVER_DAYS = 0.04, (3, 8)
TRANSFER_SHARE = 0.02
NEW_HIRE_SHARE = 0.05
CAMPAIGN_BRANCH_SHARE, CAMPAIGN_FACTOR, CAMPAIGN_DAYS = 0.25, 1.6, (2, 5)
MONTH_END_FACTOR = 1.3
LUNCH_HOURS, LUNCH_FACTOR = (12.0, 13.0), 0.3

CUSTOMERS_PER_BRANCH = 20_000
PORTFOLIO, PORTFOLIO_SHARE = 120, 0.45
POPULARITY = 3.0  # exponent: some customers come often
LATE_SHARE, LATE_MAX_S = 0.01, 6_600
DUPLICATE_SHARE = 0.002
VIP_SHARE = 0.002
QUERY_CAP = 100

REGIONS = ("north", "east", "south")
ZONES = (("Asia/Shanghai", "CN"), ("Europe/Amsterdam", "NL"), ("America/New_York", "US"))

# kind -> (days, events per day, first hour, last hour); ranges are drawn uniformly
INCIDENTS: dict[str, tuple[tuple[int, int], tuple[int, int], float, float]] = {
    "bulk_read": ((1, 1), (150, 500), 9.0, 16.0),
    "list_bulk": ((1, 2), (10, 25), 9.0, 16.0),
    "export_bulk": ((1, 1), (2, 6), 9.0, 17.0),
    "low_and_slow": ((8, 10), (25, 60), 9.0, 17.0),
    "off_hours": ((2, 3), (15, 40), 22.0, 27.0),
    "rest_day": ((1, 2), (20, 60), 10.0, 16.0),
    "cross_branch_fast": ((1, 1), (25, 80), 9.0, 16.0),
    "cross_branch_slow": ((6, 9), (4, 8), 9.0, 17.0),
    "enumeration": ((1, 2), (80, 200), 10.0, 12.0),
    "vip_snooping": ((2, 4), (3, 8), 9.0, 17.0),
    "shared_account": ((2, 4), (25, 50), 17.5, 21.0),
    "collusion": ((2, 3), (40, 80), 9.0, 17.0),
    "stalking": ((7, 10), (1, 3), 9.0, 17.0),
    "under_cap": ((2, 4), (12, 25), 9.0, 17.0),
    "service_misuse": ((1, 2), (40, 100), 10.0, 16.0),
    "new_hire_harvest": ((2, 3), (100, 250), 9.0, 17.0),
}
AT_OTHER_DESK = frozenset({"shared_account", "service_misuse"})
