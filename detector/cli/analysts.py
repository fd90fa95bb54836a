"""Commands of analysts: tune, report."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from detector.cli.main import cli

_FILE = click.Path(path_type=Path)


@cli.command()
@click.argument("events")
@click.option("--truth", type=_FILE, required=True, help="Labelled incidents of these events.")
@click.option("--output", type=_FILE, required=True, help="Policy file to write.")
@click.option("--artifact", type=_FILE, help="What `detector fit` learned; default: built-in.")
@click.option("--mapping", type=_FILE, help="How the source's fields are named (TOML).")
@click.option("--policy", type=_FILE, help="Policy to start from; default: the built-in one.")
@click.option("--reference", type=_FILE, help="Folder of staff, branches, calendars.")
@click.option("--budget", default=5, show_default=True, type=click.IntRange(1))
@click.option(
    "--split", default=0.6, show_default=True, type=click.FloatRange(0.1, 0.9),
    help="Share of the labelled days to search on; the later ones judge, once.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Machine output on stdout.")
def tune(
    events: str,
    truth: Path,
    output: Path,
    artifact: Path | None,
    mapping: Path | None,
    policy: Path | None,
    reference: Path | None,
    budget: int,
    split: float,
    as_json: bool,
) -> None:
    """Search policy parameters on the first labelled days; write what is surely better."""
    from detector.analysis.tune import policy_text
    from detector.analysis.tune import tune as run
    from detector.evaluation import read_truth
    from detector.policy import policy_of, read_changes

    start = {} if policy is None else read_changes(policy)
    policy_of(start, str(policy))
    found = run(
        events, read_truth(truth), budget=budget, split=split, policy=start,
        artifact=artifact, reference=reference, mapping=mapping,
    )  # fmt: skip
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(policy_text(found, start), "utf-8")
    if as_json:
        click.echo(json.dumps(asdict(found), ensure_ascii=False, indent=1))
        return
    click.echo(f"{found.n_tried} policies tried, {found.n_replays} of them replayed")
    for point in found.front:
        click.echo(f"  {point.budget:2d} alerts a day: recall {point.recall:.2f}  {point.changes}")
    click.echo(policy_text(found, start), nl=False)


@cli.command()
@click.argument("events")
@click.option("--output", type=_FILE, required=True, help="Markdown file to write.")
@click.option("--artifact", type=_FILE, help="What `detector fit` learned; default: built-in.")
@click.option("--mapping", type=_FILE, help="How the source's fields are named (TOML).")
@click.option("--policy", type=_FILE, help="What differs from the default policy (TOML).")
@click.option("--reference", type=_FILE, help="Folder of staff, branches, calendars.")
@click.option("--since", help="Judge days from this date on; earlier events teach.")
@click.option("--truth", type=_FILE, help="Known incidents.")
@click.option("--language", type=click.Choice(["en", "zh"]), default="en", show_default=True)
def report(
    events: str,
    output: Path,
    artifact: Path | None,
    mapping: Path | None,
    policy: Path | None,
    reference: Path | None,
    since: str | None,
    truth: Path | None,
    language: str,
) -> None:
    """Report on a replay of EVENTS: found, calibration, drift, and who carries the alerts."""
    from detector.analysis import replay
    from detector.analysis.fairness import fairness
    from detector.analysis.report import report_text
    from detector.analysis.tables import calibration, drift, recall_curve
    from detector.evaluation import read_truth

    result = replay(
        events, artifact=artifact, mapping=mapping, policy=policy, reference=reference, since=since,
        features=False,
    )  # fmt: skip
    tables = {"calibration": calibration(result), "drift": drift(result)}
    known = None if truth is None else read_truth(truth)
    if known is not None:
        tables["evaluation"] = recall_curve(result, known)
    fair = fairness(result, known)
    n_alerts = int(result.alerts["alert_id"].nunique())
    summary = (len(result.trace), len(result.trace.user_ids), n_alerts)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(report_text(summary, tables, fair, language), "utf-8")
    for text in fair.warnings:
        click.echo(f"warning: {text}", err=True)
