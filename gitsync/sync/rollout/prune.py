"""Deleting objects that left Git, but none that is not ours or that somebody else wants."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gitsync.api.identity import CommitInfo, Manifest, ObjectKey
from gitsync.api.impliedchart import implied_by
from gitsync.api.inventory import inventory_keys
from gitsync.api.names import HELM_CHART
from gitsync.apply.claimant import Claimant
from gitsync.apply.delete import Deletion, DeletionRules, delete_objects
from gitsync.apply.deleted import wait_deleted
from gitsync.apply.ownership import prune_disabled, taken_by_helm, why_not_pruned
from gitsync.apply.retention import OwnedClaims
from gitsync.errors import ApiError, ClusterUnavailable, GitsyncError, KindUnknown, NotFound
from gitsync.release.dependencies.index import ReleaseIndex
from gitsync.release.wanted.syncclaims import SyncClaims
from gitsync.sync.reporting.report import Report
from gitsync.sync.rollout.unanswered import Unanswered, Write
from gitsync.sync.spec import SyncSpec
from gitsync.sync.storage.inventory import Entry
from gitsync.text import listed

if TYPE_CHECKING:
    from gitsync.cluster import Cluster

#: What became of an entry. "done": it can be forgotten; "left": its object stays for somebody else's sake, and is to be
#: looked at again; "failed": it could not be deleted.
Outcome = Literal["done", "left", "failed"]
#: Namespaces that every cluster has and that are never deleted, whoever put them into Git.
SYSTEM_NAMESPACES = frozenset({"default", "kube-system", "kube-public", "kube-node-lease"})
#: Why something is kept, in words.
SYSTEM_NAMESPACE = "it is a system namespace"
#: Seconds that a release's uninstall, or an object, may take to be gone before that is a failure.
RELEASE_TIMEOUT = 600.0
OBJECT_TIMEOUT = 60.0
#: Kinds whose objects keep a Namespace from being deleted when they are somebody else's.
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
    ("kustomize.toolkit.fluxcd.io", "Kustomization"),
    ("source.toolkit.fluxcd.io", "HelmRepository"),
    ("source.toolkit.fluxcd.io", "OCIRepository"),
    ("source.toolkit.fluxcd.io", "Bucket"),
    ("source.toolkit.fluxcd.io", "GitRepository"),
    ("source.toolkit.fluxcd.io", "HelmChart"),
)
_BORN_WITH_IT = frozenset({"kube-root-ca.crt"})


@dataclass(frozen=True, slots=True)
class Pruned:
    """What pruning an object has come to, or would: it is deleted, or was gone; it is kept for the reason ``why``; it
    is handed over ``to`` a claimant. ``left``: it is still there, and is to be looked at again."""

    verb: Literal["deleted", "gone", "kept", "handed over"]
    why: str = ""
    to: Claimant | None = None
    left: bool = False

    @property
    def why_left(self) -> str:
        """Why the object is still there, in words."""
        if self.to is None:
            return self.why
        return self.to.may_want_it if self.to.doubt else f"{self.to} is to have it"


def is_system_namespace(key: ObjectKey) -> bool:
    """Whether an object is never deleted, whoever put it into Git."""
    return key.kind == "Namespace" and not key.group and key.name in SYSTEM_NAMESPACES


class Pruner:
    """Deletes the objects of a sync's inventory that left Git. ``wanted`` says who else wants an object; ``last`` is
    the last commit whose sync has come to its end: an object that stays for somebody else's sake is logged once for
    each commit. ``unserved`` are the HelmReleases and Kustomizations of the commit that the agent does not serve.
    ``unanswered`` knows the deletions that have begun."""

    def __init__(
        self,
        cluster: Cluster,
        spec: SyncSpec,
        index: ReleaseIndex,
        wanted: SyncClaims,
        last: str = "",
        unserved: Sequence[ObjectKey] = (),
        unanswered: Unanswered | None = None,
    ) -> None:
        self._cluster = cluster
        self._index = index
        self._spec = spec
        self._owner = spec.owner
        self._wanted = wanted
        self._last = last
        self._unserved = unserved
        self._owned = OwnedClaims(cluster)
        #: For each object that is left, the object of this sync that would go with it and is kept.
        self._left_for: dict[ObjectKey, ObjectKey] = {}
        self._unanswered = unanswered if unanswered is not None else Unanswered()

    def is_left_for(self, left: ObjectKey, key: ObjectKey) -> bool:
        """Whether ``left`` is left because the sync has kept an object of the kind of ``key`` itself: then that kind
        goes first."""
        kept = self._left_for.get(left)
        return kept is not None and kept[:2] == key[:2]

    async def is_taken(self, key: ObjectKey) -> bool:
        """Whether an object is there, and somebody else's by now. False where that cannot be told for now."""
        with suppress(ApiError):
            live = await self._cluster.find(key)
            return live is not None and not self._owner.has(live)
        return False

    async def prune(self, entry: Entry, report: Report, needed_by: ObjectKey | None = None) -> Outcome:
        """Delete the object of an entry and wait until it is gone; it stays when ``needed_by``, which was left, needs
        it. Errors are in the report.
        """
        try:
            pruned = await self._prune(entry, report.commit, needed_by)
            if pruned.verb != "deleted":
                return self._stays(entry, pruned, report)
            if not self._holds_the_sync(entry.key):
                timeout = RELEASE_TIMEOUT if self._spec.works_on(entry.key) else OBJECT_TIMEOUT
                await wait_deleted(self._cluster, [entry.key], timeout)
        except (KindUnknown, NotFound):
            return "done"  # it is gone with its CRD or its namespace
        except ApiError as error:
            self._unanswered.answered(entry.key, is_deletion=True)
            # Being refused the deletion says that it was found and is ours: a sync that was cut short has applied it.
            if not entry.digest and error.verb not in ("delete", "patch"):
                return "done"  # it was never applied: whatever refused that also refuses to read it
            report.failed(entry.key, error, entry.origin)
            return "failed"
        except GitsyncError as error:  # its deletion may have begun, and be over later
            report.failed(entry.key, error, entry.origin)
            return "failed"
        self._unanswered.answered(entry.key, is_deletion=True)
        report.done("deleted", entry.key, entry.origin, self._why_deleted)
        return "done"

    @property
    def _why_deleted(self) -> str:
        return "its Kustomization was deleted" if self._spec.is_removed else "removed from Git"

    def _holds_the_sync(self, key: ObjectKey) -> bool:
        """Whether this is the Namespace that the Kustomization being removed is in: it has to go after that."""
        own = self._owner.kustomization
        return own is not None and not self._spec.cluster and key.holds(own)

    async def foresee(
        self, entry: Entry, needed_by: ObjectKey | None = None, going: Collection[ObjectKey] = ()
    ) -> Pruned:
        """What ``prune`` would come to. ``going`` are objects that exist now, and would be gone by then.

        Raises: KindUnknown, NotFound when the object went with its kind or namespace; other ApiErrors, RetryableError.
        """
        return await self._prune(entry, None, needed_by, going)

    async def _prune(
        self, entry: Entry, commit: CommitInfo | None, needed_by: ObjectKey | None, going: Collection[ObjectKey] = ()
    ) -> Pruned:
        """Decide what becomes of an object, and delete it on behalf of ``commit`` (None: only decide), unless
        ``needed_by``, which was left, needs it."""
        await self._wanted.first_commit()
        if why := await self._reason_to_keep(entry, going):
            return Pruned("kept", why, left=self._is_being_emptied(entry.key.name))
        if owner := self._unserved_owner(entry.key):
            return Pruned("kept", f"{owner} may want it, which is not served (watch_namespace)", left=True)
        if self._spec.may_return and await self._wanted.own_again(entry.key):
            return Pruned("kept", "a newer commit brings it again")
        is_release = self._spec.is_release(entry.key)
        if (
            is_release
            and (other := await self._wanted.undecided(entry.key, entry.dropped, self._present())) is not None
        ):
            return Pruned("handed over", to=other, left=True)
        deletion, why = await self._delete(entry, commit if needed_by is None else None)
        other = deletion.handed_over.get(entry.key)
        is_to_be_others = other is not None and not other.doubt and not other.why_kept
        if needed_by is not None and (deletion.deleted or (other is not None and not is_to_be_others)):
            return Pruned("kept", f"{needed_by} is kept, and has to go first", left=True)
        if other is not None:
            if why := other.why_kept:
                return Pruned("kept", why, left=other.inside is not None)
            if self._spec.may_return and await self._wanted.own_again(other.object):
                return Pruned("kept", f"a newer commit brings it again, and {other}, which is to have it")
            return Pruned("handed over", to=other, left=True)
        if (other := deletion.taken.get(entry.key)) is not None:
            return Pruned("handed over", to=other)
        if deletion.deleted:
            return Pruned("deleted")
        return Pruned("kept", why) if why else Pruned("gone")

    def _stays(self, entry: Entry, pruned: Pruned, report: Report) -> Outcome:
        """Report that an object is not deleted; one that is left, or was left and has been taken by now, once for each
        commit."""
        is_news = (not pruned.left and pruned.to is None) or self._last != report.commit.id
        if pruned.to is not None and is_news:
            report.handed_over(entry.key, pruned.to, entry.origin)
        elif pruned.verb == "kept" and is_news:
            report.done("kept", entry.key, entry.origin, pruned.why)
        if not pruned.left:
            return "done"
        if pruned.to is not None and pruned.to.inside is not None and pruned.to.by_name == self._owner.claimant:
            self._left_for[entry.key] = pruned.to.inside
        report.left.append(f"{entry.key} ({pruned.why_left})")
        report.retry |= pruned.to is not None and bool(pruned.to.doubt)
        return "left"

    async def _delete(self, entry: Entry, commit: CommitInfo | None) -> tuple[Deletion, str]:
        """Delete one object; also returns why it is not ours to delete, "" when it is."""
        why = ""

        def is_ours(live: Manifest) -> bool:
            nonlocal why
            if not self._owner.has(live):
                why = "no longer carries this sync's owner annotation"
            elif release := taken_by_helm(live):
                why = f"helm has taken it into its release {release}"
            else:
                why = why_not_pruned(live)
            if commit is not None and not why:
                self._unanswered.began(
                    Write(entry.key, commit, live, entry.origin, self._why_deleted, is_deletion=True)
                )
            return not why

        wanted_by, deletion = self._wanted.others(entry.dropped, self._present()), Deletion()
        removes = commit is not None and self._spec.works_on(entry.key)
        if removes:
            self._index.ancestry.set_remover(entry.key, commit)  # before: its worker may see the deletion before we do
        try:
            rules = DeletionRules(is_ours, wanted_by, stays=self._wanted.has)
            deletion = await delete_objects(
                self._cluster, [entry.key], rules, owned=self._owned, dry_run=commit is None
            )
        except ClusterUnavailable:
            removes = False  # it is not known whether the deletion was carried out
            raise
        finally:
            if removes and entry.key not in deletion.deleted:
                self._index.ancestry.set_remover(entry.key, None)
        return deletion, why

    def _present(self) -> frozenset[str]:
        """The commits by which others may have taken objects of this sync, if it is removed by hand; see Question."""
        return frozenset(self._wanted.claims.commits.values()) if self._spec.is_removed else frozenset()

    async def _reason_to_keep(self, entry: Entry, going: Collection[ObjectKey]) -> str:
        """Why a Namespace is not deleted, because of objects of others in it; "" also where another claimant is to have
        it."""
        key = entry.key
        if key.kind != "Namespace" or key.group:
            return ""
        if is_system_namespace(key):
            return SYSTEM_NAMESPACE
        if await self._wanted.others(entry.dropped, self._present())([key]):
            return ""  # its claimant is the better reason
        foreign = [item for item in await self._foreign_in(key.name) if item not in going]
        if foreign:  # list once more: some of it may have gone with a release meanwhile
            again = await self._foreign_in(key.name)
            foreign = [item for item in foreign if item in again]
        return f"it still holds what is not from this repository: {listed(foreign)}" if foreign else ""

    def _unserved_owner(self, key: ObjectKey) -> ObjectKey | None:
        """The HelmRelease or Kustomization, not served by this agent, that may be to have an object outside of the
        served namespace; preferably one of the object's own namespace. None if there is none."""
        if not self._unserved or key.namespace == self._cluster.namespace:
            return None
        return next((it for it in self._unserved if it.namespace == key.namespace), self._unserved[0])

    async def _foreign_in(self, namespace: str) -> list[ObjectKey]:
        found: list[ObjectKey] = []
        for group, kind in _FOREIGN_KINDS:
            with suppress(KindUnknown, NotFound):
                items = await self._cluster.list(group, kind, namespace=namespace)
                found += [ObjectKey.of(item) for item in items if self._is_foreign(kind, item)]
        return found

    def _is_being_emptied(self, namespace: str) -> bool:
        """Whether a release with objects in a namespace is about to be removed: then it is worth looking again."""
        for key in self._index:
            manifest = self._index.manifest(key)
            if manifest is None or not (
                "deletionTimestamp" in manifest["metadata"] or self._wanted.claims.is_leaving(Claimant.of_release(key))
            ):
                continue
            if any(found.namespace == namespace for found in inventory_keys(manifest)):
                return True
        return False

    def _is_foreign(self, kind: str, item: Manifest) -> bool:
        metadata = item["metadata"]
        owned_by_controller = bool(metadata.get("ownerReferences"))
        generated = metadata["name"] in _BORN_WITH_IT or item.get("type") == "kubernetes.io/service-account-token"
        going = "deletionTimestamp" in metadata
        goes_too = self._owner.has(item) and not prune_disabled(item)
        if kind == HELM_CHART and implied_by(item) is not None:  # goes with its release, or with its source
            return False
        return not (owned_by_controller or generated or going or goes_too)
