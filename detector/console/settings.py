"""What an operator decides about the console: environment `DETECTOR_CONSOLE_…`, secrets as files.

A secret file has the setting's name in lower case, such as `detector_console_session_key`, in the
folder that `DETECTOR_CONSOLE_SECRETS` names.
"""

from __future__ import annotations

import os
import secrets
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, Field, HttpUrl, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from detector.console.roles import Role
from detector.errors import OptionError

_PREFIX = "DETECTOR_CONSOLE_"
_LEAST_KEY_LETTERS = 32

Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode]


class OidcSettings(BaseModel):
    """An OpenID provider; ``roles`` maps a value of the groups claim to a role."""

    issuer: HttpUrl
    client_id: str
    client_secret: SecretStr
    groups_claim: str = "groups"
    branches_claim: str = "branches"
    roles: dict[str, Role] = Field(default_factory=dict)

    @field_validator("issuer")
    @classmethod
    def _over_tls(cls, issuer: HttpUrl) -> HttpUrl:
        if issuer.scheme != "https" and issuer.host not in {"127.0.0.1", "localhost", "[::1]"}:
            raise ValueError("must be https")
        return issuer


class ProxySettings(BaseModel):
    """Headers a trusted proxy sets, and the roles its groups stand for; without roles, unused."""

    user_header: str = "X-Forwarded-User"
    groups_header: str = "X-Forwarded-Groups"
    branches_header: str = "X-Forwarded-Branches"
    roles: dict[str, Role] = Field(default_factory=dict)


class ConsoleSettings(BaseSettings):
    """Settings of one console. Keys are at least 32 letters, the same on every process.

    ``trusted_proxies`` are addresses or networks, separated by commas; only what comes from them
    is believed about who asks and from where. ``pdf_font`` has letters of both languages; without
    it one of the system is taken, if there is one. ``webhooks`` names a file of sinks for acts.
    """

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, env_nested_delimiter="__", extra="ignore", hide_input_in_errors=True
    )

    session_key: SecretStr
    pseudonym_key: SecretStr
    anchor_key_file: Path | None = None
    anchor_file: Path | None = None
    anchor_every_entries: int = Field(default=100, ge=1)
    secure_cookies: bool = True
    session_idle: timedelta = timedelta(minutes=30)
    session_longest: timedelta = timedelta(hours=12)
    sign_in_failures: int = Field(default=5, ge=1, le=100)
    sign_in_window: timedelta = timedelta(minutes=15)
    unmask_lasts: timedelta = timedelta(hours=8)
    api_calls_per_minute: int = Field(default=240, ge=1)
    trusted_proxies: Networks = ()
    proxy: ProxySettings = ProxySettings()
    oidc: OidcSettings | None = None
    public_url: HttpUrl | None = None
    pdf_font: Path | None = None
    webhooks: Path | None = None

    @field_validator("session_key", "pseudonym_key")
    @classmethod
    def _long_enough(cls, key: SecretStr) -> SecretStr:
        if len(key.get_secret_value()) < _LEAST_KEY_LETTERS:
            raise ValueError(f"needs at least {_LEAST_KEY_LETTERS} letters")
        return key

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _networks(cls, text: object) -> object:
        if isinstance(text, str):
            return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())
        return text

    def trusts(self, address: str) -> bool:
        """Tell whether a connection from this address is a trusted proxy's."""
        try:
            known = ip_address(address)
        except ValueError:
            return False
        return any(known in network for network in self.trusted_proxies)

    @classmethod
    def for_demo(cls) -> Self:
        """Return settings with keys of this run only, for a console on the own machine."""
        return cls(
            session_key=SecretStr(secrets.token_urlsafe(48)),
            pseudonym_key=SecretStr("pseudonyms of the demo, of no secret at all"),
            secure_cookies=False,
        )


def load_settings() -> ConsoleSettings:
    """Read the settings of this process.

    Raises:
        OptionError: one is missing or wrong; the error names it, never its value.
    """
    folder = os.environ.get("DETECTOR_CONSOLE_SECRETS")
    if folder is not None and not Path(folder).is_dir():
        hint = "Name the folder that holds the secret files"
        raise OptionError("is no folder", where=f"{_PREFIX}SECRETS", hint=hint)
    try:
        return ConsoleSettings(_secrets_dir=folder)  # type: ignore[call-arg]  # keys come from there
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = "__".join(str(part) for part in first["loc"]).upper()
        hint = "Set it in the environment or as a file in DETECTOR_CONSOLE_SECRETS"
        raise OptionError(first["msg"].lower(), where=f"{_PREFIX}{name}", hint=hint) from None
