"""What every request needs: store, settings, policy, key, clock. One per process."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from detector.console import journal, unmasking
from detector.console.directory import Directory
from detector.console.journal_chain import Entry
from detector.console.overview_view import Overview
from detector.console.pdf import Font
from detector.console.people import Person
from detector.console.pseudonyms import Pseudonyms
from detector.console.recent import Recent
from detector.console.roles import Right
from detector.console.settings import ConsoleSettings
from detector.console.staff import StaffBook
from detector.console.viewing import Viewer
from detector.policy import Policy
from detector.sinks import Sink
from detector.store.console import ConsoleStore
from detector.telemetry import Metrics, Telemetry

_OVERVIEW_KEPT_MS = 5_000


def wall_clock_ms() -> int:
    """Return the present time, UTC."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Console:
    """The parts of a running console.

    ``has_events``: the events behind alerts are stored; ``pdf_font`` None: packs as HTML only;
    ``staff`` is empty without reference tables; ``webhooks`` are told what people do.
    """

    store: ConsoleStore
    settings: ConsoleSettings
    policy: Policy
    pseudonyms: Pseudonyms
    anchors: journal.Anchors | None = None
    has_events: bool = False
    pdf_font: Font | None = None
    staff: StaffBook = field(default_factory=StaffBook)
    webhooks: tuple[Sink, ...] = ()
    telemetry: Telemetry = field(default_factory=lambda: Telemetry(Metrics(), address=None))
    clock_ms: Callable[[], int] = wall_clock_ms
    directory: Directory = field(init=False)
    overviews: Recent[frozenset[str] | None, Overview] = field(init=False)

    def __post_init__(self) -> None:
        """Begin an empty directory and an empty memory; both fill themselves."""
        object.__setattr__(self, "directory", Directory(self.pseudonyms))
        object.__setattr__(self, "overviews", Recent(_OVERVIEW_KEPT_MS))

    @property
    def budget(self) -> int:
        """Alerts a day that people read."""
        return max(1, round(self.policy.alerts.budget_per_day))

    def viewer(self, person: Person) -> Viewer:
        """Return for whom alerts are looked up."""
        return Viewer(person.login, person.branches, self.budget, self.clock_ms())

    def note(self, db: Connection, actor: str, act: str, thing: str = "", **detail: Any) -> Entry:
        """Add an entry to the journal, in the transaction of what it tells."""
        said = Entry(0, self.clock_ms(), actor, act, thing, detail, "", "")
        return journal.add(db, said)

    def noted(self, actor: str, act: str, thing: str = "", **detail: Any) -> None:
        """Add an entry in a transaction of its own, and anchor the chain when it is due."""
        with self.store.writing() as db:
            entry = self.note(db, actor, act, thing, **detail)
        self.anchor(entry)

    def anchor(self, entry: Entry) -> None:
        """Sign how far the journal reaches, once the entry is saved."""
        if self.anchors is not None:
            self.anchors.follow(entry)


@dataclass(frozen=True, slots=True)
class Names:
    """What this person is shown instead of ids. ``unmasked`` are pseudonyms."""

    pseudonyms: Pseudonyms
    directory: Directory
    sees_all: bool
    unmasked: frozenset[str]

    def staff(self, user_id: str) -> str:
        """Return the id of somebody this person may know, or the pseudonym."""
        return user_id if self.knows(user_id) else self.pseudonyms.staff(user_id)

    def knows(self, user_id: str) -> bool:
        """Tell whether this person may know who it is."""
        return self.sees_all or self.pseudonyms.staff(user_id) in self.unmasked

    def customer(self, customer_id: str | None) -> str:
        """Return a customer's id or pseudonym."""
        if customer_id is None:
            return ""
        return customer_id if self.sees_all else self.pseudonyms.customer(customer_id)


def names_for(console: Console, db: Connection, person: Person) -> Names:
    """Return the names as this person may see them now."""
    sees_all = person.may(Right.SEE_IDENTITIES)
    granted = unmasking.unmasked(db, console.viewer(person))
    return Names(console.pseudonyms, console.directory, sees_all, granted)
