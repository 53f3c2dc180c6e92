"""The HelmChart objects that HelmReleases imply by ``spec.chart``: kept for tools that show them, as Flux does."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.impliedchart import holds, implied_by, implied_chart, implied_key, implied_name
from gitsync.api.names import FIELD_MANAGER
from gitsync.apply.applier import Applier
from gitsync.apply.fieldmanagers import OWNERS
from gitsync.backoff import Backoff
from gitsync.errors import ApiError, FieldErrors, Forbidden, GitsyncError, KindUnknown
from gitsync.logs import Once
from gitsync.release.access import AccessRules
from gitsync.release.dependencies.index import ReleaseIndex
from gitsync.runtime.workqueue import WorkQueue

if TYPE_CHECKING:
    from gitsync.cluster import Cluster, Informer, WatchEvent
    from gitsync.runtime.interrupt import Interrupt

log = structlog.get_logger(__name__)

#: Seconds until the HelmChart of a new or changed release is looked at: work on the release itself begins before.
SOON = 1.0
#: Seconds for which a HelmChart is put off at most while releases are being worked on, which are more important.
PATIENCE = 60.0
_EVENT = "HelmChart of a release is not kept"


class ImpliedCharts:
    """Keeps the HelmChart of each release as its ``spec.chart`` says, as helm-controller does. No release depends on
    its HelmChart; one that may not be written, or is somebody else's, is logged once. One that is as it should be is
    left alone, whoever has made it.
    """

    def __init__(self, cluster: Cluster, index: ReleaseIndex, rules: AccessRules) -> None:
        self._cluster = cluster
        self._index = index
        self._rules = rules
        self._applier = Applier(cluster, FIELD_MANAGER, OWNERS)
        self._watch: Informer | None = None
        self._queue: WorkQueue[ObjectKey] = WorkQueue(self._pass, "implied chart")
        self._one_by_one = asyncio.Lock()
        self._backoff: Backoff[ObjectKey] = Backoff()
        self._once = Once()
        #: By release, since when its HelmChart is put off; and the HelmChart that was written last.
        self._waiting: dict[ObjectKey, float] = {}
        self._written: dict[ObjectKey, Manifest] = {}
        #: HelmCharts by name: those of a release differ in their namespaces.
        self._named: defaultdict[str, set[ObjectKey]] = defaultdict(set)

    @asynccontextmanager
    async def serving(self, watch: Informer | None) -> AsyncIterator[None]:
        """Keep the HelmCharts during the body. ``watch`` has the HelmCharts, None if we may not read them: then none is
        made."""
        self._watch = watch
        if watch is not None:
            for key, _ in watch.items():
                self._named[key.name].add(key)
            watch.subscribe(self._on_event)
        try:
            yield
        finally:
            await self._queue.stop(grace=1.0)
            self._watch = None

    def look(self, release: ObjectKey) -> None:
        """A release came, was changed, or went."""
        if self._watch is not None:
            self._queue.wake_later(release, SOON)

    async def remove(self, release: HelmRelease) -> None:
        """A release is being deleted, and its HelmChart goes with it. Raises: ApiError, ClusterUnavailable."""
        try:
            async with self._one_by_one:  # one that is being written is deleted once it is there
                for key in list(self._made_for(release.key)):
                    await self._delete(key)
                if self._written.pop(release.key, None) is not None:  # the watch may have yet to show it
                    await self._delete_unseen(release)
        except Forbidden as error:
            self._lacks(error)

    def _on_event(self, event: WatchEvent) -> None:
        named = self._named[event.key.name]
        if event.type == "DELETED":
            named.discard(event.key)
        else:
            named.add(event.key)
        if (release := implied_by(event.manifest)) is not None:
            self.look(release)

    async def _pass(self, key: ObjectKey, interrupt: Interrupt) -> float | None:
        try:
            release = self._index.get(key)
        except FieldErrors:
            return None
        if release is None:
            self._forget(key)
            return None
        if release.spec.suspend or release.metadata.deletion_timestamp or self._is_elsewhere(release):
            return None
        since = self._waiting.setdefault(key, time.monotonic())
        if self._index.is_any_at_work and time.monotonic() < since + PATIENCE:
            return SOON
        del self._waiting[key]
        try:
            async with self._one_by_one:
                await self._keep(release)
        except (Forbidden, KindUnknown) as error:
            self._lacks(error)
        except GitsyncError as error:
            log.debug(_EVENT, release=key, why=error.message)
            return self._backoff.next(key)
        self._backoff.reset(key)
        return None

    async def _keep(self, release: HelmRelease) -> None:
        wanted, key = implied_chart(release), implied_key(release.manifest)
        for other in list(self._made_for(release.key)):
            if other != key:  # the source was in another namespace before, or the release has a chartRef now
                await self._delete(other)
        live = self._live(key) if key is not None else None
        if wanted is None or key is None:
            self._written.pop(release.key, None)
            return
        if live is not None and "deletionTimestamp" in live["metadata"]:
            return  # its deletion wakes this release
        if live is not None and implied_by(live) != release.key:
            why = f"{key} exists, and was not made for this release"
            self._once(release.key, log, _EVENT, level="warning", release=release.key.namespaced_name, why=why)
            return
        was = self._written.get(release.key, wanted)
        if live is None or not holds(live, wanted) or was != wanted:
            await self._applier.apply_over(wanted, None)
            log.debug("HelmChart of a release written", release=release.key, object=key)
        self._written[release.key] = wanted
        self._once.over(release.key)

    def _is_elsewhere(self, release: HelmRelease) -> bool:
        """Whether its HelmChart would be in a namespace that is not served, or that the release may not refer to."""
        key, served = implied_key(release.manifest), self._cluster.namespace
        return any(self._rules.refused(release)) or (key is not None and served not in ("", key.namespace))

    def _made_for(self, release: ObjectKey) -> Iterator[ObjectKey]:
        for key in self._named.get(implied_name(release), ()):
            live = self._live(key)
            if live is not None and implied_by(live) == release:
                yield key

    def _live(self, key: ObjectKey) -> Manifest | None:
        return self._watch.get(key) if self._watch is not None else None

    async def _delete(self, key: ObjectKey) -> None:
        live = self._live(key)
        if live is not None and "deletionTimestamp" not in live["metadata"]:
            await self._cluster.delete(key, uid=live["metadata"]["uid"])
            log.debug("HelmChart of a release deleted", object=key)

    async def _delete_unseen(self, release: HelmRelease) -> None:
        key = implied_key(release.manifest)
        found = await self._cluster.find(key) if key is not None and self._live(key) is None else None
        if key is not None and found is not None and implied_by(found) == release.key:
            await self._cluster.delete(key, uid=found["metadata"]["uid"])

    def _lacks(self, error: ApiError) -> None:
        """A right, or the kind HelmChart, is missing: logged once for all releases."""
        if self._once.is_news("", "lacking"):
            log.warning(_EVENT, why=error.message, **({"hint": error.hint} if error.hint else {}))

    def _forget(self, key: ObjectKey) -> None:
        self._waiting.pop(key, None)
        self._written.pop(key, None)
        self._backoff.reset(key)
        self._once.forget(key)
