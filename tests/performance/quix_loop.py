"""The usual loop on quixstreams: its consumer, JSON, and the user's statistics in its state.

Run by `bench_kafka.py --quix PYTHON` with an interpreter that has quixstreams, which is none of
our dependencies. Scores and statistics are those of `usual_loop.py`; a user is kept as JSON, the
way quixstreams keeps values, and its changelog is on, as its default is: that stands against our
checkpoints. Prints CPU microseconds per event.

    python quix_loop.py BOOTSTRAP TOPIC EVENTS
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import defaultdict, deque
from pathlib import Path
from typing import Any

import orjson

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.performance.usual_loop import Day, User, Window, score


def load(content: bytes | None) -> User:
    """Return the user that was saved, or a new one."""
    if content is None:
        return User()
    held = orjson.loads(content)
    held["windows"] = tuple(_window(one) for one in held["windows"])
    held["day"] = _day(held["day"])
    held["branches"] = defaultdict(int, held["branches"])
    held["seen"] = set(held["seen"])
    return User(**held)


def _window(held: dict[str, Any]) -> Window:
    rows, customers = deque(held.pop("rows")), defaultdict(int, held.pop("customers"))
    return Window(rows=rows, customers=customers, **held)


def _day(held: dict[str, Any]) -> Day:
    for name in ("customers", "bins"):
        held[name] = set(held[name])
    return Day(**held | {"branches": defaultdict(int, held["branches"])})


def take(event: dict[str, Any], state: Any) -> float:
    """Score one event."""
    user = load(state.get_bytes("user"))
    found = score(user, event)
    state.set_bytes("user", orjson.dumps(user, default=list))
    return found


def main(bootstrap: str, topic: str, n_events: int) -> None:
    """Read so many events and print what one took."""
    from quixstreams import Application  # type: ignore[import-not-found]

    with tempfile.TemporaryDirectory() as folder:
        application = Application(
            broker_address=bootstrap,
            consumer_group=f"quix-{time.time_ns()}",
            auto_offset_reset="earliest",
            state_dir=folder,
            loglevel="ERROR",
        )
        source = application.topic(topic, value_deserializer="json")
        application.dataframe(source).apply(take, stateful=True)
        started = time.process_time()
        application.run(count=n_events, timeout=60)
        print((time.process_time() - started) / n_events * 1e6)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
