"""Deleting what left Git: dependents first, and never what is not ours."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.kinds import is_release
from gitsync.apply.delete import wait_deleted
from gitsync.errors import ApiError, GitsyncError, KindUnknown, NotFound, NotReadyInTime
from gitsync.release.dependencies.index import ReleaseIndex
from gitsync.sync.inventory import Entry
from gitsync.sync.owner import Owner, prune_disabled
from gitsync.sync.plan import prune_order
from gitsync.sync.report import Report
from gitsync.text import listed

if TYPE_CHECKING:
    from gitsync.cluster import Cluster
    from gitsync.runtime.interrupt import Interrupt

#: Namespaces that every cluster has and that are never deleted, whoever put them into Git.
SYSTEM_NAMESPACES = frozenset({"default", "kube-system", "kube-public", "kube-node-lease"})
#: Seconds that a release's uninstall may take beyond its own timeout before the next one is begun.
RELEASE_TIMEOUT = 600.0
OBJECT_TIMEOUT = 60.0
#: What makes a Namespace worth keeping when somebody else put it there.
_FOREIGN_KINDS = (
    ("", "Pod"),
    ("apps", "Deployment"),
    ("apps", "StatefulSet"),
    ("apps", "DaemonSet"),
    ("batch", "Job"),
    ("batch", "CronJob"),
    ("", "Service"),
    ("", "PersistentVolumeClaim"),
    ("", "Secret"),
    ("", "ConfigMap"),
    ("helm.toolkit.fluxcd.io", "HelmRelease"),
    ("source.toolkit.fluxcd.io", "HelmRepository"),
)
_BORN_WITH_IT = frozenset({"kube-root-ca.crt"})


class Pruner:
    """Deletes entries of an inventory from the cluster."""

    def __init__(self, cluster: Cluster, owner: Owner, index: ReleaseIndex) -> None:
        self._cluster = cluster
        self._index = index
        self._owner = owner

    async def prune(self, entries: Sequence[Entry], report: Report, interrupt: Interrupt) -> list[ObjectKey]:
        """Delete what these entries name, stage by stage, each gone before the next is begun.

        Returns the objects that need not be remembered any more: deleted, gone already, or not ours to delete.
        Raises: Superseded, between two stages.
        """
        forgotten: list[ObjectKey] = []
        for stage in prune_order(entries, self._index.graph):
            interrupt.check()
            answers = await asyncio.gather(*(self._one(entry, report) for entry in stage))
            deleted = [entry for entry, gone in zip(stage, answers, strict=True) if gone == "deleting"]
            forgotten += [entry.key for entry, gone in zip(stage, answers, strict=True) if gone == "forget"]
            forgotten += await self._await_gone(deleted, report)
        return forgotten

    async def _one(self, entry: Entry, report: Report) -> str:
        try:
            live = await self._cluster.find(entry.key)
            if live is None:
                return "forget"
            if why := await self._reason_to_keep(entry, live):
                report.done("kept", entry.key, entry.origin, why)
                return "forget"
            self._index.removed_by(entry.key, report.commit)
            await self._cluster.delete(entry.key, uid=live["metadata"]["uid"])
        except (KindUnknown, NotFound):
            return "forget"
        except ApiError as error:
            if not entry.digest:
                return "forget"  # it was never applied, and what refused that refuses this too
            report.failed(entry.key, error, entry.origin)
            return "keep"
        return "deleting"

    async def _reason_to_keep(self, entry: Entry, live: Manifest) -> str:
        if not self._owner.owns(live):
            return "it is not this sync's any more: its owner annotation is another's or gone"
        if prune_disabled(live):
            return "its prune annotation says disabled"
        if entry.key.kind == "Namespace" and not entry.key.group:
            return await self._namespace_in_use(entry.key.name)
        return ""

    async def _namespace_in_use(self, namespace: str) -> str:
        if namespace in SYSTEM_NAMESPACES:
            return "it is a system namespace"
        foreign: list[ObjectKey] = []
        for group, kind in _FOREIGN_KINDS:
            try:
                found = await self._cluster.list(group, kind, namespace=namespace)
            except (KindUnknown, NotFound):
                continue
            foreign += [ObjectKey.of(item) for item in found if self._is_foreign(item)]
        return f"it still holds what is not from this repository: {listed(foreign)}" if foreign else ""

    def _is_foreign(self, item: Manifest) -> bool:
        metadata = item["metadata"]
        owned_by_controller = bool(metadata.get("ownerReferences"))
        generated = metadata["name"] in _BORN_WITH_IT or item.get("type") == "kubernetes.io/service-account-token"
        going = "deletionTimestamp" in metadata
        return not (owned_by_controller or generated or going or self._owner.owns(item))

    async def _await_gone(self, entries: Sequence[Entry], report: Report) -> list[ObjectKey]:
        gone = []
        for entry in entries:
            limit = RELEASE_TIMEOUT if is_release(entry.key) else OBJECT_TIMEOUT
            try:
                await wait_deleted(self._cluster, [entry.key], limit)
            except NotReadyInTime as error:
                report.failed(entry.key, error, entry.origin)
                continue
            except KindUnknown:
                pass  # its CRD went with it
            except GitsyncError as error:
                report.failed(entry.key, error, entry.origin)
                continue
            report.done("deleted", entry.key, entry.origin, "removed from Git")
            gone.append(entry.key)
        return gone
