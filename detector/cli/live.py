"""Commands that read from Kafka: run, route, dead-letters."""

from __future__ import annotations

from pathlib import Path

import click

_FILE = click.Path(path_type=Path)


@click.command()
@click.argument("pipeline", type=_FILE)
def run(pipeline: Path) -> None:
    """Consume the topics of a PIPELINE file, score, store and publish alerts, until stopped."""
    from detector.hosts.live_run import run_pipeline

    run_pipeline(pipeline)


@click.command()
@click.argument("pipeline", type=_FILE)
def route(pipeline: Path) -> None:
    """Bring raw topics of a PIPELINE file into one, canonical and keyed by actor."""
    from detector.hosts.route import route_pipeline

    route_pipeline(pipeline)


@click.group("dead-letters")
def dead_letters() -> None:
    """Records that could not be used."""


@dead_letters.command()
@click.argument("pipeline", type=_FILE)
@click.option("--to", "target", required=True, help="Topic to write the records to.")
@click.option("--reason", multiple=True, help="Only of this reason; repeatable.")
def replay(pipeline: Path, target: str, reason: tuple[str, ...]) -> None:
    """Send the dead letters of a PIPELINE to a topic again, each as it was.

    A later replay of the same reasons goes on where the last one stopped.
    """
    from detector.hosts.dead_letters import Again, replay_dead_letters

    n = replay_dead_letters(pipeline, Again(target, frozenset(reason)))
    click.echo(f"{n:,} records sent to {target}")
