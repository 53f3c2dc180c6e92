"""What the agent counts of itself, for ``/metrics``: plain numbers, kept wherever the work is done and made into
Prometheus' form when somebody asks (``web/metrics``). One for the process, as its log is; counting costs a microsecond.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from cachetools import LRUCache

K = TypeVar("K", bound=Hashable)

#: Upper bounds, in seconds, of what most durations are counted by, and of those of whole commits.
SECONDS = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0)
LONG_SECONDS = (1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)
#: Objects whose durations are remembered one by one.
MOST_OBJECTS = 10_000


class Durations:
    """How often something took how long. ``counts`` has one number for each of ``bounds``, and one for what took
    longer than all."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...] = SECONDS) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        """Count one more of these, which took so many seconds."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total += seconds


class DurationsBy(Generic[K]):
    """The same for each of many things; those that were not heard of for longest are forgotten."""

    def __init__(self, bounds: tuple[float, ...] = SECONDS) -> None:
        self._bounds = bounds
        self._known: LRUCache[K, Durations] = LRUCache(MOST_OBJECTS)

    def add(self, key: K, seconds: float) -> None:
        """This has taken so long once more."""
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = Durations(self._bounds)
        known.add(seconds)

    def __getitem__(self, key: K) -> Durations | None:
        return self._known.get(key)

    def items(self) -> list[tuple[K, Durations]]:
        """All that are remembered."""
        return list(self._known.items())


class QueueMeter:
    """What a queue does: how often something was to be done (``added``), how passes ended (``results``), how long they
    took, by key too, and how long what was to be done waited; ``running`` and ``waiting`` have since when, by
    ``clock``."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.added = 0
        self.results: Counter[str] = Counter()
        self.work, self.wait = Durations(), Durations()
        self.of_keys: DurationsBy[Hashable] = DurationsBy()
        self.running: dict[Hashable, float] = {}
        self.waiting: dict[Hashable, float] = {}

    def woken(self, key: Hashable) -> None:
        """There is something to be done for ``key``."""
        if key not in self.waiting:
            self.added += 1
            self.waiting[key] = self._clock()

    def began(self, key: Hashable) -> None:
        """A pass for ``key`` begins."""
        now = self._clock()
        self.wait.add(now - self.waiting.pop(key, now))
        self.running[key] = now

    def ended(self, key: Hashable, result: str) -> None:
        """It is over. ``result``: success, requeue_after (it comes back by itself), or error."""
        took = self._clock() - self.running.pop(key)
        self.results[result] += 1
        self.work.add(took)
        self.of_keys.add(key, took)

    def dropped(self, key: Hashable) -> None:
        """What was to be done for ``key`` will not be."""
        self.waiting.pop(key, None)

    def longest(self) -> float:
        """Seconds that the pass has taken which has taken longest so far."""
        now = self._clock()
        return now - min(self.running.values(), default=now)

    def unfinished(self) -> float:
        """Seconds that all passes have taken so far that are under way."""
        now = self._clock()
        return sum(now - began for began in self.running.values())

    def oldest(self) -> float:
        """Seconds that has waited what has waited longest."""
        now = self._clock()
        return now - min(self.waiting.values(), default=now)


class Meter:
    """All of it. ``requests`` to the API server are by method and status code (``<error>`` when there was no answer),
    ``request_times`` by method; ``events`` by kind, type and reason; ``polls`` of the synced repository by result;
    ``syncs`` by sync and result, in seconds. ``ready`` is how long a commit took from the poll that found it until all
    of it was ready; ``drift`` counts objects of releases that were found ``left`` as they are or were ``corrected``.
    ``notifications`` are by namespace and name of the Provider, whether they were sent, failed, refused or dropped, and
    why; ``webhooks`` by the receiver ("" where there is none of the path), what came of the delivery, and why.
    """

    def __init__(self) -> None:
        self.queues: dict[str, QueueMeter] = {}
        self.requests: Counter[tuple[str, ...]] = Counter()
        self.request_times: DurationsBy[str] = DurationsBy()
        self.events: Counter[tuple[str, ...]] = Counter()
        self.polls: Counter[str] = Counter()
        self.syncs: DurationsBy[tuple[str, str]] = DurationsBy(LONG_SECONDS)
        self.ready = Durations(LONG_SECONDS)
        self.drift: Counter[str] = Counter()
        self.notifications: Counter[tuple[str, ...]] = Counter()
        self.webhooks: Counter[tuple[str, ...]] = Counter()

    def queue(self, name: str) -> QueueMeter:
        """The counter of a queue, by its name: a queue that is made anew goes on with it."""
        return self.queues.setdefault(name, QueueMeter())

    def request(self, method: str, code: str, took: float) -> None:
        """The API server has answered, or not, after so many seconds."""
        self.requests[method, code] += 1
        self.request_times.add(method, took)


#: The agent's own.
METER = Meter()
