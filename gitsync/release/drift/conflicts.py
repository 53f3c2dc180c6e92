"""Noticing that what is put right is changed back again and again, and giving way for a while."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

#: Corrections of one field within WINDOW seconds; one more is a fight.
MOST, WINDOW = 3, 300.0
#: Seconds of the first truce; each further one is twice as long, up to LONGEST.
TRUCE, LONGEST = 300.0, 3600.0


@dataclass(slots=True)
class _Fight:
    corrections: dict[str, deque[float]] = field(default_factory=dict)
    truces: int = 0
    until: float = 0.0


class DriftConflicts(Generic[K]):
    """Counts corrections of the fields of things. ``clock`` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._fights: dict[K, _Fight] = {}

    def corrects(self, key: K, fields: set[str]) -> bool:
        """Whether these fields may be corrected once more; if not, a truce has begun."""
        now = self._clock()
        fight = self._fights.setdefault(key, _Fight())
        if fight.truces and now - fight.until > LONGEST:
            fight.truces = 0  # it was quiet for long
        recent = {name: fight.corrections.setdefault(name, deque(maxlen=MOST)) for name in fields}
        if any(len(times) == MOST and now - times[0] < WINDOW for times in recent.values()):
            fight.until = now + min(LONGEST, TRUCE * 2 ** min(fight.truces, 16))
            fight.truces += 1
            fight.corrections.clear()
            return False
        for times in recent.values():
            times.append(now)
        return True

    def pause(self, key: K) -> float:
        """Seconds that a truce still lasts; 0 when there is none."""
        fight = self._fights.get(key)
        return max(0.0, fight.until - self._clock()) if fight else 0.0

    def is_first(self, key: K) -> bool:
        """Whether the truce is the first of its fight, and so worth telling."""
        fight = self._fights.get(key)
        return fight is not None and fight.truces == 1

    def forget(self, over: Callable[[K], bool]) -> None:
        """Forget those that ``over`` says are over."""
        for key in [key for key in self._fights if over(key)]:
            del self._fights[key]
