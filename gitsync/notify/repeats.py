"""The same again is held back for a while. Pure, but for the clock that it is given."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable

from cachetools import TTLCache

from gitsync.notify.notice import Notice

#: Seconds in which the same event is told once, as with Flux.
INTERVAL = 300.0
#: Events that are remembered.
MOST = 4096


class Repeats:
    """Remembers what was told."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._told: TTLCache[Hashable, None] = TTLCache(MOST, INTERVAL, clock)

    def is_again(self, notice: Notice) -> bool:
        """Whether the same was told within the interval; it counts as told now where it was not."""
        key = (notice.key, notice.uid, notice.severity, notice.reason, notice.message, notice.revision)
        if key in self._told:
            return True
        self._told[key] = None
        return False
