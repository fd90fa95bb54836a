"""Where a store is: a file, or a PostgreSQL URL without a password, which comes from elsewhere."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from detector.errors import OptionError

SCHEME = "sqlite:///"
_SCHEMES = ("postgresql://", "postgres://")
_PARAMETERS = (
    "host", "port", "passfile", "sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl",
    "channel_binding", "connect_timeout", "target_session_attrs",
)  # fmt: skip
_EXAMPLE = "postgresql://user@host:5432/database"
_WITHOUT = (
    "Leave it out; give it in PGPASSWORD, in the file named by PGPASSWORD_FILE, or in a password "
    "file (PGPASSFILE or ?passfile=)"
)


@dataclass(frozen=True, slots=True)
class Address:
    """What libpq is told, and what people are shown."""

    shown: str
    parameters: dict[str, Any] = field(repr=False)


def is_postgresql(url: str) -> bool:
    """Tell whether a URL means PostgreSQL."""
    return url.startswith(_SCHEMES)


def sqlite_path(url: str) -> Path:
    """Return the file of a SQLite URL.

    Raises:
        OptionError: it is no URL of a store.

    >>> sqlite_path("sqlite:///bank/alerts.db").as_posix()
    'bank/alerts.db'
    """
    if url.startswith(SCHEME) and len(url) > len(SCHEME):
        return Path(url.removeprefix(SCHEME))
    kind = url.split(":", 1)[0]
    raise OptionError(
        f"stores of kind {kind!r} are not available in this version",
        where="--store",
        hint="Use sqlite:///path/file.db or postgresql://user@host/database",
    )


def address_of(url: str) -> Address:
    """Read a URL; the password comes from PGPASSWORD_FILE here, or from libpq's own places.

    Raises:
        OptionError: no such URL, a password in it, or an unreadable password file. The text
            holds nothing of the URL's secret parts.

    >>> address_of("postgresql://writer@db.bank:5432/alerts?sslmode=verify-full").shown
    'postgresql://writer@db.bank:5432/alerts'
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise OptionError("is no such URL", where="--store", hint=f"Use {_EXAMPLE}") from None
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    shown = _shown(parts.username, parts.hostname, port, parts.path)
    if parts.password is not None or "password" in query:
        raise OptionError("must not hold a password", where=f"--store {shown}", hint=_WITHOUT)
    unknown = sorted(set(query) - set(_PARAMETERS))
    if unknown or parts.fragment:
        hint = f"Allowed are {', '.join(_PARAMETERS)}"
        what = "has a parameter that is not known here"
        raise OptionError(what, where=f"--store {shown}", hint=hint)
    found = {
        "user": unquote(parts.username or ""),
        "host": unquote(parts.hostname or ""),
        "port": port,
        "dbname": unquote(parts.path.lstrip("/")),
        "password": _password_of_file(),
    }
    return Address(shown, {**query, **{name: value for name, value in found.items() if value}})


def _shown(user: str | None, host: str | None, port: int | None, path: str) -> str:
    who = f"{user}@" if user else ""
    at = f":{port}" if port else ""
    return re.sub(r"[^\x21-\x7e]", "?", f"postgresql://{who}{host or ''}{at}{path}")


def _password_of_file() -> str | None:
    name = os.environ.get("PGPASSWORD_FILE")
    if name is None:
        return None
    try:
        return Path(name).read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        what = f"cannot be read ({getattr(error, 'strerror', None) or 'not UTF-8'})"
        hint = "Name a file that holds the password and nothing else"
        raise OptionError(what, where=f"PGPASSWORD_FILE {name}", hint=hint) from None
