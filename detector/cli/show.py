"""Results for people (or, with --json, for programs) on stdout; warnings on stderr."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from detector.evaluation import Evaluation
from detector.hosts.check import Finding
from detector.hosts.fit import Fitted
from detector.hosts.replay import ReplaySummary
from detector.simulate import SimulationSummary

_LIMITS = {
    "unscored": "events of actors beyond max_actors were not scored; raise [limits] max_actors",
    "tail_limit": "times an actor's recent rows were cut; raise [limits] max_tail_rows",
    "customer_limit": "events beyond max_customers_per_actor counted as known customers",
    "branch_limit": "events beyond max_branches_per_actor were not scored for their branch",
    "value_limit": "values beyond max_values_per_actor were left out of profiles",
    "approval_limit": "approvals beyond max_approvals_per_actor explain nothing",
}


def print_json(content: Any) -> None:
    """Print JSON on stdout."""
    click.echo(json.dumps(content, ensure_ascii=False, indent=1))


def warn(text: str) -> None:
    """Print one warning on stderr."""
    click.echo(f"warning: {text}", err=True)


def show_warnings(summary: ReplaySummary) -> None:
    """Say what the operator must know: stale calendars, and every limit that was reached."""
    for notice in summary.notices:
        warn(notice)
    for name, text in _LIMITS.items():
        if summary.counts[name]:
            warn(f"{summary.counts[name]:,} {text}")


def show_replay(summary: ReplaySummary, *, as_json: bool) -> None:
    """Show totals, alerts per day and the highest ranked alerts."""
    show_warnings(summary)
    if as_json:
        print_json(summary.to_json())
        return
    n_alerts = sum(summary.alerts_per_day.values())
    click.echo(
        f"{summary.events:,} events, {summary.counts['actors']:,} people, {n_alerts:,} alerts "
        f"({summary.alert_lines:,} versions), {summary.counts['duplicates']:,} duplicates dropped"
    )
    if summary.resumed_at_line:
        click.echo(f"went on after line {summary.resumed_at_line:,}")
    if summary.rejects:
        click.echo(f"rejected: {_by_reason(summary.rejects)}")
    show_top(summary.best())


def _by_reason(rejects: dict[str, int]) -> str:
    return ", ".join(f"{n:,} {reason}" for reason, n in sorted(rejects.items()))


def show_top(alerts: list[dict[str, Any]]) -> None:
    """Show alerts with their explanation in both languages."""
    for rank, alert in enumerate(alerts, 1):
        click.echo(
            f"\n{rank}. {alert['time'][:16].replace('T', ' ')}  score {alert['score']:.1f}  "
            f"{alert['severity']}  {alert['user_id']}  {' + '.join(alert['detectors'])}"
        )
        click.echo(f"   {alert['explanation']['en']}")
        click.echo(f"   {alert['explanation']['zh']}")


def show_days(per_day: dict[str, int], budget: float) -> None:
    """Show the number of alerts per day as bars."""
    click.echo(f"alerts per day (budget {budget:g}):")
    for day, n in sorted(per_day.items()):
        click.echo(f"  {day}  {n:3d}  {'#' * min(n, 60)}")


def show_fit(fitted: Fitted, output: Path, *, as_json: bool) -> None:
    """Say what an artifact was made from, and what was left out."""
    for notice in fitted.notices:
        warn(notice)
    if fitted.rejects:
        n, parts = sum(fitted.rejects.values()), _by_reason(fitted.rejects)
        warn(f"{n:,} rows were left out: {parts}; `detector replay --rejects FILE` keeps them")
    artifact = fitted.artifact
    facts = {key: value for key, value in artifact.manifest.items() if key != "branches"}
    if as_json:
        print_json({**facts, "digest": artifact.digest})
        return
    learned = facts["learned_from"]
    click.echo(
        f"{output}: {learned['events']:,} events, {learned['actor_days']:,} person-days of "
        f"{learned['actors']:,} people; threshold {facts['threshold']:.2f} "
        f"for {facts['budget_per_day']:g} alerts a day; digest {artifact.digest}"
    )


def show_simulation(summary: SimulationSummary, out: Path, *, as_json: bool) -> None:
    """Say what was simulated."""
    if as_json:
        print_json(summary.to_json())
        return
    click.echo(
        f"{out}: {summary.events:,} events of {summary.users:,} staff, "
        f"{summary.incidents:,} incidents"
    )


def show_findings(findings: dict[str, Finding], *, as_json: bool) -> None:
    """Say of each file what it is and what is wrong."""
    for finding in findings.values():
        for notice in finding.notices:
            warn(notice)
    if as_json:
        print_json([{"file": file, **found._asdict()} for file, found in findings.items()])
        return
    for file, found in findings.items():
        click.echo(f"{file}: {found.kind} ok" if found.error is None else found.error)


def show_evaluation(evaluation: Evaluation, *, as_json: bool) -> None:
    """Show recall, precision and delay at each budget, and recall by kind."""
    if as_json:
        print_json(evaluation.to_json())
        return
    console = Console()
    table = Table("budget", "caught", "recall", "90 % interval", "precision", "median delay")
    for row in evaluation.budgets:
        table.add_row(
            f"{row.budget} a day",
            f"{row.n_caught} of {evaluation.n_incidents}",
            f"{row.recall:.2f}",
            f"{row.recall_low:.2f} to {row.recall_high:.2f}",
            f"{row.precision:.2f} ({row.precision_incident_days:.2f} on incident days)",
            "-" if row.median_delay_days is None else f"{row.median_delay_days:g} days",
        )
    console.print(table)
    kinds = Table("kind", *(f"at {row.budget}" for row in evaluation.budgets))
    for kind in evaluation.kinds:
        caught = (row.by_kind[kind] for row in evaluation.budgets)
        kinds.add_row(kind, *(f"{hit} of {n}" for hit, n in caught))
    console.print(kinds)
