"""What programs send and get: the types of `/api/v1`, which make its OpenAPI description."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from detector.console.roles import Role
from detector.console.triage_actions import MAX_TEXT_LETTERS

Text = Annotated[str, Field(max_length=MAX_TEXT_LETTERS)]
Login = Annotated[str, Field(max_length=120, pattern=r"^[\w.@\-]+$")]


class _Sent(BaseModel):
    model_config = ConfigDict(extra="forbid")


class AlertQuery(_Sent):
    """Views, filters and order of the queue; an empty text does not restrict."""

    view: str = "all"
    sort: str = "score"
    cursor: str = Field("", max_length=400)
    q: str = Field("", max_length=200)
    severity: str = ""
    detector: str = ""
    branch: str = ""
    role: str = ""
    status: str = ""
    verdict: str = ""
    employee: str = Field("", max_length=200)
    since: str = ""
    until: str = ""


class TriageChange(_Sent):
    """A change of status, assignee or verdict, made on a row version (0: nobody has changed it)."""

    row_version: int = Field(ge=0)
    status: str | None = None
    assignee: str | None = Field(None, max_length=120, description="a login; empty takes it away")
    verdict: str | None = None
    reason: Text = ""


class NewText(_Sent):
    """A comment, a question or a reason."""

    text: Text


class NewSuppression(_Sent):
    """Which alerts like this one are to be hidden: what is true must agree."""

    by_detector: bool = True
    by_person: bool = True
    by_role: bool = False
    by_branch: bool = False
    max_score: float = Field(6.0, gt=0, le=40)
    days: int = Field(14, ge=1, le=180)
    reason: Text = ""


class Decision(_Sent):
    """Whether somebody may see an identity."""

    granted: bool


class AccountChange(_Sent):
    """An account to be made or changed; ``branches`` null means all."""

    login: Login
    name: str = Field(max_length=200)
    role: Role
    branches: list[str] | None = None
    password: str | None = Field(None, max_length=200)


class Active(_Sent):
    """Whether an account is let in."""

    active: bool


class NewView(_Sent):
    """A queue's address to keep, such as ``view=open&severity=high``."""

    name: str = Field(min_length=1, max_length=80)
    query: str = Field(max_length=2_000)
    is_shared: bool = False


class AlertSummary(BaseModel):
    """One row of the queue. ``staff`` is a pseudonym, or the id for those who may know it."""

    alert_id: str
    version: int
    time: str
    score: float
    severity: str
    detector: str
    detectors: list[str]
    staff: str
    ref: str
    user_role: str | None
    user_branch: str | None
    n_events: int
    n_records: int
    n_customers: int
    learning: bool
    status: str
    verdict: str | None
    assignee: str | None
    row_version: int
    sentence: str


class AlertPage(BaseModel):
    """Alerts, and the cursor of the next page; null at the end."""

    alerts: list[AlertSummary]
    next_cursor: str | None


class Saved(BaseModel):
    """What is different now."""

    saved: dict[str, Any]


class Feed(BaseModel):
    """Rows in order, and the number to ask for next."""

    rows: list[dict[str, Any]]
    after: int
