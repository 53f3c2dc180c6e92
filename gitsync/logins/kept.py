"""Logins that were issued, kept as long as they are good, and requested once for all that need one."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from cachetools import LRUCache

from gitsync.logs import keep_secret
from gitsync.oci import Lease, Login
from gitsync.runtime.singleflight import SingleFlight

#: How many logins are kept, those that were used last.
MOST = 1024
#: Seconds before its end from which on a login is not handed out any more (half of its life if that is shorter), since
#: it is used for a while.
SPARE = 300.0
#: The longest that one is taken to be good, in seconds: what ECR says of its own.
LONGEST = 12 * 3600.0


@dataclass(frozen=True, slots=True, repr=False)
class Given:
    """A login that a service has issued, good for so many seconds."""

    username: str
    password: str
    lifetime: float


class KeptLogins:
    """By whose they are."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: LRUCache[str, Lease] = LRUCache(MOST)
        self._asking: SingleFlight[Lease] = SingleFlight()

    async def close(self) -> None:
        """End the requests that are under way."""
        await self._asking.close()

    async def lend(self, key: str, ask: Callable[[], Awaitable[Given]]) -> Lease:
        """The login of ``key``: the kept one while it is good, else what ``ask`` returns. Its secrets are
        registered, so that they are masked. Raises: what ``ask`` does."""
        lease = self._known.get(key)
        if lease is None or lease.until <= self._clock():
            lease = await self._asking.run(key, lambda: self._ask(key, ask))
        keep_secret(lease.login.secrets)
        return lease

    def forget(self, key: str, lease: Lease) -> None:
        """A server has refused the login: the next use asks for a new one."""
        if self._known.get(key) is lease:
            del self._known[key]

    async def _ask(self, key: str, ask: Callable[[], Awaitable[Given]]) -> Lease:
        self._known.pop(key, None)
        now = self._clock()  # what it takes to ask is a part of its life
        given = await ask()
        lifetime = min(given.lifetime, LONGEST)
        lease = Lease(Login(given.username, given.password), now + lifetime - min(SPARE, lifetime / 2))
        self._known[key] = lease
        return lease
