"""Files that grow with a run and can be cut back to a checkpoint: alerts and rejects."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import orjson

from detector.columns import Reject
from detector.errors import SourceError


class GrowingFile:
    """Append-only file; ``None`` as path swallows nothing: there is simply no file.

    Args:
        path: where to write, or None.
        keep_bytes: cut an existing file to this length first.

    Raises:
        SourceError: cannot be written, or is shorter than a checkpoint says.
    """

    def __init__(self, path: Path | None, keep_bytes: int) -> None:
        self._file = None
        if path is None:
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("r+b" if path.exists() else "w+b")
        except OSError as error:
            what = f"cannot be written ({error.strerror})"
            raise SourceError(what, where=str(path), hint="Check path and rights") from None
        if self._file.seek(0, os.SEEK_END) < keep_bytes:
            self._file.close()
            hint = "Put the file back, or begin with an empty store"
            raise SourceError("is shorter than the store remembers", where=str(path), hint=hint)
        self._file.truncate(keep_bytes)
        self._file.seek(keep_bytes)

    def write(self, line: bytes) -> None:
        """Append one line."""
        if self._file is not None:
            self._file.write(line)

    def flush(self) -> None:
        """Hand all lines to the system: readers see them at once."""
        if self._file is not None:
            self._file.flush()

    def sync(self) -> int:
        """Bring all lines to the disk; return the file's length."""
        if self._file is None:
            return 0
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._file.tell()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


def reject_line(reject: Reject) -> bytes:
    """Return one line of the rejects file; the source's bytes are kept exactly."""
    content: dict[str, Any] = {
        "reason": reject.reason,
        "where": reject.where,
        "field": reject.field,
    }
    try:
        content["raw"] = reject.raw.decode()
    except UnicodeDecodeError:
        content["raw_base64"] = base64.b64encode(reject.raw).decode()
    return orjson.dumps(content, option=orjson.OPT_APPEND_NEWLINE)
