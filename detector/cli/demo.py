"""The demonstration: simulate, fit, replay, show what was caught and what was missed."""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path

import click
import orjson

from detector.artifacts import refuse_foreign
from detector.cli.progress import counting, reading
from detector.cli.show import (
    print_json,
    show_days,
    show_evaluation,
    show_fit,
    show_top,
    show_warnings,
)
from detector.errors import OptionError
from detector.evaluation import evaluate
from detector.hosts.fit import FitOptions, fit_history
from detector.hosts.local_time import since_ns
from detector.hosts.replay import ReplayOptions, replay
from detector.policy import load_policy
from detector.simulate import SimulationConfig, simulate

_INCIDENTS = 16
_BANK = {"events.jsonl", "truth.json"}
_OUTPUTS = ("alerts.db", "alerts.jsonl", "rejects.jsonl")


def run_demo(
    folder: Path, *, users: int, branches: int, days: int, seed: int, as_json: bool
) -> None:
    """Run the whole main path in one folder, from scratch."""
    _refuse_foreign(folder)
    bank, artifact, store = folder / "bank", folder / "artifact", folder / "alerts.db"
    for old in (bank, artifact):
        shutil.rmtree(old, ignore_errors=True)
    for file in (store, folder / "alerts.console.db"):
        for suffix in ("", "-wal", "-shm", ".lock"):
            Path(f"{file}{suffix}").unlink(missing_ok=True)
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


def serve_demo(folder: Path, port: int) -> None:
    """Open the console on a demo that has been run, with an account for every role."""
    from detector.cli.serve_command import run_server, with_bank
    from detector.console.people import NewAccount, save
    from detector.console.roles import Role
    from detector.console.settings import ConsoleSettings
    from detector.console.start import open_console

    console = open_console(f"sqlite:///{folder / 'alerts.db'}", ConsoleSettings.for_demo(), None)
    password = secrets.token_urlsafe(9)
    with console.store.writing() as db:
        for role in Role:
            name = f"Demo {role.value}"
            new = NewAccount(f"demo-{role.value}", name, role, password=password)
            save(db, new, console.clock_ms())
    bank = folder / "bank"
    console = with_bank(console, str(bank / "events.jsonl"), bank / "reference")
    logins = ", ".join(f"demo-{role.value}" for role in Role)
    click.echo(f"sign in as one of {logins}; password {password}", err=True)
    run_server(console, "127.0.0.1", port)


def _refuse_foreign(folder: Path) -> None:
    """Tell before anything is deleted that a folder holds what no demo has written.

    Raises:
        ArtifactError, OptionError: its bank, its artifact or its outputs are somebody's own.
    """
    bank = folder / "bank"
    refuse_foreign(folder / "artifact")
    held = [bank] if bank.exists() or bank.is_symlink() else []
    held += [path for name in _OUTPUTS if (path := folder / name).exists()]
    if held and not _is_simulated(bank):
        what, hint = f"{held[0]} is of no demo and would be lost", "Name another folder"
        raise OptionError(what, where="--dir", hint=hint)


def _is_simulated(bank: Path) -> bool:
    """Tell whether a folder is a simulated bank and holds nothing else."""
    if bank.is_symlink() or not bank.is_dir():
        return False
    names = {path.name for path in bank.iterdir()}
    if not _BANK <= names <= _BANK | {"reference"}:
        return False
    try:
        truth = orjson.loads((bank / "truth.json").read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(truth, dict) and {"first_scored_day", "incidents"} <= truth.keys()
