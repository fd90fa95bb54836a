"""Passwords of local accounts: argon2id, rehashed when its parameters have been raised."""

from __future__ import annotations

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

LEAST_LETTERS = 12
_MOST_LETTERS = 200  # hashing is slow on purpose: nobody sends a megabyte
_HASHER = PasswordHasher()
_OF_NOBODY = _HASHER.hash("who is not there takes as long as who is")


def hashed(password: str) -> str:
    """Return the hash to keep."""
    return _HASHER.hash(password)


def is_acceptable(password: str) -> bool:
    """Tell whether a new password is long enough, and not longer than is ever looked at."""
    return LEAST_LETTERS <= len(password) <= _MOST_LETTERS


def matches(password: str, kept: str | None) -> bool:
    """Tell whether a password is the one that was hashed; as slow without any hash."""
    if len(password) > _MOST_LETTERS:
        return False
    try:
        return _HASHER.verify(kept or _OF_NOBODY, password) and kept is not None
    except (VerificationError, InvalidHashError):
        return False
