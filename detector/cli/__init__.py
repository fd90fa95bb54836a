"""The `detector` command; each module beside ``main`` adds its commands to it."""

from detector.cli import models
from detector.cli.main import main

__all__ = ["main", "models"]
