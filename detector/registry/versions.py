"""Versions of artifacts in a folder or an object store: added once, verified at every load."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from detector.artifact_model import check_model
from detector.artifacts import Artifact, digest_of, read_artifact
from detector.errors import ArtifactError
from detector.registry.card import LANGUAGES, card
from detector.registry.files import Files
from detector.registry.golden import check_golden, golden_events, golden_scores
from detector.registry.keys import check_signature, sign
from detector.registry.ledger import ROLES, Decision, Ledger, ledger_text, read_ledger
from detector.registry.record import Origin, read_record, record_of

_LEDGER, _RECORD = "registry.toml", "record.json"
_ARTIFACT = ("arrays.npz", "manifest.json")
_GOLDEN = ("golden_events.jsonl", "golden_scores.json")


@dataclass(frozen=True, slots=True)
class Version:
    """A verified version: its name (the digest of the artifact), its record, who signed it."""

    name: str
    artifact: Artifact
    record: Mapping[str, Any]
    signed_by: str


class Registry:
    """Versions, roles and decisions.

    Args:
        url: a folder, or what fsspec knows, such as ``s3://bucket/models``.
    """

    def __init__(self, url: str) -> None:
        self.files = Files(url)

    def ledger(self) -> Ledger:
        """Return roles, gates and decisions; an empty ledger where nothing was decided yet.

        Raises:
            ArtifactError: the file cannot be read.
        """
        if not self.files.exists(_LEDGER):
            return Ledger()
        return read_ledger(self.files.read(_LEDGER), self.files.where(_LEDGER))

    def decide(self, decision: Decision) -> Ledger:
        """Change a role and remember who did; other decisions of the moment are not lost.

        Raises:
            ArtifactError: somebody else decided since ``decision.before`` was read.
        """
        ledger = self.ledger()
        if ledger.roles.get(decision.role, "") != decision.before:
            what, hint = "has been changed by somebody else", "Look at it, and decide again"
            raise ArtifactError(what, where=self.files.where(_LEDGER), hint=hint)
        after = ledger.decided(decision)
        self.files.write(_LEDGER, ledger_text(after))
        return after

    def versions(self) -> list[str]:
        """Return the names of all versions."""
        return self.files.names("versions")

    def add(self, folder: Path, origin: Origin, key: Ed25519PrivateKey) -> str:
        """Add an artifact as a version, signed; the same artifact again is refused.

        Returns:
            The version's name: the digest of the artifact.

        Raises:
            ArtifactError: it is no model of this program, or is there already.
        """
        artifact = read_artifact(folder)
        check_model(artifact)
        root = f"versions/{artifact.digest}"
        if self.files.exists(f"{root}/{_RECORD}"):
            hint = "A version never changes; fit again for a new one"
            raise ArtifactError("is there already", where=self.files.where(root), hint=hint)
        events = golden_events()
        contents = {name: (folder / name).read_bytes() for name in _ARTIFACT}
        contents |= dict(zip(_GOLDEN, (events, golden_scores(artifact, events)), strict=True))
        digests = {name: digest_of(content) for name, content in contents.items()}
        record = record_of(artifact, origin, digests)
        known = read_record(record, _RECORD)
        contents |= {f"CARD.{lang}.md": card(known, lang).encode() for lang in LANGUAGES}
        contents[_RECORD] = record
        contents[f"{_RECORD}.sig"] = sign(key, record)
        for name, content in contents.items():
            self.files.write(f"{root}/{name}", content)
        return artifact.digest

    def version_of(self, name: str) -> str:
        """Return the version behind a role, a whole name, or the beginning of one.

        Raises:
            ArtifactError: there is none, or several.
        """
        if name in ROLES:
            found = [self.ledger().roles.get(name, "")]
        else:
            found = [known for known in self.versions() if name and known.startswith(name)]
        if len(found) != 1 or not found[0]:
            what = f"{'several versions begin with' if len(found) > 1 else 'there is no'} {name!r}"
            known = ", ".join(version[:12] for version in self.versions()) or "none"
            raise ArtifactError(what, where=self.files.url, hint=f"Versions: {known}")
        return found[0]

    def load(self, name: str) -> Version:
        """Read a version or a role and verify everything about it.

        Signature, digests of all files, format and features, shapes and ranges of the arrays,
        and what it says about the golden events.

        Raises:
            ArtifactError: names the file and the reason; nothing of it is used then.
        """
        version = self.version_of(name)
        root = f"versions/{version}"
        content = self.files.read(f"{root}/{_RECORD}")
        signer = check_signature(self.files, f"{root}/{_RECORD}", content)
        record = read_record(content, self.files.where(f"{root}/{_RECORD}"))
        files = {part: self._checked(root, part, record) for part in (*_ARTIFACT, *_GOLDEN)}
        with tempfile.TemporaryDirectory() as folder:
            for part in _ARTIFACT:
                (Path(folder) / part).write_bytes(files[part])
            artifact = read_artifact(Path(folder))
        if not artifact.digest == record["artifact"] == version:
            hint = "It was put into another version's place"
            where = self.files.where(root)
            raise ArtifactError("holds another artifact than it says", where=where, hint=hint)
        check_model(artifact)
        where = self.files.where(f"{root}/{_GOLDEN[1]}")
        events, scores = (files[part] for part in _GOLDEN)
        check_golden(artifact, events, scores, where)
        return Version(version, artifact, record, signer)

    def _checked(self, root: str, name: str, record: Mapping[str, Any]) -> bytes:
        content = self.files.read(f"{root}/{name}")
        if digest_of(content) != record["files"].get(name):
            hint = "Fetch an unchanged copy"
            where = self.files.where(f"{root}/{name}")
            raise ArtifactError("has changed since it was added", where=where, hint=hint)
        return content
