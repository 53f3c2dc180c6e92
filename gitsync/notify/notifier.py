"""Takes events about objects, and notifies the Providers whose Alerts want them. Nothing waits for that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog
from cachetools import LRUCache

from gitsync.api.identity import CommitInfo, Manifest, ObjectKey
from gitsync.api.kinds import NOTIFICATION_GROUP
from gitsync.api.names import ALERT, PROVIDER
from gitsync.api.notification import Alert, Provider
from gitsync.cel.expressions import Expressions
from gitsync.defects import tell_defect
from gitsync.errors import FieldErrors, Forbidden
from gitsync.http import HttpClient
from gitsync.logins import Logins
from gitsync.logs import Once
from gitsync.notify.courier import Courier, Means
from gitsync.notify.notice import Notice, notice_of
from gitsync.notify.outbox import Gathering
from gitsync.notify.providers import refused
from gitsync.notify.repeats import Repeats
from gitsync.notify.rules import Rule
from gitsync.notify.sender import Patience
from gitsync.notify.services.registry import is_status
from gitsync.runtime.event import Event

if TYPE_CHECKING:
    from gitsync.cluster import Cluster, WatchEvent

log = structlog.get_logger(__name__)

#: Seconds, when the agent stops, for what waits to be sent.
GRACE = 3.0
#: Commits of which the author and the subject are remembered.
_MOST_COMMITS = 512


class Notifier:
    """All Providers and Alerts of a cluster, or of the one namespace of it that is served. ``crosses``: Alerts may name
    objects of other namespaces."""

    def __init__(
        self,
        cluster: Cluster,
        instance: str,
        *,
        crosses: bool = True,
        expressions: Expressions | None = None,
    ) -> None:
        self._instance = instance
        self._crosses = crosses
        self._providers = cluster.watch(NOTIFICATION_GROUP, PROVIDER, namespace=cluster.namespace)
        self._alerts = cluster.watch(NOTIFICATION_GROUP, ALERT, namespace=cluster.namespace)
        http = HttpClient()
        self._means = Means(
            cluster,
            http,
            Logins(http),
            expressions.of("") if expressions is not None else Expressions(),
            self._find,
            Gathering(),
            Patience(),
        )
        self._rules: dict[ObjectKey, Rule] = {}
        self._couriers: dict[ObjectKey, Courier] = {}
        #: What is still to end of Providers that are gone.
        self._leaving: set[asyncio.Task[None]] = set()
        self._repeats = Repeats()
        self._commits: LRUCache[str, CommitInfo] = LRUCache(_MOST_COMMITS)
        self._once = Once()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Watch Providers and Alerts, and notify, while this lasts. Where they may not be read, nothing is notified;
        kinds that are not installed yet are no error."""
        async with AsyncExitStack() as stack:
            try:
                for watch in (self._providers, self._alerts):
                    await stack.enter_async_context(watch)
            except Forbidden as error:
                log.warning("notifications are not served", why=error.message, hint=error.hint)
                yield
                return
            stack.push_async_callback(self._close)
            self._providers.subscribe(self._on_provider)
            self._alerts.subscribe(self._on_alert)
            for key, manifest in self._alerts.items():
                self._take(key, manifest)
            yield

    def hear(self, about: Manifest, event: Event) -> None:
        """Something has happened to an object. Never waits and never fails."""
        if not self._rules:
            return
        try:
            self._hear(self._with_commit(notice_of(about, event, self._instance)))
        except Exception as error:
            tell_defect("notifications", error, object=str(ObjectKey.of(about)))

    def _hear(self, notice: Notice) -> None:
        wanted = [rule for rule in self._rules.values() if rule.wants(notice)]
        if not wanted:
            return
        is_again = not notice.quiet and self._repeats.is_again(notice)
        for rule in wanted:
            kind = self._served_type(rule)
            # What is said of a commit is said anew when it was another meanwhile, which its courier knows.
            if kind and (is_status(kind) or not (is_again or notice.quiet)):
                self._courier(rule.alert.provider).put(rule.key, rule.dressed(notice), kind)

    def _with_commit(self, notice: Notice) -> Notice:
        """Events of one commit know more of it or less."""
        commit = notice.commit
        if commit is None or not commit.id:
            return notice
        if commit.author:
            self._commits[commit.id] = commit
            return notice
        known = self._commits.get(commit.id)
        return replace(notice, commit=known) if known is not None else notice

    def _served_type(self, rule: Rule) -> str:
        """The type of the Provider that an Alert names; "" when nothing is to be sent to it, which is said once."""
        why, hint, kind = "", "", ""
        manifest = self._providers.get(rule.alert.provider)
        try:
            provider = Provider.parse(manifest) if manifest is not None else None
        except FieldErrors as error:
            why = error.message
        else:
            if provider is None:
                why = f"there is no Provider '{rule.alert.provider.namespaced_name}'"
                hint = "create the Provider, or correct spec.providerRef"
            else:
                why, kind = refused(provider), "" if provider.spec.suspend else provider.spec.type
        if not why:
            self._once.over(rule.key, "provider")
            return kind
        said = {"alert": rule.key.namespaced_name, "why": why, "hint": hint}
        self._once(rule.key, log, "alert cannot be sent", topic="provider", level="warning", **said)
        return ""

    def _courier(self, key: ObjectKey) -> Courier:
        if key not in self._couriers:
            self._couriers[key] = Courier(key, self._means)
        return self._couriers[key]

    def _on_provider(self, event: WatchEvent) -> None:
        """One that is gone has nobody who brings it anything."""
        if event.type == "DELETED" and (courier := self._couriers.pop(event.key, None)) is not None:
            task = asyncio.create_task(courier.close(0.0), name="a Provider is gone")
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    def _on_alert(self, event: WatchEvent) -> None:
        if event.type == "DELETED":
            self._rules.pop(event.key, None)
            self._once.forget(event.key)
        else:
            self._take(event.key, event.manifest)

    def _take(self, key: ObjectKey, manifest: Manifest) -> None:
        self._rules.pop(key, None)
        try:
            self._rules[key] = Rule.of(Alert.parse(manifest), crosses=self._crosses)
        except FieldErrors as error:
            said = {"alert": key.namespaced_name, "error": error}
            self._once(key, log, "alert cannot be read", topic="fields", level="error", **said)
            return
        self._once.over(key, "fields")

    def _find(self, key: ObjectKey) -> Manifest | None:
        return (self._providers if key.kind == PROVIDER else self._alerts).get(key)

    async def _close(self) -> None:
        self._rules.clear()
        await asyncio.gather(*(courier.close(GRACE) for courier in self._couriers.values()), *self._leaving)
        await self._means.logins.close()
        await self._means.http.close()
        await self._means.cel.close()
