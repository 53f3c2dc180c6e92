"""Following the objects of a deployed revision through shared watches, to notice what others change about them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import Manifest, ObjectKey, group_of
from gitsync.apply.crds import CRD_GROUP
from gitsync.apply.ownership import HELM_OBJECTS
from gitsync.diff import subset_differs
from gitsync.diff.ignore import tolerating
from gitsync.release.action.inventory import CRD
from gitsync.release.drift.optout import opted_out
from gitsync.release.revision import ReleaseRef

if TYPE_CHECKING:
    from gitsync.cluster import Cluster, Informer, WatchEvent

#: Among the scopes that are watched: the CRDs without Helm's label.
_CRDS = (CRD_GROUP, CRD, "crds/")


class FollowedRevision:
    """The objects of one revision, with the watches that show them.

    ``crds`` are those of the chart's ``crds/``. They have no label of Helm's, and a cluster may have many large ones:
    so they are watched by metadata only, which shows whether a spec has changed.
    """

    def __init__(
        self,
        cluster: Cluster,
        revision: tuple[ReleaseRef, int, bool],
        release: HelmRelease,
        objects: Mapping[ObjectKey, Manifest],
        crds: Mapping[ObjectKey, Manifest],
        on_drift: Callable[[], None],
    ) -> None:
        self.cluster = cluster
        self.revision = revision
        self.release = release
        self.desired = {**crds, **objects}  # an object whose kind has gone can only be put back after its CRD
        self._crds = dict.fromkeys(crds, 0)
        self.suspects: list[ObjectKey] = []
        self._on_drift = on_drift
        self._stack = AsyncExitStack()
        self._watches: dict[tuple[str, str, str], Informer] = {}

    async def begin(self) -> None:
        """Watch every kind. All releases share one stream for a kind, also with waits for readiness."""
        try:
            for scope in sorted({self.cluster.scope_of(key) for key in self.desired if key not in self._crds}):
                group, kind, namespace = scope
                watch = self.cluster.watch(group, kind, namespace=namespace, labels=HELM_OBJECTS)
                self._watches[scope] = await self._enter(watch)
            if self._crds:
                self._watches[_CRDS] = await self._enter(self.cluster.watch(CRD_GROUP, CRD, metadata_only=True))
        except BaseException:
            await self.end()
            raise

    async def _enter(self, watch: Informer) -> Informer:
        entered = await self._stack.enter_async_context(watch)
        self._stack.callback(entered.subscribe(self._on_event))
        return entered

    async def end(self) -> None:
        """End every watch."""
        await self._stack.aclose()

    def differs(self, key: ObjectKey) -> bool:
        """Whether an object may have drifted, as far as the watches tell."""
        if key in self._crds:
            return _generation(self._watches[_CRDS].get(key)) != self._crds[key]
        return differs(self.release, self.desired[key], self._watches[self.cluster.scope_of(key)].get(key))

    def note_in_sync(self, key: ObjectKey, live: Manifest | None) -> None:
        """A dry run has shown that applying the object would not change ``live``. If it has been changed since, the
        watch shows, or will show, a later generation."""
        if key in self._crds:
            self._crds[key] = _generation(live)

    def _on_event(self, event: WatchEvent) -> None:
        """Ask for a pass when an object has drifted, or is back as it should be. Most events only change a status."""
        if event.key in self.desired and (event.key in self.suspects or self.differs(event.key)):
            self._on_drift()


def _generation(live: Manifest | None) -> int:
    """The generation of a CRD; -1 when there is none."""
    return live["metadata"].get("generation", 0) if live else -1


def differs(release: HelmRelease, desired: Manifest, live: Manifest | None) -> bool:
    """Whether an object may have drifted, as far as can be told without asking the API server."""
    if live is None:
        # A Job with a time to live is deleted after it, and must not be run once more.
        has_ttl = desired["kind"] == "Job" and "ttlSecondsAfterFinished" in (desired.get("spec") or {})
        return not has_ttl and not opted_out(desired)
    if "deletionTimestamp" in live["metadata"] or opted_out(desired, live):
        return False
    if group_of(live["apiVersion"]) == group_of(desired["apiVersion"]) and live["apiVersion"] != desired["apiVersion"]:
        live = {**live, "apiVersion": desired["apiVersion"]}  # renamed fields differ then; the dry run decides
    return bool(subset_differs(tolerating(desired, live, release.spec.drift_detection.ignore), live))
