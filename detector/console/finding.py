"""An alert by its id, for somebody who may see it."""

from __future__ import annotations

from sqlalchemy import Connection

from detector.console.access import Visit
from detector.errors import DetectorError
from detector.store.alert_queries import AlertView, alert_by_id


class NoSuchAlertError(DetectorError):
    """There is none, or none this person may see: the same answer for both."""


def found(db: Connection, visit: Visit, alert_id: str) -> AlertView:
    """Return an alert.

    Raises:
        NoSuchAlertError: there is none, or it is of a branch this person may not see.
    """
    alert = alert_by_id(db, alert_id, visit.person.branches)
    if alert is None:
        raise NoSuchAlertError("no such alert")
    return alert
