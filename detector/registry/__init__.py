"""Learned files by version: signed, verified at every load, promoted and undone by decision."""

from detector.registry.ledger import Decision, Ledger
from detector.registry.record import Origin
from detector.registry.versions import Registry, Version

__all__ = ["Decision", "Ledger", "Origin", "Registry", "Version"]
