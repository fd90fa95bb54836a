"""The files a pipeline names: each can be read, fits the others, and is not out of date."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

from detector.artifacts import Artifact
from detector.errors import DetectorError
from detector.hosts.doctor_finding import Finding, guarded, of_error
from detector.hosts.learned import learned
from detector.hosts.live_pipeline import Pipeline
from detector.mapping import load_mapping
from detector.plan import build_plan
from detector.policy import Policy, load_policy
from detector.reference import Reference, load_reference
from detector.sinks import open_sinks

_DAY_NS = 86_400_000_000_000
_SOON_DAYS = 90
T = TypeVar("T")


def examine_files(pipeline: Pipeline) -> Iterator[Finding]:
    """Read mapping, policy, artifact and reference tables one by one, then all together."""
    findings: list[Finding] = []

    def read(name: str, path: Path | str | None, load: Callable[[], T]) -> T | None:
        try:
            content = load()
        except DetectorError as error:
            findings.append(of_error(name, error, str(path)))
            return None
        findings.append(Finding(name, "ok", str(path or "built in"), "is valid"))
        return content

    for mapping in {pipeline.mapping, *(source.mapping for source in pipeline.route_sources)}:
        read("mapping", mapping, partial(load_mapping, mapping))
    policy = read("policy", pipeline.policy, partial(load_policy, pipeline.policy))
    place = pipeline.registry or pipeline.artifact
    artifact = read("artifact", place, partial(learned, pipeline.artifact, pipeline.registry))
    reference = read("reference", pipeline.reference, partial(load_reference, pipeline.reference))
    yield from findings
    if pipeline.topics and place is None:
        what = "none: built-in priors decide, no threshold fits this bank"
        yield Finding("artifact", "warning", "artifact", what, "Run `detector fit` on a history")
    if policy is None or reference is None or (place and artifact is None):
        return
    yield from guarded("plan", str(pipeline.path), _together(policy, artifact, reference))


def _together(policy: Policy, artifact: Artifact | None, reference: Reference) -> Iterator[Finding]:
    """Build the plan as a run would; its notices are due from an event time on."""
    soon_ns = time.time_ns() + _SOON_DAYS * _DAY_NS
    plan = build_plan(policy, artifact, reference)
    for notice in plan.notices:
        if notice.from_ns <= soon_ns:
            remedy = f"Due within {_SOON_DAYS} days: see pipelines/INPUTS.md, calendar.csv"
            yield Finding("plan", "warning", "reference and artifact", notice.text, remedy)


def examine_sinks(pipeline: Pipeline) -> Iterator[Finding]:
    """Open each sink and see whether its receiver answers; nothing is sent."""
    for name, table in pipeline.sinks.items():
        yield from guarded("sinks", f"sinks.{name}", _sink(name, table))


def _sink(name: str, table: object) -> Iterator[Finding]:
    (sink,) = open_sinks({name: table}, lambda _secret: None)
    try:
        problem = sink.probe()
    finally:
        sink.close()
    where = f"sinks.{name}"
    if problem is None:
        yield Finding("sinks", "ok", where, "answers")
        return
    remedy = "Alerts wait in the store meanwhile: check address, certificate and receiver"
    yield Finding("sinks", "error", where, problem, remedy)
