"""Columns → lines of canonical JSON, with the instants they happen and arrive."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detector.simulate import parameters as p
from detector.simulate.bank import Bank, Floats, branch_name, customer_name, utc_offset_s
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
        rng: decides what is late, what is a duplicate and the milliseconds.
    """

    def __init__(self, bank: Bank, rng: np.random.Generator) -> None:
        self._bank, self._rng = bank, rng
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
        lines = self._lines(events, day, offsets[home].tolist(), home.tolist(), ids)
        again = np.flatnonzero(rng.random(n) < p.DUPLICATE_SHARE)
        arrival = np.concatenate([moment + delay, moment[again] + delay[again] + 30.0])
        bad: dict[int, list[str]] = {}
        for row in np.flatnonzero(events.incident >= 0).tolist():
            bad.setdefault(int(events.incident[row]), []).append(ids[row])
        return Written(arrival, lines + [lines[row] for row in again.tolist()], bad)

    def _lines(
        self, events: Events, day: int, offsets: list[int], home: list[int], ids: list[str]
    ) -> list[bytes]:
        dates = [str(self._bank.day(day + extra)) for extra in range(3)]
        zones = [_offset_text(offset) for offset in offsets]
        people = [
            f'"user_id":"{user_id}","user_role":"{role}","user_branch":"{self._branches[h]}",'
            f'"account_type":"{kind}","system":"core-banking","action":"'
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
            events.records.tolist(), strict=True,
        )  # fmt: skip
        return [
            (
                f'{{"event_id":"{i}","event_time":"{dates[s // _DAY_S]}T{clock[s % _DAY_S]}.'
                f'{ms:03d}{zones[u]}",{people[u]}{ACTIONS[a]}","customer_id":'
                f'{_quoted(c)},"record_branch":"{branches[b]}","record_count":{r},{tails[a]}'
            ).encode()
            for i, s, ms, u, a, c, b, r in rows
        ]


def _quoted(customer: int) -> str:
    return "null" if customer == NO_CUSTOMER else f'"{customer_name(customer)}"'


def _offset_text(offset_s: int) -> str:
    sign = "-" if offset_s < 0 else "+"
    return f"{sign}{abs(offset_s) // 3600:02d}:{abs(offset_s) // 60 % 60:02d}"
