"""The `detector` command: options in, one exit code out.

Commands import what they need when they run, so that `--help` and completion are quick.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import click

from detector import __version__
from detector.cli.dashboards_command import dashboards
from detector.cli.doctor_command import doctor
from detector.cli.live import dead_letters, route, run
from detector.cli.serve_command import account, serve, verdicts, verify_log
from detector.cli.store_commands import store as store_commands
from detector.errors import (
    ArtifactError,
    DetectorError,
    MappingError,
    OptionError,
    PipelineError,
    PolicyError,
    ReferenceDataError,
)

FAILED, WRONG_USAGE, FINDINGS = 1, 2, 3
_CONFIGURATION_ERRORS = (
    ArtifactError,
    MappingError,
    OptionError,
    PipelineError,
    PolicyError,
    ReferenceDataError,
)
_FILE = click.Path(path_type=Path)
_JSON = click.option("--json", "as_json", is_flag=True, help="Machine output on stdout.")
_MAPPING = click.option("--mapping", type=_FILE, help="How the source's fields are named (TOML).")
_POLICY = click.option("--policy", type=_FILE, help="What differs from the default policy (TOML).")
_REFERENCE = click.option("--reference", type=_FILE, help="Folder of staff, branches, calendars.")
_EVENTS_HELP = (
    "EVENTS is a .jsonl, .jsonl.gz, .jsonl.zst, .csv or .parquet file, a folder of such, "
    "or - for JSON lines on stdin."
)


def _finite(_context: click.Context, _option: click.Parameter, value: float | None) -> float | None:
    """Refuse nan, which no score is below."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter("is no finite number, such as 2.5")
    return value


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="detector")
def cli() -> None:
    """Find staff who look at customer records they have no business with."""


for _command in (
    run, route, dead_letters, doctor, store_commands, dashboards, serve, account, verify_log,
    verdicts,
):  # fmt: skip
    cli.add_command(_command)


def main() -> None:
    """Run the command; every failure is one line on stderr and an exit code."""
    try:
        code = cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        _fail("stopped", FAILED)
    except click.ClickException as error:
        error.show()
        sys.exit(WRONG_USAGE)
    except _CONFIGURATION_ERRORS as error:
        _fail(str(error), WRONG_USAGE)
    except DetectorError as error:
        _fail(str(error), FAILED)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(FAILED)
    except OSError as error:
        where, what = error.filename or "input or output", error.strerror or error
        _fail(f"{where}: cannot be used ({what}). Check path, rights and disk space", FAILED)
    sys.exit(code if isinstance(code, int) else 0)


def _fail(text: str, code: int) -> None:
    click.echo(f"error: {text}", err=True)
    sys.exit(code)


@cli.command(epilog=_EVENTS_HELP)
@click.argument("events")
@click.option("--artifact", type=_FILE, help="What `detector fit` learned; default: built-in.")
@click.option(
    "--registry",
    help="Folder or URL of versions: production decides, or the role or version of --artifact.",
)
@_MAPPING
@_POLICY
@_REFERENCE
@click.option("--since", help="Raise alerts from this date or time on; earlier events teach.")
@click.option(
    "--min-score",
    type=float,
    callback=_finite,
    help="Emit from this score on instead of the threshold.",
)
@click.option("--alerts", type=_FILE, help="Write alerts here, one JSON object per line.")
@click.option("--rejects", type=_FILE, help="Write rows that cannot be used here.")
@click.option(
    "--store",
    help="sqlite:///path/file.db or postgresql://user@host/database; with it a run on files "
    "resumes where it stopped.",
)
@_JSON
def replay(
    events: str,
    artifact: Path | None,
    registry: str | None,
    mapping: Path | None,
    policy: Path | None,
    reference: Path | None,
    since: str | None,
    min_score: float | None,
    alerts: Path | None,
    rejects: Path | None,
    store: str | None,
    as_json: bool,
) -> None:
    """Run stored EVENTS through the engine."""
    from detector.cli.progress import reading
    from detector.cli.show import show_replay
    from detector.hosts.local_time import since_ns
    from detector.hosts.replay import ReplayOptions
    from detector.hosts.replay import replay as run

    options = ReplayOptions(
        events=events,
        artifact=artifact,
        registry=registry,
        mapping=mapping,
        policy=policy,
        reference=reference,
        since_ns=since_ns(since, policy, "--since"),
        min_score=min_score,
        alerts=alerts,
        rejects=rejects,
        store=store,
    )
    with reading(events, "replay") as progress:
        summary = run(options, progress)
    show_replay(summary, as_json=as_json)


@cli.command(epilog=_EVENTS_HELP)
@click.argument("events")
@click.option("--output", type=_FILE, required=True, help="Folder of the artifact to write.")
@click.option("--until", help="Use events before this date or time only.")
@_MAPPING
@_POLICY
@_REFERENCE
@_JSON
def fit(
    events: str,
    output: Path,
    until: str | None,
    mapping: Path | None,
    policy: Path | None,
    reference: Path | None,
    as_json: bool,
) -> None:
    """Learn priors, calibration and thresholds from a history of EVENTS."""
    from detector.cli.progress import reading
    from detector.cli.show import show_fit
    from detector.hosts.fit import FitOptions, fit_history
    from detector.hosts.local_time import since_ns

    options = FitOptions(
        events=events,
        output=output,
        until_ns=since_ns(until, policy, "--until"),
        mapping=mapping,
        policy=policy,
        reference=reference,
    )
    with reading(events, "fit", passes=2) as progress:
        fitted = fit_history(options, progress)
    show_fit(fitted, output, as_json=as_json)


@cli.command()
@click.argument("out", type=_FILE)
@click.option("--users", default=200, show_default=True, type=click.IntRange(20, 1_000_000))
@click.option("--branches", default=12, show_default=True, type=click.IntRange(2, 5_000))
@click.option("--days", default=28, show_default=True, type=click.IntRange(2, 1_000))
@click.option("--seed", default=1, show_default=True, type=click.IntRange(0))
@click.option("--incidents", default=16, show_default=True, type=click.IntRange(0, 10_000))
@_JSON
def simulate(
    out: Path, users: int, branches: int, days: int, seed: int, incidents: int, as_json: bool
) -> None:
    """Write a bank with labelled insiders to OUT: events, truth and reference tables."""
    from detector.cli.progress import counting
    from detector.cli.show import show_simulation
    from detector.simulate import SimulationConfig
    from detector.simulate import simulate as run

    config = SimulationConfig(
        users=users, branches=branches, days=days, seed=seed, incidents=incidents
    )
    with counting("simulate", days) as progress:
        summary = run(out, config, progress)
    show_simulation(summary, out, as_json=as_json)


@cli.command()
@click.option("--alerts", type=_FILE, required=True, help="Alerts file of a replay.")
@click.option("--truth", type=_FILE, required=True, help="Truth file of the same events.")
@click.option("--budget", type=click.IntRange(1), multiple=True, help="Alerts a day; repeatable.")
@_JSON
def evaluate(alerts: Path, truth: Path, budget: tuple[int, ...], as_json: bool) -> None:
    """Say what a team finds that reads the day's best alerts."""
    from detector.cli.show import show_evaluation
    from detector.evaluation import evaluate as run

    show_evaluation(run(alerts, truth, budget or (1, 5, 20)), as_json=as_json)


@cli.command()
@click.argument("files", nargs=-1, required=True, type=_FILE)
@_JSON
def check(files: tuple[Path, ...], as_json: bool) -> None:
    """Validate pipelines, mappings, policies, artifacts and reference folders."""
    from detector.cli.show import show_findings
    from detector.hosts.check import check_file

    findings = {str(file): check_file(file) for file in files}
    show_findings(findings, as_json=as_json)
    if any(finding.error is not None for finding in findings.values()):
        sys.exit(FINDINGS)


@cli.command()
@click.option("--dir", "folder", type=_FILE, default=Path("demo"), show_default=True)
@click.option("--users", default=200, show_default=True, type=click.IntRange(20, 100_000))
@click.option("--branches", default=12, show_default=True, type=click.IntRange(2, 1_000))
@click.option("--days", default=28, show_default=True, type=click.IntRange(8, 366))
@click.option("--seed", default=7, show_default=True, type=click.IntRange(0))
@click.option(
    "--serve",
    "port",
    is_flag=False,
    flag_value=8080,
    type=click.IntRange(0, 65_535),
    help="Then open the console, on this port (8080).",
)
@_JSON
def demo(
    folder: Path,
    users: int,
    branches: int,
    days: int,
    seed: int,
    port: int | None,
    as_json: bool,
) -> None:
    """Simulate a bank, fit on the first half, replay the rest, show what was found.

    --serve [PORT] opens the console on it.
    """
    from detector.cli.demo import run_demo, serve_demo

    run_demo(folder, users=users, branches=branches, days=days, seed=seed, as_json=as_json)
    if port is not None:
        serve_demo(folder, port)


@cli.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a SHELL: eval "$(detector completion bash)"."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is not None:
        click.echo(kind(cli, {}, "detector", "_DETECTOR_COMPLETE").source())
