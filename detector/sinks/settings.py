"""``[sinks.NAME]`` of a pipeline file → sinks, ready to use.

Secrets are never in the file: it names another file or a variable of the environment.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from detector.errors import OptionError
from detector.sinks.base import AlertFields, Format, Report, Sink, checked
from detector.sinks.cef import cef
from detector.sinks.ecs import ecs
from detector.sinks.inert import inert_json, json_for_pages
from detector.sinks.jsonl import JsonlSink
from detector.sinks.ocsf import ocsf
from detector.sinks.pseudonyms import Pseudonyms
from detector.sinks.syslog import Receiver, SyslogSink, Transport
from detector.sinks.tls import tls_context
from detector.sinks.webhook import Endpoint, WebhookSink

_MAX_SECRET_BYTES = 4_096
_COMMON = {"kind", "format", "pseudonym_key_file", "pseudonym_key_env"}
_KEYS = {
    "jsonl": {"path"},
    "webhook": {
        "url", "secret_file", "secret_env", "token_file", "token_env", "ca_file",
        "certificate_file", "proxy", "allow_http",
    },
    "syslog": {"host", "port", "transport", "ca_file", "certificate_file"},
}  # fmt: skip
_SYSLOG_PORTS = {"udp": 514, "tcp": 601, "tls": 6514}


def native(alert: AlertFields) -> bytes:
    """Return an alert as a line of the alerts file, harmless in pages too."""
    return json_for_pages(inert_json(alert))


def native_file(alert: AlertFields) -> bytes:
    """Return an alert as a line of the alerts file."""
    return orjson.dumps(inert_json(alert))


FORMATS: Mapping[str, Format] = {"native": native, "cef": cef, "ocsf": ocsf, "ecs": ecs}
_DEFAULT_FORMAT = {"jsonl": "native", "webhook": "native", "syslog": "cef"}


def open_sinks(tables: Mapping[str, Any], hide: Callable[[str], None]) -> list[Sink]:
    """Open every sink of a pipeline file.

    Args:
        tables: the table ``sinks``: name → table.
        hide: called with each secret read, so that no log shows it.

    Raises:
        OptionError: a key, a value or a file is wrong.

    >>> open_sinks({"siem": {"kind": "syslog"}}, print)
    Traceback (most recent call last):
    detector.errors.OptionError: sinks.siem.host: is missing. Set it to a text
    """
    sinks: list[Sink] = []
    try:
        for name, table in tables.items():
            sinks.append(_open(name, _Table(name, table, hide)))
    except OptionError:
        for sink in sinks:
            sink.close()
        raise
    return sinks


class _Table:
    """One table of the file; every error names its place."""

    def __init__(self, name: str, table: Any, hide: Callable[[str], None]) -> None:
        self.where, self._hide = f"sinks.{name}", hide
        if not isinstance(table, dict):
            raise self.error("", "is no table", f"Write [{self.where}] and its keys below")
        self._table = table
        self.kind = self.choice("kind", tuple(_KEYS), None)
        unknown = sorted(set(table) - _COMMON - _KEYS[self.kind])
        if unknown:
            known = ", ".join(sorted(_COMMON | _KEYS[self.kind]))
            raise self.error(unknown[0], "is no known key", f"Known: {known}")

    def error(self, key: str, what: str, hint: str) -> OptionError:
        return OptionError(what, where=f"{self.where}.{key}".rstrip("."), hint=hint)

    def text(self, key: str, default: str | None = None) -> str:
        value = self._table.get(key, default)
        if value is None:
            raise self.error(key, "is missing", "Set it to a text")
        if not isinstance(value, str) or not value:
            raise self.error(key, f"is no text: {value!r}", "Set it to a text")
        return value

    def choice(self, key: str, allowed: Sequence[str], default: str | None) -> str:
        value = self._table.get(key, default)
        if value not in allowed:
            raise self.error(key, f"is {value!r}", f"Set one of: {', '.join(allowed)}")
        return str(value)

    def port(self, key: str, default: int) -> int:
        value = self._table.get(key, default)
        if type(value) is not int or not 0 < value < 65_536:
            raise self.error(key, f"is no port: {value!r}", "Set a number from 1 to 65535")
        return value

    def flag(self, key: str) -> bool:
        value = self._table.get(key, False)
        if not isinstance(value, bool):
            raise self.error(key, f"is {value!r}", "Set true or false")
        return value

    def optional(self, key: str) -> str | None:
        return self.text(key) if key in self._table else None

    def path(self, key: str) -> Path | None:
        text = self.optional(key)
        return None if text is None else Path(text)

    def secret(self, key: str) -> str | None:
        """Read a secret from the file or the variable that the table names."""
        file_key, variable_key = f"{key}_file", f"{key}_env"
        if file_key in self._table:
            secret = self._secret_of_file(file_key)
        elif variable_key in self._table:
            name = self.text(variable_key)
            secret = os.environ.get(name, "")
            if not secret:
                raise self.error(variable_key, f"names {name}, which is not set", f"Set {name}")
        else:
            return None
        self._hide(secret)
        return secret

    def _secret_of_file(self, key: str) -> str:
        path, hint = self.text(key), "Name a file that holds the secret and nothing else"
        try:
            with Path(path).open(encoding="utf-8") as file:
                secret = file.read(_MAX_SECRET_BYTES + 1).strip()
        except (OSError, UnicodeDecodeError) as error:
            told = error.strerror if isinstance(error, OSError) else "no text"
            raise self.error(key, f"{path} cannot be read ({told})", hint) from None
        if not secret or len(secret) > _MAX_SECRET_BYTES:
            raise self.error(key, f"{path} is empty or too long", hint)
        return secret


def _open(name: str, table: _Table) -> Sink:
    chosen = table.choice("format", tuple(FORMATS), _DEFAULT_FORMAT[table.kind])
    pseudonyms = _pseudonyms(table)
    format_ = FORMATS[chosen]
    if table.kind == "jsonl" and format_ is native:
        format_ = native_file
    sink = _OPENERS[table.kind](name, table, checked(format_))
    return sink if pseudonyms is None else PseudonymousSink(sink, pseudonyms)


def _pseudonyms(table: _Table) -> Pseudonyms | None:
    key = table.secret("pseudonym_key")
    return None if key is None else Pseudonyms(key.encode(), f"{table.where}.pseudonym_key")


def _jsonl(name: str, table: _Table, format_: Format) -> Sink:
    return JsonlSink(name, Path(table.text("path")), format_)


def _webhook(name: str, table: _Table, format_: Format) -> Sink:
    endpoint = Endpoint(
        url=table.text("url"),
        key=table.secret("secret"),
        token=table.secret("token"),
        ca_file=table.path("ca_file"),
        certificate=table.path("certificate_file"),
        proxy=table.optional("proxy"),
        allow_http=table.flag("allow_http"),
    )
    return WebhookSink(name, endpoint, format_)


def _syslog(name: str, table: _Table, format_: Format) -> Sink:
    transport: Transport = table.choice("transport", tuple(_SYSLOG_PORTS), "tcp")  # type: ignore[assignment]
    tls = None
    if transport == "tls":
        tls = tls_context(table.path("ca_file"), table.path("certificate_file"), f"sinks.{name}")
    port = table.port("port", _SYSLOG_PORTS[transport])
    return SyslogSink(name, Receiver(table.text("host"), port, transport, tls), format_)


_OPENERS: Mapping[str, Callable[[str, _Table, Format], Sink]] = {
    "jsonl": _jsonl,
    "webhook": _webhook,
    "syslog": _syslog,
}


@dataclass(frozen=True, slots=True)
class PseudonymousSink:
    """A sink whose receiver learns stand-ins only."""

    sink: Sink
    pseudonyms: Pseudonyms

    @property
    def name(self) -> str:
        """Name of the sink behind it."""
        return self.sink.name

    def deliver(self, alerts: Sequence[AlertFields]) -> Report:
        """Deliver alerts with stand-ins."""
        return self.sink.deliver([self.pseudonyms.alert(alert) for alert in alerts])

    def probe(self) -> str | None:
        """Ask the sink behind it."""
        return self.sink.probe()

    def close(self) -> None:
        """Close the sink behind it."""
        self.sink.close()
