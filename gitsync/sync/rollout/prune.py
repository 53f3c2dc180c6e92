"""Deleting what left Git, and never what is not ours or what somebody else wants."""

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
from gitsync.sync.spec import SyncSpec
from gitsync.sync.storage.inventory import Entry
from gitsync.text import listed

if TYPE_CHECKING:
    from gitsync.cluster import Cluster

#: What became of an entry: "done", it need not be remembered; "left", its object stays for somebody else's sake, and is
#: to be looked at again.
Outcome = Literal["done", "left", "failed"]
#: Namespaces that every cluster has and that are never deleted, whoever put them into Git.
SYSTEM_NAMESPACES = frozenset({"default", "kube-system", "kube-public", "kube-node-lease"})
#: Why something is kept, in words.
SYSTEM_NAMESPACE = "it is a system namespace"
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
    """What came of pruning an object, or is to come of it: it is deleted, or was gone; it is kept, and ``why``; it is
    handed over, and ``to`` whom. ``left``: it is to be looked at again."""

    verb: Literal["deleted", "gone", "kept", "handed over"]
    why: str = ""
    to: Claimant | None = None
    left: bool = False

    @property
    def why_left(self) -> str:
        """Why it is still there, in words."""
        if self.to is None:
            return self.why
        return self.to.may_want_it if self.to.doubt else f"{self.to} is to have it"


def is_system_namespace(key: ObjectKey) -> bool:
    """Whether an object is never deleted, whoever put it into Git."""
    return key.kind == "Namespace" and not key.group and key.name in SYSTEM_NAMESPACES


class Pruner:
    """Deletes entries of a sync's inventory from the cluster. ``wanted`` says who else wants an object; ``last`` is
    the commit that the sync was last at the end of: what stays for somebody else's sake is told once a commit.
    ``unserved`` are the HelmReleases and Kustomizations of the commit that the agent does not serve."""

    def __init__(
        self,
        cluster: Cluster,
        spec: SyncSpec,
        index: ReleaseIndex,
        wanted: SyncClaims,
        last: str = "",
        unserved: Sequence[ObjectKey] = (),
    ) -> None:
        self._cluster = cluster
        self._index = index
        self._spec = spec
        self._owner = spec.owner
        self._wanted = wanted
        self._last = last
        self._unserved = unserved
        self._owned = OwnedClaims(cluster)
        #: By what is left, what this sync keeps that would go with it.
        self._left_for: dict[ObjectKey, ObjectKey] = {}

    def is_left_for(self, left: ObjectKey, key: ObjectKey) -> bool:
        """Whether one is left for objects of this kind, which the sync has kept itself: then these go first."""
        kept = self._left_for.get(left)
        return kept is not None and kept[:2] == key[:2]

    async def is_taken(self, key: ObjectKey) -> bool:
        """Whether an object is there, and somebody else's by now. False where nobody can tell: that is asked again."""
        with suppress(ApiError):
            live = await self._cluster.find(key)
            return live is not None and not self._owner.has(live)
        return False

    async def prune(self, entry: Entry, report: Report, needed_by: ObjectKey | None = None) -> Outcome:
        """Delete what an entry names and wait until it is gone; not when ``needed_by`` needs it, which is left.

        What goes wrong is in the report.
        """
        try:
            pruned = await self._prune(entry, report.commit, needed_by)
            if pruned.verb != "deleted":
                return self._stays(entry, pruned, report)
            if not self._holds_the_sync(entry.key):
                timeout = RELEASE_TIMEOUT if self._spec.works_on(entry.key) else OBJECT_TIMEOUT
                await wait_deleted(self._cluster, [entry.key], timeout)
        except (KindUnknown, NotFound):
            return "done"  # its CRD or namespace went with it
        except ApiError as error:
            # What is refused to be deleted was found, and is ours: then it was applied by a sync that was cut short.
            if not entry.digest and error.verb not in ("delete", "patch"):
                return "done"  # it was never applied, and what refused that refuses to be asked about it, too
            report.failed(entry.key, error, entry.origin)
            return "failed"
        except GitsyncError as error:
            report.failed(entry.key, error, entry.origin)
            return "failed"
        why = "its Kustomization was deleted" if self._spec.is_removed else "removed from Git"
        report.done("deleted", entry.key, entry.origin, why)
        return "done"

    def _holds_the_sync(self, key: ObjectKey) -> bool:
        """Whether this is the Namespace of the Kustomization that is removed: it goes when that is gone."""
        own = self._owner.kustomization
        return own is not None and not self._spec.cluster and key.holds(own)

    async def foresee(
        self, entry: Entry, needed_by: ObjectKey | None = None, going: Collection[ObjectKey] = ()
    ) -> Pruned:
        """What ``prune`` would come to. ``going`` are objects that are there, and would not be by then.

        Raises: KindUnknown, NotFound when the object went with its kind or namespace; other ApiErrors, RetryableError.
        """
        return await self._prune(entry, None, needed_by, going)

    async def _prune(
        self, entry: Entry, commit: CommitInfo | None, needed_by: ObjectKey | None, going: Collection[ObjectKey] = ()
    ) -> Pruned:
        """Decide what becomes of an object, and delete it where ``commit`` is to do so (None: nobody does) and nothing
        that is left needs it."""
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
        """Tell that an object is not deleted; of one that is left, or that was and has been taken, once for each
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
        """What came of it, and why the object is not ours to delete ("": it is)."""
        why = ""

        def is_ours(live: Manifest) -> bool:
            nonlocal why
            if not self._owner.has(live):
                why = "no longer carries this sync's owner annotation"
            elif release := taken_by_helm(live):
                why = f"helm has taken it into its release {release}"
            else:
                why = why_not_pruned(live)
            return not why

        wanted_by, deletion = self._wanted.others(entry.dropped, self._present()), Deletion()
        removes = commit is not None and self._spec.works_on(entry.key)
        if removes:
            self._index.ancestry.set_remover(entry.key, commit)  # its worker may hear of the deletion before we do
        try:
            rules = DeletionRules(is_ours, wanted_by, stays=self._wanted.has)
            deletion = await delete_objects(
                self._cluster, [entry.key], rules, owned=self._owned, dry_run=commit is None
            )
        except ClusterUnavailable:
            removes = False  # nobody knows whether it was done
            raise
        finally:
            if removes and entry.key not in deletion.deleted:
                self._index.ancestry.set_remover(entry.key, None)
        return deletion, why

    def _present(self) -> frozenset[str]:
        """The commits that may have taken the objects of this sync, which is removed by hand; see Question."""
        return frozenset(self._wanted.claims.commits.values()) if self._spec.is_removed else frozenset()

    async def _reason_to_keep(self, entry: Entry, going: Collection[ObjectKey]) -> str:
        """Why a Namespace stays with this sync; not of one that somebody else wants, who is to have it."""
        key = entry.key
        if key.kind != "Namespace" or key.group:
            return ""
        if is_system_namespace(key):
            return SYSTEM_NAMESPACE
        if await self._wanted.others(entry.dropped, self._present())([key]):
            return ""  # who wants it says more
        foreign = [item for item in await self._foreign_in(key.name) if item not in going]
        if foreign:  # of what was listed first some may have gone with a release meanwhile
            again = await self._foreign_in(key.name)
            foreign = [item for item in foreign if item in again]
        return f"it still holds what is not from this repository: {listed(foreign)}" if foreign else ""

    def _unserved_owner(self, key: ObjectKey) -> ObjectKey | None:
        """Who may be to have an object outside of the namespace that is served, and will not say so; mostly one that
        lives beside it."""
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
        """Whether a release that has something in a namespace is about to be removed: then it is looked at again."""
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
