"""Growing pauses between tries."""

from __future__ import annotations

import random
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Backoff(Generic[K]):
    """Exponential, with jitter: ``first`` seconds, then ``factor`` times as much each time, at most ``most``."""

    def __init__(self, first: float = 1.0, factor: float = 2.0, most: float = 300.0) -> None:
        self._first, self._factor, self._most = first, factor, most
        self._tries: dict[K, int] = {}

    def next(self, key: K) -> float:
        """Seconds to pause after one more failure of ``key``."""
        tries = self._tries.get(key, 0)
        self._tries[key] = tries + 1
        # The exponent is bounded so that a year of failures does not overflow a float.
        pause = min(self._most, self._first * self._factor ** min(tries, 32))
        return pause * random.uniform(0.8, 1.2)  # noqa: S311 - spreading load, not secrets

    def tries(self, key: K) -> int:
        """Failures in a row."""
        return self._tries.get(key, 0)

    def reset(self, key: K) -> None:
        """``key`` went well."""
        self._tries.pop(key, None)
