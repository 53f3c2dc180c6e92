"""Notices when drift is corrected and comes back again and again, and pauses the corrections for a while."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from gitsync.backoff import Backoff

K = TypeVar("K", bound=Hashable)

#: Corrections of one field within WINDOW seconds; one more is a conflict.
MOST, WINDOW = 3, 300.0
#: Seconds of the first pause; each further one is twice as long, up to LONGEST.
PAUSE, LONGEST = 300.0, 3600.0


@dataclass(slots=True)
class _Conflict:
    corrections: dict[str, deque[float]] = field(default_factory=dict)
    until: float = 0.0


class DriftConflicts(Generic[K]):
    """Counts corrections of the fields of things. ``clock`` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._conflicts: dict[K, _Conflict] = {}
        self._pauses: Backoff[K] = Backoff(PAUSE, most=LONGEST, jitter=0)

    def corrects(self, key: K, fields: set[str]) -> bool:
        """Whether these fields may be corrected once more; if not, a pause has begun."""
        now = self._clock()
        conflict = self._conflicts.setdefault(key, _Conflict())
        if now - conflict.until > LONGEST:
            self._pauses.reset(key)  # there was no conflict for long
        recent = {name: conflict.corrections.setdefault(name, deque(maxlen=MOST)) for name in fields}
        if any(len(times) == MOST and now - times[0] < WINDOW for times in recent.values()):
            conflict.until = now + self._pauses.next(key)
            conflict.corrections.clear()
            return False
        for times in recent.values():
            times.append(now)
        return True

    def pause(self, key: K) -> float:
        """Seconds that a pause still lasts; 0 when there is none."""
        conflict = self._conflicts.get(key)
        return max(0.0, conflict.until - self._clock()) if conflict else 0.0

    def is_first(self, key: K) -> bool:
        """Whether the pause is the first of its conflict, and so to be reported."""
        return self._pauses.tries(key) == 1

    def forget(self, over: Callable[[K], bool]) -> None:
        """Forget those that ``over`` says are over."""
        for key in [key for key in self._conflicts if over(key)]:
            del self._conflicts[key]
            self._pauses.reset(key)
