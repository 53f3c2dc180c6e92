"""What waits to be sent to one Provider: in order, gathered by commit, and bounded. Pure, but for the clock given."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from gitsync.api.identity import ObjectKey
from gitsync.notify.notice import Notice


@dataclass(frozen=True, slots=True)
class Gathering:
    """For how many seconds events of one commit are gathered into one message: until nothing came for ``quiet``, and
    ``most`` in all."""

    quiet: float = 5.0
    most: float = 20.0


#: Events that may wait for one Provider; of more the oldest are dropped.
MOST_WAITING = 500


@dataclass(slots=True)
class Batch:
    """Events of one Alert that are told together; ``due`` is when, ``began`` since when it waits."""

    alert: ObjectKey
    commit: str
    began: float
    due: float
    notices: list[Notice] = field(default_factory=list)


class Outbox:
    """Batches in the order in which they began. ``dropped`` counts what was left out since that was last asked for."""

    def __init__(
        self,
        gathering: Gathering,
        clock: Callable[[], float] = time.monotonic,
        most: int = MOST_WAITING,
    ) -> None:
        self._gathering = gathering
        self._clock = clock
        self._most = most
        self._batches: deque[Batch] = deque()
        self._waiting = 0
        self.dropped = 0

    def __len__(self) -> int:
        return self._waiting

    def put(self, alert: ObjectKey, notice: Notice, *, gathers: bool) -> None:
        """One more; with ``gathers`` to those of the same commit, if it has one."""
        now = self._clock()
        commit = notice.commit.id if gathers and notice.commit is not None else ""
        batch = next((it for it in self._batches if commit and (it.alert, it.commit) == (alert, commit)), None)
        if batch is None:
            batch = Batch(alert, commit, now, now)
            self._batches.append(batch)
        if commit:
            batch.due = min(batch.began + self._gathering.most, now + self._gathering.quiet)
        # Of an object the newest news counts, and the newest error.
        told = (notice.key, notice.severity)
        kept = [it for it in batch.notices if (it.key, it.severity) != told] if commit else batch.notices
        self._waiting += 1 - (len(batch.notices) - len(kept))
        batch.notices = [*kept, notice]
        self._bound()

    def take(self, *, at_once: bool = False) -> Batch | None:
        """The next one that is due; with ``at_once`` the next one. None when there is none."""
        if not self._batches or (self._batches[0].due > self._clock() and not at_once):
            return None
        batch = self._batches.popleft()
        self._waiting -= len(batch.notices)
        return batch

    def pause(self) -> float | None:
        """Seconds until the next one is due; None when none waits."""
        return max(0.0, self._batches[0].due - self._clock()) if self._batches else None

    def _bound(self) -> None:
        while self._waiting > self._most:
            first = self._batches[0]
            first.notices.pop(0)
            self._waiting -= 1
            self.dropped += 1
            if not first.notices:
                self._batches.popleft()
