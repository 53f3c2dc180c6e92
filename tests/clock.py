"""A clock that moves when a test says so, for code that reads ``time.monotonic`` between real requests."""

from __future__ import annotations

import time


class Clock:
    """Stands in for the module ``time`` of one module: ``monkeypatch.setattr(connection, "time", Clock())``."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def monotonic(self) -> float:
        """As ``time.monotonic``, and ahead of it."""
        return time.monotonic() + self._ahead

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._ahead += seconds
