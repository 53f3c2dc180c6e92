"""What can go wrong in a benchmark."""

from __future__ import annotations


class BenchError(Exception):
    """A measurement could not be taken; the message says which, and what was seen instead."""
