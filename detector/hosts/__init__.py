"""Thin shells that own input, output and time."""
