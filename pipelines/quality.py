# ruff: noqa: INP001  scripts, not a package
"""The whole protocol of detection quality, into one Markdown report.

    python pipelines/quality.py --out FILE [--quick] [--only SECTION] [--seeds N] [--size N]

Sections: tune and bpic12 (injections into a Dutch bank's log), bpic15 (branches), banks
(simulated, with peers and ablation), attackers, masquerade. The first three read the event
streams in $DETECTOR_SHARED_DATA, or beside the repository. Peers need the extra `quality`.
The report is written anew after each section, so a stopped run leaves what it has.
"""

import argparse
import os
import platform
import shlex
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from detector.evaluation import Evaluation
from detector.hashing import hash_strings
from detector.hosts.events import decoded
from detector.mapping import load_mapping
from detector.policy import load_policy
from detector.quality import attackers, banks, masquerade, real, report
from detector.quality.batches import joined
from detector.quality.injections import Period, worklog
from detector.reference import Reference
from detector.simulate import SimulationConfig
from detector.workhours import clock_tables

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("DETECTOR_SHARED_DATA", ROOT.parent / "shared" / "data"))
EPOCH = date(1970, 1, 1)
SERVICE = hash_strings(["112"]).tolist()  # bpic12's system account

# staff: (branches, incidents); every budget meets roughly as many incidents as a day has alerts
SIZES = {200: (12, 32), 600: (24, 48), 1500: (48, 64)}
BANK_DAYS, ATTACK_DAYS = 42, 120
ATTACK_STAFF, ATTACK_BRANCHES, ATTACKERS = 300, 7, 60  # seven branches share one time zone
PERIODS = {
    "tune": ("bpic12", "netherlands", "2011-11-21", "2011-12-31"),
    "bpic12": ("bpic12", "netherlands", "2012-01-01", "2012-03-14"),
    "bpic15": ("bpic15", "municipalities", "2013-01-01", "2014-12-31"),
}
Note = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is run: seeds of injections, of banks, of attacked banks; sizes."""

    injections: int = 8
    banks: int = 8
    attacks: int = 4
    sizes: tuple[int, ...] = tuple(SIZES)


QUICK = Scale(injections=2, banks=2, attacks=1, sizes=(200,))


def real_part(section: str) -> real.Part:
    """Decode a real log, fit on what comes before the section's period."""
    source, policy_name, first, last = PERIODS[section]
    policy = load_policy(ROOT / "pipelines" / "policies" / f"{policy_name}.toml")
    mapping = load_mapping(ROOT / "pipelines" / "mappings" / f"{source}.toml")
    chunks = decoded(str(DATA / f"{source}.jsonl.gz"), mapping, policy.limits.max_line_bytes)
    clock, _ = clock_tables(
        Reference(),
        default_time_zone=policy.clock.default_time_zone,
        default_calendar=policy.clock.default_calendar,
    )
    log = worklog(joined(chunk.batch for chunk in chunks), clock)
    period = Period(*((date.fromisoformat(day) - EPOCH).days for day in (first, last)))
    return real.people_only(real.part_of(section, log, policy, period), SERVICE)


def real_section(section: str, scale: Scale, note: Note) -> str:
    """Injections into one part of a real log, and calibration on its clean days."""
    part = real_part(section)
    note(f"{section}: fitted")
    measure = real.foreign_findings if section == "bpic15" else real.findings
    found = list(measure(part, scale.injections, note))
    source, _, first, last = PERIODS[section]
    words = (
        f"{source}, fitted before {first}, measured until {last}: {part.clean.user.size:,} clean "
        f"person-days. One injection a person and seed, {scale.injections} seeds; the budget is "
        "1 % of clean days (or of equally long windows of random people)."
    )
    quiet = part.clean.take(part.clean.n_before >= part.plan.limits.mature_days)
    calibrated = report.calibration_table([banks.calibration(quiet)])
    title = {"tune": "Real hours and volumes: tuning part"}.get(section, f"Real log {source}")
    body = f"{report.findings_table(found)}\n\nObserved ÷ nominal on clean days:\n\n{calibrated}"
    return report.section(title, words, body)


def banks_section(scale: Scale, note: Note) -> str:
    """Simulated banks of several sizes: recall, kinds, calibration, peers, ablation."""
    policy = load_policy(None)
    by_size: dict[int, list[Evaluation]] = defaultdict(list)
    quiet: list[banks.Calibration] = []
    peers: dict[str, list[Evaluation]] = defaultdict(list)
    lost: dict[str, list[Evaluation]] = defaultdict(list)
    ablation_size, peer_size = scale.sizes[0], scale.sizes[len(scale.sizes) // 2]
    for size in scale.sizes:
        for seed in range(scale.banks):
            bank = simulated(size, seed)
            run = banks.run_bank(bank, policy)
            by_size[size].append(run.found)
            quiet.append(banks.calibration(banks.quiet_days(bank, run)))
            note(f"bank of {size}, seed {seed}")
            if size == peer_size:
                gather(peers, banks.peers_found(bank, run))
                note(f"peers, seed {seed}")
            if size == ablation_size:
                gather(lost, banks.ablation(bank, policy, banks.speaking_detectors(run.days)))
                note(f"ablation, seed {seed}")
    incidents = ", ".join(f"{SIZES[size][1]} of {size:,} staff" for size in scale.sizes)
    words = (
        f"{BANK_DAYS} days, the first half to learn from; {scale.banks} seeds a size; incidents "
        f"per bank: {incidents}."
    )
    complete = {name: found for name, found in lost.items() if len(found) == scale.banks}
    return "\n".join([
        report.section("Simulated banks", words, report.banks_table(by_size)),
        report.section("Recall per kind at 5 alerts a day", words, report.kinds_table(by_size, 5)),
        report.section(
            "Calibration on quiet person-days", "Observed ÷ nominal; all sizes together.",
            report.calibration_table(quiet),
        ),
        report.section(
            "Peers", f"Same actor-days of {peer_size:,} staff, same budget.",
            report.named_table("method", peers),
        ),
        report.section(
            "What is lost without a detector", f"{ablation_size:,} staff, fitted anew each time.",
            report.ablation_table(by_size[ablation_size], complete),
        ),
    ])  # fmt: skip


def gather(into: dict[str, list[Evaluation]], found: dict[str, Evaluation]) -> None:
    """Append one seed's results."""
    for name, evaluation in found.items():
        into[name].append(evaluation)


def simulated(size: int, seed: int) -> banks.Bank:
    """Simulate one bank in a folder that is gone afterwards."""
    n_branches, n_incidents = SIZES[size]
    config = SimulationConfig(size, n_branches, BANK_DAYS, 1000 + seed, n_incidents)
    with tempfile.TemporaryDirectory(prefix="quality-bank-") as folder:
        return banks.make_bank(Path(folder), config, load_policy(None))


def attackers_section(scale: Scale, note: Note) -> str:
    """People who know the system, in a bank without other incidents."""
    policy = load_policy(None)
    found = []
    for seed in range(scale.attacks):
        config = SimulationConfig(ATTACK_STAFF, ATTACK_BRANCHES, ATTACK_DAYS, 2000 + seed, 0)
        with tempfile.TemporaryDirectory(prefix="quality-bank-") as folder:
            bank = banks.make_bank(Path(folder), config, policy)
        run = banks.run_bank(bank, policy)
        note(f"attacked bank, seed {seed}")
        target = attackers.target_of(run.days, bank.events, run.plan, ATTACKERS, seed)
        found.append(list(attackers.attacks(target, (1, 5), np.random.default_rng([seed, 7]))))
        note(f"attacks, seed {seed}")
    words = (
        f"{ATTACK_STAFF} staff, {ATTACK_DAYS} days, fitted on the first half, {scale.attacks} "
        "seeds. Found: among the day's N best alerts; the delay counts from the first bad day."
    )
    return report.section("Attackers who know the system", words, report.attack_table(found))


def machine() -> str:
    """Processor, cores and Python of this machine."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor()
    return f"{name}, {os.cpu_count()} cores, Python {platform.python_version()}"


def masquerade_section(scale: Scale, note: Note) -> str:
    """Strangers under people's names, in a crowd that changes its ways."""
    found = []
    for seed in range(scale.attacks):
        found.append(masquerade.hits(masquerade.crowd(4000 + seed), load_policy(None)))
        note(f"masquerade, seed {seed}")
    words = (
        f"50 people, {masquerade.FITTED_DAYS} days fitted, {masquerade.SCORED_DAYS} scored, "
        f"{scale.attacks} seeds. Share of strangers' days above the bar that "
        f"{masquerade.FALSE_ALARMS:.1%} of the owners' days pass."
    )
    return report.section("Somebody else at the keyboard", words, report.hits_table(found))


def main() -> None:
    """Run the chosen sections and write the report after each."""
    sections: dict[str, Callable[[Scale, Note], str]] = {
        "tune": lambda scale, note: real_section("tune", scale, note),
        "bpic12": lambda scale, note: real_section("bpic12", scale, note),
        "bpic15": lambda scale, note: real_section("bpic15", scale, note),
        "attackers": attackers_section,
        "masquerade": masquerade_section,
        "banks": banks_section,
    }
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="the report, overwritten")
    parser.add_argument("--quick", action="store_true", help="two seeds, one size")
    parser.add_argument("--seeds", type=int, help="of everything that is drawn")
    parser.add_argument("--size", type=int, action="append", choices=SIZES, help="staff of banks")
    parser.add_argument("--only", action="append", choices=sections, help="may be repeated")
    options = parser.parse_args()
    chosen = options.only or list(sections)
    scale = QUICK if options.quick else Scale()
    scale = replace(scale, sizes=tuple(options.size or scale.sizes))
    if options.seeds is not None:
        scale = replace(scale, **dict.fromkeys(("injections", "banks", "attacks"), options.seeds))
    command = shlex.join(["python", "pipelines/quality.py", *sys.argv[1:]])
    now = datetime.now(UTC)
    head = (
        f"# Detection quality\n\n`{command}`, {now:%Y-%m-%d %H:%M} UTC, {machine()}.\n"
        "Means over seeds with 90 % intervals (Student's t).\n"
    )
    columns = (BarColumn(), TextColumn("{task.completed} steps, {task.description}"))
    parts = [head]
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task("starting", total=None)

        def note(what: str) -> None:
            bar.update(task, advance=1, description=what)

        for name in chosen:
            started = time.monotonic()
            parts.append(sections[name](scale, note))
            parts.append(f"({name}: {time.monotonic() - started:.0f} s)\n")
            options.out.write_text("\n".join(parts), "utf-8")


if __name__ == "__main__":
    main()
