"""What people do is told to receivers: signed, in order, once the act is saved, and never lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from detector.console.acts import Acts
from detector.console.service import wall_clock_ms
from detector.console.webhooks import Lease, webhook_tables
from detector.errors import OptionError
from detector.sinks import open_sinks
from detector.sinks.webhook import signature
from detector.store.console import ConsoleStore
from detector.telemetry import Metrics, Telemetry
from tests.console.conftest import NEWEST, Served, serving
from tests.console.test_hostile import NASTY
from tests.parts.postgresql import Server
from tests.sinks.receivers import WebServer, status, web_server

ALERT = next(iter(NEWEST))
SECRET = "a secret of the tests"  # noqa: S105


@pytest.fixture
def web() -> Iterator[WebServer]:
    """A receiver."""
    with web_server() as running:
        yield running


@contextmanager
def telling(url: str, port: int, tmp_path: Path) -> Iterator[Served]:
    """Serve a console that tells a receiver."""
    (tmp_path / "secret").write_text(SECRET)
    table = {
        "kind": "webhook",
        "url": f"http://127.0.0.1:{port}/",
        "secret_file": f"{tmp_path}/secret",
    }
    telemetry = Telemetry(Metrics(sinks=["soar"]), address=None)
    sinks = tuple(open_sinks({"soar": table}, telemetry.redact.hide))
    with serving(url, parts={"webhooks": sinks, "telemetry": telemetry}) as served:
        yield served


def until(is_so: Callable[[], bool], what: str) -> None:
    """Wait for something that another thread does."""
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def follows(served: Served) -> bool:
    """Tell whether the sink's place in the log is known: what happens now will be told."""
    with served.console.store.reading() as db:
        found = db.exec_driver_sql("select count(*) from setting where name like 'webhooks.pos%'")
        return bool(found.scalar_one())


def judge(served: Served, reason: str = "known errand") -> None:
    """Let an analyst judge an alert."""
    browser = served.signed_in("analyst")
    token = served.with_token("analyst", "read", "triage")
    row_version = token.get(f"/alerts/{ALERT}").json()["triage"]["row_version"]
    sent: dict[str, Any] = {
        "do": "judge", "verdict": "benign", "reason": reason, "row_version": row_version,
    }  # fmt: skip
    assert browser.post(f"/alerts/{ALERT}/triage", data=sent).status_code == 303


def test_a_verdict_is_told_signed_with_who_what_and_where(
    url: str, web: WebServer, tmp_path: Path
) -> None:
    """A SOAR platform can close its case; looks are nobody else's business."""
    with telling(url, web.port, tmp_path) as served:
        until(lambda: follows(served), "begins")
        judge(served)
        served.signed_in("analyst").post(f"/alerts/{ALERT}/comments", data={"text": "@analyst ?"})
        until(lambda: len(web.requests) == 2, "two acts")
    first, second = (orjson.loads(request.body) for request in web.requests)
    headers = web.requests[0].headers
    told = (headers["webhook-id"], headers["webhook-timestamp"], web.requests[0].body)

    assert (first["act"], first["actor"], first["object"]) == ("alert.triage", "analyst", ALERT)
    assert first["detail"]["verdict"] == "benign"
    assert first["detail"]["reason"] == "known errand"
    assert (second["act"], second["detail"]) == ("alert.comment", {"mentions": ["analyst"]})
    assert headers["webhook-signature"] == signature(SECRET.encode(), *told)
    assert web.keys[0].startswith(f"act-{first['number']}-")


def test_what_happens_while_the_receiver_is_gone_is_told_afterwards(
    url: str, web: WebServer, tmp_path: Path
) -> None:
    """Across a restart of the console too, in order, each under one key."""
    web.answers[:] = [status(503)] * 2
    with telling(url, web.port, tmp_path) as served:
        until(lambda: follows(served), "begins")
        judge(served, "one")
        until(lambda: len(web.requests) >= 3, "tried again")
    web.answers[:] = []
    n_before = len(web.requests)
    with serving(url) as without:
        judge(without, "two")
    with telling(url, web.port, tmp_path):
        until(lambda: len(web.requests) > n_before, "the second")
        reasons = [orjson.loads(request.body)["detail"]["reason"] for request in web.requests]

    assert reasons[:3] == ["one"] * 3
    assert reasons[-1] == "two"
    assert len(set(web.keys)) == 2


def test_a_new_receiver_is_not_told_the_past(url: str, web: WebServer, tmp_path: Path) -> None:
    """Years of acts at once would be an alarm of its own."""
    with serving(url) as without:
        judge(without, "long ago")
    with telling(url, web.port, tmp_path) as served:
        until(lambda: follows(served), "begins")
        judge(served, "now")
        until(lambda: web.requests != [], "the new one")

    assert [orjson.loads(request.body)["detail"]["reason"] for request in web.requests] == ["now"]


def test_hostile_words_are_inert_on_their_way_out(url: str, web: WebServer, tmp_path: Path) -> None:
    """What a receiver puts into a page or a terminal does nothing there."""
    nasty = [text for text in NASTY if len(text) < 1_000]
    with telling(url, web.port, tmp_path) as served:
        until(lambda: follows(served), "begins")
        for text in nasty:
            judge(served, text)
        until(lambda: len(web.requests) == len(nasty), "all")
    sent = b"".join(request.body for request in web.requests).decode()

    assert not {"<", "\x1b", "\u202e", "\r"} & set(sent)


def test_an_operator_sees_what_waits(url: str, web: WebServer, tmp_path: Path) -> None:
    """The console's own page shows the sink as the consumer's does, for the same rule."""
    with telling(url, web.port, tmp_path) as served:
        until(lambda: follows(served), "begins")
        judge(served)
        until(lambda: 'delivered_total{sink="soar"} 1.0' in metrics(served), "counted")

        assert 'detector_sink_waiting_seconds{sink="soar"}' in metrics(served)


def metrics(served: Served) -> str:
    """What Prometheus reads."""
    return served.browser().get("/metrics").text


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_one_console_at_a_time_delivers(url: str, kind: str, postgresql: Server) -> None:
    """Two of them on one store would tell everything twice; the next goes on after the first."""
    if kind == "postgresql":
        url = postgresql.create("lease")
    now = [1_000_000]
    store = ConsoleStore(url)
    first, second = (Lease(store, lambda: now[0]) for _ in range(2))

    assert [first.is_mine(), second.is_mine(), first.is_mine()] == [True, False, True]
    first.end()
    assert [second.is_mine(), first.is_mine()] == [True, False]
    now[0] += 11_000
    assert [first.is_mine(), second.is_mine()] == [False, True]
    now[0] += 60_000
    assert [first.is_mine(), second.is_mine()] == [True, False]
    store.close()


def test_what_is_no_act_is_read_over_once(url: str) -> None:
    """A thousand looks between two acts are not looked at each second."""
    with serving(url) as served:
        acts = Acts(served.console.store, "https://console.example", wall_clock_ms)
        for _ in range(3):
            served.signed_in("analyst").get(f"/alerts/{ALERT}")
        assert acts.arrivals(0, 10) == []
        judge(served)
        (line,) = acts.arrivals(0, 10)

        assert orjson.loads(line.line)["url"] == f"https://console.example/alerts/{ALERT}"
        assert acts.n_arrivals(0, 10, "acts") == 1
        assert acts.n_arrivals(line.number, 10, "acts") == 0


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "something else than sinks"),
        ("[sinks", "cannot be read"),
        ("[sinks.a]\nkind = 'syslog'", "sinks.a: is no webhook"),
        ("[sinks.a]\nkind = 'webhook'\nformat = 'cef'", "sinks.a.format: is for alerts only"),
        ("[sinks.a]\nkind = 'webhook'\n[other]", "something else than sinks"),
        ("[sinks]\na = 1", "sinks.a: is no webhook"),
    ],
)
def test_a_wrong_file_is_named_before_the_console_begins(
    content: str, told: str, tmp_path: Path
) -> None:
    """With the place and what to write there."""
    path = tmp_path / "webhooks.toml"
    path.write_text(content)

    with pytest.raises(OptionError, match=f"DETECTOR_CONSOLE_WEBHOOKS.*{told}"):
        webhook_tables(path)
