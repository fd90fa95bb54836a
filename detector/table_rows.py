"""One row of a reference table: cells that are checked, errors that say where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from detector.errors import ReferenceDataError

MAX_TEXT = 256
MAX_LIST = 100_000  # a cell that lists ids or periods
_TRUE = frozenset({"1", "true", "yes", "y", "x", "是"})
_FALSE = frozenset({"", "0", "false", "no", "n", "否"})


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table; knows where it stands for the sake of error texts."""

    path: Path
    number: int
    cells: Mapping[str, str]

    def text(self, column: str, longest: int = MAX_TEXT) -> str | None:
        """Return a cell without blanks around it, None where it is empty or missing."""
        value = (self.cells.get(column) or "").strip()
        if len(value) > longest or not value.isprintable():
            raise self.error(column, "is too long or not printable", "Clean the cell")
        return value or None

    def required(self, column: str) -> str:
        """Return a cell that may not be empty."""
        value = self.text(column)
        if value is None:
            raise self.error(column, "is empty", "Fill it in or remove the row")
        return value

    def day(self, column: str) -> date:
        """Return a date; a time of day behind it is ignored."""
        value = self.required(column)
        try:
            return date.fromisoformat(value[:10] if value[10:11] in {"T", " "} else value)
        except ValueError:
            raise self.error(column, "is not a date", "Write YYYY-MM-DD") from None

    def error(self, column: str, what: str, hint: str) -> ReferenceDataError:
        """Return the error that names this cell."""
        where = f"{self.path} row {self.number} column {column}"
        return ReferenceDataError(what, where=where, hint=hint)

    def flag(self, column: str) -> bool:
        """Return a truth value; an empty or missing cell is false."""
        value = (self.text(column) or "").lower()
        if value not in _TRUE | _FALSE:
            raise self.error(column, "is neither true nor false", "Write 1 or 0")
        return value in _TRUE

    def optional_day(self, column: str) -> date | None:
        """Return a date, None where the cell is empty or missing."""
        return None if self.text(column) is None else self.day(column)

    def periods(self, column: str) -> tuple[tuple[date, date], ...]:
        """Return periods such as ``2026-03-02/2026-03-05;2026-05-01/2026-05-01``."""
        found = []
        parts = map(str.strip, (self.text(column, MAX_LIST) or "").split(";"))
        for part in filter(None, parts):
            texts = part.partition("/")
            try:
                first, last = (date.fromisoformat(t.strip()) for t in (texts[0], texts[2] or part))
            except ValueError:
                hint = "Write YYYY-MM-DD/YYYY-MM-DD, separated by ;"
                raise self.error(column, "is not a list of periods", hint) from None
            if first > last:
                raise self.error(column, f"ends before it begins: {part}", "Swap the two dates")
            found.append((first, last))
        return tuple(found)
