"""The golden stream and what the built-in priors say about it; `make golden` runs this.

Ten people of two branches work two to four weeks; then each of the things below happens once.
"""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

from detector.hosts.replay import ReplayOptions, replay
from detector.policy import load_policy
from tests.streams import MONDAY, event, lines_of, usual_work, weekdays

FOLDER = Path(__file__).resolve().parent
OUTPUTS = ("alerts.jsonl", "rejects.jsonl")
REFERENCE = FOLDER / "reference"
MIN_SCORE = 0.3  # below the default, so that moved scores show before they cross it
_PEOPLE = {"anna": "B1", "bo": "B1", "chen": "B1", "dana": "B2", "emil": "B2"}
_SECOND_ACT = {"fay": 6, "gus": 30, "hana": 6, "ivo": 6, "jun": 6}
_DESK = {"device_id": "PC-1", "source_ip": "10.1.1.5", "system": "core", "channel": "branch"}
_ELSEWHERE = {"device_id": "PC-9", "source_ip": "172.16.9.9", "system": "hr", "channel": "api"}
_WEEKEND = timedelta(days=12)


def story() -> bytes:
    """Ordinary days, then one of each: what each detector is for, late, twice, broken."""
    days = weekdays(10)
    usual = [
        usual_work(user, days, per_day=6, first=1000 * number, home=home, branch=home)
        for number, (user, home) in enumerate(_PEOPLE.items(), start=1)
    ]
    events = _in_time([item for one in usual for item in one])
    second = second_act()
    told = [*lines_of(events), *lines_of(_unusual()), *lines_of(second), b'{"cut off": ']
    return b"\n".join(told) + b"\n"


def _in_time(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(events, key=lambda item: str(item["event_time"]))


def second_act() -> list[dict[str, Any]]:
    """Four weeks of five more people, whose stories need a longer past."""
    *days, last = weekdays(21)
    events = [
        item
        for number, (user, per_day) in enumerate(_SECOND_ACT.items(), start=20)
        for item in usual_work(user, [*days, last], per_day, 1000 * number, **_DESK)
    ]
    minute, noon = timedelta(minutes=1), timedelta(hours=2)
    for number, day in enumerate(days[-8:]):
        first = 50_000 + 100 * number
        events += [event(first + i, "gus", day + 6 * i * minute, **_DESK) for i in range(80)]
    last += noon
    strange = {**_DESK, **_ELSEWHERE, "action": "query"}
    at_cap = {**_DESK, "action": "list", "customer": None, "records": 99}
    denied = {**_DESK, "outcome": "denied", "customer": None}
    events += [event(60_000 + i, "fay", last + i * minute, **strange) for i in range(9)]
    looks = [last - timedelta(days=back) for back in range(12)]
    events += [event(60_100 + i, "hana", t, customer="c5", **_DESK) for i, t in enumerate(looks)]
    for i in range(20):
        at, numbered = last + i * minute, f"c{700_000 + i}"
        events.append(event(60_200 + i, "ivo", at, customer=numbered, **_DESK))
        events.append(event(60_300 + i, "ivo", at + noon, **at_cap))
        turns = {**_DESK, "device_id": f"PC-{1 + i % 2}"}
        events.append(event(60_400 + i, "jun", at, data_class="C3", **turns))
        events.append(event(60_500 + i, "jun", at + noon, **denied))
    events += [event(60_600 + i, "kim", last + i * minute, customer=f"vip{i}") for i in range(9)]
    return _in_time(events)


def _unusual() -> list[dict[str, Any]]:
    saturday, monday = MONDAY + _WEEKEND, MONDAY + timedelta(days=14)
    second, night = timedelta(seconds=1), timedelta(hours=15)
    bulk = [event(9000 + i, "anna", monday + 9 * i * second) for i in range(36)]
    export = event(9100, "bo", monday, action="export", records=4000, customer=None)
    lookups = [event(9200 + i, "chen", monday + night + 60 * i * second) for i in range(8)]
    weekend = [event(9300 + i, "emil", saturday + 60 * i * second, home="B2") for i in range(5)]
    foreign = [
        event(9400 + i, "dana", monday + 60 * i * second, home="B2", branch=f"B{3 + i % 4}")
        for i in range(12)
    ]
    late = event(9500, "anna", monday - timedelta(hours=5))
    future = event(9501, "bo", monday + timedelta(days=25_000))
    return [*weekend, *bulk, export, *foreign, *lookups, export, late, future]


def say(events: Path, folder: Path) -> None:
    """Replay a stream with the built-in priors; write alerts and rejects into a folder.

    The policy's digest is left out: a reworded runbook is no moved score.
    """
    alerts, rejects = (folder / name for name in OUTPUTS)
    replay(
        ReplayOptions(
            str(events), reference=REFERENCE, min_score=MIN_SCORE, alerts=alerts, rejects=rejects
        )
    )
    digest = load_policy(None).digest.encode()
    alerts.write_bytes(alerts.read_bytes().replace(digest, b"(left out)"))


def main() -> None:
    """Write the stream and the outputs beside this file."""
    (FOLDER / "events.jsonl").write_bytes(story())
    with tempfile.TemporaryDirectory() as fresh:
        say(FOLDER / "events.jsonl", Path(fresh))
        for name in OUTPUTS:
            (FOLDER / name).write_bytes((Path(fresh) / name).read_bytes())


if __name__ == "__main__":
    main()
