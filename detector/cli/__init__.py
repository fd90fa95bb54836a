"""The `detector` command; each module beside ``main`` adds its commands to it."""

from detector.cli import analysts, models
from detector.cli.main import main

__all__ = ["analysts", "main", "models"]
