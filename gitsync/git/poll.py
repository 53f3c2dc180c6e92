"""Asking for the head again and again: how long until the next time, and which failure is worth a line."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from gitsync.api.identity import CommitInfo
from gitsync.errors import GitsyncError
from gitsync.git.mirror import Mirror

#: The first retry after a failure, in seconds; each further one waits twice as long, up to the larger of the interval
#: and _SLOWEST_RETRY.
_FIRST_RETRY = 2.0
_SLOWEST_RETRY = 60.0
#: How long after the first report of an outage it is reported again, in seconds; each further report twice as late.
_FIRST_REMINDER = 60.0
_JITTER = 0.1


@dataclass(frozen=True, slots=True)
class Poll:
    """What one poll found.

    ``commit`` is the wanted commit, in the mirror, when it is not the one before; else None. ``error`` is why the
    remote could not be asked or read; ``report`` whether that deserves a log line now (the first time, when it becomes
    another kind of error, and then at growing intervals; also when an outage ends). ``outage`` is how long the remote
    has been away, in seconds: with an error, up to now; without one, how long the outage was that this poll ended (0
    when there was none). ``next_in`` is how long to wait until the next poll, in seconds.
    """

    commit: CommitInfo | None
    error: GitsyncError | None
    report: bool
    outage: float
    next_in: float


class Poller:
    """Polls a mirror every ``interval`` seconds, with jitter; after a failure sooner, with backoff.

    Whoever owns it waits ``next_in`` seconds (or until ``watch_local`` or a webhook says so) and calls ``poll`` again.
    A failed poll changes nothing: the commit before stays what is wanted.
    """

    def __init__(self, mirror: Mirror, interval: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.mirror = mirror
        self.interval = interval
        self._clock = clock
        self._commit_id = ""
        self._failures = 0
        self._away_since = 0.0
        self._reported: type[GitsyncError] | None = None
        self._report_next = 0.0
        self._reminder = _FIRST_REMINDER

    async def poll(self) -> Poll:
        """Ask for the head and fetch it when it is news. Only cancellation gets out of here, no Git error does."""
        try:
            head = await self.mirror.head()
            commit = await self.mirror.fetch(head) if head != self._commit_id else None
        except GitsyncError as error:
            return self._failed(error)
        self._commit_id = head
        outage = self._clock() - self._away_since if self._failures else 0.0
        self._failures = 0
        return Poll(commit, None, report=bool(outage), outage=outage, next_in=_jittered(self.interval))

    def _failed(self, error: GitsyncError) -> Poll:
        now = self._clock()
        if not self._failures:
            self._away_since, self._reported = now, None
        report = type(error) is not self._reported or now >= self._report_next
        if type(error) is not self._reported:
            self._reported, self._reminder = type(error), _FIRST_REMINDER
        elif report:
            self._reminder *= 2
        if report:
            self._report_next = now + self._reminder
        wait = min(_FIRST_RETRY * 2 ** min(self._failures, 20), max(self.interval, _SLOWEST_RETRY))
        self._failures += 1
        return Poll(None, error, report=report, outage=now - self._away_since, next_in=_jittered(wait))


def _jittered(seconds: float) -> float:
    """Spread over a tenth, so that a hundred agents do not all knock at once."""
    return seconds * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - nothing secret about it
