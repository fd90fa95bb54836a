# ruff: noqa: INP001  a script, not a package
"""Every night: fit, calibrate, evaluate, drift, report. Run by cron or any scheduler.

    python pipelines/nightly.py EVENTS --work nightly --since 2026-03-16 --reference reference

Killed, it goes on when started again; started twice, the second waits for nobody and says so;
with the same inputs nothing is done twice. Exit codes: 0 done, 1 failed, 3 a group carries far more
alerts than the others.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from detector.analysis.nightly import NightlyOptions, run_nightly
from detector.errors import DetectorError

_FILE = click.Path(path_type=Path)
FAILED, FINDINGS = 1, 3


@click.command()
@click.argument("events", type=_FILE)
@click.option("--work", type=_FILE, required=True, help="Folder for results, one below per run.")
@click.option("--since", required=True, help="Days before teach, days from here on are judged.")
@click.option("--reference", type=_FILE, help="Folder of staff, branches, calendars.")
@click.option("--mapping", type=_FILE, help="How the source's fields are named (TOML).")
@click.option("--policy", type=_FILE, help="What differs from the default policy (TOML).")
@click.option("--truth", type=_FILE, help="Known incidents.")
def main(
    events: Path,
    work: Path,
    since: str,
    reference: Path | None,
    mapping: Path | None,
    policy: Path | None,
    truth: Path | None,
) -> None:
    """Run the stages that are not done yet for EVENTS, and write report.en.md and report.zh.md."""
    options = NightlyOptions(events, work, since, reference, mapping, policy, truth)
    try:
        night = run_nightly(options, lambda stage: click.echo(stage, err=True))
    except DetectorError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(FAILED)
    click.echo(f"{night.folder}: {len(night.done)} stages done, {len(night.found)} done before")
    if night.metrics["detector_nightly_fairness_warnings"]:
        sys.exit(FINDINGS)


if __name__ == "__main__":
    main()
