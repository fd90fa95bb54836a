"""Data frames of any kind are events like those of a file."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import detector as ad
from detector.errors import OptionError, SourceError
from detector.extras import needed
from tests.streams import event, lines_of, usual_work, weekdays

DAYS = weekdays(6)
LAST = DAYS[-1] + timedelta(hours=5)
EVENTS = [
    *usual_work("u1", DAYS, ticket_id=None),
    *usual_work("u2", DAYS, first=1_000, device_id="PC-1"),
    *(event(5_000 + n, "u1", LAST, action="export", records=500) for n in range(40)),
    event(5_000, "u1", LAST),
    event(9_000, "u2", DAYS[0]),
]
"""A duplicate and a late event stand last."""
KINDS: dict[str, Callable[[pd.DataFrame], Any]] = {
    "pandas": lambda frame: frame,
    "polars": pl.from_pandas,
    "polars, lazy": lambda frame: pl.from_pandas(frame).lazy(),
    "arrow": pa.Table.from_pandas,
    "pandas with categories": lambda frame: frame.astype({"user_id": "category"}),
}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The events as a file, one line unreadable."""
    file = tmp_path_factory.mktemp("events") / "events.jsonl"
    file.write_bytes(b"\n".join([*lines_of(EVENTS), b"?"]) + b"\n")
    return file


@pytest.fixture(scope="module")
def expected(path: Path) -> tuple[bytes, ...]:
    """Alerts of the file."""
    lines = ad.replay(path, min_score=1.0).alert_lines
    assert lines
    return lines


@pytest.mark.parametrize("kind", KINDS)
def test_a_frame_gives_the_alerts_of_the_file_it_was_read_from(
    path: Path, expected: tuple[bytes, ...], kind: str
) -> None:
    """What an analyst holds in the hand is what the consumer has seen."""
    frame = KINDS[kind](ad.read_events(path))

    assert ad.replay(frame, min_score=1.0).alert_lines == expected


@pytest.mark.parametrize("name", ["events.csv", "events.parquet", "events.jsonl.gz", "folder"])
def test_every_kind_of_file_can_be_read(
    path: Path, expected: tuple[bytes, ...], tmp_path: Path, name: str
) -> None:
    """CSV knows no numbers, Parquet no missing keys, a folder has several files."""
    file = tmp_path / name
    frame = pd.DataFrame(EVENTS)
    if name.endswith(".csv"):
        frame.to_csv(file, index=False)
    elif name.endswith(".parquet"):
        frame.to_parquet(file)
    elif name.endswith(".gz"):
        file.write_bytes(gzip.compress(path.read_bytes()))
    else:
        file.mkdir()
        lines = path.read_bytes().splitlines(keepends=True)
        (file / "1.jsonl").write_bytes(b"".join(lines[:200]))
        (file / "2.jsonl").write_bytes(b"".join(lines[200:]))

    assert ad.replay(ad.read_events(file), min_score=1.0).alert_lines == expected


def test_what_could_not_be_used_is_counted(path: Path) -> None:
    """A frame that is shorter than its file says why."""
    frame = ad.read_events(path)

    assert len(frame) == len(EVENTS)
    assert frame.attrs["rejects"] == {"not_json": 1}


def test_a_mapping_names_the_columns_of_a_frame(tmp_path: Path) -> None:
    """The source's own columns need no renaming, and its local times no conversion."""
    mapping = tmp_path / "mapping.toml"
    mapping.write_text(
        'fields.event_id = "/id"\nfields.user_id = "/who"\nfields.customer_id = "/kunde"\n'
        'fields.action = { constant = "read" }\n'
        'fields.event_time = { pointer = "/at", formats = ["iso8601", "%Y-%m-%dT%H:%M:%S.%f"], '
        'zone = "Asia/Shanghai" }\n'
    )
    at = pd.Timestamp("2026-03-02 10:00:00.000000")
    source = pd.DataFrame({"id": [1, 2], "who": ["u", "u"], "at": [at, at], "kunde": [7.0, None]})
    frame = ad.read_events(source.astype({"at": "str"}), mapping)

    assert frame["event_id"].tolist() == ["1", "2"]
    assert frame["customer_id"].isna().tolist() == [False, True]
    assert frame["customer_id"][0] == "7"


def test_times_keep_their_nanoseconds() -> None:
    """Two events of one millisecond have an order."""
    at = pd.Timestamp("2026-03-02 10:00:00.123456789", tz="Asia/Shanghai")
    frame = pd.DataFrame({"event_id": ["1"], "event_time": [at], "user_id": ["u"]})

    read = ad.read_events(frame.assign(action="read"))

    assert read["event_time"][0].value == at.value


def test_a_time_without_a_zone_is_refused() -> None:
    """A guess would move every event by hours."""
    frame = pd.DataFrame({"event_id": ["1"], "event_time": [pd.Timestamp("2026-03-02")]})

    with pytest.raises(SourceError, match=r"event_time: has no time zone\. Use \.dt\.tz_localize"):
        ad.read_events(frame.assign(user_id="u", action="read"))


@pytest.mark.parametrize("odd", [7, {"a": 1}, pd.DataFrame({"user_id": [1, "a"]})])
def test_what_is_no_frame_is_refused(odd: Any) -> None:
    """One sentence instead of a traceback of another library."""
    with pytest.raises(SourceError, match=r"^events: "):
        ad.read_events(odd)


def test_an_empty_frame_has_the_columns() -> None:
    """A filter that leaves nothing over is no error while reading."""
    frame = ad.read_events(pd.DataFrame(EVENTS).head(0))

    assert list(frame.columns)[:3] == ["event_id", "event_time", "user_id"]
    assert frame.empty
    with pytest.raises(SourceError, match="hold no event"):
        ad.replay(frame)


def test_importing_the_package_loads_nothing() -> None:
    """`detector --help` answers at once; pandas alone takes half a second."""
    code = "import detector, sys; print(sorted({'numpy', 'pandas', 'numba'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)

    assert done.stdout.strip() == b"[]"


def test_the_interface_is_told() -> None:
    """Completion in a notebook shows what there is; a misspelt name is an error."""
    assert {"read_events", "replay", "fit", "evaluate", "what_if"} <= set(dir(ad))
    assert all(getattr(ad, name) is not None for name in ad.__all__)
    with pytest.raises(AttributeError, match="reply"):
        _ = ad.reply  # type: ignore[attr-defined]


def test_a_missing_library_is_named() -> None:
    """And what to install."""
    with pytest.raises(OptionError, match=r"no_such_library is missing\. Install the extra"):
        needed("no_such_library")


def test_a_frame_keeps_what_json_keeps(path: Path) -> None:
    """Every field of an accepted line is in its row."""
    frame = ad.read_events(path)
    last = orjson.loads(path.read_bytes().splitlines()[-3])

    row = frame[frame["event_id"] == last["event_id"]].iloc[-1].dropna().to_dict()
    assert row.pop("event_time").isoformat() == last.pop("event_time")
    assert row == last
