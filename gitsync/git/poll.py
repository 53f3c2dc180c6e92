"""Asking for the head again and again: how long until the next time, and which failure is worth a line."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gitsync.api.identity import CommitInfo
from gitsync.backoff import Backoff, Outage, jittered
from gitsync.errors import GitsyncError, NotVerified
from gitsync.git.mirror import Mirror

#: The first retry after a failure, in seconds; each further one waits twice as long, up to the larger of the interval
#: and _SLOWEST_RETRY.
_FIRST_RETRY = 2.0
_SLOWEST_RETRY = 60.0
#: Part of a wait by which it varies, so that a hundred agents do not all knock at once.
_JITTER = 0.1


@dataclass(frozen=True, slots=True)
class Poll:
    """What one poll found.

    ``commit`` is the wanted commit, in the mirror, when it is not the one before; else None. ``error`` is why the
    remote could not be asked or read; ``report`` whether that deserves a log line now (the first time, when it becomes
    another kind of error, and then at growing intervals; also when an outage ends). ``outage`` is how long the remote
    has been away, in seconds: with an error, up to now; without one, how long the outage was that this poll ended (0
    when there was none). ``next_in`` is how long to wait until the next poll, in seconds.
    ``refused`` is a commit that was fetched and is not accepted: the error says why.
    """

    commit: CommitInfo | None
    error: GitsyncError | None
    report: bool
    outage: float
    next_in: float
    refused: CommitInfo | None = None


class Poller:
    """Polls a mirror every ``interval`` seconds, with jitter; after a failure sooner, with backoff.

    Whoever owns it waits ``next_in`` seconds (or until ``watch_local`` or a webhook says so) and calls ``poll`` again.
    A failed poll changes nothing: the commit before stays what is wanted. ``accept`` raises for a commit that may not
    be: it is looked at again with each poll.
    """

    def __init__(
        self,
        mirror: Mirror,
        interval: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        accept: Callable[[CommitInfo], Awaitable[None]] | None = None,
    ) -> None:
        self.mirror = mirror
        self.interval = interval
        self._accept = accept
        self._commit_id = ""
        self._retries: Backoff[Mirror] = Backoff(_FIRST_RETRY, most=max(interval, _SLOWEST_RETRY), jitter=_JITTER)
        self._outage = Outage(clock)

    async def poll(self) -> Poll:
        """Ask for the head and fetch it when it is news. Only cancellation gets out of here, no Git error does."""
        commit = None
        try:
            head = await self.mirror.head()
            if head != self._commit_id:
                commit = await self.mirror.fetch(head)
                if self._accept is not None:
                    await self._accept(commit)
        except NotVerified as error:
            return self._failed(error, commit)
        except GitsyncError as error:
            return self._failed(error)
        self._commit_id = head
        self._retries.reset(self.mirror)
        outage = self._outage.over()
        return Poll(commit, None, report=bool(outage), outage=outage, next_in=jittered(self.interval, _JITTER))

    def _failed(self, error: GitsyncError, refused: CommitInfo | None = None) -> Poll:
        kind = f"{type(error).__name__} {refused.id if refused is not None else ''}"
        report, wait = self._outage.failed(kind), self._retries.next(self.mirror)
        return Poll(None, error, report=report, outage=self._outage.seconds, next_in=wait, refused=refused)
