"""A real PostgreSQL: in a folder of its own, on a free loopback port, stopped by its handle."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

_SETTINGS = (
    "shared_buffers=64MB", "max_connections=60", "fsync=off", "autovacuum=off",
    "log_min_messages=warning", "unix_socket_directories=",
)  # fmt: skip
_START_TIMEOUT_S = 60.0
_NOBODY = 65_534


def binary(name: str) -> str:
    """Path of a program of PostgreSQL's; Debian keeps them off the PATH."""
    found = shutil.which(name) or next(
        (str(path) for path in sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))), None
    )
    if found is None:
        pytest.fail(f"{name} is missing: install the package `postgresql` (15 or newer)")
    return found


def _unprivileged() -> dict[str, Any]:
    """PostgreSQL refuses root: give its files and processes to nobody in particular."""
    who = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}
    return who if os.geteuid() == 0 else {}


@dataclass(slots=True)
class Server:
    """A running server; user ``owner`` may do everything, without a password."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = field(default=None)

    def url(self, database: str, user: str = "owner") -> str:
        """Address of a database."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start, and wait until it answers."""
        settings = [part for setting in _SETTINGS for part in ("-c", setting)]
        log = (self.folder / "log").open("ab")
        self.process = subprocess.Popen(
            [binary("postgres"), "-D", str(self.folder / "data"), "-h", "127.0.0.1",
             "-p", str(self.port), *settings],
            stdout=log, stderr=log, cwd=self.folder, **_unprivileged(),
        )  # fmt: skip
        log.close()
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail((self.folder / "log").read_text()[-2_000:])
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url("postgres"), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop: SIGINT breaks all connections in order, SIGQUIT at once, as in a crash."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(30)
            self.process = None

    def create(self, database: str) -> str:
        """Make a database, or empty it, which costs a tenth; return its address."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as db:
            found = db.execute("select 1 from pg_database where datname = %s", (database,))
            if found.fetchone() is None:
                db.execute(f"create database {database}")
                return self.url(database)
            others = "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s"
            db.execute(others, (database,))
        with psycopg.connect(self.url(database), autocommit=True) as db:
            db.execute("drop schema public cascade")
            db.execute("create schema public")
            db.execute("grant usage on schema public to public")
        return self.url(database)


@contextmanager
def server() -> Iterator[Server]:
    """Run a server in a folder of its own: pytest's are closed to other users."""
    with tempfile.TemporaryDirectory(prefix="postgresql-") as name:
        folder = Path(name)
        if os.geteuid() == 0:
            os.chown(folder, _NOBODY, _NOBODY)
        subprocess.run(
            [binary("initdb"), "-D", str(folder / "data"), "-U", "owner", "-A", "trust",
             "--no-sync", "-E", "UTF8", "--locale=C.UTF-8"],
            check=True, stdout=subprocess.DEVNULL, cwd=folder, **_unprivileged(),
        )  # fmt: skip
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        running = Server(folder, port)
        running.start()
        try:
            yield running
        finally:
            running.stop(signal.SIGQUIT)  # nobody needs its files any more
