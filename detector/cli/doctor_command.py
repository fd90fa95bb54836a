"""The command that examines an installation."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import click

_FINDINGS = 3


@click.command()
@click.argument("pipeline", type=click.Path(path_type=Path))
@click.option(
    "--catch-up-hours",
    type=click.FloatRange(min=0.0, min_open=True),
    help="Longest time the detector may be away and still find every event; default 72.",
)
@click.option("--json", "as_json", is_flag=True, help="Machine output on stdout.")
def doctor(pipeline: Path, catch_up_hours: float | None, as_json: bool) -> None:
    """Reach everything a PIPELINE file names and say what is wrong; nothing is changed."""
    from detector.cli.show import print_json
    from detector.hosts.doctor import LONGEST_CATCH_UP_H, examine

    findings = []
    for finding in examine(pipeline, catch_up_hours or LONGEST_CATCH_UP_H):
        findings.append(finding)
        if not as_json:
            remedy = f". {finding.remedy}" if finding.remedy else ""
            click.echo(
                f"{finding.level:7}  {finding.check:9}  {finding.where}: {finding.what}{remedy}"
            )
    if as_json:
        print_json([asdict(finding) for finding in findings])
    if any(finding.level == "error" for finding in findings):
        sys.exit(_FINDINGS)
