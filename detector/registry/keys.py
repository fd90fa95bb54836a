"""Who may say that a model is ours: ed25519 keys in PEM, signatures beside what they cover."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from detector.artifacts import digest_of
from detector.errors import ArtifactError
from detector.registry.files import Files

TRUSTED = "trusted"
_MAX_KEY_BYTES = 10_000


def write_key_pair(private: Path, public: Path) -> str:
    """Make a key pair; only the owner can read the private file. Return the key's id.

    Raises:
        ArtifactError: a file is there already or cannot be written.
    """
    key = Ed25519PrivateKey.generate()
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    for path, content, mode in (
        (private, secret, 0o600),
        (public, _pem(key.public_key()), 0o644),
    ):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        except OSError as error:
            what, hint = f"cannot be written ({error.strerror})", "Name a new file"
            raise ArtifactError(what, where=str(path), hint=hint) from None
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
    return key_id(key.public_key())


def read_private_key(path: Path) -> Ed25519PrivateKey:
    """Read a private key.

    Raises:
        ArtifactError: it cannot be read or is of another kind.
    """
    try:
        content = path.read_bytes()[:_MAX_KEY_BYTES]
        key = serialization.load_pem_private_key(content, password=None)
    except OSError as error:
        what = f"cannot be read ({error.strerror})"
        raise ArtifactError(what, where=str(path), hint="Check path and rights") from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        hint = "`detector models keygen` makes one"
        raise ArtifactError("is no ed25519 key without password", where=str(path), hint=hint)
    return key


def key_id(key: Ed25519PublicKey) -> str:
    """Return the name of a key: a digest of its public part."""
    return digest_of(_pem(key))


def sign(key: Ed25519PrivateKey, content: bytes) -> bytes:
    """Return the signature's file: id of the key, a space, the signature in hex."""
    return f"{key_id(key.public_key())} {key.sign(content).hex()}\n".encode()


def check_signature(files: Files, name: str, content: bytes) -> str:
    """Verify the signature beside a file with the registry's trusted keys; return the key's id.

    Raises:
        ArtifactError: unsigned, signed by a stranger, or changed since.
    """
    where = files.where(name)
    if not files.exists(f"{name}.sig"):
        hint = "Only `detector models add --key` signs; nothing unsigned is loaded"
        raise ArtifactError("is not signed", where=where, hint=hint)
    try:
        who, text = files.read(f"{name}.sig").decode("ascii").split()
        signature = bytes.fromhex(text)
    except ValueError:
        hint = "Fetch a whole copy"
        raise ArtifactError(
            "is no signature", where=files.where(f"{name}.sig"), hint=hint
        ) from None
    key = trusted_keys(files).get(who)
    if key is None:
        hint = f"Trusted keys lie in {files.where(TRUSTED)}"
        raise ArtifactError(f"is signed by a stranger (key {who[:16]})", where=where, hint=hint)
    try:
        key.verify(signature, content)
    except InvalidSignature:
        hint = "Fetch an unchanged copy"
        raise ArtifactError("has changed since it was signed", where=where, hint=hint) from None
    return who


def trusted_keys(files: Files) -> dict[str, Ed25519PublicKey]:
    """Return the public keys that the bank trusts, by id.

    Raises:
        ArtifactError: a file among them is no key.
    """
    keys = {}
    for name in files.names(TRUSTED):
        where = f"{TRUSTED}/{name}"
        try:
            key = serialization.load_pem_public_key(files.read(where))
        except (ValueError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, Ed25519PublicKey):
            hint = "Only ed25519 public keys in PEM belong there"
            raise ArtifactError("is no public key", where=files.where(where), hint=hint)
        keys[key_id(key)] = key
    return keys


def _pem(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
