"""A replay ends in the same alerts whichever database is below, however often it is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from detector.hosts.replay import replay
from detector.store import open_store
from tests.test_replay import options

# Kills itself in the middle of the third checkpoint's transaction: after pages, before commit.
_DIES = """
import os, signal, sys
from detector.store import sql
from detector.cli.main import main
left, saved = [3], sql.SqlStore._save_alerts
def save(*arguments):
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    saved(*arguments)
sql.SqlStore._save_alerts = save
main()
"""


def test_killed_inside_a_checkpoint_it_goes_on_to_the_same_bytes(
    url: str, bank: Path, tmp_path: Path
) -> None:
    """Half a checkpoint is none; the next run starts from the last whole one."""
    calm = tmp_path / "calm"
    replay(options(bank, calm, store=None))
    run = tmp_path / "run"
    command = [
        sys.executable, "-c", _DIES, "replay", str(bank / "events.jsonl"),
        "--reference", str(bank / "reference"), "--min-score", "2",
        "--alerts", str(run / "alerts.jsonl"), "--rejects", str(run / "rejects.jsonl"),
        "--store", url,
    ]  # fmt: skip
    environment = {**os.environ, "DETECTOR_CHECKPOINT_EVERY_S": "0"}
    killed = subprocess.run(command, env=environment, capture_output=True, check=False)
    with closing(open_store(url)) as store:
        held = store.last_checkpoint("replay")
    summary = replay(options(bank, run, store=url))

    assert killed.returncode == -signal.SIGKILL
    assert held is not None
    assert held.number == 2
    assert summary.resumed_at_line > 0
    for name in ("alerts.jsonl", "rejects.jsonl"):
        assert (run / name).read_bytes() == (calm / name).read_bytes()
    with closing(open_store(url)) as store:
        assert b"".join(store.alert_lines("replay")) == (calm / "alerts.jsonl").read_bytes()
