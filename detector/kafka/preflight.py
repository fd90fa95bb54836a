"""Can the cluster be used? Asked step by step, so that the answer names the cause.

The client itself says "unable to bootstrap" to a wrong name, port, certificate and password
alike. Used before a worker starts, and by `detector doctor`.
"""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooSlowError
from typing import Any, Self

from kafka import KafkaAdminClient
from kafka.errors import (
    AuthorizationError,
    GroupAuthorizationFailedError,
    KafkaError,
    SaslAuthenticationFailedError,
    TopicAuthorizationFailedError,
    for_code,
)

from detector.errors import OptionError
from detector.kafka.settings import KafkaSettings

_STEP_S = 4.0
_LOGIN_S = 7.0  # SCRAM hashes thousands of times, in Python


class UnreachableError(OptionError):
    """The cluster cannot be used as configured."""


def refuse_unreachable(
    settings: KafkaSettings, reads: Sequence[str], group: str, writes: Sequence[str]
) -> None:
    """Try address, encryption, credentials, topics and rights, within 15 s.

    Raises:
        UnreachableError: says which of them is wrong, and what to do.
    """
    check_addresses(settings)
    admin = admin_client(settings)
    try:
        check_topics(admin, [*reads, *writes])
        check_group(admin, group)
    finally:
        admin.close()


def check_addresses(settings: KafkaSettings) -> None:
    """Resolve and connect to one of the addresses, with TLS where it is asked for."""
    errors = []
    for address in settings.client()["bootstrap_servers"]:
        try:
            _check_address(settings, address)
        except UnreachableError as error:
            errors.append(error)
        else:
            return
    raise errors[0]


def _check_address(settings: KafkaSettings, address: str) -> None:
    host, _, port_text = address.rpartition(":")
    if not host or not port_text.isdecimal():
        raise _error(address, "is no HOST:PORT", "Correct DETECTOR_KAFKA_BOOTSTRAP")
    _resolve(address, host, int(port_text))
    try:
        connection = socket.create_connection((host.strip("[]"), int(port_text)), _STEP_S)
    except OSError as error:
        hint = "Check port, firewall and whether the broker runs"
        raise _error(address, f"does not answer ({_words(error)})", hint) from None
    with connection:
        if "SSL" in settings.protocol.split("_"):
            _shake_hands(settings, address, host, connection)


def _resolve(address: str, host: str, port: int) -> None:
    """Resolve a name; the system's resolver knows no time limit."""
    pool = ThreadPoolExecutor(1)
    try:
        pool.submit(socket.getaddrinfo, host.strip("[]"), port).result(_STEP_S)
    except (OSError, TooSlowError) as error:
        hint = "Check the name and the DNS server"
        raise _error(address, f"has an unknown name ({_words(error)})", hint) from None
    finally:
        pool.shutdown(wait=False)


def _shake_hands(
    settings: KafkaSettings, address: str, host: str, connection: socket.socket
) -> None:
    context = ssl.create_default_context(cafile=settings.ca_file)
    if settings.certificate_file is not None:
        context.load_cert_chain(settings.certificate_file, settings.key_file)
    try:
        context.wrap_socket(connection, server_hostname=host).close()
    except ssl.SSLCertVerificationError as error:
        hint = "Name the right authority in DETECTOR_KAFKA_CA_FILE, or mend the certificate"
        what = f"shows a certificate that is not trusted ({error.verify_message})"
        raise _error(address, what, hint) from None
    except (OSError, ssl.SSLError) as error:
        hint = "The port may speak no TLS: check port and DETECTOR_KAFKA_PROTOCOL"
        raise _error(address, f"breaks off the TLS handshake ({_words(error)})", hint) from None


def admin_client(settings: KafkaSettings) -> KafkaAdminClient:
    """Log in; the caller closes the client.

    Raises:
        UnreachableError: credentials or protocol are wrong.
    """
    address = settings.bootstrap
    with _Heard() as heard:
        try:
            return KafkaAdminClient(
                **settings.client(),
                bootstrap_timeout_ms=int(_LOGIN_S * 1000),
                request_timeout_ms=int(_LOGIN_S * 1000),
            )
        except KafkaError as error:
            cause = heard.cause() or error
    if settings.mechanism == "OAUTHBEARER" and settings.protocol.startswith("SASL"):
        hint = "Renew the token in the file of DETECTOR_KAFKA_TOKEN_FILE; check issuer and end"
        raise _error(address, "refuses the token, or does not offer OAUTHBEARER", hint)
    if isinstance(cause, SaslAuthenticationFailedError):
        hint = "Correct DETECTOR_KAFKA_USERNAME and the password's file or variable"
        raise _error(address, "refuses user name or password", hint)
    if settings.protocol.startswith("SASL"):
        # A busy client may see the end of the connection before the answer that says why.
        what = (
            "breaks off the login: it refuses user name or password, "
            f"or does not offer {settings.mechanism}"
        )
        hint = (
            "Check DETECTOR_KAFKA_USERNAME and the password, DETECTOR_KAFKA_MECHANISM, and that "
            "the port is one of DETECTOR_KAFKA_PROTOCOL"
        )
        raise _error(address, what, hint)
    what = f"answers, but not as a broker ({type(cause).__name__})"
    hint = "The port may want another protocol: check DETECTOR_KAFKA_PROTOCOL"
    raise _error(address, what, hint)


def check_topics(admin: KafkaAdminClient, topics: Sequence[str]) -> dict[str, int]:
    """Return the number of partitions of each topic.

    Raises:
        UnreachableError: one does not exist, or may not be seen.
    """
    partitions = {}
    for topic in topics:
        try:
            (found,) = admin.describe_topics([topic])
            error = for_code(found["error_code"])
        except TopicAuthorizationFailedError:
            error = TopicAuthorizationFailedError
        except KafkaError as failure:
            error = type(failure)
        if error is TopicAuthorizationFailedError:
            what, hint = "may not be read by this user", "Grant READ and DESCRIBE on it"
            raise _error(f"topic {topic}", what, hint)
        if error.errno:
            hint = "Create it, or correct its name in the pipeline"
            raise _error(f"topic {topic}", f"does not exist ({error.__name__})", hint)
        partitions[topic] = len(found["partitions"])
    return partitions


def check_group(admin: KafkaAdminClient, group: str) -> None:
    """Ask for a group.

    Raises:
        UnreachableError: this user may not be a member.
    """
    hint = "Grant READ on the group"
    try:
        found = admin.describe_groups([group])
    except (AuthorizationError, GroupAuthorizationFailedError):
        raise _error(f"group {group}", "may not be used by this user", hint) from None
    except KafkaError as error:
        what = f"cannot be asked for ({type(error).__name__})"
        raise _error(f"group {group}", what, "Look at the broker") from None
    error_code = found.get(group, {}).get("error_code", 0)
    if for_code(error_code) is GroupAuthorizationFailedError:
        raise _error(f"group {group}", "may not be used by this user", hint)


def _error(where: str, what: str, hint: str) -> UnreachableError:
    return UnreachableError(what, where=where, hint=hint)


def _words(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


class _Heard(logging.Handler):
    """What the client logs while it tries: the only place where it names the cause."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._errors: list[Exception] = []

    def emit(self, record: logging.LogRecord) -> None:
        arguments: Any = record.args or ()
        self._errors += [one for one in arguments if isinstance(one, Exception)]

    def cause(self) -> Exception | None:
        """Return the most telling error."""
        telling = SaslAuthenticationFailedError
        ranked = sorted(self._errors, key=lambda one: not isinstance(one, telling))
        return ranked[0] if ranked else None

    def __enter__(self) -> Self:
        logging.getLogger("kafka").addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("kafka").removeHandler(self)
