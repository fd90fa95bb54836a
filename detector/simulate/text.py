"""Columns → lines of canonical JSON, with the instants they happen and arrive."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detector.simulate import parameters as p
from detector.simulate.bank import Bank, Floats, Ints, branch_name, customer_name, utc_offset_s
from detector.simulate.day import ACTIONS, NO_CUSTOMER, Events

_DAY_S = 86_400
_CLASS_OF_ACTION = ("C2", "C1", "C2", "C2", "C2", "C2")


@dataclass(frozen=True, slots=True)
class Written:
    """Lines with the UTC second at which each arrives; ids of the bad ones by incident."""

    arrival_s: Floats
    lines: list[bytes]
    bad_ids: dict[int, list[str]]


class Writer:
    """Turns days into lines; numbers events across days.

    Args:
        bank: the bank.
        rng: decides what is late, what is a duplicate, the milliseconds and the desks.
        at_other_desk: numbers of the incidents whose events come from another computer.
    """

    def __init__(
        self, bank: Bank, rng: np.random.Generator, at_other_desk: frozenset[int] = frozenset()
    ) -> None:
        self._bank, self._rng, self._at_other_desk = bank, rng, at_other_desk
        self._next_id = 0
        self._clock = [f"{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d}" for s in range(_DAY_S)]
        self._branches = [branch_name(i) for i in range(bank.config.branches)]
        self._roles = [bank.role_name(i) for i in range(len(bank.user_ids))]
        self._kinds = ["service" if role < 0 else "person" for role in bank.role.tolist()]

    def write(self, events: Events, day: int) -> Written:
        """Write the events of one local day."""
        bank, rng = self._bank, self._rng
        home = bank.home_on(day)
        offsets = np.array([utc_offset_s(zone, bank.day(day)) for zone in bank.zone])
        midnight = (bank.day(day).toordinal() - 719_163) * _DAY_S
        moment = midnight - offsets[home[events.user]] + events.second
        order = np.argsort(moment, kind="stable")
        events, moment = events.take(order), moment[order]
        n = moment.size
        delay = np.where(rng.random(n) < p.LATE_SHARE, rng.uniform(120.0, p.LATE_MAX_S, n), 0.0)
        ids = [f"e{i:09d}" for i in range(self._next_id, self._next_id + n)]
        self._next_id += n
        desk, is_home = self._desks(events, day)
        lines = self._lines(events, day, offsets[home].tolist(), home.tolist(), ids, desk, is_home)
        again = np.flatnonzero(rng.random(n) < p.DUPLICATE_SHARE)
        arrival = np.concatenate([moment + delay, moment[again] + delay[again] + 30.0])
        bad: dict[int, list[str]] = {}
        for row in np.flatnonzero(events.incident >= 0).tolist():
            bad.setdefault(int(events.incident[row]), []).append(ids[row])
        return Written(arrival, lines + [lines[row] for row in again.tolist()], bad)

    def _desks(self, events: Events, day: int) -> tuple[Ints, Ints]:
        """(n,) number of the computer of each event, and 1 where it is used from home.

        Who shares an account, or uses a service account by hand, sits at another desk.
        """
        bank, rng = self._bank, self._rng
        n_users = len(bank.user_ids)
        desk = np.arange(n_users) + n_users * (bank.new_computer_day <= day)
        elsewhere = rng.random(n_users) < p.OTHER_DESK_SHARE
        desk = np.where(elsewhere & ~bank.is_service, rng.integers(0, n_users, n_users), desk)
        hot = np.append([role.hot_desks for role in p.ROLES], False)[bank.role]
        desk = np.where(hot, 2 * n_users + rng.integers(0, p.HOT_DESKS, n_users), desk)
        from_home = (rng.random(n_users) < p.HOME_SHARE) & ~bank.is_service
        others = np.isin(events.incident, list(self._at_other_desk))
        used = np.where(others, (events.user * 31 + 7) % n_users, desk[events.user])
        return used, np.where(others, 0, from_home[events.user])

    def _lines(
        self,
        events: Events,
        day: int,
        offsets: list[int],
        home: list[int],
        ids: list[str],
        desk: Ints,
        is_home: Ints,
    ) -> list[bytes]:
        dates = [str(self._bank.day(day + extra)) for extra in range(3)]
        zones = [_offset_text(offset) for offset in offsets]
        people = [
            f'"user_id":"{user_id}","user_role":"{role}","user_branch":"{self._branches[h]}",'
            f'"account_type":"{kind}",'
            for user_id, role, h, kind in zip(
                self._bank.user_ids, self._roles, home, self._kinds, strict=True
            )
        ]
        tails = [
            f'"data_class":"{level}","outcome":"success","channel":"branch"}}'
            for level in _CLASS_OF_ACTION
        ]
        milliseconds = self._rng.integers(0, 1000, len(ids)).tolist()
        clock, branches = self._clock, self._branches
        rows = zip(
            ids, events.second.astype(np.int64).tolist(), milliseconds, events.user.tolist(),
            events.action.tolist(), events.customer.tolist(), events.branch.tolist(),
            events.records.tolist(), self._systems(events), self._places(desk, is_home, home),
            strict=True,
        )  # fmt: skip
        return [
            (
                f'{{"event_id":"{i}","event_time":"{dates[s // _DAY_S]}T{clock[s % _DAY_S]}.'
                f'{ms:03d}{zones[u]}",{people[u]}"system":"{system}","action":"{ACTIONS[a]}",'
                f'"customer_id":{_quoted(c)},"record_branch":"{branches[b]}","record_count":{r},'
                f"{place}{tails[a]}"
            ).encode()
            for i, s, ms, u, a, c, b, r, system, place in rows
        ]

    def _systems(self, events: Events) -> list[str]:
        """Return the system of each event: mostly the role's own."""
        names = [*(role.system for role in p.ROLES), "core-banking"]
        own = self._rng.random(events.user.size) < p.OWN_SYSTEM_SHARE
        role = self._bank.role[events.user]
        return [
            names[r] if mine else "core-banking"
            for r, mine in zip(role.tolist(), own.tolist(), strict=True)
        ]

    def _places(self, desk: Ints, is_home: Ints, home: list[int]) -> list[str]:
        """Return device and address of each event: desks stand in their user's branch."""
        n_users = len(home)
        return [
            f'"device_id":"PC{d:06d}","source_ip":"10.{250 if h else home[d % n_users] % 250}.'
            f'{d // 200 % 250}.{d % 200 + 10}",'
            for d, h in zip(desk.tolist(), is_home.tolist(), strict=True)
        ]


def _quoted(customer: int) -> str:
    return "null" if customer == NO_CUSTOMER else f'"{customer_name(customer)}"'


def _offset_text(offset_s: int) -> str:
    sign = "-" if offset_s < 0 else "+"
    return f"{sign}{abs(offset_s) // 3600:02d}:{abs(offset_s) // 60 % 60:02d}"
