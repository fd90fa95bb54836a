"""Who and what alerts are about: pseudonym → id, branches, roles; grows with what arrives."""

from __future__ import annotations

from threading import Lock

from sqlalchemy import Connection, select

from detector.console.pseudonyms import Pseudonyms
from detector.store.alert_queries import last_arrival
from detector.store.tables import episode


class Directory:
    """Kept in memory: a list of a million alerts is read once, then only what is new."""

    def __init__(self, pseudonyms: Pseudonyms) -> None:
        self._pseudonyms = pseudonyms
        self._arrival = -1
        self._people: dict[str, str] = {}
        self._branches: set[str] = set()
        self._roles: set[str] = set()
        self._lock = Lock()

    def person(self, db: Connection, ref: str) -> str | None:
        """Return who bears a pseudonym."""
        with self._lock:
            self._grow(db)
            return self._people.get(ref)

    def branches(self, db: Connection) -> list[str]:
        """Return the branches there are alerts of."""
        with self._lock:
            self._grow(db)
            return sorted(self._branches)

    def roles(self, db: Connection) -> list[str]:
        """Return the roles there are alerts of."""
        with self._lock:
            self._grow(db)
            return sorted(self._roles)

    def _grow(self, db: Connection) -> None:
        newest = last_arrival(db)
        if newest <= self._arrival:
            return
        columns = (episode.c.user_id, episode.c.user_branch, episode.c.user_role)
        later = select(*columns).where(episode.c.arrival > self._arrival).distinct()
        for user_id, branch, role in db.execute(later):
            self._people[self._pseudonyms.staff(user_id)] = user_id
            self._branches |= {branch} - {None}
            self._roles |= {role} - {None}
        self._arrival = newest
