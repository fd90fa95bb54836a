"""What can go wrong before or around scoring, and how a person is told."""

from __future__ import annotations


class DetectorError(Exception):
    """Base of every error a user may see; its text says what, where and what to do."""


class LocatedError(DetectorError):
    """A file or an option is wrong: where it is, what is wrong, what to do about it."""

    def __init__(self, message: str, *, where: str, hint: str) -> None:
        super().__init__(f"{where}: {message}. {hint}")
        self.message, self.where, self.hint = message, where, hint


class OptionError(LocatedError):
    """An option or a setting of the environment is wrong."""


class MappingError(LocatedError):
    """A mapping file is wrong. Raised at start-up, never while decoding."""


class PipelineError(LocatedError):
    """A pipeline file is wrong. Raised at start-up."""


class PolicyError(LocatedError):
    """A policy file is wrong. Raised at start-up, never while scoring."""


class ReferenceDataError(LocatedError):
    """A reference table (staff, branches, calendar, cover) cannot be used."""


class SourceError(LocatedError):
    """An input cannot be read, or can be read only in part."""


class ArtifactError(LocatedError):
    """An artifact is missing, changed, foreign or of another version."""


class SnapshotError(LocatedError):
    """Saved state is corrupt, foreign or of another version."""


class StoreError(LocatedError):
    """The alert store cannot be reached, or holds something else."""


class FencedError(StoreError):
    """Another worker has claimed the stream: drop its state, and claim it again to go on."""
