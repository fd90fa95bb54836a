"""Looks at everything a pipeline needs and says in words what is wrong; changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from detector.errors import DetectorError
from detector.hosts.doctor_files import examine_files, examine_sinks
from detector.hosts.doctor_finding import Finding, of_error
from detector.hosts.doctor_kafka import examine_kafka
from detector.hosts.doctor_machine import examine_machine
from detector.hosts.doctor_store import examine_store
from detector.hosts.live_pipeline import load_pipeline

LONGEST_CATCH_UP_H = 72.0  # from Friday evening to Monday evening


def examine(path: Path, catch_up_h: float = LONGEST_CATCH_UP_H) -> Iterator[Finding]:
    """Yield findings as they come, the quick ones first.

    Args:
        path: the pipeline file.
        catch_up_h: the longest time in hours after which the detector must still find every
            event in the topic.
    """
    try:
        pipeline = load_pipeline(path)
    except DetectorError as error:
        yield of_error("pipeline", error, str(path))
        return
    yield Finding("pipeline", "ok", str(path), "can be read")
    yield from examine_files(pipeline)
    yield from examine_machine(pipeline)
    yield from examine_store(pipeline)
    yield from examine_kafka(pipeline, catch_up_h)
    yield from examine_sinks(pipeline)
