"""Alerts appended to a file, in the format of the alerts file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from detector.errors import OptionError
from detector.sinks.base import AlertFields, Format, Report


class JsonlSink:
    """One line per alert version, on disk before it counts as delivered; mode 0600.

    A line that a crash has cut is closed first, so that the next one stands alone.

    Raises:
        OptionError: the file cannot be opened.
    """

    def __init__(self, name: str, path: Path, format_: Format) -> None:
        self.name, self._format = name, format_
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_CREAT | os.O_RDWR | os.O_APPEND, 0o600)
        except OSError as error:
            what, hint = f"cannot be written ({error.strerror})", "Check path and rights"
            raise OptionError(what, where=f"sinks.{name}.path: {path}", hint=hint) from None
        self._file = os.fdopen(handle, "r+b", buffering=0)

    def deliver(self, alerts: Sequence[AlertFields]) -> Report:
        """Append the lines and bring them to the disk: all of them, or none."""
        lines = b"".join(self._format(alert) + b"\n" for alert in alerts)
        size = self._file.seek(0, os.SEEK_END)
        try:
            self._append(self._end_of_cut_line(size) + lines)
            os.fsync(self._file.fileno())
        except OSError as error:
            with suppress(OSError):  # a device, say; the next line then begins a new one
                self._file.truncate(size)
            return Report(0, failure=f"the file cannot be written ({error.strerror})")
        return Report(len(alerts))

    def _append(self, content: bytes) -> None:
        """Write everything: when the disk fills up, a write ends early without an error."""
        while content:
            content = content[self._file.write(content) :]

    def _end_of_cut_line(self, size: int) -> bytes:
        if size == 0:
            return b""
        self._file.seek(size - 1)
        return b"" if self._file.read(1) == b"\n" else b"\n"

    def probe(self) -> None:
        """Return None: a file that is open can be written."""

    def close(self) -> None:
        """Close the file."""
        self._file.close()
