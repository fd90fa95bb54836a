"""Where learned files lie: a folder, or an object store behind fsspec; whole files only."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from detector.errors import ArtifactError
from detector.extras import needed

MAX_FILE_BYTES = 2_000_000_000


class UnreadableError(ArtifactError):
    """A file cannot be read now; nothing is said about what it holds."""


class UnwritableError(ArtifactError):
    """A file cannot be written; nothing has been."""


class Files:
    """Files of a registry by their relative names.

    Args:
        url: a folder, or what fsspec knows (``s3://bucket/models``, ``memory://models``).
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._store: Any = None
        if "://" in url:
            self._store, self._root = needed("fsspec").core.url_to_fs(self.url)

    def where(self, name: str) -> str:
        """Return the place of a file, for messages."""
        return f"{self.url}/{name}"

    def read(self, name: str) -> bytes:
        """Return a whole file.

        Raises:
            UnreadableError: the place does not answer, or forbids it.
            ArtifactError: it is missing or too large.
        """
        try:
            if self._store is None:
                path = Path(self.url) / name
                size, content = path.stat().st_size, b""
                if size <= MAX_FILE_BYTES:
                    content = path.read_bytes()
            else:
                key = f"{self._root}/{name}"
                size, content = int(self._store.info(key)["size"]), b""
                if size <= MAX_FILE_BYTES:
                    content = self._store.cat_file(key)
        except FileNotFoundError:
            hint = "Add the version again, or fetch a whole copy"
            raise ArtifactError("is missing", where=self.where(name), hint=hint) from None
        except OSError as error:
            what = f"cannot be read ({error.strerror or type(error).__name__})"
            raise UnreadableError(
                what, where=self.where(name), hint="Check path and rights"
            ) from None
        if size > MAX_FILE_BYTES:
            raise ArtifactError("is too large", where=self.where(name), hint="Limit: 2 GB")
        return content

    def exists(self, name: str) -> bool:
        """Tell whether there is such a file."""
        if self._store is None:
            return (Path(self.url) / name).is_file()
        return bool(self._store.isfile(f"{self._root}/{name}"))

    def write(self, name: str, content: bytes) -> None:
        """Write a whole file or nothing.

        Raises:
            UnwritableError: it cannot be written.
        """
        try:
            if self._store is None:
                _replace(Path(self.url) / name, content)
            else:
                self._store.makedirs(f"{self._root}/{name}".rpartition("/")[0], exist_ok=True)
                self._store.pipe_file(f"{self._root}/{name}", content)
        except OSError as error:
            what = f"cannot be written ({error.strerror or type(error).__name__})"
            raise UnwritableError(
                what, where=self.where(name), hint="Check path and rights"
            ) from None

    def names(self, folder: str) -> list[str]:
        """Return what lies directly in a folder, sorted; nothing if there is none."""
        if self._store is None:
            root = Path(self.url) / folder
            return sorted(path.name for path in root.iterdir()) if root.is_dir() else []
        try:
            found = self._store.ls(f"{self._root}/{folder}", detail=False)
        except FileNotFoundError:
            return []
        return sorted(str(key).rstrip("/").rpartition("/")[2] for key in found)


def _replace(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    with os.fdopen(handle, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    Path(draft).chmod(0o644)
    Path(draft).replace(path)
