"""A Grafana server behind the port of `push.py`, through the library grafana-api."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import requests
from grafana_api.grafana_api import GrafanaException
from grafana_api.grafana_face import GrafanaFace
from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from detector.dashboards.push import Mark, tag_of
from detector.errors import LocatedError, OptionError
from detector.sinks.inert import inert

_PREFIX = "DETECTOR_GRAFANA_"
_TIMEOUT_S = 20.0
_NOT_FOUND = 404
_MAX_ANSWER = 200


class GrafanaError(LocatedError):
    """The Grafana server does not answer, or refuses."""


class GrafanaSettings(BaseSettings):
    """Where the server is and how it knows us; every name is `DETECTOR_GRAFANA_` and the field's.

    The token is one of a service account with the right to edit dashboards and annotations.
    """

    model_config = SettingsConfigDict(env_prefix=_PREFIX, extra="ignore", hide_input_in_errors=True)

    url: str
    token: SecretStr = SecretStr("")
    token_file: Path | None = None
    ca_file: Path | None = None

    def secret(self) -> str:
        """Return the token, from its file if one is named.

        Raises:
            OptionError: there is none, or its file cannot be read.
        """
        if self.token_file is None:
            found = self.token.get_secret_value()
        else:
            try:
                found = self.token_file.read_text("utf-8").strip()
            except (OSError, UnicodeDecodeError):
                what = f"{self.token_file} cannot be read"
                raise _wrong("TOKEN_FILE", what, "Check path and rights") from None
        if not found.isascii() or not found.isprintable() or not found:
            hint = f"Set {_PREFIX}TOKEN_FILE to a file with the token of a service account"
            raise _wrong("TOKEN", "is missing, or holds more than a token", hint)
        return found


def grafana_settings() -> GrafanaSettings:
    """Read the settings.

    Raises:
        OptionError: names the variable, never its value.
    """
    try:
        return GrafanaSettings()  # type: ignore[call-arg]  # from the environment
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = str(first["loc"][0]).upper()
        raise _wrong(name, str(first["msg"]).lower(), "See docker/README.md") from None


def _wrong(name: str, what: str, hint: str) -> OptionError:
    return OptionError(what, where=f"{_PREFIX}{name}", hint=hint)


class GrafanaServer:
    """One server; follows no redirection, which could carry the token elsewhere.

    Raises:
        OptionError: a setting is wrong.
    """

    def __init__(self, settings: GrafanaSettings) -> None:
        parts = _address(settings.url)
        verify = True if settings.ca_file is None else str(settings.ca_file)
        if settings.ca_file is not None and not settings.ca_file.is_file():
            raise _wrong("CA_FILE", f"{settings.ca_file} is no file", "Name a PEM file")
        self._where = f"{parts.scheme}://{parts.netloc}"
        self._face = GrafanaFace(
            auth=settings.secret(),
            host=parts.hostname,
            port=parts.port,
            url_path_prefix=f"{parts.path.strip('/')}/".lstrip("/"),
            protocol=parts.scheme,
            verify=verify,
            timeout=_TIMEOUT_S,
        )
        session = self._face.api.s
        session.max_redirects, session.trust_env = 0, False

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        try:
            yield
        except GrafanaException as error:
            words = inert(str(error.message), _MAX_ANSWER)
            hint = "Check the rights of the token's service account, then run it again"
            message = f"{what} failed (status {error.status_code}: {words})"
            raise GrafanaError(message, where=self._where, hint=hint) from None
        except (requests.RequestException, ValueError, TypeError, KeyError) as error:
            message = f"{what} failed ({type(error).__name__})"
            hint = f"Check {_PREFIX}URL, and that Grafana answers there"
            raise GrafanaError(message, where=self._where, hint=hint) from None

    def has_folder(self, uid: str) -> bool:
        """Tell whether a folder is there."""
        with self._asking("looking for the folder"):
            return _or_none(lambda: self._face.folder.get_folder(uid)) is not None

    def make_folder(self, uid: str, title: str) -> None:
        """Make a folder."""
        with self._asking("making the folder"):
            self._face.folder.create_folder(title, uid)

    def dashboard(self, uid: str) -> tuple[dict[str, Any], str] | None:
        """Return a dashboard and its folder's uid, None if there is none."""
        with self._asking(f"reading dashboard {uid}"):
            found = _or_none(lambda: self._face.dashboard.get_dashboard(uid))
            if found is None:
                return None
            return found["dashboard"], str(found["meta"].get("folderUid", ""))

    def save_dashboard(self, content: dict[str, Any], folder_uid: str, message: str) -> None:
        """Save a dashboard over what is there."""
        asked = {"dashboard": content, "folderUid": folder_uid, "message": message}
        with self._asking(f"saving dashboard {content['uid']}"):
            self._face.dashboard.update_dashboard({**asked, "overwrite": True})

    def mark(self, key: str) -> tuple[int, Mark] | None:
        """Return the server's number and content of the mark with a key, None if there is none."""
        with self._asking("looking for an annotation"):
            for one in self._face.annotations.get_annotation(tags=[tag_of(key)], limit=1):
                tags = tuple(sorted(one["tags"]))
                return int(one["id"]), Mark(key, int(one["time"]), tags, one["text"])
        return None

    def add_mark(self, mark: Mark) -> None:
        """Add a mark."""
        with self._asking("adding an annotation"):
            self._face.annotations.add_annotation(**_fields(mark))

    def change_mark(self, number: int, mark: Mark) -> None:
        """Replace a mark."""
        with self._asking("changing an annotation"):
            self._face.annotations.update_annotation(number, **_fields(mark))


def _address(url: str) -> SplitResult:
    hint = "Write it as https://grafana.bank.example, without a name or password"
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise _wrong("URL", "is no address", hint) from None
    is_plain = parts.username is None and parts.password is None and not parts.query
    if parts.scheme not in {"http", "https"} or not parts.hostname or not is_plain:
        raise _wrong("URL", "is no address of a server", hint)
    return parts


def _or_none(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except GrafanaException as error:
        if error.status_code == _NOT_FOUND:
            return None
        raise


def _fields(mark: Mark) -> dict[str, Any]:
    return {
        "time_from": mark.time_ms,
        "time_to": mark.time_ms,
        "tags": list(mark.tags),
        "text": mark.text,
    }
