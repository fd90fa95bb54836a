"""The commands that start a console, as an operator runs them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.conftest import ROOT, Run
from tests.console.conftest import PASSWORD, csrf_of

KEYS = {
    "DETECTOR_CONSOLE_SESSION_KEY": "s" * 32,
    "DETECTOR_CONSOLE_PSEUDONYM_KEY": "p" * 32,
    "DETECTOR_CONSOLE_SECURE_COOKIES": "false",
}
_START_TIMEOUT_S = 300.0


@contextmanager
def started(*arguments: object) -> Iterator[tuple[str, list[str]]]:
    """Run a command until it serves; yield its address and what it has said."""
    command = [str(Path(sys.executable).parent / "detector"), *map(str, arguments)]
    environment = {**os.environ, **KEYS, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stderr is not None
        said: list[str] = []
        for line in process.stderr:
            said.append(line)
            found = re.search(r"console on (http://\S+)/", line)
            if found is not None:
                break
        else:
            pytest.fail("".join(said))
        yield answering(found[1]), said
        process.send_signal(signal.SIGTERM)
        process.stderr.read()
    assert process.returncode in {0, -signal.SIGTERM}


def answering(base: str) -> str:
    """Wait until a console answers."""
    deadline = time.monotonic() + _START_TIMEOUT_S
    while True:
        try:
            assert httpx.get(f"{base}/readyz").text == "ready\n"
        except httpx.ConnectError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return base


def signed_in(base: str, login: str, password: str) -> int:
    """Sign in through the form; return the status of the queue."""
    with httpx.Client(base_url=base, timeout=60) as browser:
        token = csrf_of(browser.get("/sign-in").text)
        browser.post("/sign-in", data={"login": login, "password": password, "csrf": token})
        return browser.get("/settings").status_code


def free_port() -> int:
    """Return a port nobody listens on."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_an_account_is_made_and_signs_in(url: str, detector: Run) -> None:
    """The password comes from stdin; nothing prints it."""
    made = detector(
        "account", "alice", "--role", "admin", "--store", url, stdin=f"{PASSWORD}\n".encode()
    )
    assert made.code == 0, made.err
    assert PASSWORD not in made.out + made.err
    with started("serve", "--store", url, "--port", free_port()) as (base, _):
        assert signed_in(base, "alice", PASSWORD) == 200


def test_a_short_password_is_refused(url: str, detector: Run) -> None:
    """Before anything is written."""
    made = detector("account", "alice", "--role", "admin", "--store", url, stdin=b"short\n")

    assert made.code == 2
    assert "12 letters" in made.err


@pytest.mark.parametrize("missing", ["SESSION_KEY", "PSEUDONYM_KEY"])
def test_a_console_without_keys_does_not_start(
    url: str, detector: Run, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    """The error names the setting, and no secret."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(f"DETECTOR_CONSOLE_{missing}", "short secret")
    done = detector("serve", "--store", url)

    assert done.code == 2
    assert f"DETECTOR_CONSOLE_{missing}" in done.err
    assert "short secret" not in done.err


def test_keys_may_come_from_secret_files(
    url: str, detector: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As a container gets them; the next error is then about accounts."""
    for name, value in KEYS.items():
        (tmp_path / name.lower()).write_text(value)
    monkeypatch.setenv("DETECTOR_CONSOLE_SECRETS", str(tmp_path))
    done = detector("serve", "--store", url)

    assert "nobody could sign in" in done.err


def test_the_demo_opens_a_console_with_an_account_for_each_role(tmp_path: Path) -> None:
    """One command from nothing to alerts in front of a person."""
    size = ("--users", 40, "--branches", 3, "--days", 8)
    port = free_port()
    with started("demo", "--dir", tmp_path / "demo", *size, "--serve", port) as (base, said):
        (password,) = re.findall(r"password (\S+)", "".join(said))
        codes = [signed_in(base, f"demo-{role}", password) for role in ("viewer", "investigator")]

    assert codes == [200, 200]
