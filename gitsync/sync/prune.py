"""Deleting what left Git, and never what is not ours or what somebody else wants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.kinds import is_release
from gitsync.apply.delete import WantedBy, delete_objects, nobody, wait_deleted
from gitsync.errors import ApiError, GitsyncError, KindUnknown, NotFound
from gitsync.release.dependencies.index import ReleaseIndex
from gitsync.sync.inventory import Entry
from gitsync.sync.owner import Owner, prune_disabled
from gitsync.sync.report import Report
from gitsync.text import listed

if TYPE_CHECKING:
    from gitsync.cluster import Cluster

#: Namespaces that every cluster has and that are never deleted, whoever put them into Git.
SYSTEM_NAMESPACES = frozenset({"default", "kube-system", "kube-public", "kube-node-lease"})
#: Seconds that a release's uninstall, or an object, may take to be gone before that is a failure.
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
    """Deletes entries of a sync's inventory from the cluster. ``wanted_by`` says who else wants an object."""

    def __init__(self, cluster: Cluster, owner: Owner, index: ReleaseIndex, wanted_by: WantedBy = nobody) -> None:
        self._cluster = cluster
        self._index = index
        self._owner = owner
        self._wanted_by = wanted_by

    async def prune(self, entry: Entry, report: Report) -> bool:
        """Delete what an entry names and wait until it is gone. True when the entry need not be remembered any more:
        the object is gone, or not ours to delete.

        Raises: RetryableError. What the API server says about the object is in the report.
        """
        try:
            if why := await self._reason_to_keep(entry.key):
                report.done("kept", entry.key, entry.origin, why)
                return True
            if not await self._delete(entry, report):
                return True
            await wait_deleted(self._cluster, [entry.key], RELEASE_TIMEOUT if is_release(entry.key) else OBJECT_TIMEOUT)
        except (KindUnknown, NotFound):
            return True  # its CRD or namespace went with it
        except ApiError as error:
            if not entry.digest:
                return True  # it was never applied, and what refused that refuses this too
            report.failed(entry.key, error, entry.origin)
            return False
        except GitsyncError as error:
            report.failed(entry.key, error, entry.origin)
            return False
        report.done("deleted", entry.key, entry.origin, "removed from Git")
        return True

    async def _delete(self, entry: Entry, report: Report) -> bool:
        """Whether it is being deleted now."""
        why = ""

        def is_ours(live: Manifest) -> bool:
            nonlocal why
            if not self._owner.owns(live):
                why = "no longer carries this sync's owner annotation"
            elif prune_disabled(live):
                why = "its prune annotation says disabled"
            else:
                self._index.removed_by(entry.key, report.commit)
                why = ""
            return not why

        deletion = await delete_objects(self._cluster, [entry.key], is_ours, self._wanted_by)
        if why:
            report.done("kept", entry.key, entry.origin, why)
        for key, claimant in deletion.handed_over.items():
            report.handed_over(key, claimant, entry.origin)
        return bool(deletion.deleted)

    async def _reason_to_keep(self, key: ObjectKey) -> str:
        if key.kind != "Namespace" or key.group:
            return ""
        if key.name in SYSTEM_NAMESPACES:
            return "it is a system namespace"
        foreign: list[ObjectKey] = []
        for group, kind in _FOREIGN_KINDS:
            try:
                found = await self._cluster.list(group, kind, namespace=key.name)
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
