"""An existing Grafana gets the dashboards once, keeps their history, and never tells its token."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from detector.dashboards.catalogue import DASHBOARDS
from detector.dashboards.push import FOLDER_UID, marks_of
from detector.store import open_store
from detector.store.base import Checkpoint
from detector.store.console import ConsoleStore
from tests.conftest import ROOT, Run
from tests.contracts.alerts import an_alert
from tests.grafana_server import TOKEN, Held, grafana

SCHEMA = json.loads((ROOT / "tests" / "schemas" / "grafana_dashboard.json").read_text("utf-8"))
UIDS = {one.uid for one in DASHBOARDS}
SEVERITY = json.loads(an_alert().to_json_line())["severity"]
LONG = ("--days", "3650")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Held]:
    """An empty Grafana that the settings point at; the token lies in a file."""
    (tmp_path / "token").write_text(TOKEN + "\n")
    with grafana(SCHEMA) as held:
        monkeypatch.setenv("DETECTOR_GRAFANA_URL", f"http://127.0.0.1:{held.port}")
        monkeypatch.setenv("DETECTOR_GRAFANA_TOKEN_FILE", str(tmp_path / "token"))
        yield held


@pytest.fixture
def store(tmp_path: Path) -> str:
    """A store with one alert."""
    url = f"sqlite:///{tmp_path}/alerts.db"
    with closing(open_store(url)) as opened:
        claim = opened.claim("access/0", "one")
        layout = {"layout": {"a": ["|u1", [3]]}}
        opened.commit(claim, Checkpoint(1, layout), [an_alert()], [("a", 0, b"abc")])
    return url


def test_an_empty_server_gets_a_folder_and_every_dashboard(server: Held, detector: Run) -> None:
    """All in our folder, as the code builds them, with the links asked for."""
    done = detector("dashboards", "push", "--console-url", "https://console.bank/", "--json")

    assert done.code == 0, done.err
    assert json.loads(done.out) == {"dashboards": {"made": 5, "changed": 0, "same": 0}}
    assert set(server.folders) == {FOLDER_UID}
    assert {uid: folder for uid, (_, folder) in server.dashboards.items()} == dict.fromkeys(
        UIDS, FOLDER_UID
    )
    assert '"query": "https://console.bank"' in json.dumps(server.dashboards["detector-overview"])


def test_alerts_are_marked_while_a_console_holds_the_store(
    server: Held, detector: Run, store: str
) -> None:
    """It only reads: nobody has to stop the console for it."""
    with closing(ConsoleStore(store)):
        done = detector("dashboards", "push", "--store", store, "--severity", SEVERITY, *LONG)

    assert done.code == 0, done.err
    assert len(server.annotations) == 1


def test_again_nothing_is_written(server: Held, detector: Run, store: str) -> None:
    """A job may run every hour: no new versions, no second mark."""
    push = (
        "dashboards",
        "push",
        "--store",
        store,
        "--severity",
        SEVERITY,
        *LONG,
        "--json",
    )
    detector(*push)
    server.requests.clear()
    done = detector(*push)

    assert json.loads(done.out) == {
        "dashboards": {"made": 0, "changed": 0, "same": 5},
        "annotations": {"made": 0, "changed": 0, "same": 1},
    }
    assert server.writes == []


def test_what_somebody_changed_or_moved_is_put_right(server: Held, detector: Run) -> None:
    """One changed by hand, one moved to another folder; the others keep their version."""
    detector("dashboards", "push")
    changed, _ = server.dashboards["detector-overview"]
    server.dashboards["detector-overview"] = ({**changed, "title": "mine"}, FOLDER_UID)
    moved, _ = server.dashboards["detector-quality"]
    server.dashboards["detector-quality"] = (moved, "elsewhere")
    done = detector("dashboards", "push", "--json")

    assert json.loads(done.out)["dashboards"] == {"made": 0, "changed": 2, "same": 3}
    versions = {uid: content["version"] for uid, (content, _) in server.dashboards.items()}
    assert versions == dict.fromkeys(UIDS, 1) | {"detector-overview": 2, "detector-quality": 2}


def test_an_alert_becomes_one_mark_that_leads_to_the_console(
    server: Held, detector: Run, store: str
) -> None:
    """What and how bad, at its time, and nobody's number; a changed one is changed in place."""
    push = ("dashboards", "push", "--store", store, "--severity", SEVERITY, *LONG)
    assert detector(*push).code == 0
    (mark,) = server.annotations.values()
    alert_id = an_alert().alert_id

    assert f'href="http://localhost:8080/alerts/{alert_id}"' in mark["text"]
    assert {"audit-anomaly-detector", SEVERITY, f"alert:{alert_id}"} <= set(mark["tags"])
    assert mark["time"] == mark["timeEnd"] > 1_600_000_000_000
    assert "u1" not in json.dumps(mark)
    server.annotations[1] = {**mark, "text": "older"}
    detector(*push)
    assert [one["text"] for one in server.annotations.values()] == [mark["text"]]


def test_hostile_text_cannot_act_in_a_mark() -> None:
    """Grafana shows marks as HTML."""
    row = {"alert_id": "<script>", "detector": '"><img src=x>', "severity": "\u202e\n", "score": 1}
    (mark,) = marks_of([{**row, "time_ms": 1}], "https://c.bank")

    assert "<script" not in mark.text
    assert "<img" not in mark.text
    assert mark.text.isprintable()


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((500, {"message": "database is locked"}), "status 500: Server Error 500: database is loc"),
        ((403, {"message": "no \x1b[31mrights"}), "<U+001B>"),
        ((302, b""), "TooManyRedirects"),
        ((200, b"<html>sign in</html>"), "JSONDecodeError"),
        ((400, ["message"]), "TypeError"),
    ],
)
def test_a_server_that_refuses_is_told_in_one_line(
    server: Held, detector: Run, answer: tuple[int, Any], told: str
) -> None:
    """Which server, what failed, what to do; nothing after the failure is tried."""
    server.answer_instead = answer
    done = detector("dashboards", "push")

    assert done.code == 1
    assert told in done.err
    assert f"127.0.0.1:{server.port}" in done.err
    assert done.err.count("\n") == 1
    assert len(server.requests) == 1


@pytest.mark.usefixtures("server")
def test_the_token_is_in_no_output_and_no_log(
    detector: Run,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Not when all is well, not when it is refused, not when its file is missing."""
    caplog.set_level(logging.DEBUG)
    wrong = tmp_path / "wrong"
    wrong.write_text("glsa_another")
    ended = [detector("dashboards", "push")]
    monkeypatch.setenv("DETECTOR_GRAFANA_TOKEN_FILE", str(wrong))
    ended.append(detector("dashboards", "push"))
    monkeypatch.setenv("DETECTOR_GRAFANA_TOKEN_FILE", str(tmp_path / "nowhere"))
    ended.append(detector("dashboards", "push"))

    assert [done.code for done in ended] == [0, 1, 2]
    said = caplog.text + "".join(done.out + done.err for done in ended)
    assert "glsa_" not in said
    assert "status 401" in ended[1].err
    assert "DETECTOR_GRAFANA_TOKEN_FILE" in ended[2].err


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("DETECTOR_GRAFANA_URL", "ftp://grafana", "DETECTOR_GRAFANA_URL"),
        ("DETECTOR_GRAFANA_URL", "http://me:hidden@grafana", "without a name or password"),
        ("DETECTOR_GRAFANA_URL", "http://grafana:port", "is no address"),
        ("DETECTOR_GRAFANA_CA_FILE", "nowhere.pem", "Name a PEM file"),
        ("DETECTOR_GRAFANA_TOKEN_FILE", "/dev/null", "DETECTOR_GRAFANA_TOKEN"),
    ],
)
def test_a_wrong_setting_is_named(
    server: Held, detector: Run, monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    """Before anything is sent, and without its secret part."""
    monkeypatch.setenv(name, value)
    done = detector("dashboards", "push")

    assert done.code == 2
    assert told in done.err
    assert "hidden" not in done.err
    assert server.requests == []


def test_without_settings_the_first_missing_one_is_named(
    detector: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody guesses a server."""
    monkeypatch.delenv("DETECTOR_GRAFANA_URL", raising=False)
    done = detector("dashboards", "push")

    assert (done.code, "DETECTOR_GRAFANA_URL" in done.err) == (2, True)


@pytest.mark.parametrize("url", ["javascript:alert(1)", "https://c'/", "console.bank"])
def test_a_console_address_that_is_none_is_refused(url: str, detector: Run, tmp_path: Path) -> None:
    """It stands in every link."""
    done = detector("dashboards", "build", tmp_path, "--console-url", url)

    assert done.code == 2
    assert list(tmp_path.iterdir()) == []


def test_build_writes_a_file_a_dashboard(detector: Run, tmp_path: Path) -> None:
    """For the provisioning of a server that nobody may push to."""
    done = detector("dashboards", "build", tmp_path / "pages", "--prometheus", "bank-metrics")

    assert done.out.splitlines() == [
        str(tmp_path / "pages" / f"{one.uid}.json") for one in DASHBOARDS
    ]
    assert all(
        '"bank-metrics"' in (tmp_path / "pages" / f"{uid}.json").read_text("utf-8")
        for uid in ("detector-pipeline", "detector-freshness")
    )
