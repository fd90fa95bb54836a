"""The tables of pipelines/INPUTS.md say what the code reads, all of it and nothing else."""

from __future__ import annotations

import re

from detector import reference
from detector.cli.main import FAILED, FINDINGS, WRONG_USAGE
from detector.customers import _FLAGS
from detector.detections import DETECTORS
from detector.engine import _COUNTERS
from detector.events import CHOICES, FIELDS, REASONS, REQUIRED
from detector.kafka.settings import KafkaSettings
from detector.reference import DAY_KINDS
from tests.conftest import ROOT

LIMITS = {"unscored", *(name for name in _COUNTERS if name.endswith("_limit"))}


def rows(heading: str, first_column: str) -> list[list[str]]:
    """Cells of the table below a heading whose first column has this name."""
    text = (ROOT / "pipelines" / "INPUTS.md").read_text("utf-8")
    (section,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    (table,) = re.findall(
        rf"^\| {first_column} \|.*\n\|[ |-]+\n((?:\|.*\n)+)", section, re.MULTILINE
    )
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]


def code(cell: str) -> str:
    """Text of a cell that is one code span."""
    found = re.fullmatch(r"`([^`]+)`", cell)
    assert found is not None, cell
    return found[1]


def codes(cell: str) -> list[str]:
    """All code spans of a cell."""
    return re.findall(r"`([^`]+)`", cell)


def test_the_table_of_fields_is_the_code_s() -> None:
    """Names in order, kinds, and which are required."""
    told = [(code(name), kind, need) for name, kind, need, *_ in rows("Event fields", "field")]
    held = [(name, kind, "yes" if name in REQUIRED else "no") for name, kind in FIELDS.items()]

    assert told == held


def test_the_choices_of_a_field_are_all_told() -> None:
    """A source that sends another word is rejected: the page must be complete."""
    table = rows("Event fields", "field")
    told = {code(row[0]): codes(row[3]) for row in table if row[1] == "choice"}

    assert told == {name: list(choices) for name, choices in CHOICES.items()}


def test_every_kind_of_field_is_explained() -> None:
    """No kind without a line, no line without a kind."""
    assert {row[0] for row in rows("Event fields", "kind")} == set(FIELDS.values())


def test_the_columns_of_the_reference_tables_are_the_code_s() -> None:
    """Names in order, and which are required."""
    table = rows("Reference tables", "table")
    told = [(name, code(column), need) for name, column, need, *_ in table]
    held = [
        (name, column, "yes" if column in reference._REQUIRED[name] else "no")
        for name, columns in reference._KNOWN.items()
        for column in columns
    ]

    assert told == held


def test_the_kinds_of_days_are_all_told() -> None:
    """`half` is easily forgotten: it counts as a working day."""
    table = rows("Reference tables", "table")
    (kinds,) = [codes(row[3]) for row in table if row[:2] == ["calendar", "`kind`"]]

    assert tuple(kinds) == DAY_KINDS


def test_every_column_that_nobody_reads_says_so() -> None:
    """Whoever fills a column may expect that it matters."""
    sources = "".join(
        (ROOT / "detector" / name).read_text("utf-8") for name in ("reference.py", "customers.py")
    )
    read = set(re.findall(r'row\.\w+\("(\w+)"', sources)) | set(_FLAGS)
    for _, column, _, _, meaning in rows("Reference tables", "table"):
        assert (meaning == "not used") == (code(column) not in read), column


def test_every_reject_reason_has_a_line() -> None:
    """In the order of the code, each with its words."""
    table = rows("Reject reasons", "reason")

    assert [code(row[0]) for row in table] == list(REASONS)
    assert all(row[1] for row in table)


def test_the_exit_codes_are_the_command_s() -> None:
    """Scripts branch on them."""
    told = [int(row[0]) for row in rows("Exit codes", "code")]

    assert told == [0, FAILED, WRONG_USAGE, FINDINGS]


def test_every_setting_of_the_environment_is_told() -> None:
    """What the package asks the environment for, and nothing else."""
    asked = {
        name
        for path in (ROOT / "detector").rglob("*.py")
        for name in re.findall(r'environ(?:\.get\(|\[)"(\w+)"', path.read_text("utf-8"))
    }

    asked |= {f"DETECTOR_KAFKA_{name.upper()}" for name in KafkaSettings.model_fields}

    assert {code(row[0]) for row in rows("Environment", "setting")} == asked


def test_the_counters_of_limits_are_told() -> None:
    """ARCHITECTURE names each counter that a run shows when a limit is reached."""
    text = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    (told,) = re.findall(r"`Step\.counts` \(([^)]+)\)", text)

    assert set(codes(told)) == LIMITS


def test_the_table_of_detectors_is_the_code_s() -> None:
    """The README's table lists them in their order."""
    text = (ROOT / "README.md").read_text("utf-8")
    (table,) = re.findall(r"^\| detector \|.*\n\|[ |-]+\n((?:\|.*\n)+)", text, re.MULTILINE)

    assert [line.split("|")[1].strip() for line in table.splitlines()] == list(DETECTORS)
