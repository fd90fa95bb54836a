"""Schema files: numbered, each run once, forward only."""

from __future__ import annotations

from importlib import resources

from detector.errors import StoreError


def scripts(dialect: str) -> list[str]:
    """Return a dialect's schema files in order; the n-th brings a database to schema n."""
    folder = resources.files("detector.store") / "schema" / dialect
    files = sorted((entry.name, entry.read_text("utf-8")) for entry in folder.iterdir())
    return [text for name, text in files if name.endswith(".sql")]


def refuse_newer(version: int, known: int, where: str) -> None:
    """Refuse a schema that only a newer program understands.

    Raises:
        StoreError: it is newer.
    """
    if version > known:
        what = f"has schema {version}, this version knows {known}"
        hint = "Use the version of the detector that wrote it, or a newer one"
        raise StoreError(what, where=where, hint=hint)
