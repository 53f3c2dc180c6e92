"""Drift: changes that others have made to a release's objects, noticed on watches, reported or put back.

Objects are compared with the manifest of the deployed record, first in memory, then, where that differs, by a dry run
of a server-side apply: only what applying would change is drift. Nothing is ever deleted. Only releases that ask for it
are followed, and a pass over one with nothing drifted costs no request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import HELM_FIELD_MANAGER
from gitsync.apply.applier import Applier
from gitsync.apply.crds import apply_crds
from gitsync.apply.namespaces import fill_namespaces, served
from gitsync.apply.ownership import owned
from gitsync.diff import Change, changes, normalised, summary
from gitsync.diff.ignore import tolerating
from gitsync.errors import KindUnknown, RetryableError
from gitsync.release.action.inventory import CRD, crds_of
from gitsync.release.clusters import TargetCluster
from gitsync.release.desired import ref_of
from gitsync.release.drift.conflicts import DriftConflicts
from gitsync.release.drift.watch import FollowedRevision, differs
from gitsync.release.revision import objects_of
from gitsync.text import listed

if TYPE_CHECKING:
    from gitsync.cluster import Cluster
    from gitsync.runtime.interrupt import Interrupt

#: Objects named in one message.
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Drifted:
    """One object that is not as the release has it. ``changes`` are those that applying ``desired`` makes, none when it
    is ``missing``; ``by`` is the field manager that wrote last, "" when that is not known."""

    key: ObjectKey
    desired: Manifest = field(repr=False)
    changes: tuple[Change, ...] = field(default=(), repr=False)
    missing: bool = False
    by: str = ""

    def __str__(self) -> str:
        if self.missing:
            return f"{self.key} (deleted)"
        return f"{self.key} ({summary(self.changes)}{f', last written by {self.by}' if self.by else ''})"


@dataclass(frozen=True, slots=True)
class DriftReport:
    """The result of looking for drift: objects that were left as they are (mode ``warn``), that were put back, and that
    somebody changes again and again, so that they are left alone for a while. ``again`` is in how many seconds to look
    again; None: when woken.
    """

    left: tuple[Drifted, ...] = ()
    corrected: tuple[Drifted, ...] = ()
    conflicts: tuple[Drifted, ...] = ()
    again: float | None = None


class Drift:
    """Follows the releases that ask for drift detection, in all target clusters. ``wake`` asks for a pass over a
    release, in which ``check`` is called.
    """

    def __init__(self, wake: Callable[[ObjectKey], None]) -> None:
        self._wake = wake
        self._followed: dict[ObjectKey, FollowedRevision] = {}
        self._conflicts: DriftConflicts[tuple[ObjectKey, ObjectKey]] = DriftConflicts()

    async def check(self, target: TargetCluster, release: HelmRelease, interrupt: Interrupt) -> DriftReport:
        """Look for drift of a release that is in sync, and correct it if the release asks for that.

        Raises: ApiError, ClusterUnavailable, Superseded.
        """
        mode, release_key = release.spec.drift_detection.mode, release.key
        if mode == "disabled":
            await self.forget(release_key)
            return DriftReport()
        followed = await self._follow(target, release)
        suspects = followed.suspects = [key for key in followed.desired if followed.differs(key)]
        in_conflict = {key for key in suspects if self._conflicts.pause((release_key, key))}
        drifted: list[Drifted] = []
        for key in suspects:
            interrupt.check()
            if key not in in_conflict and (found := await self._drifted(followed, key, drifted)) is not None:
                drifted.append(found)
        if mode == "warn":
            return DriftReport(left=tuple(drifted))
        corrected, conflicts = await self._correct(target.cluster, release_key, drifted, interrupt)
        pauses = [self._conflicts.pause((release_key, key)) for key in suspects]
        return DriftReport((), corrected, conflicts, min((pause for pause in pauses if pause), default=None))

    async def forget(self, key: ObjectKey) -> None:
        """The release is gone, is in another cluster now, or does not ask for drift detection any more."""
        self._conflicts.forget(lambda conflict: conflict[0] == key)
        followed = self._followed.pop(key, None)
        if followed is not None:
            await followed.end()

    async def close(self) -> None:
        """End every watch."""
        for key in list(self._followed):
            await self.forget(key)

    async def _follow(self, target: TargetCluster, release: HelmRelease) -> FollowedRevision:
        """The objects of the deployed revision, watched. Costs a request when there is a new revision."""
        ref, key = ref_of(release), release.key
        newest = target.records.latest(ref.storage, ref.name)
        if newest is None:
            raise RetryableError(f"release {ref} has gone meanwhile")
        known = self._followed.get(key)
        replaces_crds = release.spec.upgrade.crd_policy() == "CreateReplace"
        revision = (ref, newest.version, replaces_crds)
        if known is not None and known.revision == revision and known.cluster is target.cluster:
            known.release = release
            return known
        record = await target.records.read(ref.storage, ref.name, newest.version)
        crds = {ObjectKey.of(item): item for item in await asyncio.to_thread(crds_of, record)} if replaces_crds else {}
        objects = await asyncio.to_thread(objects_of, record)
        # Objects of a kind that is gone cannot be put back, unless the release puts back the kind first.
        fill = fill_namespaces if crds else served
        objects = await fill(target.cluster, objects, ref.namespace)
        desired = {ObjectKey.of(item): owned(item, ref.name, ref.namespace) for item in objects}
        followed = FollowedRevision(target.cluster, revision, release, desired, crds, lambda: self._wake(key))
        await followed.begin()
        self._followed[key] = followed
        if known is not None:  # only now, so that watches which both need are not interrupted
            await known.end()
        return followed

    async def _drifted(self, followed: FollowedRevision, key: ObjectKey, before: Sequence[Drifted]) -> Drifted | None:
        """The drift of an object that looks as if it had drifted; None when it has not. ``before`` are those found so
        far."""
        try:
            return await _confirmed(followed, followed.desired[key])
        except KindUnknown:
            if not any(item.key.kind == CRD for item in before):
                return None  # its kind is gone, and not put back by this release: the object is gone with it
            return Drifted(key, followed.desired[key], missing=True)

    async def _correct(
        self, cluster: Cluster, release: ObjectKey, drifted: Sequence[Drifted], interrupt: Interrupt
    ) -> tuple[tuple[Drifted, ...], tuple[Drifted, ...]]:
        """Put objects back. Returns those that were, and those for which a pause has just begun."""
        corrected, conflicts = [], []
        applier = Applier(cluster, HELM_FIELD_MANAGER)
        for item in drifted:
            conflict = (release, item.key)
            fields = {str(change) for change in item.changes} or {""}
            if self._conflicts.corrects(conflict, fields):
                if item.key.kind == CRD:
                    await apply_crds(cluster, applier, [item.desired], interrupt)
                else:
                    await applier.apply(item.desired)
                corrected.append(item)
            elif self._conflicts.is_first(conflict):
                conflicts.append(item)
        return tuple(corrected), tuple(conflicts)


async def _confirmed(followed: FollowedRevision, desired: Manifest) -> Drifted | None:
    """The drift of an object by a dry run; None when there is none. A watch may be behind, and only the API server
    knows what applying would change."""
    key, release, cluster = ObjectKey.of(desired), followed.release, followed.cluster
    live = await cluster.find(key, version=desired["apiVersion"].rpartition("/")[2])
    if not differs(release, desired, live):
        followed.note_in_sync(key, live)
        return None
    if live is None:
        return Drifted(key, desired, missing=True)
    tolerant = tolerating(desired, live, release.spec.drift_detection.ignore)
    after = await Applier(cluster, HELM_FIELD_MANAGER).dry_run(tolerant)
    found = changes(normalised(live, bookkeeping=True), normalised(after, bookkeeping=True))
    if not found:
        followed.note_in_sync(key, live)
        return None
    return Drifted(key, tolerant, tuple(found), by=_last_writer(live))


def _last_writer(live: Manifest) -> str:
    """The field manager, other than Helm, that was the last to write anything but the status."""
    entries = [
        entry
        for entry in live["metadata"].get("managedFields") or ()
        if not entry.get("subresource") and entry.get("manager") != HELM_FIELD_MANAGER
    ]
    return str(max(entries, key=lambda entry: entry.get("time") or "").get("manager", "")) if entries else ""


def named_drift(drifted: Iterable[Drifted]) -> str:
    """The objects for a message: the first few, and how many more."""
    return listed(drifted, _NAMED)
