"""Commands about versions of artifacts: models, shadow, promote, rollback."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from detector.cli.main import FINDINGS, cli

if TYPE_CHECKING:  # imported inside the commands, so that --help is quick
    from detector.hosts.shadow import Comparison
    from detector.registry import Ledger

_FILE = click.Path(path_type=Path)
_REGISTRY = click.option(
    "--registry", default="models", show_default=True, help="Folder or URL of the versions."
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Machine output on stdout.")


@cli.group()
def models() -> None:
    """Versions of artifacts: make keys, add, list, verify."""


@models.command()
@click.argument("private", type=_FILE)
@click.argument("public", type=_FILE)
def keygen(private: Path, public: Path) -> None:
    """Make a key to sign with (PRIVATE) and its PUBLIC part for `trusted/`."""
    from detector.registry.keys import write_key_pair

    click.echo(write_key_pair(private, public))


@models.command()
@click.argument("artifact", type=_FILE)
@_REGISTRY
@click.option("--key", type=_FILE, required=True, help="Private key to sign with.")
@click.option("--by", required=True, help="Who made it.")
@click.option("--events", help="The history it was fitted on: for its window and digest.")
@click.option("--mapping", type=_FILE, help="How the history's fields are named.")
@click.option("--evaluation", type=_FILE, help="What `detector evaluate --json` said of it.")
@click.option("--notes", default="", help="For the card.")
def add(
    artifact: Path,
    registry: str,
    key: Path,
    by: str,
    events: str | None,
    mapping: Path | None,
    evaluation: Path | None,
    notes: str,
) -> None:
    """Add the ARTIFACT that `detector fit` has written, signed, with its cards."""
    from detector.hosts.models import history_of, now_text
    from detector.registry import Origin, Registry
    from detector.registry.keys import read_private_key

    said = {} if evaluation is None else json.loads(evaluation.read_text("utf-8"))
    data = {} if events is None else history_of(events, mapping, 1_000_000)
    origin = Origin(made_by=by, made_at=now_text(), data=data, evaluation=said, notes=notes)
    click.echo(Registry(registry).add(artifact, origin, read_private_key(key)))


@models.command("list")
@_REGISTRY
@_JSON
def list_versions(registry: str, as_json: bool) -> None:
    """List versions and roles."""
    from detector.registry import Registry

    found = Registry(registry)
    roles = found.ledger().roles
    rows = [
        {"version": name, "roles": [role for role, held in roles.items() if held == name]}
        for name in found.versions()
    ]
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        click.echo(f"{row['version']}  {' '.join(row['roles'])}".rstrip())


@models.command()
@click.argument("version")
@_REGISTRY
def verify(version: str, registry: str) -> None:
    """Verify a VERSION (or a role): signature, digests, features, golden events."""
    from detector.errors import ArtifactError
    from detector.registry import Registry

    try:
        found = Registry(registry).load(version)
    except ArtifactError as error:
        click.echo(str(error))
        sys.exit(FINDINGS)
    click.echo(f"{found.name}: ok, signed with {found.signed_by}")


@models.command("try")
@click.argument("version", required=False, default="")
@_REGISTRY
@click.option("--by", required=True, help="Who decides.")
def try_version(version: str, registry: str, by: str) -> None:
    """Let running workers score VERSION beside production, in the shadow; without one, stop."""
    from detector.hosts.models import try_version as run

    name = run(registry, version, by)
    click.echo(f"shadow is {name}" if name else "there is no shadow")


@models.command()
@_REGISTRY
@click.option("--candidate", default="shadow", show_default=True, help="Version or role.")
@click.option("--output", type=_FILE, help="Write the comparison here, for `detector promote`.")
@_JSON
def compare(registry: str, candidate: str, output: Path | None, as_json: bool) -> None:
    """Compare what running workers have scored in the shadow with production."""
    from detector.hosts.live_shadow import live_comparison
    from detector.registry import Registry

    opened = Registry(registry)
    _show(live_comparison(opened, candidate), opened.ledger(), output, as_json=as_json)


@cli.command()
@click.argument("events")
@_REGISTRY
@click.option("--candidate", default="shadow", show_default=True, help="Version or role to try.")
@click.option("--mapping", type=_FILE, help="How the source's fields are named (TOML).")
@click.option("--policy", type=_FILE, help="What differs from the default policy (TOML).")
@click.option("--reference", type=_FILE, help="Folder of staff, branches, calendars.")
@click.option("--since", help="Compare alerts from this date or time on; earlier events teach.")
@click.option("--truth", type=_FILE, help="Known incidents.")
@click.option("--output", type=_FILE, help="Write the comparison here, for `detector promote`.")
@_JSON
def shadow(
    events: str,
    registry: str,
    candidate: str,
    mapping: Path | None,
    policy: Path | None,
    reference: Path | None,
    since: str | None,
    truth: Path | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Score stored EVENTS with production and a candidate; nobody is alerted."""
    from detector.hosts.local_time import since_ns
    from detector.hosts.models import ShadowOptions
    from detector.hosts.models import shadow as run
    from detector.registry import Registry

    found = run(
        ShadowOptions(
            events, registry, candidate, mapping, policy, reference,
            since_ns(since, policy, "--since"), truth,
        )
    )  # fmt: skip
    _show(found, Registry(registry).ledger(), output, as_json=as_json)


def _show(found: Comparison, ledger: Ledger, output: Path | None, *, as_json: bool) -> None:
    """Print a comparison, and write it if asked."""
    text = json.dumps(found.to_json(), ensure_ascii=False, indent=1)
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(f"{text}\n", "utf-8")
    if as_json:
        click.echo(text)
        return
    click.echo(
        f"{found.n_events:,} events of {found.n_days} days: {found.n_before} alerts now, "
        f"{found.n_after} with the candidate; {len(found.gained)} gained, {len(found.lost)} lost, "
        f"{len(found.reranked)} ranked otherwise; known incidents: {found.lost_incidents} lost, "
        f"{found.new_incidents} new; {found.cost_ratio:.2f} times the time an event"
    )
    for name, counts in found.by.items():
        rows = ", ".join(f"{key} {before}→{after}" for key, (before, after) in counts.items())
        click.echo(f"  by {name}: {rows or 'none'}")
    for refusal in found.refusals(ledger.gates):
        click.echo(f"  gate: {refusal}")


@cli.command()
@click.argument("version")
@_REGISTRY
@click.option("--by", required=True, help="Who promotes.")
@click.option("--approved-by", required=True, help="The second person.")
@click.option("--comparison", type=_FILE, required=True, help="What `detector shadow` wrote.")
@click.option("--reason", default="", help="For the record.")
@click.option("--position", default="", help="From which position of the stream on, if known.")
def promote(
    version: str,
    registry: str,
    by: str,
    approved_by: str,
    comparison: Path,
    reason: str,
    position: str,
) -> None:
    """Make VERSION production: verified, compared, within the gates, approved by a second."""
    from detector.hosts.models import Promotion
    from detector.hosts.models import promote as run

    ledger = run(Promotion(registry, version, by, approved_by, comparison, reason, position))
    click.echo(f"production is {ledger.roles['production']}")


@cli.command()
@_REGISTRY
@click.option("--by", required=True, help="Who goes back.")
@click.option("--reason", required=True, help="For the record.")
def rollback(registry: str, by: str, reason: str) -> None:
    """Give production back to the version before; state and alerts stay."""
    from detector.hosts.models import rollback as run

    decision = run(registry, by, reason)
    click.echo(f"production is {decision.version}, no longer {decision.before}")
