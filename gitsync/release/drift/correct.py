"""Drift: what others changed about a release's objects, noticed from watches, reported or put back.

Objects are held against the manifest of the deployed record, first in memory, then, where that differs, by a dry run of
a server-side apply: only what applying would change is drift. Nothing is ever deleted. Only releases that ask for it
are followed, and a pass over one with nothing drifted costs no request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gitsync.api.conditions import get_condition, remove_condition, set_condition
from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import Manifest, ObjectKey, group_of
from gitsync.api.names import DRIFT_DETECTED, DRIFTED, HELM_FIELD_MANAGER, TRUE
from gitsync.apply.applier import Applier
from gitsync.apply.crds import CRD_GROUP, apply_crds
from gitsync.apply.namespaces import fill_namespaces
from gitsync.apply.ownership import HELM_OBJECTS, owned
from gitsync.diff import Change, changes, normalised, subset_differs, summary
from gitsync.errors import KindUnknown
from gitsync.release.action.inventory import CRD, crds_of
from gitsync.release.drift.conflicts import DriftConflicts
from gitsync.release.drift.ignore import opted_out, tolerating
from gitsync.release.revision import ReleaseRef, objects_of
from gitsync.release.storage.store import RecordStore
from gitsync.runtime.events import Event

if TYPE_CHECKING:
    from gitsync.cluster import Cluster, Informer, WatchEvent
    from gitsync.release.reconcile.request import ReconcileRequest
    from gitsync.runtime.interrupt import Interrupt

DRIFT_CORRECTED = "DriftCorrected"
#: Among the scopes that are watched: the CRDs without Helm's label.
_CRDS = (CRD_GROUP, CRD, "crds/")
#: Objects named in one message.
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Drifted:
    """One object that is not as the release has it. ``changes`` are what applying ``desired`` does, none when it is
    ``missing``; ``by`` is the field manager that wrote last, "" when that is not known."""

    key: ObjectKey
    desired: Manifest = field(repr=False)
    changes: tuple[Change, ...] = field(default=(), repr=False)
    missing: bool = False
    by: str = ""

    def __str__(self) -> str:
        if self.missing:
            return f"{self.key} (deleted)"
        return f"{self.key} ({summary(self.changes)}{f', last written by {self.by}' if self.by else ''})"


class Drift:
    """Follows the releases that ask for it. ``wake`` asks for a pass of a release, in which ``check`` is called."""

    def __init__(self, cluster: Cluster, records: RecordStore, wake: Callable[[ObjectKey], None]) -> None:
        self._cluster = cluster
        self._records = records
        self._wake = wake
        self._applier = Applier(cluster, HELM_FIELD_MANAGER)
        self._followed: dict[ObjectKey, _Followed] = {}
        self._fights: DriftConflicts[tuple[ObjectKey, ObjectKey]] = DriftConflicts()
        self._said: dict[ObjectKey, str] = {}

    async def check(self, request: ReconcileRequest, release: HelmRelease, interrupt: Interrupt) -> float | None:
        """Look for drift of a release that is in sync; report it or put it right. Returns seconds until another look.

        Raises: ApiError, ClusterUnavailable, Superseded.
        """
        mode = release.spec.drift_detection.mode
        if mode == "disabled":
            await self.forget(request.key)
            await self._calm(request)
            return None
        followed = await self._follow(request.key, release)
        suspects = followed.suspects = [key for key in followed.desired if followed.differs(key)]
        waiting = [key for key in suspects if self._fights.pause((request.key, key))]
        drifted: list[Drifted] = []
        for key in suspects:
            interrupt.check()
            if key in waiting:
                continue
            try:
                found = await self._confirmed(release, followed.desired[key])
            except KindUnknown:
                if not any(item.key.kind == CRD for item in drifted):
                    raise  # nothing of the release brings its kind back
                found = Drifted(key, followed.desired[key], missing=True)
            if found is None:
                followed.is_good(key)
            else:
                drifted.append(found)
        if mode == "warn":
            await self._warn(request, drifted)
            return None
        await self._calm(request)
        await self._correct(request, drifted, interrupt)
        pauses = [self._fights.pause((request.key, key)) for key in suspects]
        return min((pause for pause in pauses if pause), default=None)

    async def forget(self, key: ObjectKey) -> None:
        """The release is gone, or asks for it no more."""
        self._said.pop(key, None)
        self._fights.forget(lambda fight: fight[0] == key)
        followed = self._followed.pop(key, None)
        if followed is not None:
            await followed.end()

    async def close(self) -> None:
        """End every watch."""
        for key in list(self._followed):
            await self.forget(key)

    async def _follow(self, key: ObjectKey, release: HelmRelease) -> _Followed:
        """The objects of the deployed revision, watched. Costs a request when the revision is another than before."""
        ref = ReleaseRef(release.release_name, release.release_namespace, release.storage_namespace)
        latest = self._records.latest(ref.storage, ref.name)
        assert latest is not None  # the release is in sync
        known = self._followed.get(key)
        replaces_crds = release.spec.upgrade.crd_policy() == "CreateReplace"
        revision = (ref, latest.version, replaces_crds)
        if known is not None and known.revision == revision:
            known.release = release
            return known
        record = await self._records.read(ref.storage, ref.name, latest.version)
        objects = await fill_namespaces(self._cluster, await asyncio.to_thread(objects_of, record), ref.namespace)
        desired = {ObjectKey.of(item): owned(item, ref.name, ref.namespace) for item in objects}
        crds = {ObjectKey.of(item): item for item in await asyncio.to_thread(crds_of, record)} if replaces_crds else {}
        followed = _Followed(self._cluster, revision, release, desired, crds, lambda: self._wake(key))
        await followed.begin()
        self._followed[key] = followed
        if known is not None:  # only now, so that watches that both need go on
            await known.end()
        return followed

    async def _confirmed(self, release: HelmRelease, desired: Manifest) -> Drifted | None:
        """Ask the API server: a watch may be behind, and it alone knows what applying would change."""
        key = ObjectKey.of(desired)
        live = await self._cluster.find(key, version=desired["apiVersion"].rpartition("/")[2])
        if not differs(release, desired, live):
            return None
        if live is None:
            return Drifted(key, desired, missing=True)
        tolerant = tolerating(desired, live, release.spec.drift_detection.ignore)
        after = await self._applier.dry_run(tolerant)
        found = changes(normalised(live), normalised(after))
        return Drifted(key, tolerant, tuple(found), by=_last_writer(live)) if found else None

    async def _warn(self, request: ReconcileRequest, drifted: list[Drifted]) -> None:
        if not drifted:
            await self._calm(request)
            return
        text = f"the cluster differs from the release: {_names(drifted)}"
        if self._said.get(request.key) != text:
            self._said[request.key] = text
            request.log.warning("release has drifted", objects=_names(drifted))
            request.tell(Event("Warning", DRIFT_DETECTED, text))
        status = request.status.old
        generation = request.manifest["metadata"].get("generation", 0)
        said = set_condition(
            status.get("conditions"), DRIFTED, TRUE, DRIFT_DETECTED, text, generation, datetime.now(UTC)
        )
        await request.write({**status, "conditions": said})

    async def _calm(self, request: ReconcileRequest) -> None:
        """There is no drift to warn of any more."""
        self._said.pop(request.key, None)
        status = request.status.old
        if get_condition(status.get("conditions"), DRIFTED) is not None:
            await request.write({**status, "conditions": remove_condition(status["conditions"], DRIFTED)})

    async def _correct(self, request: ReconcileRequest, drifted: list[Drifted], interrupt: Interrupt) -> None:
        corrected = []
        for item in drifted:
            fight = (request.key, item.key)
            fields = {str(change) for change in item.changes} or {""}
            if self._fights.corrects(fight, fields):
                if item.key.kind == CRD:
                    await apply_crds(self._cluster, self._applier, [item.desired], interrupt)
                else:
                    await self._applier.apply(item.desired)
                corrected.append(item)
            elif self._fights.is_first(fight):
                text = f"somebody changes {item} again and again; it is left alone for a while"
                request.log.warning(
                    "drift comes back", object=str(item), hint="driftDetection.ignore lets the other win"
                )
                request.tell(Event("Warning", DRIFT_DETECTED, text))
        if corrected:
            request.log.info("drift corrected", objects=_names(corrected))
            request.tell(Event("Normal", DRIFT_CORRECTED, f"put back as the release has it: {_names(corrected)}"))


class _Followed:
    """The objects of one revision, with the watches that show them.

    ``crds`` are of the chart's ``crds/`` folder. Those have no label of Helm's, and a cluster may have very many and
    large ones: of them the watch shows only whether a spec has changed.
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
        self._cluster = cluster
        self.revision = revision
        self.release = release
        self.desired = {**crds, **objects}  # an object whose kind has gone can only be put back after its CRD
        self._crds = dict.fromkeys(crds, 0)
        self.suspects: list[ObjectKey] = []
        self._on_drift = on_drift
        self._stack = AsyncExitStack()
        self._watches: dict[tuple[str, str, str], Informer] = {}

    async def begin(self) -> None:
        """Watch every kind. All releases share one stream for each, as those do that wait for their objects."""
        try:
            for scope in sorted({self._cluster.scope_of(key) for key in self.desired if key not in self._crds}):
                group, kind, namespace = scope
                watch = self._cluster.watch(group, kind, namespace=namespace, labels=HELM_OBJECTS)
                self._watches[scope] = await self._enter(watch)
            if self._crds:
                self._watches[_CRDS] = await self._enter(self._cluster.watch(CRD_GROUP, CRD, metadata_only=True))
        except BaseException:
            await self.end()
            raise

    async def _enter(self, watch: Informer) -> Informer:
        entered = await self._stack.enter_async_context(watch)
        self._stack.callback(entered.subscribe(self._on_event))
        return entered

    async def end(self) -> None:
        await self._stack.aclose()

    def differs(self, key: ObjectKey) -> bool:
        """Whether an object may have drifted, as far as the watches tell."""
        if key in self._crds:
            return self._generation(key) != self._crds[key]
        return differs(self.release, self.desired[key], self._watches[self._cluster.scope_of(key)].get(key))

    def is_good(self, key: ObjectKey) -> None:
        """The API server says that applying an object would change nothing."""
        if key in self._crds:
            self._crds[key] = self._generation(key)

    def _generation(self, key: ObjectKey) -> int:
        """Of a CRD; -1 when there is none."""
        live = self._watches[_CRDS].get(key)
        return live["metadata"].get("generation", 0) if live else -1

    def _on_event(self, event: WatchEvent) -> None:
        """Of all changes, most are of a status; only drift is worth a pass, and the end of some."""
        if event.key in self.desired and (event.key in self.suspects or self.differs(event.key)):
            self._on_drift()


def differs(release: HelmRelease, desired: Manifest, live: Manifest | None) -> bool:
    """Whether an object may have drifted, as far as can be told without asking the API server."""
    if live is None:
        # A Job that has a time to live goes when that is over, and must not run once more.
        has_ttl = desired["kind"] == "Job" and "ttlSecondsAfterFinished" in (desired.get("spec") or {})
        return not has_ttl and not opted_out(desired)
    if "deletionTimestamp" in live["metadata"] or opted_out(desired, live):
        return False
    if group_of(live["apiVersion"]) == group_of(desired["apiVersion"]) and live["apiVersion"] != desired["apiVersion"]:
        live = {**live, "apiVersion": desired["apiVersion"]}  # fields that were renamed differ; the dry run decides
    return bool(subset_differs(tolerating(desired, live, release.spec.drift_detection.ignore), live))


def _last_writer(live: Manifest) -> str:
    """Who, besides Helm, wrote last to anything but the status."""
    entries = [
        entry
        for entry in live["metadata"].get("managedFields") or ()
        if not entry.get("subresource") and entry.get("manager") != HELM_FIELD_MANAGER
    ]
    return str(max(entries, key=lambda entry: entry.get("time") or "").get("manager", "")) if entries else ""


def _names(drifted: Iterable[Drifted]) -> str:
    texts = [str(item) for item in drifted]
    more = len(texts) - _NAMED
    return ", ".join(texts[:_NAMED]) + (f" and {more} more" if more > 0 else "")
