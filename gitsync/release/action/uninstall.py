"""Taking a release out of the cluster, as ``helm uninstall`` does (pkg/action/uninstall.go)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import structlog

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import HELM_FIELD_MANAGER
from gitsync.apply.applier import Applier
from gitsync.apply.claimant import Claimant
from gitsync.apply.delete import Deletion, DeletionRules, Propagation, WantedBy, WhyKept, delete_objects, nobody
from gitsync.apply.deleted import wait_deleted
from gitsync.apply.namespaces import served, served_keys
from gitsync.apply.ownership import belongs_to, is_left_to, kept
from gitsync.charts import uninstall_order
from gitsync.errors import KindUnknown, NamespaceTerminating, NotFound
from gitsync.release.action.hooks import DELETE_EVENTS, HookRun, Hooks, hook_objects
from gitsync.release.action.takeover import why_kept
from gitsync.release.leftovers import Leftovers
from gitsync.release.revision import ReleaseRef, objects_of, release_fields
from gitsync.release.storage.record import FAILURE, Record, timestamp
from gitsync.release.storage.recordstore import RecordStore

if TYPE_CHECKING:
    from gitsync.cluster import Cluster
    from gitsync.runtime.interrupt import Interrupt

log = structlog.get_logger(__name__)

#: Seconds that the deletion of a release's Namespace waits for Kustomizations with objects in it that are also being
#: removed.
LEAVE_TIME = 60.0


@dataclass(frozen=True, slots=True)
class UninstallOptions:
    """``spec.uninstall`` of a HelmRelease: ``timeout`` in seconds for the objects to be gone, if ``wait``. ``release``
    is the HelmRelease, ``wanted_by`` says who else wants objects that would be deleted. ``leftovers`` are objects that
    earlier revisions have left in the cluster; ``for_good``: the HelmRelease is removed, so they are deleted, too."""

    timeout: float = 300.0
    wait: bool = True
    hooks: bool = True
    keep_history: bool = False
    propagation: Propagation = "Background"
    release: ObjectKey | None = None
    wanted_by: WantedBy = nobody
    leftovers: Leftovers = field(default_factory=Leftovers)
    for_good: bool = False


@dataclass(frozen=True, slots=True)
class Uninstalled:
    """The objects that were deleted; those that are ``kept``, by a resource policy, because they are not the release's,
    or because only failed revisions took them over; and those that stay for another who wants them."""

    deleted: tuple[ObjectKey, ...] = ()
    kept: tuple[ObjectKey, ...] = ()
    handed_over: tuple[ObjectKey, ...] = ()


class Uninstaller:
    """Uninstalls releases. May be cut short at any moment and called again: objects that are gone are no error."""

    def __init__(self, cluster: Cluster, records: RecordStore) -> None:
        self._cluster = cluster
        self._records = records
        self._applier = Applier(cluster, HELM_FIELD_MANAGER)
        self._hooks = Hooks(cluster, self._applier)

    async def uninstall(self, ref: ReleaseRef, options: UninstallOptions, interrupt: Interrupt) -> Uninstalled:
        """Delete a release's objects, dependents of Helm's install order first, then its records.

        Raises: NotReadyInTime when objects are still there at the deadline, ReleaseError when a hook fails; the records
        stay then, and the next call goes on.
        """
        records = await self._records.in_cluster(ref.storage, ref.name)
        if not records:
            left = await self._delete_leftovers(ref, (), options)
            await self._until_gone(left.deleted, options, interrupt)
            return Uninstalled(left.deleted, handed_over=tuple(left.handed_over))
        if records[-1].status not in ("uninstalling", "uninstalled"):
            last = records[-1].now("uninstalling", "Deletion in progress (or silently failed)", deleted=timestamp())
            if records[-1].status not in ("deployed", "superseded"):
                last = replace(last, annotations={FAILURE: records[-1].status, **last.annotations})
            await self._records.update(last, ref.storage)
            records[-1] = last
        await self._run_hooks("pre-delete", ref, records[-1], options, interrupt)
        result = await self._delete(ref, records, options)
        await self._until_gone(result.deleted, options, interrupt)
        await self._run_hooks("post-delete", ref, records[-1], options, interrupt)
        await self._forget(ref, records[-1], options.keep_history)
        return result

    async def _until_gone(self, keys: Sequence[ObjectKey], options: UninstallOptions, interrupt: Interrupt) -> None:
        """Wait until the objects are gone; not for the HelmRelease's own Namespace, which can only go after that."""
        if options.wait:
            own = options.release
            keys = [key for key in keys if own is None or not key.holds(own)]
            await interrupt.guard(wait_deleted(self._cluster, keys, options.timeout))

    async def _delete(self, ref: ReleaseRef, records: Sequence[Record], options: UninstallOptions) -> Uninstalled:
        """Delete the objects of the release, and its leftovers if it is uninstalled for good; else objects that stay
        become leftovers."""
        left = await self._delete_leftovers(ref, records, options)
        objects = await self._objects(ref, records)
        keys = [ObjectKey.of(item) for item in objects if not kept(item)]
        rules = DeletionRules(
            partial(self._is_ours, ref, options),
            options.wanted_by,
            self._why_kept(ref, options),
            options.propagation,
            leave_time=LEAVE_TIME if options.for_good else 0.0,
        )
        result = await delete_objects(self._cluster, [key for key in keys if key not in left.handed_over], rules)
        result.log(log.bind(**release_fields(options.release, ref)))
        if options.for_good:
            await options.leftovers.leave(self._cluster, result)
        else:
            await options.leftovers.add(self._cluster, str(ref), result)
        stays = (*result.foreign, *result.kept, *(ObjectKey.of(item) for item in objects if kept(item)))
        return Uninstalled((*left.deleted, *result.deleted), stays, (*left.handed_over, *result.handed_over))

    async def _delete_leftovers(
        self, ref: ReleaseRef, records: Sequence[Record], options: UninstallOptions
    ) -> Deletion:
        if not options.for_good:
            return Deletion()
        # Objects that are hooks of the uninstall itself are left to their delete policies.
        hooks = await hook_objects(records[-1].hooks, DELETE_EVENTS) if records and options.hooks else ()
        held = await served_keys(self._cluster, hooks, ref.namespace)
        deletion = await options.leftovers.delete(self._cluster, held=held, propagation=options.propagation)
        await options.leftovers.leave(self._cluster, deletion)
        deletion.log(log.bind(**release_fields(options.release, ref)))
        return deletion

    def _why_kept(self, ref: ReleaseRef, options: UninstallOptions) -> WhyKept:
        good = self._records.last_good(ref.storage, ref.name)

        def why(live: Manifest) -> str:
            # An object that another release let go of for good has nobody else: it is deleted with the one that took
            # it.
            goes = options.for_good and options.leftovers.is_of_release(live)
            return "" if goes else why_kept(live, ref=ref, good=good)

        return why

    def _is_ours(self, ref: ReleaseRef, options: UninstallOptions, live: Manifest) -> bool:
        heir = Claimant.of_release(options.release).written if options.release is not None else ""
        return belongs_to(live, ref.name, ref.namespace) or (options.for_good and is_left_to(live, heir))

    async def _run_hooks(
        self, event: str, ref: ReleaseRef, record: Record, options: UninstallOptions, interrupt: Interrupt
    ) -> None:
        if options.hooks:
            run = HookRun(event, ref, options.timeout, record.client_side, options.wanted_by, options.release)
            try:
                await self._hooks.run(record.hooks, run, interrupt)
            except (KindUnknown, NotFound, NamespaceTerminating) as error:
                # Their kind or namespace is gone, or being deleted: it would be waited for in vain.
                said = {**release_fields(options.release, ref), "hooks": event}
                log.warning("hooks cannot run any more, left out", **said, why=error.message)

    async def _objects(self, ref: ReleaseRef, records: Sequence[Record]) -> list[Manifest]:
        """Every object that one of the records names, once, in the order to delete them in."""
        found: dict[ObjectKey, Manifest] = {}
        for record in records:
            # Objects of a kind that is not served any more are gone with their kind.
            for manifest in await served(self._cluster, await asyncio.to_thread(objects_of, record), ref.namespace):
                found[ObjectKey.of(manifest)] = manifest
        ordered: list[Manifest] = uninstall_order(list(found.values()))
        return ordered

    async def _forget(self, ref: ReleaseRef, last: Record, keep_history: bool) -> None:
        if keep_history:
            await self._records.update(last.now("uninstalled", "Uninstallation complete"), ref.storage)
            return
        known = self._records.revisions(ref.storage, ref.name)
        await self._records.delete_all(ref.storage, ref.name, [item.version for item in known])
