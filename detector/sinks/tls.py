"""TLS as every sink uses it: verified, 1.2 at least."""

from __future__ import annotations

import ssl
from pathlib import Path

from detector.errors import OptionError


def tls_context(ca_file: Path | None, certificate: Path | None, where: str) -> ssl.SSLContext:
    """Return a context that verifies the receiver, and shows our certificate if there is one.

    Raises:
        OptionError: a file cannot be used.
    """
    named = {"ca_file": ca_file, "certificate_file": certificate}
    current = "ca_file"
    try:
        context = ssl.create_default_context(cafile=ca_file)
        current = "certificate_file"
        if certificate is not None:
            context.load_cert_chain(certificate)
    except (OSError, ssl.SSLError) as error:
        what = f"cannot be used ({error.strerror or type(error).__name__})"
        hint = "Give a file with certificates in PEM format"
        raise OptionError(what, where=f"{where}.{current}: {named[current]}", hint=hint) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
