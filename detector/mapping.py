"""A source's own JSON → canonical fields, declared in TOML; no code for a new source."""

from __future__ import annotations

import difflib
import hashlib
import json
import tomllib
from collections.abc import Mapping as MappingType
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from detector.errors import MappingError
from detector.events import FIELDS, NOTE, REQUIRED, TIME

_MAX_BYTES = 1_000_000
_EPOCHS = ("epoch_s", "epoch_ms", "epoch_us", "epoch_ns")
_RULE_KEYS = (
    "pointer", "join", "separator", "constant", "enum", "default", "on_error", "formats",
    "zone", "line_number",
)  # fmt: skip
_SOURCES = ("pointer", "join", "constant", "line_number")


@dataclass(frozen=True, slots=True)
class Rule:
    """How one canonical field is made.

    Exactly one of ``pointers`` (one: as it is; several: joined), ``constant`` and
    ``line_number`` gives the value; then ``enum`` translates, ``default`` fills in.
    """

    pointers: tuple[tuple[str, ...], ...] = ()
    separator: str = "/"
    constant: str | int | None = None
    line_number: bool = False
    enum: MappingType[str, str] | None = None
    default: str | int | None = None
    null_on_error: bool = False
    formats: tuple[str, ...] = ("iso8601",)
    zone: ZoneInfo | None = None


@dataclass(frozen=True, slots=True)
class Mapping:
    """Rules per canonical field, and the digest of what they say."""

    rules: MappingType[str, Rule]
    digest: str


def load_mapping(path: Path | None) -> Mapping:
    """Read a mapping; None is the identity: events are canonical already.

    Raises:
        MappingError: names file, field, key, value and what is allowed.

    >>> load_mapping(None).rules["user_id"].pointers
    (('user_id',),)
    """
    if path is None:
        rules = {
            field: Rule(pointers=((field,),), null_on_error=kind == NOTE)
            for field, kind in FIELDS.items()
        }
        return Mapping(rules, "canonical")
    content = _read(path)
    where = str(path)
    _known(content, ("fields",), where, "")
    fields = content.get("fields")
    if not isinstance(fields, dict):
        raise MappingError("has no table [fields]", where=where, hint="See pipelines/mappings")
    _known(fields, tuple(FIELDS), where, "fields.")
    missing = [field for field in REQUIRED if field not in fields]
    if missing:
        hint = f"Required: {', '.join(REQUIRED)}"
        raise MappingError(f"field {missing[0]} is not mapped", where=where, hint=hint)
    rules = {field: _rule(field, spec, where) for field, spec in fields.items()}
    canonical = json.dumps(content, sort_keys=True).encode()
    return Mapping(rules, hashlib.blake2b(canonical, digest_size=16).hexdigest())


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise MappingError("is too large", where=str(path), hint="Limit: 1 MB")
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        hint = "Check path and rights"
        raise MappingError(
            f"cannot be read ({error.strerror})", where=str(path), hint=hint
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise MappingError(f"is not TOML: {error}", where=str(path), hint="Mend it") from None


def _known(table: dict[str, Any], allowed: tuple[str, ...], where: str, prefix: str) -> None:
    for key in table:
        if key not in allowed:
            near = difflib.get_close_matches(key, allowed, n=1)
            hint = f"Did you mean {near[0]!r}? " if near else ""
            hint += f"Allowed: {', '.join(allowed)}"
            raise MappingError(f"unknown key {prefix}{key}", where=where, hint=hint)


def _rule(field: str, spec: Any, where: str) -> Rule:
    if isinstance(spec, str):
        spec = {"pointer": spec}
    if not isinstance(spec, dict):
        _refuse(field, "", spec, "a JSON pointer or a table", where)
    _known(spec, _RULE_KEYS, where, f"fields.{field}.")
    given = [key for key in _SOURCES if key in spec]
    if len(given) != 1:
        _refuse(field, "", given, f"exactly one of {', '.join(_SOURCES)}", where)
    _typed(field, spec, where)
    pointers = spec.get("join", [spec["pointer"]] if "pointer" in spec else [])
    return Rule(
        pointers=tuple(_pointer(field, pointer, where) for pointer in pointers),
        separator=spec.get("separator", "/"),
        constant=spec.get("constant"),
        line_number=spec.get("line_number", False),
        enum=spec.get("enum"),
        default=spec.get("default"),
        null_on_error=spec.get("on_error", _on_error(field)) == "null",
        formats=_formats(field, spec.get("formats", ["iso8601"]), where),
        zone=_zone(field, spec.get("zone"), where),
    )


def _on_error(field: str) -> str:
    """Return the default: what is only context never costs a row."""
    return "null" if FIELDS[field] == NOTE else "reject"


def _typed(field: str, spec: dict[str, Any], where: str) -> None:
    """Check the types of a rule's values."""
    expected: dict[str, tuple[type | tuple[type, ...], str]] = {
        "pointer": (str, "text"), "join": (list, "a list of JSON pointers"),
        "separator": (str, "text"), "constant": ((str, int), "text or a whole number"),
        "line_number": (bool, "true or false"), "enum": (dict, "a table text = text"),
        "default": ((str, int), "text or a whole number"), "on_error": (str, "reject or null"),
        "formats": (list, "a list of formats"), "zone": (str, "an IANA zone"),
    }  # fmt: skip
    for key, value in spec.items():
        kind, words = expected[key]
        if not isinstance(value, kind):
            _refuse(field, key, value, words, where)
    if spec.get("on_error", "reject") not in {"reject", "null"}:
        _refuse(field, "on_error", spec["on_error"], "reject or null", where)
    if spec.get("on_error") == "null" and field in REQUIRED:
        _refuse(field, "on_error", "null", "reject: the field is required", where)
    enum = spec.get("enum", {})
    if not all(isinstance(value, str) for value in enum.values()):
        _refuse(field, "enum", enum, "a table text = text", where)
    for key in ("formats", "zone"):
        if key in spec and FIELDS[field] != TIME:
            _refuse(field, key, spec[key], "only for event_time and valid_until", where)


def _pointer(field: str, pointer: Any, where: str) -> tuple[str, ...]:
    """Split a JSON pointer (RFC 6901) into its reference tokens."""
    if not isinstance(pointer, str) or not pointer.startswith("/"):
        _refuse(field, "pointer", pointer, "a JSON pointer such as /user/id", where)
    tokens = pointer[1:].split("/")
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in tokens)


def _formats(field: str, formats: list[Any], where: str) -> tuple[str, ...]:
    for text in formats:
        good = text == "iso8601" or text in _EPOCHS
        if not good and isinstance(text, str) and "%" in text:
            try:
                moment = datetime(2001, 2, 3, 4, 5, 6)  # noqa: DTZ001  only tries the format
                datetime.strptime(moment.strftime(text), text)  # noqa: DTZ007
                good = True
            except ValueError:
                good = False
        if not good:
            allowed = f"iso8601, {', '.join(_EPOCHS)} or a strptime format"
            _refuse(field, "formats", text, allowed, where)
    return tuple(formats)


def _zone(field: str, name: str | None, where: str) -> ZoneInfo | None:
    try:
        return None if name is None else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        _refuse(field, "zone", name, "an IANA zone such as Asia/Shanghai", where)
        return None


def _refuse(field: str, key: str, value: Any, allowed: str, where: str) -> None:
    place = f"fields.{field}.{key}" if key else f"fields.{field}"
    raise MappingError(f"{place} is wrong, got {value!r}", where=where, hint=f"Expected {allowed}")
