"""Sinks from a pipeline file: what is wrong has a name, what is secret has none."""

from __future__ import annotations

import json
import re
import resource
import signal
from pathlib import Path
from typing import Any

import pytest

from detector.errors import OptionError
from detector.sinks import FORMATS, open_sinks
from detector.sinks.settings import _COMMON, _KEYS
from tests.conftest import ROOT
from tests.sinks.conftest import alerts
from tests.sinks.receivers import WebServer

KEY = "0123456789abcdef0123456789abcdef"


def opened(table: dict[str, Any], hidden: list[str] | None = None) -> Any:
    """Open one sink named siem."""
    (sink,) = open_sinks({"siem": table}, (hidden if hidden is not None else []).append)
    return sink


def test_the_page_tells_every_key_and_no_other() -> None:
    """`pipelines/OUTPUTS.md`: names, and for which kinds."""
    page = (ROOT / "pipelines" / "OUTPUTS.md").read_text("utf-8")
    (table,) = re.findall(r"^\| key \|.*\n\|[ |-]+\n((?:\|.*\n)+)", page, re.MULTILINE)
    told: dict[str, set[str]] = {}
    for line in table.splitlines():
        keys, kinds, _ = (cell.strip() for cell in line.strip("|").split("|"))
        for key in re.findall(r"`(\w+)`", keys):
            told[key] = set(_KEYS) if kinds == "all" else set(kinds.split(", "))
    held = {
        key: {kind for kind, keys in _KEYS.items() if key in keys | _COMMON}
        for key in _COMMON.union(*_KEYS.values())
    }

    assert told == held
    assert all(f"`{name}`" in page for name in FORMATS)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("x", "sinks.siem: is no table"),
        ({}, "sinks.siem.kind: is None. Set one of: jsonl, webhook, syslog"),
        ({"kind": "email"}, "sinks.siem.kind: is 'email'"),
        ({"kind": "syslog"}, "sinks.siem.host: is missing"),
        ({"kind": "syslog", "host": 5}, "sinks.siem.host: is no text: 5"),
        ({"kind": "syslog", "host": "h", "port": 0}, "sinks.siem.port: is no port: 0"),
        ({"kind": "syslog", "host": "h", "port": True}, "sinks.siem.port: is no port: True"),
        ({"kind": "syslog", "host": "h", "transport": "x"}, "sinks.siem.transport: is 'x'"),
        ({"kind": "syslog", "host": "h", "url": "x"}, "sinks.siem.url: is no known key"),
        ({"kind": "jsonl", "path": "a", "format": "xml"}, "sinks.siem.format: is 'xml'"),
        ({"kind": "webhook", "url": "https://h", "secret": "x"}, "sinks.siem.secret: is no known"),
        ({"kind": "webhook", "url": "https://h", "allow_http": 1}, "sinks.siem.allow_http: is 1"),
        (
            {"kind": "webhook", "url": "https://h", "secret_file": "nowhere"},
            "sinks.siem.secret_file: nowhere cannot be read",
        ),
        (
            {"kind": "webhook", "url": "https://h", "secret_env": "NOT_SET"},
            "sinks.siem.secret_env: names NOT_SET, which is not set",
        ),
    ],
)
def test_what_is_wrong_is_named(table: Any, message: str) -> None:
    """Place, value, remedy, before the first event."""
    with pytest.raises(OptionError) as error:
        opened(table)

    assert str(error.value).startswith(message)


def test_secrets_come_from_files_and_variables_and_are_hidden_from_logs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, web: WebServer
) -> None:
    """Whoever reads the pipeline file or a log learns none of them."""
    (tmp_path / "secret").write_text(f"{KEY}\n")
    monkeypatch.setenv("HOOK_TOKEN", "t0ken-of-the-hook")
    table = {
        "kind": "webhook",
        "url": f"http://127.0.0.1:{web.port}/",
        "secret_file": str(tmp_path / "secret"),
        "token_env": "HOOK_TOKEN",
    }
    hidden: list[str] = []
    sink = opened(table, hidden)
    sink.deliver(alerts(1))
    sink.close()

    assert hidden == [KEY, "t0ken-of-the-hook"]
    assert web.requests[0].headers["authorization"] == "Bearer t0ken-of-the-hook"
    assert "webhook-signature" in web.requests[0].headers


def test_a_file_gets_the_lines_of_the_alerts_file(tmp_path: Path) -> None:
    """The same format, mode 0600, and a line that a crash has cut stays apart."""
    path = tmp_path / "out" / "alerts.jsonl"
    sink = opened({"kind": "jsonl", "path": str(path)})
    first, second = alerts(2)
    sink.deliver([first])
    sink.close()
    with path.open("ab") as file:
        file.write(b'{"alert_id": "cut')
    sink = opened({"kind": "jsonl", "path": str(path)})
    sink.deliver([second])
    sink.close()

    lines = path.read_text("utf-8").splitlines()
    assert [json.loads(lines[0]), json.loads(lines[2])] == [first, second]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_full_disk_is_a_failure_and_not_a_delivery() -> None:
    """The real thing: /dev/full answers every write as a full disk does."""
    sink = opened({"kind": "jsonl", "path": "/dev/full"})
    report = sink.deliver(alerts(1))
    sink.close()

    assert report.failure == "the file cannot be written (No space left on device)"


def test_a_disk_that_fills_up_leaves_whole_lines(tmp_path: Path) -> None:
    """A real limit of the system ends a write in the middle; the part is taken back."""
    path = tmp_path / "alerts.jsonl"
    sink = opened({"kind": "jsonl", "path": str(path)})
    sink.deliver(alerts(1))
    whole = path.read_bytes()
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 100, hard))
    try:
        report = sink.deliver(alerts(2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert report.failure == "the file cannot be written (File too large)"
    assert path.read_bytes() == whole
    assert sink.deliver(alerts(2)[1:]).n_done == 1
    sink.close()

    assert [json.loads(line) for line in path.read_bytes().splitlines()] == alerts(2)


def test_stand_ins_are_a_setting(tmp_path: Path) -> None:
    """Key from a file; what leaves holds no staff number."""
    (tmp_path / "key").write_text(KEY)
    path = tmp_path / "alerts.jsonl"
    table = {"kind": "jsonl", "path": str(path), "pseudonym_key_file": str(tmp_path / "key")}
    sink = opened(table)
    sink.deliver(alerts(1))
    sink.close()

    line = json.loads(path.read_bytes())
    assert line["user_id"] != alerts(1)[0]["user_id"]
    assert line["score"] == alerts(1)[0]["score"]


def test_a_short_key_is_refused(tmp_path: Path) -> None:
    """Staff numbers are few: only the key keeps anybody from trying them all."""
    (tmp_path / "key").write_text("short")
    table = {"kind": "jsonl", "path": str(tmp_path / "a"), "pseudonym_key_file": f"{tmp_path}/key"}
    with pytest.raises(OptionError, match=r"^sinks\.siem\.pseudonym_key: is too short a key"):
        opened(table)
