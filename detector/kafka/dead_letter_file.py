"""Dead letters in a file: one JSON line each, up to a size; each record once."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import orjson

from detector.alerts import Alert
from detector.errors import SourceError
from detector.kafka.ports import DeadLetter, Partition, Publisher, Publishers


def letter_line(letter: DeadLetter) -> bytes:
    """Return a line; `read_letter` takes it apart."""
    content = {
        "topic": letter.partition.topic,
        "partition": letter.partition.number,
        "offset": letter.offset,
        "reason": letter.reason,
        "field": letter.field,
        "mapping": letter.mapping,
        "key": _text(letter.key),
        "value": _text(letter.value),
        "headers": [[name, _text(value)] for name, value in letter.headers],
    }
    return orjson.dumps(content, option=orjson.OPT_APPEND_NEWLINE)


def read_letter(line: bytes) -> DeadLetter:
    """Take a line apart.

    Raises:
        ValueError: it is no dead letter.
    """
    try:
        content: dict[str, Any] = orjson.loads(line)
        return DeadLetter(
            partition=Partition(str(content["topic"]), int(content["partition"])),
            offset=int(content["offset"]),
            reason=str(content["reason"]),
            field=str(content["field"]),
            mapping=str(content["mapping"]),
            key=_bytes(content["key"]),
            value=_bytes(content["value"]),
            headers=[(str(name), _bytes(value)) for name, value in content["headers"]],
        )
    except (LookupError, TypeError) as error:
        raise ValueError(f"is no dead letter ({error})") from None


def _text(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text, validate=True)


class DeadLetterFile:
    """Publishers that put letters into a file, and alerts where others do.

    What is beyond the size is counted, not written: the records stay in their topic.

    Args:
        path: created with mode 0600; a torn last line is cut off.
        max_bytes: most bytes of the file.
        inner: where alerts go.
        on_limit: told how many letters were not written.

    Raises:
        SourceError: the file cannot be written.
    """

    def __init__(
        self, path: Path, max_bytes: int, inner: Publishers, on_limit: Callable[[int], None]
    ) -> None:
        self._max_bytes, self._inner, self._on_limit = max_bytes, inner, on_limit
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.fdopen(os.open(path, os.O_CREAT | os.O_RDWR, 0o600), "r+b")
        except OSError as error:
            what = f"cannot be written ({error.strerror})"
            raise SourceError(what, where=str(path), hint="Check path and rights") from None
        self._newest = self._read_back(path)

    def _read_back(self, path: Path) -> dict[Partition, int]:
        """Return the newest offset of each partition in the file."""
        newest: dict[Partition, int] = {}
        end = 0
        for number, line in enumerate(self._file, 1):
            if not line.endswith(b"\n"):
                break
            try:
                letter = read_letter(line)
            except ValueError as error:
                hint = "Name another file"
                raise SourceError(str(error), where=f"{path}:{number}", hint=hint) from None
            newest[letter.partition] = max(letter.offset, newest.get(letter.partition, -1))
            end += len(line)
        self._file.seek(end)
        self._file.truncate()
        return newest

    def write(self, letters: Sequence[DeadLetter]) -> None:
        """Append letters that are not in the file."""
        n_left_out = 0
        for letter in letters:
            if letter.offset <= self._newest.get(letter.partition, -1):
                continue
            line = letter_line(letter)
            if self._file.tell() + len(line) > self._max_bytes:
                n_left_out += 1
                continue
            self._file.write(line)
            self._newest[letter.partition] = letter.offset
        self._file.flush()
        os.fsync(self._file.fileno())
        if n_left_out:
            self._on_limit(n_left_out)

    def open(self, partition: Partition) -> _InFile:
        """Take over a partition."""
        return _InFile(self, self._inner.open(partition))

    def flush(self, timeout_s: float) -> None:
        """Wait for the alerts."""
        self._inner.flush(timeout_s)

    def is_full(self) -> bool:
        """Tell whether too many alerts wait."""
        return self._inner.is_full()

    def close(self) -> None:
        """Let go of the file."""
        self._inner.close()
        self._file.close()


class _InFile:
    """One partition's letters in the file, its alerts elsewhere."""

    def __init__(self, file: DeadLetterFile, inner: Publisher) -> None:
        self._file, self._inner = file, inner

    def offer(self, alerts: Sequence[Alert], letters: Sequence[DeadLetter], position: int) -> None:
        if letters:
            self._file.write(letters)
        self._inner.offer(alerts, [], position)

    def sent(self) -> int:
        return self._inner.sent()

    def close(self) -> None:
        self._inner.close()
