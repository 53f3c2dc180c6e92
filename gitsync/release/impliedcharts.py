"""The HelmCharts that HelmReleases imply: made beside the work on releases, and removed with them."""

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

#: Seconds until a release that came or was changed has its HelmChart looked at: its own work has begun by then.
SOON = 1.0
#: Seconds for which a HelmChart waits at most for releases that are worked on: it is in nobody's way.
PATIENCE = 60.0
_EVENT = "HelmChart of a release is not kept"


class ImpliedCharts:
    """Keeps the HelmChart of each release as its ``spec.chart`` says, as helm-controller does. Nothing of a release
    depends on it; where it may not be written, or is somebody else's, that is said once.

    Nothing is written when it is there as it should be, whoever has made it.
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
        #: By release, since when its HelmChart waits for those at work; what was written last.
        self._waiting: dict[ObjectKey, float] = {}
        self._written: dict[ObjectKey, Manifest] = {}
        #: HelmCharts by name: those of a release differ in their namespaces.
        self._named: defaultdict[str, set[ObjectKey]] = defaultdict(set)

    @asynccontextmanager
    async def serving(self, watch: Informer | None) -> AsyncIterator[None]:
        """Keep them, inside. ``watch`` is of HelmCharts, None where they may not be read: then none is made."""
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
                if self._written.pop(release.key, None) is not None:  # the watch may have yet to hear of it
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
            if other != key:  # its source is in another namespace now, or it has a chartRef
                await self._delete(other)
        live = self._live(key) if key is not None else None
        if wanted is None or key is None:
            self._written.pop(release.key, None)
            return
        if live is not None and "deletionTimestamp" in live["metadata"]:
            return  # that it is gone is heard of
        if live is not None and implied_by(live) != release.key:
            why = f"{key} is there, and was not made for it"
            self._once(release.key, log, _EVENT, level="warning", release=release.key.namespaced_name, why=why)
            return
        was = self._written.get(release.key, wanted)
        if live is None or not holds(live, wanted) or was != wanted:
            await self._applier.apply_over(wanted, None)
            log.debug("HelmChart of a release written", release=release.key, object=key)
        self._written[release.key] = wanted
        self._once.over(release.key)

    def _is_elsewhere(self, release: HelmRelease) -> bool:
        """Whether its HelmChart would be where nobody looks, or where the release may refer to nothing."""
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
        """A right is missing, or the kind: said once for all releases."""
        if self._once.is_news("", "lacking"):
            log.warning(_EVENT, why=error.message, **({"hint": error.hint} if error.hint else {}))

    def _forget(self, key: ObjectKey) -> None:
        self._waiting.pop(key, None)
        self._written.pop(key, None)
        self._backoff.reset(key)
        self._once.forget(key)
