"""Growing pauses: between tries of what fails, and between lines about it."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from cachetools import LRUCache

K = TypeVar("K", bound=Hashable)

#: Seconds after which an outage that goes on is told again; each further time twice as late.
REMINDER = 60.0
#: Of so many things it is remembered that they were said: an error may have another text each time.
_MOST_SAID = 4096


def jittered(seconds: float, part: float) -> float:
    """More or less by up to ``part`` of it, so that many who began together do not go on together."""
    return seconds * random.uniform(1 - part, 1 + part)  # noqa: S311 - spreading load, not secrets


class Backoff(Generic[K]):
    """Pauses that double: ``first`` seconds, then twice as much each time, at most ``most``; each of them more or
    less by up to ``jitter`` of it."""

    def __init__(self, first: float = 1.0, most: float = 300.0, *, jitter: float = 0.2) -> None:
        self._first, self._most, self._jitter = first, most, jitter
        self._tries: dict[K, int] = {}

    def next(self, key: K) -> float:
        """Seconds to pause after one more failure of ``key``."""
        tries = self._tries.get(key, 0)
        self._tries[key] = tries + 1
        # The exponent is bounded so that a year of failures does not overflow a float.
        return jittered(min(self._most, self._first * 2.0 ** min(tries, 32)), self._jitter)

    def tries(self, key: K) -> int:
        """Failures in a row."""
        return self._tries.get(key, 0)

    def reset(self, key: K) -> None:
        """``key`` went well."""
        self._tries.pop(key, None)


class Outage:
    """Something that fails again and again: since when, and which of its failures is worth a line. That are the first
    after ``patience`` seconds, one of another kind than the last that was told, and then one at growing intervals, at
    first ``reminder`` seconds."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, *, patience: float = 0.0, reminder: float = REMINDER
    ) -> None:
        self._clock = clock
        self._patience = patience
        self._since: float | None = None
        self._told = ""
        self._tell_next = 0.0
        self._reminders: Backoff[str] = Backoff(reminder, most=math.inf, jitter=0)

    @property
    def seconds(self) -> float:
        """How long it has lasted; 0 when there is none."""
        return self._clock() - self._since if self._since is not None else 0.0

    def failed(self, kind: str) -> bool:
        """It has failed once more, and whether that is worth a line. ``kind`` names the error's class."""
        now = self._clock()
        if self._since is None:
            self._since = now
        if now - self._since < self._patience:
            return False
        if kind == self._told and now < self._tell_next:
            return False
        if kind != self._told:
            self._told = kind
            self._reminders.reset(kind)
        self._tell_next = now + self._reminders.next(kind)
        return True

    def over(self) -> float:
        """It went well. Returns how long the outage was; 0 when there was none, or none that was worth a line."""
        seconds = self.seconds if self._told else 0.0
        self._since, self._told = None, ""
        return seconds


class Reminders:
    """Things that are said again and again while somebody tries: each the first time, and then at growing intervals."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, reminder: float = REMINDER) -> None:
        self._clock = clock
        self._reminder = reminder
        self._said: LRUCache[str, Outage] = LRUCache(_MOST_SAID)

    def is_due(self, text: str) -> bool:
        """Whether this is worth being said; it counts as said then."""
        if (known := self._said.get(text)) is None:
            known = self._said[text] = Outage(self._clock, reminder=self._reminder)
        return known.failed("said")
