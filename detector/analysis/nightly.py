"""The nightly run: fit, calibrate, evaluate, drift, report; each stage done once for its inputs.

A run is named by the digest of everything it reads. A stage whose file is there is not done
again; a run that was killed goes on; the same run twice writes the same bytes.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson

from detector.analysis.fairness import Fairness, fairness
from detector.analysis.report import report_text
from detector.analysis.result import Result
from detector.analysis.runs import fit, replay
from detector.analysis.tables import calibration, drift, recall_curve
from detector.artifacts import Artifact, read_artifact
from detector.detections import DETECTORS
from detector.errors import OptionError
from detector.evaluation import read_truth
from detector.hosts.inputs import files_of

STAGES = ("fit", "calibrate", "evaluate", "drift", "report")
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class NightlyOptions:
    """What a night reads. The days before ``since`` teach, those from it on are judged."""

    events: Path
    work: Path
    since: str
    reference: Path | None = None
    mapping: Path | None = None
    policy: Path | None = None
    truth: Path | None = None


@dataclass(frozen=True, slots=True)
class Night:
    """What a night has done: its folder, stages done now, stages found done, metrics."""

    folder: Path
    done: tuple[str, ...]
    found: tuple[str, ...]
    metrics: Mapping[str, float]


def run_nightly(options: NightlyOptions, note: Callable[[str], None] | None = None) -> Night:
    """Run what is not done yet.

    Args:
        options: what to read, and the folder to work in.
        note: called with the name of each stage before it begins.

    Raises:
        DetectorError: an input cannot be used, or another night runs in the same folder.
    """
    options.work.mkdir(parents=True, exist_ok=True)
    with _locked(options.work):
        folder = options.work / run_name(options)
        folder.mkdir(exist_ok=True)
        work = _Work(options, folder)
        done, found = [], []
        for stage in STAGES:
            file = folder / f"{stage}.json"
            if file.exists():
                found.append(stage)
                continue
            if note is not None:
                note(stage)
            _write(file, orjson.dumps(getattr(work, stage)(), option=orjson.OPT_INDENT_2))
            done.append(stage)
        metrics = _metrics(folder)
        _write(options.work / "metrics.prom", _exposition(metrics))
        return Night(folder, tuple(done), tuple(found), metrics)


def run_name(options: NightlyOptions) -> str:
    """Return the digest of everything that a night reads."""
    digest = hashlib.blake2b(options.since.encode(), digest_size=16)
    named = [options.mapping, options.policy, options.truth]
    files = [*files_of(str(options.events)), *(path for path in named if path is not None)]
    if options.reference is not None and options.reference.is_dir():
        files += sorted(options.reference.iterdir())
    for file in files:
        digest.update(f"\x1f{file.name}\x1f".encode())
        for block in _blocks(file):
            digest.update(block)
    return digest.hexdigest()


def _blocks(file: Path) -> Iterator[bytes]:
    try:
        with file.open("rb") as stream:
            yield from iter(lambda: stream.read(_BLOCK_BYTES), b"")
    except OSError as error:
        what = f"cannot be read ({error.strerror})"
        raise OptionError(what, where=str(file), hint="Check path and rights") from None


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder; the lock goes with the process, however it ends."""
    with (folder / ".lock").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            hint = "Wait for it, or name another folder"
            raise OptionError("another night runs here", where=str(folder), hint=hint) from None
        yield


def _write(path: Path, content: bytes) -> None:
    """Write a file as a whole or not at all."""
    draft = path.with_name(f".{path.name}.draft")
    with draft.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(path)


@dataclass
class _Work:
    """The stages of one night; what several need is made once, when first needed."""

    options: NightlyOptions
    folder: Path

    @property
    def _inputs(self) -> dict[str, Any]:
        o = self.options
        return {"reference": o.reference, "mapping": o.mapping, "policy": o.policy}

    @cached_property
    def _artifact(self) -> Artifact:
        return read_artifact(self.folder / "artifact")

    @cached_property
    def _result(self) -> Result:
        return replay(
            self.options.events, artifact=self._artifact, since=self.options.since,
            features=False, **self._inputs,
        )  # fmt: skip

    @cached_property
    def _fairness(self) -> Fairness:
        truth = None if self.options.truth is None else read_truth(self.options.truth)
        return fairness(self._result, truth)

    def fit(self) -> dict[str, Any]:
        artifact = fit(
            self.options.events, output=self.folder / "artifact", until=self.options.since,
            **self._inputs,
        )  # fmt: skip
        return {"digest": artifact.digest, "threshold": artifact.manifest["threshold"]}

    def calibrate(self) -> dict[str, Any]:
        named = {"score": None, **{name: name for name in DETECTORS}}
        return {key: _rows(calibration(self._result, name)) for key, name in named.items()}

    def evaluate(self) -> dict[str, Any]:
        if self.options.truth is None:
            return {"budgets": []}
        return {"budgets": _rows(recall_curve(self._result, self.options.truth))}

    def drift(self) -> dict[str, Any]:
        return {"periods": _rows(drift(self._result))}

    def report(self) -> dict[str, Any]:
        result = self._result
        tables = {"calibration": calibration(result), "drift": drift(result)}
        if self.options.truth is not None:
            tables["evaluation"] = recall_curve(result, self.options.truth)
        n_alerts = int(result.alerts["alert_id"].nunique())
        summary = (len(result.trace), len(result.trace.user_ids), n_alerts)
        for language in ("en", "zh"):
            text = report_text(summary, tables, self._fairness, language)
            _write(self.folder / f"report.{language}.md", text.encode())
        return {"n_events": summary[0], "n_alerts": n_alerts, **fairness_json(self._fairness)}


def fairness_json(found: Fairness) -> dict[str, Any]:
    """Return a fairness as JSON values."""
    return {"fairness": _rows(found.table), "warnings": list(found.warnings)}


def _rows(frame: Any) -> list[dict[str, Any]]:
    """Return a data frame's rows as JSON values; what is no number is null."""
    return [_json(row) for row in frame.to_dict("records")]


def _json(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: f"{value:%Y-%m-%d}" if hasattr(value, "strftime") else _plain(value)
        for name, value in row.items()
    }


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and value != value else value  # noqa: PLR0124  NaN


def _metrics(folder: Path) -> dict[str, float]:
    """Return the figures an operator watches, from the stages' files."""
    content = {stage: orjson.loads((folder / f"{stage}.json").read_bytes()) for stage in STAGES}
    periods = content["drift"]["periods"]
    budgets = {row["budget"]: row["recall"] for row in content["evaluate"]["budgets"]}
    return {
        "detector_nightly_threshold_score": float(content["fit"]["threshold"]),
        "detector_nightly_events": float(content["report"]["n_events"]),
        "detector_nightly_alerts": float(content["report"]["n_alerts"]),
        "detector_nightly_drift_ratio": float(periods[-1]["notable"]) if periods else 0.0,
        "detector_nightly_fairness_warnings": float(len(content["report"]["warnings"])),
        **({"detector_nightly_recall_ratio": float(budgets[5])} if 5 in budgets else {}),
    }


def _exposition(metrics: Mapping[str, float]) -> bytes:
    """Return metrics as Prometheus' textfile collector reads them."""
    lines = [f"# TYPE {name} gauge\n{name} {value}\n" for name, value in sorted(metrics.items())]
    return "".join(lines).encode()
