"""Addresses and credentials of Kafka, from the environment or files of secrets."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from kafka.net.sasl.oauth import AbstractTokenProvider
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from detector.errors import OptionError

_PREFIX = "DETECTOR_KAFKA_"
_SECRETS = Path("/run/secrets")


class KafkaSettings(BaseSettings):
    """How to reach a cluster; every name is `DETECTOR_KAFKA_` and the field's.

    A secret is better kept in a file of that name, lower case, in /run/secrets, or in the
    file that `DETECTOR_KAFKA_PASSWORD_FILE` names.
    """

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, secrets_dir=_SECRETS if _SECRETS.is_dir() else None, extra="ignore"
    )

    bootstrap: str = "localhost:9092"
    protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] = "SCRAM-SHA-512"
    username: str = ""
    password: SecretStr = SecretStr("")
    password_file: Path | None = None
    token_file: Path | None = None
    instance_id: str | None = Field(default=None, pattern=r"^[A-Za-z0-9._-]{1,200}$")
    session_timeout_s: float = Field(default=30.0, ge=1.0, le=1_800.0)
    max_poll_interval_s: float = Field(default=300.0, ge=1.0, le=86_400.0)
    metadata_max_age_s: float = Field(default=30.0, ge=1.0, le=3_600.0)

    def secret(self) -> str:
        """Return the password, from its file if one is named.

        Raises:
            OptionError: the file cannot be read.
        """
        if self.password_file is None:
            return self.password.get_secret_value()
        return read_secret(self.password_file, "PASSWORD_FILE")

    def client(self) -> dict[str, Any]:
        """Return what every client of this cluster is configured with.

        Raises:
            OptionError: a part is missing, or a file cannot be read.
        """
        options: dict[str, Any] = {
            "bootstrap_servers": [part.strip() for part in self.bootstrap.split(",")],
            "security_protocol": self.protocol,
            "client_id": "detector",
        }
        if "SSL" in self.protocol.split("_"):
            options |= self._tls()
        if self.protocol.startswith("SASL"):
            options |= self._sasl()
        return options

    def _tls(self) -> dict[str, Any]:
        files = {
            "ssl_cafile": ("CA_FILE", self.ca_file),
            "ssl_certfile": ("CERTIFICATE_FILE", self.certificate_file),
            "ssl_keyfile": ("KEY_FILE", self.key_file),
        }
        for name, file in files.values():
            if file is not None and not file.is_file():
                raise _wrong(name, f"{file} is no file", "Name a PEM file")
        return {key: None if file is None else str(file) for key, (_, file) in files.items()}

    def _sasl(self) -> dict[str, Any]:
        if self.mechanism == "OAUTHBEARER":
            if self.token_file is None:
                raise _wrong("TOKEN_FILE", "is missing", "Name the file that holds the token")
            read_secret(self.token_file, "TOKEN_FILE")
            return {
                "sasl_mechanism": self.mechanism,
                "sasl_oauth_token_provider": TokenFile(self.token_file),
            }
        if not self.username:
            raise _wrong("USERNAME", "is missing", f"{self.mechanism} needs one")
        return {
            "sasl_mechanism": self.mechanism,
            "sasl_plain_username": self.username,
            "sasl_plain_password": self.secret(),
        }

    def secrets(self) -> tuple[str, ...]:
        """Return what must never be logged."""
        return tuple(secret for secret in (self.secret(),) if secret)


class TokenFile(AbstractTokenProvider):  # type: ignore[misc]
    """A token that something else keeps fresh in a file."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def token(self) -> str:
        """Return the token as it is now."""
        return read_secret(self._file, "TOKEN_FILE")


def read_secret(file: Path, name: str) -> str:
    """Return the content of a file of one secret.

    Raises:
        OptionError: it cannot be read.
    """
    try:
        return file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise _wrong(name, f"{file} cannot be read ({error})", "Check path and rights") from None


def _wrong(name: str, what: str, hint: str) -> OptionError:
    return OptionError(what, where=f"{_PREFIX}{name}", hint=hint)


def kafka_settings() -> KafkaSettings:
    """Read the settings.

    Raises:
        OptionError: names the variable and what is allowed, never its value.
    """
    try:
        return KafkaSettings()
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = "_".join(str(part) for part in first["loc"]).upper()
        raise _wrong(name, str(first["msg"]), "See pipelines/README.md") from None
