"""The `detector` command."""

from detector.cli.main import main

__all__ = ["main"]
