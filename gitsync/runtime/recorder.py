"""Writing Kubernetes Events: never in anybody's way, never more than can be read.

They are core/v1 Events with a count, which ``kubectl describe`` and ``kubectl get events`` show best (``3x over 10m``).
Like client-go's recorder (tools/record) this one counts repetitions up instead of writing more Events, and bounds how
many an object gets. What goes on and on is written ever more rarely.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog
from cachetools import LRUCache

from gitsync.api.conditions import rfc3339
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import FIELD_MANAGER
from gitsync.defects import outlive
from gitsync.errors import GitsyncError, NotFound
from gitsync.logs import redact
from gitsync.metering import METER
from gitsync.runtime.event import Event
from gitsync.text import shorten

if TYPE_CHECKING:
    from gitsync.cluster import Cluster

log = structlog.get_logger(__name__)

#: Who reports an Event.
COMPONENT = "gitsync"
#: Events that may wait to be written; more than that are dropped.
MOST_WAITING = 1000
#: Objects and Events that are remembered, to bound and to count repetitions.
MOST_KNOWN = 4000
#: Seconds after which the same again is a new Event (the API server keeps them for an hour).
FORGET = 600.0
#: Events that an object may have at once, and the seconds after which it may have one more.
BURST, REFILL = 20, 30.0
#: Seconds until a repetition is written that comes after one was, at first, and at most; twice as long each time.
PAUSE, LONGEST_PAUSE = 30.0, 480.0
#: Seconds at the end for what waits to be written.
DRAIN = 2.0
_MAX_MESSAGE = 1024


#: What makes two Events repetitions of one: the object's uid, and what happened.
_Same = tuple[str, Event]


@dataclass(slots=True)
class _Waiting:
    about: Manifest
    moment: datetime
    due: float
    #: The Event for ``on_event`` when it is due; None when that was told.
    untold: Event | None
    times: int = 1


@dataclass(slots=True)
class _Written:
    key: ObjectKey
    count: int
    at: float
    #: Seconds from then in which repetitions are merely counted.
    pause: float = 0.0


@dataclass(slots=True)
class _Allowance:
    left: float
    at: float

    def take(self, now: float) -> bool:
        """Take one Event of the allowance; False when none is left."""
        self.left = min(BURST, self.left + (now - self.at) / REFILL)
        self.at = now
        if self.left < 1:
            return False
        self.left -= 1
        return True


class EventRecorder:
    """Takes Events at any time and writes them one after the other while ``running``; each costs one request."""

    def __init__(self, cluster: Cluster, instance: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._cluster = cluster
        self._instance = instance
        self._clock = clock
        self._waiting: dict[_Same, _Waiting] = {}
        self._written: LRUCache[_Same, _Written] = LRUCache(MOST_KNOWN)
        self._allowances: LRUCache[str, _Allowance] = LRUCache(MOST_KNOWN)
        self._changed = asyncio.Event()
        self._closing = False
        #: Is called with each Event when it is due, whether or not it is written then.
        self.on_event: Callable[[Manifest, Event], None] = lambda about, event: None

    def record(self, about: Manifest, event: Event) -> None:
        """Have an Event written about an object. Never waits and never fails; what is too much is left out."""
        uid = about["metadata"].get("uid", "")
        event = replace(event, message=redact(event.message), cause=redact(event.cause))
        if event.quiet:
            self.on_event(about, event)
            return
        METER.events[about["kind"], event.kind, event.reason] += 1
        self._withdraw(uid)
        if not event.delay:
            self.on_event(about, event)
        same = (uid, replace(event, delay=0.0, commit=None, revision=""))
        if (waiting := self._waiting.get(same)) is not None:
            waiting.times += 1
            return
        now = self._clock()
        if len(self._waiting) >= MOST_WAITING or not self._allowed(uid, now):
            log.debug("event left out", object=str(ObjectKey.of(about)), reason=event.reason)
            return
        self._waiting[same] = _Waiting(about, datetime.now(UTC), now + event.delay, event if event.delay else None)
        self._changed.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[EventRecorder]:
        """Write Events while entered; at the end those that wait, as far as DRAIN seconds allow."""
        writing = asyncio.create_task(outlive("events", self._write_all), name="events")
        try:
            yield self
        finally:
            self._closing = True
            self._changed.set()
            await asyncio.wait({writing}, timeout=DRAIN)
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)

    def _withdraw(self, uid: str) -> None:
        """Drop the delayed Events of an object: there is other news of it before they are due."""
        for same in [same for same, item in self._waiting.items() if item.untold is not None and same[0] == uid]:
            del self._waiting[same]

    def _allowed(self, uid: str, now: float) -> bool:
        return self._allowances.setdefault(uid, _Allowance(BURST, now)).take(now)

    async def _write_all(self) -> None:
        while True:
            self._changed.clear()
            now = self._clock()
            due = next((same for same, item in self._waiting.items() if item.due <= now or self._closing), None)
            if due is not None:
                waiting = self._waiting.pop(due)
                if waiting.untold is not None and waiting.due <= now:
                    self.on_event(waiting.about, waiting.untold)
                await self._write(due, waiting)
            elif self._closing:
                return
            else:
                await self._sleep(min((item.due - now for item in self._waiting.values()), default=None))

    async def _sleep(self, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _write(self, same: _Same, waiting: _Waiting) -> None:
        try:
            written = self._known(same)
            if written is None or not await self._count_up(written, waiting):
                await self._create(same, waiting)
        except GitsyncError as error:
            about = str(ObjectKey.of(waiting.about))
            log.debug("event could not be written", object=about, reason=same[1].reason, error=error.message)

    def _known(self, same: _Same) -> _Written | None:
        written = self._written.get(same)
        if written is not None and self._clock() - written.at > FORGET:
            del self._written[same]
            return None
        return written

    async def _count_up(self, written: _Written, waiting: _Waiting) -> bool:
        """Say that it happened again, ever more rarely; False when the Event is gone."""
        written.count += waiting.times
        if self._clock() - written.at < written.pause:
            return True  # the next one to be written says how often it was
        body = {"count": written.count, "lastTimestamp": rfc3339(waiting.moment)}
        try:
            await self._cluster.patch(written.key, body, manager=FIELD_MANAGER)
        except NotFound:
            return False
        written.at = self._clock()
        written.pause = min(max(written.pause * 2, PAUSE), LONGEST_PAUSE)
        return True

    async def _create(self, same: _Same, waiting: _Waiting) -> None:
        event = event_about(waiting.about, same[1], waiting.moment, self._instance)
        event["count"] = waiting.times
        await self._cluster.create(event, manager=FIELD_MANAGER)
        self._written[same] = _Written(ObjectKey.of(event), waiting.times, self._clock())


def event_about(about: Manifest, event: Event, moment: datetime, instance: str) -> Manifest:
    """The Event as an object. It is named as client-go names Events: the object's name and a time."""
    metadata = about["metadata"]
    namespace = metadata.get("namespace") or "default"
    message = event.text
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{metadata['name'][:200]}.{time.time_ns():x}", "namespace": namespace},
        "involvedObject": {
            "apiVersion": about["apiVersion"],
            "kind": about["kind"],
            "namespace": namespace,
            "name": metadata["name"],
            "uid": metadata.get("uid", ""),
            "resourceVersion": metadata.get("resourceVersion", ""),
        },
        "type": event.kind,
        "reason": event.reason,
        "message": shorten(message, _MAX_MESSAGE),
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "reportingInstance": instance,
        "firstTimestamp": rfc3339(moment),
        "lastTimestamp": rfc3339(moment),
        "count": 1,
    }
