"""Whatever sinks do, detection goes on and every alert arrives."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from detector.alerts import Alert
from detector.errors import StoreError
from detector.sinks import Outbox, Report, Sink, open_sinks
from detector.sinks.base import AlertFields, key_of
from detector.sinks.courier import _wait
from detector.sinks.outbox import BATCH
from detector.store import Store, open_store
from detector.telemetry import Telemetry
from tests.contracts.alerts import an_alert
from tests.sinks.receivers import OK, WebServer

STREAM = "access/0"


Act = Callable[[Sequence[AlertFields]], Report]


class Scripted:
    """A sink that does what it is told, call by call; then takes everything."""

    def __init__(self, *script: Act, name: str = "siem") -> None:
        self.name, self._script = name, list(script)
        self.got: list[str] = []
        self.calls: list[int] = []
        self.is_closed = False

    def deliver(self, alerts: Sequence[AlertFields]) -> Report:
        """Do the next thing."""
        self.calls.append(len(alerts))
        act = self._script.pop(0) if self._script else took_all
        report = act(alerts)
        self.got += [key_of(alert) for alert in alerts[: report.n_done]]
        return report

    def probe(self) -> None:
        """Be there."""

    def close(self) -> None:
        """Note it."""
        self.is_closed = True


def took_all(alerts: Sequence[AlertFields]) -> Report:
    """Take everything."""
    return Report(len(alerts))


def fails_after(n: int) -> Act:
    """Take some, then fail."""
    return lambda _alerts: Report(n, failure="answered 503")


def refuses_first(alerts: Sequence[AlertFields]) -> Report:
    """Refuse the first for good."""
    return Report(len(alerts), refused=("answered 422",))


def breaks(_alerts: Sequence[AlertFields]) -> Report:
    """Have a bug."""
    raise KeyError("user_id")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An embedded store."""
    store = open_store(f"sqlite:///{tmp_path}/alerts.db")
    yield store
    store.close()


def written(store: Store, n: int, stream: str = STREAM, first: int = 0) -> list[str]:
    """Write alerts of n people; return their keys."""
    alerts = [an_alert(f"{stream} {number}") for number in range(first, first + n)]
    store.write_alerts(store.claim(stream, "test"), alerts)
    return [key_of(alert.fields) for alert in alerts]


@contextmanager
def running(store: Store, telemetry: Telemetry, *sinks: Sink, **settings: Any) -> Iterator[Outbox]:
    """Follow one stream."""
    outbox = Outbox(store, sinks, telemetry, **settings)
    try:
        outbox.follow(STREAM)
        yield outbox
    finally:
        outbox.close(grace_s=0.2)


def turn_until(outbox: Outbox, is_done: Callable[[], bool]) -> None:
    """Turn as a host does, until something holds."""
    until = time.monotonic() + 30
    pause = Event()
    while not is_done():
        assert time.monotonic() < until, "it never came"
        outbox.turn()
        pause.wait(0.005)


def value(telemetry: Telemetry, name: str) -> float:
    """Return a metric of the sink."""
    found = telemetry.metrics.registry.get_sample_value(name, {"sink": "siem"})
    assert found is not None
    return found


def test_alerts_arrive_in_order_and_never_again(store: Store, telemetry: Telemetry) -> None:
    """Also those written before the sink existed; the next start goes on behind them."""
    keys = written(store, 3)
    sink = Scripted()
    with running(store, telemetry, sink) as outbox:
        turn_until(outbox, lambda: len(sink.got) == 3)
        keys += written(store, 2, first=3)
        outbox.wake(STREAM)
        turn_until(outbox, lambda: len(sink.got) == 5)
    again = Scripted()
    with running(store, telemetry, again) as outbox:
        keys += written(store, 1, first=5)
        turn_until(outbox, lambda: len(again.got) == 1)

    assert sink.got + again.got == keys
    assert sink.is_closed
    assert value(telemetry, "detector_sink_delivered_total") == 6


def test_a_dead_sink_stops_neither_detection_nor_the_others(
    store: Store, telemetry: Telemetry
) -> None:
    """`turn` would hang here if it waited for anybody."""
    release = Event()

    def hang(alerts: Sequence[AlertFields]) -> Report:
        release.wait()
        return Report(len(alerts))

    dead, alive = Scripted(hang), Scripted(name="file")
    with running(store, telemetry, dead, alive) as outbox:
        keys = written(store, 3)
        turn_until(outbox, lambda: len(alive.got) == 3)
        keys += written(store, 2, first=3)
        outbox.wake(STREAM)
        turn_until(outbox, lambda: len(alive.got) == 5)
        assert dead.got == []
        release.set()
        turn_until(outbox, lambda: len(dead.got) == 5)

    assert dead.got == alive.got == keys


def test_a_failure_is_told_and_tried_again_from_where_it_was(
    store: Store, telemetry: Telemetry, log: io.StringIO
) -> None:
    """What was taken before it is not sent again; order stays."""
    keys = written(store, 5)
    sink = Scripted(fails_after(2), fails_after(0))
    with running(store, telemetry, sink) as outbox:
        turn_until(outbox, lambda: len(sink.got) == 5)

    assert sink.got == keys
    assert sink.calls == [5, 3, 3]
    assert value(telemetry, "detector_sink_failures_total") == 2
    assert log.getvalue().count('"event": "sink failed", "sink": "siem"') == 2


def test_a_refused_alert_is_told_and_passed_over(
    store: Store, telemetry: Telemetry, log: io.StringIO
) -> None:
    """It stays in the store; the others need not wait for it."""
    written(store, 3)
    sink = Scripted(refuses_first)
    with running(store, telemetry, sink) as outbox:
        turn_until(outbox, lambda: len(sink.got) == 3)

    assert value(telemetry, "detector_sink_refused_total") == 1
    assert value(telemetry, "detector_sink_delivered_total") == 2
    assert '"why": "answered 422"' in log.getvalue()


def test_a_sink_with_a_bug_is_a_failing_sink(
    store: Store, telemetry: Telemetry, log: io.StringIO
) -> None:
    """A thread that died in silence would look like a quiet night."""
    keys = written(store, 1)
    sink = Scripted(breaks)
    with running(store, telemetry, sink) as outbox:
        turn_until(outbox, lambda: sink.got == keys)

    assert value(telemetry, "detector_sink_failures_total") == 1
    assert "sink broke" in log.getvalue()


def test_an_alert_that_no_format_can_say_keeps_back_no_other(
    store: Store, telemetry: Telemetry, tmp_path: Path, log: io.StringIO
) -> None:
    """It is refused aloud; which of a batch it is, is found out by itself."""
    path = tmp_path / "alerts.cef"
    keys = written(store, 3)
    broken = Alert({**an_alert("odd").fields, "last_event_time": "yesterday"})
    store.write_alerts(store.claim(STREAM, "test"), [broken])
    keys += written(store, 2, first=3)
    sinks = open_sinks({"siem": {"kind": "jsonl", "path": str(path), "format": "cef"}}, print)
    with running(store, telemetry, *sinks) as outbox:
        turn_until(outbox, lambda: value(telemetry, "detector_sink_delivered_total") == 5)

    lines = path.read_text("utf-8").splitlines()
    assert [line.split("externalId=")[1].split()[0] for line in lines] == keys
    assert value(telemetry, "detector_sink_refused_total") == 1
    assert f"{key_of(broken.fields)} cannot be formatted (ValueError)" in log.getvalue()


def test_a_store_that_was_away_loses_no_delivery(store: Store, telemetry: Telemetry) -> None:
    """What it could not be asked or told then is asked and told when it is back."""

    class Away:
        is_away = False

        def __getattr__(self, name: str) -> Any:
            if self.is_away:
                raise StoreError("is away", where="store", hint="Wait")
            return getattr(store, name)

    shaky, sink = Away(), Scripted()
    keys = written(store, 2)
    with running(shaky, telemetry, sink) as outbox:  # type: ignore[arg-type]
        for n_delivered in (0, 2):
            shaky.is_away = True
            assert refuses_to_turn(outbox, until=lambda n=n_delivered: len(sink.got) == n)
            shaky.is_away = False
            if n_delivered == 0:
                outbox.turn()
        turn_until(outbox, lambda: store.sink_position(f"siem:{STREAM}") > 0)

    assert sink.got == keys


def refuses_to_turn(outbox: Outbox, until: Callable[[], bool]) -> bool:
    """Turn without a store until something holds."""
    pause, end = Event(), time.monotonic() + 30
    while not until():
        assert time.monotonic() < end
        pause.wait(0.005)
    with pytest.raises(StoreError):
        outbox.turn()
    return True


def test_what_was_delivered_before_a_stop_is_not_sent_again(
    store: Store, telemetry: Telemetry
) -> None:
    """In the middle of a batch, with a receiver that is down for good."""
    keys = written(store, 5)
    sink = Scripted(fails_after(2), *[fails_after(0)] * 100)
    with running(store, telemetry, sink) as outbox:
        turn_until(outbox, lambda: len(sink.got) == 2)
    again = Scripted()
    with running(store, telemetry, again) as outbox:
        turn_until(outbox, lambda: len(again.got) == 3)

    assert sink.got + again.got == keys


def test_memory_holds_one_batch_and_metrics_all_that_waits(
    store: Store, telemetry: Telemetry
) -> None:
    """An outage of a week costs as much memory as one of a minute."""
    n = 2 * BATCH + 50
    written(store, n)
    release, now = Event(), [0.0]

    def hang(alerts: Sequence[AlertFields]) -> Report:
        release.wait()
        return Report(len(alerts))

    sink = Scripted(hang)
    with running(store, telemetry, sink, clock=lambda: now[0]) as outbox:
        outbox.turn()
        now[0] = 400.0
        outbox.turn()
        assert value(telemetry, "detector_sink_waiting_alerts") == n
        assert value(telemetry, "detector_sink_waiting_seconds") == 400
        release.set()
        turn_until(outbox, lambda: len(sink.got) == n)
        outbox.turn()
        assert value(telemetry, "detector_sink_waiting_alerts") == 0
        assert value(telemetry, "detector_sink_waiting_seconds") == 0

    assert max(sink.calls) == BATCH


def test_streams_take_turns(store: Store, telemetry: Telemetry) -> None:
    """A flood in one partition does not keep back the alert of another."""
    written(store, 3 * BATCH)
    (quiet,) = written(store, 1, "access/1")
    sink = Scripted()
    with running(store, telemetry, sink) as outbox:
        outbox.follow("access/1")
        turn_until(outbox, lambda: len(sink.got) == 3 * BATCH + 1)

    assert sink.got.index(quiet) <= 2 * BATCH


def test_a_partition_that_moves_takes_its_alerts_along(store: Store, telemetry: Telemetry) -> None:
    """The host that held it sends no more; the next goes on where it stopped."""
    before, after = Scripted(), Scripted()
    with running(store, telemetry, before) as old, running(store, telemetry, after) as new:
        new.leave(STREAM)
        keys = written(store, 2)
        old.wake(STREAM)
        new.wake(STREAM)
        turn_until(old, lambda: len(before.got) == 2)
        old.turn()
        old.leave(STREAM)
        keys += written(store, 1, first=2)
        new.follow(STREAM)
        old.wake(STREAM)
        turn_until(new, lambda: len(after.got) == 1)
        old.turn()

    assert before.got + after.got == keys


def test_the_wait_grows_by_chance_and_respects_the_receiver() -> None:
    """Hosts that fail together must not come back together; `Retry-After` is a least time."""

    class Outcome:
        @staticmethod
        def result() -> Report:
            return Report(0, failure="answered 429", retry_after_s=90)

    class State:
        attempt_number, outcome = 20, None

    waits = {_wait(State()) for _ in range(50)}  # type: ignore[arg-type]
    assert len(waits) > 40
    assert max(waits) <= 60
    State.outcome = Outcome  # type: ignore[assignment]
    assert _wait(State()) == 90  # type: ignore[arg-type]


HOST = """
import sys
from detector.sinks import Outbox, open_sinks
from detector.store import open_store
from detector.telemetry import Metrics, Telemetry
from tests.contracts.alerts import an_alert

store = open_store(sys.argv[1])
sinks = open_sinks({"siem": {"kind": "webhook", "url": sys.argv[2]}}, print)
claim = store.claim("access/0", "host")
with Telemetry(Metrics(sinks=["siem"]), address=None) as telemetry:
    outbox = Outbox(store, sinks, telemetry)
    outbox.follow("access/0")
    for number in range(int(sys.argv[3])):
        store.write_alerts(claim, [an_alert(f"u{number}")])
        outbox.wake("access/0")
        outbox.turn()
    while store.n_arrivals(store.sink_position("siem:access/0"), 1, "access/0"):
        outbox.turn()
    outbox.close()
store.close()
"""


def test_kill_9_at_any_delivery_loses_no_alert(tmp_path: Path, web: WebServer) -> None:
    """Killed while the receiver answers, before and after its answer; keys stay the same."""
    url, n = f"sqlite:///{tmp_path}/alerts.db", 12
    command = [sys.executable, "-c", HOST, url, f"http://127.0.0.1:{web.port}/", str(n)]
    pids: list[int] = []

    def kill(handler: BaseHTTPRequestHandler) -> None:
        os.kill(pids[-1], signal.SIGKILL)
        handler.close_connection = True

    def answer_and_kill(handler: BaseHTTPRequestHandler) -> None:
        OK(handler)
        os.kill(pids[-1], signal.SIGKILL)

    for answers in ([OK, kill], [kill], [OK, OK, OK, answer_and_kill], [OK, answer_and_kill], []):
        web.answers = list(answers)
        with subprocess.Popen(command, stderr=subprocess.PIPE) as host:
            pids.append(host.pid)
            host.communicate(timeout=120)
        assert host.returncode == (-signal.SIGKILL if answers else 0)

    bodies: dict[str, set[bytes]] = {}
    for request in web.requests:
        bodies.setdefault(request.headers["idempotency-key"], set()).add(request.body)
    assert set(bodies) == {key_of(an_alert(f"u{number}").fields) for number in range(n)}
    assert all(len(same) == 1 for same in bodies.values())
    assert len(web.keys) > n, "nothing was repeated: the kills missed"
    assert json.loads(web.requests[0].body)["alert_id"] in web.keys[0]
