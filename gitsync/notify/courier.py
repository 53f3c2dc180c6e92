"""Sends one Provider its events, batch after batch, as long as there are any."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import structlog
from cachetools import LRUCache

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.notification import Alert, Provider
from gitsync.backoff import Outage
from gitsync.defects import outlive
from gitsync.errors import FieldErrors, GitsyncError, RetryableError
from gitsync.http import HttpClient
from gitsync.logins import Logins
from gitsync.logs import keeping_secrets, redact
from gitsync.metering import METER
from gitsync.notify.notice import Notice
from gitsync.notify.outbox import MOST_WAITING, Batch, Gathering, Outbox
from gitsync.notify.providers import named, refused, target_of
from gitsync.notify.sender import Patience, patiently, send
from gitsync.notify.services.registry import SERVICES, is_status
from gitsync.notify.target import Post, Target

if TYPE_CHECKING:
    from gitsync.cel.expressions import Expressions
    from gitsync.cluster import Cluster

log = structlog.get_logger(__name__)

#: Topics of which it is remembered what was sent last.
_MOST_TOPICS = 2048


@dataclass(frozen=True, slots=True)
class Means:
    """What couriers work with. ``find`` is what is known of a Provider or Alert in the cluster."""

    cluster: Cluster
    http: HttpClient
    logins: Logins
    cel: Expressions
    find: Callable[[ObjectKey], Manifest | None]
    gathering: Gathering = field(default_factory=Gathering)
    patience: Patience = field(default_factory=Patience)


class Courier:
    """The courier of one Provider. Its task lives as long as events wait."""

    def __init__(self, key: ObjectKey, means: Means) -> None:
        self.key = key
        self._means = means
        self._outbox = Outbox(means.gathering)
        self._sent: LRUCache[str, bytes] = LRUCache(_MOST_TOPICS)
        self._outage = Outage()
        self._news = asyncio.Event()
        self._closing = False
        self._task: asyncio.Task[None] | None = None

    def put(self, alert: ObjectKey, notice: Notice, kind: str) -> None:
        """Queue an event for the Provider. Never waits."""
        before = self._outbox.dropped
        self._outbox.put(alert, notice, gathers=SERVICES[kind].gathers)
        if self._outbox.dropped > before:
            self._count("dropped", self._outbox.dropped - before, "full")
            if not before:
                log.warning(
                    "notifications are dropped",
                    provider=self.key.namespaced_name,
                    why=f"more than {MOST_WAITING} wait to be sent",
                )
        self._news.set()
        if self._task is None or self._task.done():
            name = f"notifications to {self.key.namespaced_name}"
            self._task = asyncio.create_task(outlive(name, self._work), name=name)

    async def close(self, seconds: float) -> None:
        """Send what is queued at once, as far as that is done in time."""
        self._closing = True
        self._news.set()
        if self._task is None:
            return
        await asyncio.wait({self._task}, timeout=seconds)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if left := len(self._outbox):
            self._count("dropped", left, "stopping")

    async def _work(self) -> None:
        while (pause := self._outbox.pause()) is not None:
            self._news.clear()
            if (batch := self._outbox.take(at_once=self._closing)) is not None:
                with keeping_secrets():
                    await self._bring(batch)
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._news.wait()
        self._outbox.dropped = 0

    async def _bring(self, batch: Batch) -> None:
        """Send a batch, or log why it was not sent."""
        at_fault = "provider"
        try:
            posts = await self._prepared(batch)
            at_fault = "service"
            for target, post in posts:
                await self._post(target, post)
        except GitsyncError as error:
            self._count("failed" if isinstance(error, RetryableError) else "refused", len(batch.notices), at_fault)
            self._tell(error)
            return
        if not posts:
            return
        self._count("sent", len(batch.notices))
        if seconds := self._outage.over():
            log.info("notifications are sent again", provider=self.key.namespaced_name, after=f"{seconds:.0f}s")

    async def _prepared(self, batch: Batch) -> list[tuple[Target, Post]]:
        """The requests that tell of a batch; none when no Alert wants it any more. Raises: GitsyncError."""
        found: list[tuple[Target, Post]] = []
        provider, alert = self._provider(), self._alert(batch.alert)
        if provider is None or alert is None:
            return found

        async def prepare() -> None:
            target = await target_of(self._means.cluster, self._means.logins, provider)
            found[:] = await self._posts(provider, alert, target, batch.notices)

        await patiently(prepare, self._means.patience, self._tell)
        return found

    async def _posts(
        self, provider: Provider, alert: Alert, target: Target, notices: list[Notice]
    ) -> list[tuple[Target, Post]]:
        service = SERVICES[target.type]
        if not is_status(target.type):
            return [(target, post) for post in service.posts(target, notices)]
        found = []
        for notice in notices:
            called = await named(target, provider, alert, notice, self._means.cel.of(self.key.namespace))
            found += [(called, post) for post in service.posts(called, [notice])]
        return found

    async def _post(self, target: Target, post: Post) -> None:
        """Raises: GitsyncError."""
        if post.topic and self._sent.get(post.topic) == post.body:
            return
        service = SERVICES[target.type]
        await patiently(partial(send, self._means.http, target, service, post), self._means.patience, self._tell)
        if post.topic:
            self._sent[post.topic] = post.body

    def _provider(self) -> Provider | None:
        manifest = self._means.find(self.key)
        try:
            provider = Provider.parse(manifest) if manifest is not None else None
        except FieldErrors:
            return None
        return None if provider is None or provider.spec.suspend or refused(provider) else provider

    def _alert(self, key: ObjectKey) -> Alert | None:
        manifest = self._means.find(key)
        try:
            alert = Alert.parse(manifest) if manifest is not None else None
        except FieldErrors:
            return None
        return None if alert is None or alert.spec.suspend else alert

    def _tell(self, error: GitsyncError) -> None:
        """The first time, and at growing intervals after that."""
        if self._outage.failed(type(error).__name__):
            why, hint = redact(error.message), redact(error.hint)
            log.warning("notifications cannot be sent", provider=self.key.namespaced_name, why=why, hint=hint)

    def _count(self, result: str, how_many: int, reason: str = "") -> None:
        METER.notifications[self.key.namespace, self.key.name, result, reason] += how_many
