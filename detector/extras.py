"""Libraries that only analysts need: loaded when used, missed in one sentence."""

from __future__ import annotations

import importlib
from types import ModuleType

from detector.errors import OptionError


def needed(name: str) -> ModuleType:
    """Import a library of the extra ``notebook``.

    Raises:
        OptionError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        what = f"the library {error.name} is missing"
        hint = "Install the extra: pip install 'audit-anomaly-detector[notebook]'"
        raise OptionError(what, where=name, hint=hint) from None
