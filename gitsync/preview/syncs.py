"""The syncs of a cluster once a commit is carried out there, each with its plan: that of the settings, Kustomizations,
and those that are removed."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace

from gitsync.api.identity import CommitInfo, ObjectKey
from gitsync.api.kinds import is_kustomization
from gitsync.api.kustomization import Kustomization
from gitsync.errors import ApiError, GitsyncError, KubeConfigMissing, ManifestError, ServiceAccountMissing
from gitsync.manifests import Desired
from gitsync.preview.dryrun import ObjectPreview
from gitsync.preview.kustomizations import named, why_no_releases
from gitsync.preview.releases import Problem
from gitsync.preview.unfold import Unfolded, Unfolding
from gitsync.preview.unserved import refused_fields
from gitsync.release.wanted.claims import kustomization_of
from gitsync.release.wanted.comingsync import ComingSync, Inner
from gitsync.release.wanted.reach import AccountReach
from gitsync.release.wanted.syncclaims import SyncClaims
from gitsync.release.wanted.wantedobjects import WantedObjects
from gitsync.sync.apply import Syncer
from gitsync.sync.kustomization.coming import claimant_of
from gitsync.sync.kustomization.reconcile.finalizer import nothing, why_left
from gitsync.sync.kustomization.syncers import Syncers
from gitsync.sync.plan import SyncPlan
from gitsync.sync.rollout.prune import Pruner
from gitsync.sync.storage.inventory import Entry


@dataclass
class Part:
    """One sync that is looked at: that of the settings (``name`` ""), a Kustomization, or one that is removed, which
    then wants nothing. ``secrets`` are kept out of what is shown, and of one that ``decrypts`` all of what is deleted:
    nobody remembers what of it was encrypted in Git."""

    name: str
    syncer: Syncer
    desired: Desired
    secrets: frozenset[str] = frozenset()
    decrypts: bool = False
    plan: SyncPlan = field(init=False)

    async def make_plan(self) -> None:
        """The plan of the sync now. Writes nothing."""
        self.plan = await self.syncer.planner.plan(self.desired, full=True)

    @property
    def cluster(self) -> str:
        """The cluster that its objects are in; see SyncSpec."""
        return self.syncer.spec.cluster

    def wanted(self, wanted: WantedObjects) -> SyncClaims:
        """What its pruning needs to know of this."""
        return SyncClaims(wanted, self.syncer.owner.claimant, self.cluster)

    def shown(self, items: Iterable[ObjectPreview]) -> list[ObjectPreview]:
        """As this sync's, fit to be shown."""
        return [replace(self._masked(item), kustomization=self.name) for item in items]

    def _masked(self, item: ObjectPreview) -> ObjectPreview:
        return replace(item, diff=()) if self.decrypts and item.verb == "delete" else item.without(self.secrets)


@dataclass
class Syncs:
    """Plans them by the agent's own code. ``root`` is the sync of the settings; ``unfolding`` says which Kustomizations
    there will be, ``syncers`` makes the sync of each, ``own_syncers`` of one whose account comes with the commit.
    """

    wanted: WantedObjects
    root: Syncer
    syncers: Syncers
    own_syncers: Syncers
    unfolding: Unfolding
    root_decrypts: bool = False

    def __post_init__(self) -> None:
        #: By Kustomization: the error that keeps it from being applied.
        self.problems: list[Problem] = []
        #: Why Kustomizations leave their objects that are removed.
        self.left: dict[ObjectKey, str] = {}
        self._looked_at: Sequence[Unfolded] = ()
        self._coming: list[ComingSync] = []
        #: Those that are removed: from then on they want nothing.
        self._gone: list[ComingSync] = []

    async def plan(self, desired: Desired) -> list[Part]:
        """The syncs, each with its plan: at first each for itself, then those again that want what others have, who may
        be about to let go of it."""
        unfolded = await self.unfolding.run(desired, self._pruning(desired))
        self._looked_at = unfolded
        self._coming = await self.unfolding.coming()
        self.wanted.to_come.syncs = self.coming
        self.wanted.to_come.reach = AccountReach(self.unfolding.cluster, self.unfolding.rules, self._named)
        parts = [Part("", self.root, desired, _encrypted(desired), self.root_decrypts)]
        for item in unfolded:
            self.problems += problems_of(item)
            if item.desired is None:
                continue
            try:
                syncer = await self._syncer(item, item.desired)
            except GitsyncError as error:
                self.problems += problems_of(replace(item, problems=(error,)))
                continue
            secrets = self.unfolding.secrets(item.key) | _encrypted(item.desired)
            decrypts = item.kustomization.spec.decryption is not None
            parts.append(Part(item.key.namespaced_name, syncer, item.desired, secrets, decrypts))
        await asyncio.gather(*(part.make_plan() for part in parts))
        for part in parts:
            part.syncer.claim(part.plan)
        parts += await self._removed(parts, desired.commit)
        for part in parts:
            if any(step.verdict == "foreign" for step in part.plan.steps):
                await part.make_plan()
                part.syncer.claim(part.plan)
        return parts

    def _pruning(self, desired: Desired) -> list[str]:
        """The names by which objects are the root's that are pruned unless they are desired: also as Flux's, of the
        Kustomization that stands for it."""
        if not self.root.spec.prune or desired.bad_paths:
            return []
        kustomization = self.root.store.kustomization_of(desired)
        return [self.root.owner.full_name, *([kustomization.namespaced_name] if kustomization is not None else [])]

    async def _syncer(self, item: Unfolded, wanted: Desired) -> Syncer:
        """The sync of a Kustomization, as its account; as ourselves when that comes with the commit.

        Raises: ServiceAccountMissing, KubeConfigMissing; KubeConfigRefused, Forbidden and ClusterUnavailable of another
        cluster.
        """
        kustomization = item.kustomization
        try:
            remote = await self.unfolding.inputs.remote(kustomization)
            return await self.syncers.of(kustomization, item.url, wanted, remote)
        except ServiceAccountMissing:
            account = self.syncers.factory.rules.service_account(kustomization)
            if kustomization.spec.kube_config is not None:  # it is the one that is to log in to another cluster
                raise
            if ObjectKey("", "ServiceAccount", kustomization.key.namespace, account) not in self.unfolding.objects:
                raise
            spec = kustomization.spec.model_copy(update={"service_account_name": None})
            return await self.own_syncers.of(kustomization.model_copy(update={"spec": spec}), item.url, wanted)

    def _named(self, sync: str) -> Kustomization | None:
        return self.unfolding.all().get(kustomization_of(sync))

    async def coming(self, inner: Collection[Inner] = ()) -> list[ComingSync]:
        """What syncs will want that are on their way, ``inner`` of charts among them, and those that are to be no
        more."""
        coming = await self.unfolding.coming(inner) if inner else self._coming
        return [*coming, *self._gone]

    async def _removed(self, parts: Sequence[Part], commit: CommitInfo) -> list[Part]:
        """The Kustomizations that are pruned, and those that are pruned with them."""
        found: list[Part] = []
        waiting = list(parts)
        while waiting:
            part = waiting.pop(0)
            for entry in part.plan.prune:
                live = self.unfolding.live.get(entry.key) if is_kustomization(entry.key) else None
                if live is not None and await self._is_deleted(part, entry.dropped_by(commit.id)):
                    removed = await self._without(Kustomization.parse(live), commit)
                    found += removed
                    waiting += removed
        return found

    async def _is_deleted(self, part: Part, entry: Entry) -> bool:
        try:
            return (await self.pruner(part, part.syncer.wanted).foresee(entry)).verb == "deleted"
        except ApiError:
            return False

    async def _without(self, kustomization: Kustomization, commit: CommitInfo) -> list[Part]:
        """What the removal of a Kustomization does to what it has applied; nothing, where that stays."""
        self._gone.append(
            ComingSync(kustomization, claimant_of(kustomization.key), frozenset({commit.id}), frozenset(), ())
        )
        if self.unfolding.is_root(kustomization):
            self.left[kustomization.key] = "they are those of the repository's own sync"
            return []
        if why := why_left(kustomization):
            self.left[kustomization.key] = why
            return []
        wanted = nothing(commit)
        try:
            remote = await self.unfolding.inputs.remote(kustomization)
            syncer = await self.syncers.of(kustomization, "", wanted, remote)
        except (ServiceAccountMissing, KubeConfigMissing) as error:
            self.left[kustomization.key] = error.message
            return []
        syncer.planner.spec = replace(syncer.spec, prune=True, waits=False)
        decrypts = kustomization.spec.decryption is not None
        part = Part(kustomization.key.namespaced_name, syncer, wanted, decrypts=decrypts)
        await part.make_plan()
        syncer.claim(part.plan)
        return [part]

    def pruner(self, part: Part, wanted: SyncClaims) -> Pruner:
        """Decides about the entries of a sync; ``wanted`` says what else wants an object."""
        unserved = part.plan.unserved
        return Pruner(part.syncer.cluster, part.syncer.spec, self.wanted.index, wanted, unserved=unserved)

    def why_no_releases(self, whole: Desired) -> str:
        """Why there is no HelmRelease in all that the commit wants, although there are Kustomizations."""
        unknown = {item.key: item.why_unknown for item in self._looked_at if not item.applies}
        return why_no_releases(whole, len(self._looked_at), unknown)


def _encrypted(desired: Desired) -> frozenset[str]:
    """What was encrypted in Git."""
    return frozenset[str]().union(*(item.secrets for item in desired.objects.values()))


def whole_of(desired: Desired, parts: Sequence[Part]) -> Desired:
    """All that the commit wants in the agent's own cluster, of whatever sync; of an object that several want the first
    counts."""
    here = [part.desired.objects for part in reversed(parts) if not part.cluster]
    return replace(desired, objects={key: item for objects in here for key, item in objects.items()})


def problems_of(found: Unfolded) -> list[Problem]:
    """What keeps a Kustomization from being applied, each with its place."""
    item, key = found.item, found.key
    if item is None:
        return [Problem(str(key), error.message, error.hint) for error in found.problems]
    problems = []
    for error in found.problems:
        fields = [Problem(str(it.origin), it.message, it.hint) for it in refused_fields(item, found.kustomization)]
        if any(field.message == error.message for field in fields):
            problems += fields
        elif isinstance(error, ManifestError):
            problems.append(problem_of(named(item, error)))
        else:
            problems.append(Problem(str(item.origin), f"{key}: {error.message}", error.hint))
    return problems


def problem_of(error: ManifestError) -> Problem:
    """An error of a file as a problem, with its place."""
    return Problem(str(error.origin), error.message, error.hint)
