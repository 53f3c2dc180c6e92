"""The way to one API server, whose credentials and sessions are replaced while requests and watches are under way."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import structlog

from gitsync.backoff import Outage
from gitsync.cluster.access.access import Access, Rest
from gitsync.cluster.access.credentials import CredentialSource
from gitsync.cluster.timings import Timings
from gitsync.errors import ClusterUnavailable, GitsyncError

log = structlog.get_logger(__name__)


#: Seconds that the API server has to answer the end of a connection; it takes a moment.
FAREWELL = 2.0


class Connection:
    """Owns the HTTP session. A session is never closed under somebody who uses it: a replaced one is closed by its last
    user.
    """

    def __init__(self, source: CredentialSource, access: Access, timings: Timings) -> None:
        self._source = source
        self._access = access
        self._renew_at = _due(access)
        self._generation = 0
        self._renewed_at = -math.inf
        self._interval = timings.renewal
        self._outage = Outage(patience=timings.away, reminder=math.inf)
        #: Called when the API server answers again, with the seconds for which it did not.
        self.on_return: list[Callable[[float], None]] = []
        self._renewing = asyncio.Lock()
        self._users: Counter[Rest] = Counter()
        self._retired: set[Rest] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self._closed = False

    @classmethod
    async def open(cls, source: CredentialSource, timings: Timings) -> Connection:
        """Makes no request. Raises: SettingsError when what is configured cannot be used."""
        return cls(source, await source.load(), timings)

    @property
    def access(self) -> Access:
        return self._access

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def generation(self) -> int:
        """Counts the renewals; a request remembers it, so that a hundred 401s at once lead to one renewal."""
        return self._generation

    def helm_access(self) -> dict[str, str]:
        """See ``Cluster.helm_access``."""
        return self._source.helm_access(self._access)

    @contextmanager
    def use(self) -> Iterator[Access]:
        """The access to make one request with; its session stays open until the block is left.

        Raises: ClusterUnavailable after close().
        """
        if self._closed:
            raise ClusterUnavailable("the connection to the cluster has been closed")
        access = self._access
        self._users[access.rest] += 1
        try:
            yield access
        finally:
            self._users[access.rest] -= 1
            if not self._users[access.rest]:
                del self._users[access.rest]
                self._close_retired()

    async def refresh(self) -> None:
        """Renews credentials that are about to end; costs nothing while they are good.

        Should that fail, the old ones are used on: they may live longer than expected, and a 401 tells when not.
        """
        if time.monotonic() < self._renew_at:
            return
        try:
            await self._load(self._generation)
        except GitsyncError as error:
            self._renew_at = time.monotonic() + 5.0
            log.debug("credentials not renewed", error=error.message)

    async def renew(self, generation: int) -> None:
        """Renews credentials that met a 401, unless somebody has since ``generation``, or did so a moment ago: those
        that stay wrong must not have a plugin run for every request.

        Raises: SettingsError; what else its source raises.
        """
        if time.monotonic() >= self._renewed_at + self._interval:
            await self._load(generation)

    async def _load(self, generation: int) -> None:
        async with self._renewing:
            if self._generation != generation or self._closed:
                return
            previous = self._access
            try:
                access = await self._source.load(previous)
                if access.rest is previous.rest:  # which may have been replaced meanwhile
                    access = replace(access, rest=self._access.rest)
                self._take(access)
            finally:
                self._renewed_at = time.monotonic()
            log.debug("credentials renewed", changed=previous.authorization != self._access.authorization)

    def heard(self) -> None:
        """The API server has said something, whatever it was."""
        if seconds := self._outage.over():
            log.info("API server answers again", server=self._access.host, after=f"{seconds:.0f}s")
            for listener in list(self.on_return):
                listener(seconds)

    def unheard(self, error: ClusterUnavailable) -> None:
        """The API server could not be reached, or did not answer in time. Logged once, when that has lasted; what it
        means for a request is for its caller to say."""
        if not self._closed and self._outage.failed(type(error).__name__):
            log.warning(
                "API server does not answer, it is asked again and again",
                server=self._access.host,
                error=error,
                **{"for": f"{self._outage.seconds:.0f}s"},
            )

    def reconnect(self, rest: Rest) -> None:
        """Has later requests open new connections: a dead one was met, and others in the pool of ``rest`` may be dead,
        too."""
        if self._access.rest is rest and not self._closed:
            self._replace(replace(self._access, rest=rest.anew()))

    async def close(self) -> None:
        """Closes every session. Whoever still reads from one gets a connection error."""
        self._closed = True
        rests = {self._access.rest, *self._retired}
        self._retired.clear()
        await asyncio.gather(*(rest.close() for rest in rests), *self._closing)
        # Requests that were cancelled a moment ago end with the farewell of TLS, and the loop may end with this call.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL):
                while any(rest.connected for rest in rests):  # noqa: ASYNC110  # aiohttp tells nobody
                    await asyncio.sleep(0.005)

    def _take(self, access: Access) -> None:
        self._generation += 1
        self._renew_at = _due(access)
        self._replace(access)

    def _replace(self, access: Access) -> None:
        if self._access.rest is not access.rest:
            self._retired.add(self._access.rest)
        self._access = access
        self._close_retired()

    def _close_retired(self) -> None:
        for rest in [rest for rest in self._retired if not self._users[rest]]:
            self._retired.discard(rest)
            task = asyncio.get_running_loop().create_task(rest.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)


def _due(access: Access) -> float:
    return math.inf if access.renew_after is None else time.monotonic() + access.renew_after
