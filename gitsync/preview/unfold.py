"""The Kustomizations of a cluster as they are once a commit is carried out, down to the last, and what each wants."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import Manifest, ObjectKey, Origin
from gitsync.api.kinds import is_kustomization, is_release
from gitsync.api.kustomization import Kustomization
from gitsync.api.names import FIELD_MANAGER, RECONCILIATION_SUCCEEDED, SOURCE_GROUP, flux_sync_of, sync_of
from gitsync.apply.ownership import prune_disabled
from gitsync.build import Builder, BuildSpec
from gitsync.diff import subset_differs
from gitsync.errors import DependencyMissing, FieldErrors, GitsyncError
from gitsync.graph import Edge, HeldByCycle
from gitsync.manifests import Desired, DesiredObject
from gitsync.preview.dryrun import ObjectPreviews, as_applied
from gitsync.release.access import AccessRules
from gitsync.release.dependencies.index import ReleaseIndex
from gitsync.release.dependencies.order import Order
from gitsync.release.dependencies.others import Followed, TakenAsReady
from gitsync.release.dependencies.places import edges_of, written_in
from gitsync.release.values.kubeconfig import remote_of
from gitsync.sources.commit import Brought
from gitsync.sources.trees import CommitTrees
from gitsync.sync.kustomization.coming import MAX_NESTING, ComingSyncs, Present
from gitsync.sync.kustomization.inputs.building import build_spec
from gitsync.sync.kustomization.inputs.keys import keys_of, keys_secret
from gitsync.sync.kustomization.inputs.variables import texts, variables_of
from gitsync.sync.kustomization.reconcile.unsupported import check_access, refuse_unsupported
from gitsync.sync.kustomization.waiting.dependencies import awaited, blocked
from gitsync.sync.standing import Standing

if TYPE_CHECKING:
    from gitsync.cluster import Cluster, Informer, Remote

_Objects = Mapping[ObjectKey, DesiredObject]


class CommitInputs:
    """See BuildSpecs. What the commit has of ConfigMaps and Secrets counts, else what the cluster has. ``objects`` are
    those of the commit, as far as they are known by now; ``default_keys`` as for Inputs."""

    def __init__(self, cluster: Cluster, default_keys: ObjectKey | None) -> None:
        self.objects: _Objects = {}
        #: By Kustomization, what of its variables is out of Secrets.
        self.secrets: dict[ObjectKey, frozenset[str]] = {}
        self._cluster = cluster
        self._default_keys = default_keys
        self._live: dict[ObjectKey, Manifest | None] = {}

    async def spec_of(self, kustomization: Kustomization) -> BuildSpec:
        """See BuildSpecs. Raises: ValuesMissing, ApiError, ClusterUnavailable."""
        sources = kustomization.value_sources()
        secret = keys_secret(kustomization, self._default_keys)
        named = (*sources, *((secret,) if secret is not None else ()))
        found = {key: await self._find(key) for key in named}
        held = [texts("Secret", found[key]) or {} for key in sources if key.kind == "Secret"]
        self.secrets[kustomization.key] = frozenset(text for values in held for text in values.values())
        keys = keys_of(kustomization, found, self._default_keys)
        return build_spec(kustomization, variables_of(kustomization, found), keys)

    async def remote(self, kustomization: Kustomization) -> Remote | None:
        """See BuildSpecs. Raises: KubeConfigMissing, KubeConfigRefused, ApiError, ClusterUnavailable."""
        key = kustomization.kubeconfig_source
        found = await self._find(key) if key is not None else None
        return remote_of(kustomization, lambda _: found)

    async def forget(self, key: ObjectKey) -> None:
        """See BuildSpecs."""

    async def _find(self, key: ObjectKey) -> Manifest | None:
        item = self.objects.get(key)
        return item.manifest if item is not None else await self.live(key)

    async def live(self, key: ObjectKey) -> Manifest | None:
        """An object of the cluster, read once."""
        if key not in self._live:
            self._live[key] = await self._cluster.find(key)
        return self._live[key]


@dataclass(frozen=True)
class Unfolded:
    """One Kustomization. ``item`` is how Git has it, None where only the cluster does. ``desired`` is what it wants,
    None when nothing of it is applied: ``problems`` say why, of one that is suspended, or that the commit does not
    concern, nothing. ``url`` is where it reads."""

    kustomization: Kustomization
    item: DesiredObject | None
    desired: Desired | None = None
    url: str = ""
    problems: tuple[GitsyncError, ...] = ()

    @property
    def key(self) -> ObjectKey:
        """The Kustomization."""
        return self.kustomization.key

    @property
    def applies(self) -> bool:
        """Whether the Kustomization is applied."""
        return self.desired is not None

    @property
    def why_unknown(self) -> str:
        """Why nothing of it is applied, in words."""
        if self.problems:
            return self.problems[0].message
        source = self.kustomization.source
        return "is suspended" if self.kustomization.spec.suspend else f"reads {source}, which the commit is not about"


@dataclass
class Unfolding(TakenAsReady):
    """Finds them, level by level, and again for as long as variables come to be others by what is found. ``live`` has
    the Kustomizations of the cluster, ``source`` its sources, ``releases`` its HelmReleases; ``brought`` is told which
    sources the commit brings. See Others for what the graph of HelmReleases asks of this."""

    cluster: Cluster
    live: Informer
    source: Callable[[ObjectKey], Manifest | None]
    releases: ReleaseIndex
    trees: CommitTrees
    builder: Builder
    rules: AccessRules
    is_root: Callable[[Kustomization], bool]
    brought: Brought
    default_keys: ObjectKey | None = None

    def __post_init__(self) -> None:
        self.inputs = CommitInputs(self.cluster, self.default_keys)
        present = Present(self.all, self.is_root)
        self.coming = ComingSyncs(self.cluster, self.trees, self.builder, self.inputs, present)
        self._previews = ObjectPreviews()
        self._found: dict[ObjectKey, Unfolded] = {}
        #: By Kustomization in Git, as it is once that is applied, of which content.
        self._after: dict[ObjectKey, tuple[str, Kustomization]] = {}
        #: By Kustomization, what decided about what was found of it.
        self._states: Mapping[ObjectKey, object] = {}

    def all(self) -> dict[ObjectKey, Kustomization]:
        """All that there will be."""
        return {key: found.kustomization for key, found in self._found.items()}

    @property
    def objects(self) -> Mapping[ObjectKey, DesiredObject]:
        """All that the commit brings; of what several bring the first counts."""
        return self.inputs.objects

    def secrets(self, key: ObjectKey) -> frozenset[str]:
        """What of the variables of one is out of Secrets."""
        return self.inputs.secrets.get(key, frozenset())

    async def run(self, root: Desired, pruned_by: Collection[str]) -> list[Unfolded]:
        """Those that ``root`` leads to, and those of the cluster that go on being there: not those of the syncs
        ``pruned_by``, which are not in ``root``. Each comes after the one that brings it."""
        for _ in range(2 * MAX_NESTING):
            self._learn(root)
            await self._gather(root, pruned_by)
            held = Order.of(self._all_releases(), self, self._place).held
            blocks = {key: self._block(found.kustomization, held.get(key)) for key, found in self._found.items()}
            states = {key: (await self._state(found), str(blocks[key])) for key, found in self._found.items()}
            news = [key for key, state in states.items() if self._states.get(key) != state]
            if not news:
                break
            built = await asyncio.gather(*(self._unfold(self._found[key], blocks[key]) for key in news))
            self._found |= {found.key: found for found in built}
            self._states = states
        return [found for found in self._found.values() if not self.is_root(found.kustomization)]

    def _learn(self, root: Desired) -> None:
        """All objects that are known by now; of one that several bring the first counts."""
        parts = [root, *(found.desired for found in self._found.values() if found.desired is not None)]
        self.inputs.objects = {key: item for part in reversed(parts) for key, item in part.objects.items()}
        for part in parts:
            self.brought.add(part)

    async def _gather(self, root: Desired, pruned_by: Collection[str]) -> None:
        """Which there are, as far as is known by now."""
        items = self._in_git(root)
        wanted = {key: await self._as_wanted(item) for key, item in items.items()}
        wanted |= self._others(wanted, pruned_by)
        known = self._found
        self._found = {
            key: replace(known.get(key) or Unfolded(item, None), kustomization=item, item=items.get(key))
            for key, item in wanted.items()
        }

    def _in_git(self, root: Desired) -> dict[ObjectKey, DesiredObject]:
        """The Kustomizations of ``root``, each followed by those in it."""
        items: dict[ObjectKey, DesiredObject] = {}
        waiting = _kustomizations(root)[::-1]
        while waiting:
            item = waiting.pop()
            if item.key in items or not self.cluster.serves(item.key):
                continue
            items[item.key] = item
            found = self._found.get(item.key)
            if found is not None and found.desired is not None:
                waiting += _kustomizations(found.desired)[::-1]
        return items

    def _others(
        self, wanted: Mapping[ObjectKey, Kustomization], pruned_by: Collection[str]
    ) -> dict[ObjectKey, Kustomization]:
        """Those that only the cluster has, and that do not go with the commit."""
        found: dict[ObjectKey, Kustomization] = {}
        pruning = set(pruned_by)
        for key, item in wanted.items():
            known = self._found.get(key)
            if item.spec.prune and known is not None and known.applies:
                pruning.add(key.namespaced_name)
        for key, manifest in self.live.items():
            metadata = manifest["metadata"]
            labels = metadata.get("labels") or {}
            goes = (sync_of(labels) or flux_sync_of(labels)) in pruning and not prune_disabled(manifest)
            if key in wanted or goes or "deletionTimestamp" in metadata:
                continue
            with suppress(FieldErrors):  # the agent leaves one alone that cannot be read
                found[key] = Kustomization.parse(manifest)
        return found

    async def _as_wanted(self, item: DesiredObject) -> Kustomization:
        """A Kustomization as it is once Git's is applied: with its status, and what only the cluster has of it."""
        known = self._after.get(item.key)
        if known is not None and known[0] == item.digest:
            return known[1]
        after = self.live.get(item.key) or item.manifest
        if subset_differs(item.manifest, after):
            after = as_applied(await self._previews.dry_run(self.cluster, item.manifest, FIELD_MANAGER))
        kustomization = Kustomization.parse(after)
        self._after[item.key] = item.digest, kustomization
        return kustomization

    async def _state(self, found: Unfolded) -> object:
        """What decides about what one comes to, beside its dependencies: another one when it has to be built anew."""
        kustomization = found.kustomization
        source = self.inputs.objects.get(kustomization.source)
        makers = tuple(maker.spec for maker in self.trees.makers_of(kustomization.source))
        try:
            spec: object = await self.inputs.spec_of(kustomization)
        except GitsyncError as error:
            spec = error.message
        return kustomization.manifest.get("spec"), spec, source and source.digest, makers

    async def _unfold(self, found: Unfolded, block: GitsyncError | None) -> Unfolded:
        kustomization, nothing = found.kustomization, replace(found, desired=None, problems=())
        if kustomization.spec.suspend or self.is_root(kustomization) or not await self._is_concerned(found):
            return nothing
        try:
            refuse_unsupported(kustomization)
            check_access(kustomization, self.rules)
            if block is not None:
                raise block
            url = (await self.trees.tree_of(kustomization.source)).url
            desired = await self.coming.desired(kustomization)
        except GitsyncError as error:
            return replace(nothing, problems=(error,))
        if desired.errors:  # what is not built in whole is left as it is
            return replace(nothing, problems=desired.errors)
        return replace(nothing, desired=desired, url=url)

    async def _is_concerned(self, found: Unfolded) -> bool:
        """Whether the commit has to do with one: it reads this repository, or something that it reads is another."""
        kustomization = found.kustomization
        if self.trees.is_synced(kustomization.source):
            return True
        makers = self.trees.makers_of(kustomization.source)
        inputs = [key for it in makers for key in (it.key, *map(it.source_key, it.spec.sources))]
        keys = [found.key, kustomization.source, *inputs, *kustomization.value_sources()]
        items = [item for key in keys if (item := self.inputs.objects.get(key)) is not None]
        return any([subset_differs(item.manifest, await self._live(item.key) or {}) for item in items])

    async def _live(self, key: ObjectKey) -> Manifest | None:
        if is_kustomization(key):
            return self.live.get(key)
        return self.source(key) if key.group == SOURCE_GROUP else await self.inputs.live(key)

    def _block(self, kustomization: Kustomization, held: HeldByCycle[ObjectKey] | None) -> GitsyncError | None:
        """Why one would never go on. What is not ready yet is taken as ready: shown is what comes of a commit when
        everything went well."""
        block = blocked(kustomization, held, self._awaited, lambda _: "", {})
        if block is None or (held is None and not isinstance(block.error, DependencyMissing)):
            return None
        return block.error

    def _awaited(self, key: ObjectKey) -> Manifest | None:
        return awaited(key, self.manifest(key), Standing(RECONCILIATION_SUCCEEDED, ""))

    def _all_releases(self) -> dict[ObjectKey, HelmRelease | None]:
        """The HelmReleases that there will be: those of the cluster, as Git has them where it does."""
        found = {release.key: release for release in self.releases.releases()}
        brought = {key: item.model for key, item in self.inputs.objects.items()}
        return {**found, **{key: model for key, model in brought.items() if isinstance(model, HelmRelease)}}

    def manifest(self, key: ObjectKey) -> Manifest | None:
        """See Others; of a HelmRelease, too."""
        if (found := self._found.get(key)) is not None:
            return found.kustomization.manifest
        item = self.inputs.objects.get(key)
        return item.manifest if item is not None else self.releases.manifest(key)

    def needs(self) -> Mapping[ObjectKey, Sequence[Edge[ObjectKey]]]:
        """See Others."""
        return {key: edges_of(item) for key, item in self.all().items()}

    def followed(self) -> Mapping[ObjectKey, Sequence[Followed]]:
        """See Others."""
        found = {key: it for key, it in self._found.items() if not it.kustomization.spec.suspend}
        return {key: [Followed(key, inside) for inside in self._inside(it)] for key, it in found.items()}

    def _inside(self, found: Unfolded) -> Iterable[ObjectKey]:
        """What one waits for once it has applied all."""
        item = found.kustomization
        if item.spec.kube_config is not None or self.is_root(item):
            return ()
        inside = found.desired.objects if found.desired is not None and item.spec.wait else ()
        keys = inside if item.spec.wait else [check.key for check in item.spec.health_checks]
        return sorted(key for key in keys if is_release(key) or self._waits(key))

    def _waits(self, key: ObjectKey) -> bool:
        found = self._found.get(key)
        return found is not None and not found.kustomization.spec.suspend

    def _place(self, dependent: ObjectKey, dependency: ObjectKey) -> Origin | None:
        """See Places."""
        item = self.inputs.objects.get(dependent)
        return written_in(item, dependency) if item is not None else None


def _kustomizations(desired: Desired) -> list[DesiredObject]:
    return [item for item in desired.objects.values() if isinstance(item.model, Kustomization)]
