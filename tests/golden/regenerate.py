"""The golden stream and what the built-in priors say about it; `make golden` runs this.

Five people of two branches work ten days; then each of the things below happens once.
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
MIN_SCORE = 2.0  # below the default, so that moved scores show before they cross it
_PEOPLE = {"anna": "B1", "bo": "B1", "chen": "B1", "dana": "B2", "emil": "B2"}
_WEEKEND = timedelta(days=12)


def story() -> bytes:
    """Ten ordinary days, then one of each: bulk, night, rest day, branches, late, twice, broken."""
    days = weekdays(10)
    usual = [
        usual_work(user, days, per_day=6, first=1000 * number, home=home, branch=home)
        for number, (user, home) in enumerate(_PEOPLE.items(), start=1)
    ]
    events = sorted((item for one in usual for item in one), key=lambda e: e["event_time"])
    return b"\n".join([*lines_of(events), *lines_of(_unusual()), b'{"cut off": ']) + b"\n"


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
    replay(ReplayOptions(str(events), min_score=MIN_SCORE, alerts=alerts, rejects=rejects))
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
