"""The demonstration: simulate, fit, replay, show what was caught and what was missed."""

from __future__ import annotations

import shutil
from pathlib import Path

import click
import orjson

from detector.cli.progress import counting, reading
from detector.cli.show import (
    print_json,
    show_days,
    show_evaluation,
    show_fit,
    show_top,
    show_warnings,
)
from detector.evaluation import evaluate
from detector.hosts.fit import FitOptions, fit_history
from detector.hosts.local_time import since_ns
from detector.hosts.replay import ReplayOptions, replay
from detector.policy import load_policy
from detector.simulate import SimulationConfig, simulate

_INCIDENTS = 16


def run_demo(
    folder: Path, *, users: int, branches: int, days: int, seed: int, as_json: bool
) -> None:
    """Run the whole main path in one folder, from scratch."""
    bank, artifact, store = folder / "bank", folder / "artifact", folder / "alerts.db"
    for old in (bank, artifact):
        shutil.rmtree(old, ignore_errors=True)
    for suffix in ("", "-wal", "-shm", ".lock"):
        Path(f"{store}{suffix}").unlink(missing_ok=True)
    config = SimulationConfig(
        users=users, branches=branches, days=days, seed=seed, incidents=_INCIDENTS
    )
    with counting("simulate", days) as count:
        simulate(bank, config, count)
    events, reference = str(bank / "events.jsonl"), bank / "reference"
    truth = orjson.loads((bank / "truth.json").read_bytes())
    first_scored_ns = since_ns(truth["first_scored_day"], None, "truth")
    with reading(events, "fit", passes=2) as progress:
        fitted = fit_history(
            FitOptions(events, artifact, until_ns=first_scored_ns, reference=reference), progress
        )
    alerts = folder / "alerts.jsonl"
    options = ReplayOptions(
        events=events,
        artifact=artifact,
        reference=reference,
        since_ns=first_scored_ns,
        alerts=alerts,
        rejects=folder / "rejects.jsonl",
        store=f"sqlite:///{store}",
    )
    with reading(events, "replay") as progress:
        summary = replay(options, progress)
    evaluation = evaluate(alerts, bank / "truth.json", (5,))
    show_warnings(summary)
    if as_json:
        print_json({"replay": summary.to_json(), "evaluation": evaluation.to_json()})
        return
    show_fit(fitted, artifact, as_json=False)
    show_days(summary.alerts_per_day, load_policy(None).alerts.budget_per_day)
    show_top(summary.best())
    click.echo("\nwhat a team finds that reads 5 alerts a day:")
    show_evaluation(evaluation, as_json=False)
    click.echo(f"alerts: {alerts} and {store}")
