"""Previews for commands: opens the parts that each needs, and closes them again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from gitsync.agent.parts import (
    access_rules,
    connect,
    default_keys,
    git_source,
    is_root,
    open_chart_repositories,
    open_commits,
    open_targets,
    root_store,
    root_sync,
    stands_for,
    sync_store,
    synced_repository,
)
from gitsync.agent.trust import Declared, demands
from gitsync.api.generator import ArtifactGenerator
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.kinds import SERVED_SOURCES, SOURCE_EXTENSIONS_GROUP
from gitsync.api.kustomization import Kustomization
from gitsync.api.names import (
    ARTIFACT_GENERATOR,
    GIT_REPOSITORY,
    HELM_CHART,
    HELM_GROUP,
    HELM_RELEASE,
    KUSTOMIZATION,
    KUSTOMIZE_GROUP,
    SOURCE_GROUP,
)
from gitsync.api.sources import GitRepository
from gitsync.apply.live import LiveReader
from gitsync.build import BuildSpec
from gitsync.cel.expressions import Expressions
from gitsync.errors import ApiError, FieldErrors, Forbidden, KindUnknown, NotVerified, SettingsError, ValuesMissing
from gitsync.git.reference import HEAD, GitReference
from gitsync.live.wishes import known_wishes
from gitsync.manifests import Desired
from gitsync.preview.difference import CommitRenderer, Contents, Scope, difference
from gitsync.preview.kustomizations import WholeCommit
from gitsync.preview.plan import Preview, Previewer
from gitsync.preview.releases import Problem
from gitsync.preview.syncs import Syncs
from gitsync.preview.unfold import Unfolding
from gitsync.release.access import PLAIN, AccessRules
from gitsync.release.render import Renderer
from gitsync.release.wanted.wantedobjects import WantedObjects
from gitsync.sandbox.kinds.catalog import Catalog
from gitsync.sops import Keys
from gitsync.sources.commit import Brought, SourcesOfCommit, sources_of_commit
from gitsync.sources.git import Verification
from gitsync.sources.helm import ChartRepositories
from gitsync.sources.resolve.artifacts import BOOTSTRAP, Artifact, Artifacts, SyncedRepository
from gitsync.sources.resolve.gitartifact import verification_of
from gitsync.sync.build import CommitSource
from gitsync.sync.factory import SyncerFactory
from gitsync.sync.kustomization.inputs.rootkeys import RootKeys
from gitsync.sync.kustomization.storage.statusstore import claim_present
from gitsync.sync.kustomization.syncers import Syncers
from gitsync.sync.storage.history import JournalEntry

if TYPE_CHECKING:
    from gitsync.cluster import Cluster, Informer
    from gitsync.git import Mirror
    from gitsync.settings import Settings

    #: By group and kind.
    Watches = dict[tuple[str, str], Informer]


async def preview(settings: Settings, branch: str = "") -> Preview:
    """What the head of the repository would do to the cluster, or that of another ``branch`` in its place. Changes
    nothing.

    Raises: SettingsError, GitRefused, GitUnavailable, ApiError, ClusterUnavailable.
    """
    if not settings.repo:
        raise SettingsError("there is no repository to plan from", setting="repo", hint="add --repo URL")
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(await connect(settings))
        sources = await stack.enter_async_context(open_chart_repositories(settings))
        commits = await stack.enter_async_context(open_commits(settings, sources))
        watches, generators = await _watched(cluster, stack), await _generators(cluster)
        parts = _Parts(settings, cluster, sources, commits, watches, generators, stack)
        head = await parts.head(branch)
        wanted = parts.wanted(head)
        previewer = Previewer(
            cluster,
            wanted,
            await parts.syncs(head, wanted),
            lambda whole: parts.of_commit(Brought.of(whole), head).locator.locate,
            Renderer(sources.charts),
            await stack.enter_async_context(Expressions()),
            await stack.enter_async_context(open_targets(settings, cluster)),
        )
        found = await previewer.preview(head.desired)
        commits.demands = demands(settings, _declared(cluster, parts.watches, head.synced))
        unsigned = await _unsigned(commits, head.desired)
        return replace(found, problems=(*unsigned, *found.problems))


@dataclass(frozen=True)
class _Head:
    """A commit, and what it makes of the repository's own sync. ``decrypts``: whether its directory is decrypted."""

    desired: Desired
    artifacts: Artifacts
    synced: SyncedRepository
    is_root: Callable[[Kustomization], bool]
    decrypts: bool


@dataclass(frozen=True)
class _Parts:
    """The parts that a preview is made with; those that are opened later are closed with ``stack``. ``generators``
    are those of the cluster."""

    settings: Settings
    cluster: Cluster
    sources: ChartRepositories
    commits: CommitSource
    watches: Watches
    generators: Sequence[ArtifactGenerator]
    stack: AsyncExitStack

    @property
    def kustomizations(self) -> Informer:
        return self.watches[KUSTOMIZE_GROUP, KUSTOMIZATION]

    async def head(self, branch: str) -> _Head:
        """The head, with what the keys open that its own Kustomization names."""
        decrypts = False

        async def keys_of(readable: Desired) -> Keys | None:
            nonlocal decrypts
            decrypts = await _decrypts(keys := self._keys(readable), readable)
            return await keys(readable) if decrypts else None

        async def spec_of(readable: Desired) -> BuildSpec | None:
            return await self._keys(readable).spec_of(readable)

        self.commits.keys_of, self.commits.spec_of = keys_of, spec_of
        desired = await _head(self.commits, branch)
        artifacts, synced, stands_for_root = self._carried_out(desired)
        decrypts = decrypts or await _decrypts(self._keys(desired), desired)
        return _Head(desired, artifacts, synced, stands_for_root, decrypts)

    def _keys(self, desired: Desired) -> RootKeys:
        """The keys of the directory itself, if this is what it wants."""
        artifacts, synced = _carried_out(self.settings, desired, self.commits.mirror)
        is_own = stands_for(root_sync(self.settings), artifacts, synced)
        keys = RootKeys(self.cluster, is_own, default_keys(self.settings), _nothing_follows)
        self.stack.push_async_callback(keys.close)
        return keys

    def _carried_out(self, desired: Desired) -> tuple[Artifacts, SyncedRepository, Callable[[Kustomization], bool]]:
        """What charts and Kustomizations are taken from, and which Kustomizations stand for the directory."""
        artifacts, synced = _carried_out(self.settings, desired, self.commits.mirror)
        return artifacts, synced, is_root(root_sync(self.settings), artifacts, synced)

    def wanted(self, head: _Head) -> WantedObjects:
        """What everybody in the cluster wants, and has."""
        wanted = known_wishes(self.cluster)
        for key, manifest in self.watches[HELM_GROUP, HELM_RELEASE].items():
            wanted.index.update(key, manifest)
        _claim(wanted, self.kustomizations, head.is_root)
        return wanted

    async def syncs(self, head: _Head, wanted: WantedObjects) -> Syncs:
        """The syncs that there will be."""
        store = root_store(root_sync(self.settings), self.cluster, head.artifacts, head.synced)
        store.all = partial(_readable, self.kustomizations)
        rules = access_rules(self.settings)
        factory = SyncerFactory(self.cluster, wanted, LiveReader(self.cluster, self.watches), rules=rules)
        syncers = Syncers(factory, self.kustomizations.get)
        self.stack.push_async_callback(syncers.close)
        return Syncs(
            wanted,
            factory.make(root_sync(self.settings), store, head.synced),
            syncers,
            Syncers(replace(factory, rules=PLAIN), self.kustomizations.get),
            await self._unfolding(head, wanted, rules),
            head.decrypts,
        )

    def of_commit(self, brought: Brought, head: _Head) -> SourcesOfCommit:
        """The sources once the commit is carried out, which has ``brought`` these."""
        return sources_of_commit(brought, head.artifacts, self.sources, self.cluster, self.watches, self.generators)

    async def _unfolding(self, head: _Head, wanted: WantedObjects, rules: AccessRules) -> Unfolding:
        brought = Brought()
        return Unfolding(
            self.cluster,
            self.kustomizations,
            partial(_source_of, self.watches),
            wanted.index,
            self.of_commit(brought, head).trees,
            self.commits.directories.builder,
            rules,
            head.is_root,
            brought,
            default_keys(self.settings),
        )


async def _decrypts(keys: RootKeys, desired: Desired) -> bool:
    """Whether the directory itself is decrypted. That there are no keys for it is said at each file that wants some.
    Raises: ClusterUnavailable."""
    try:
        return await keys(desired) is not None
    except (ValuesMissing, ApiError):
        return True


async def _watched(cluster: Cluster, stack: AsyncExitStack) -> Watches:
    """The objects of the kinds that an agent works on, as they are in the cluster."""
    kinds = [(HELM_GROUP, HELM_RELEASE), (KUSTOMIZE_GROUP, KUSTOMIZATION)]
    kinds += [(SOURCE_GROUP, kind) for kind in SERVED_SOURCES if kind != HELM_CHART]
    watches = {
        (group, kind): await stack.enter_async_context(cluster.watch(group, kind, namespace=cluster.namespace))
        for group, kind in kinds
    }
    with suppress(Forbidden):  # as the agent, that goes without them, too
        charts = cluster.watch(SOURCE_GROUP, HELM_CHART, namespace=cluster.namespace)
        watches[SOURCE_GROUP, HELM_CHART] = await stack.enter_async_context(charts)
    return watches


async def _generators(cluster: Cluster) -> list[ArtifactGenerator]:
    """The ArtifactGenerators of the cluster; none where the kind is not defined."""
    found = []
    with suppress(KindUnknown):
        for manifest in await cluster.list(SOURCE_EXTENSIONS_GROUP, ARTIFACT_GENERATOR, namespace=cluster.namespace):
            with suppress(FieldErrors):  # the agent leaves one alone that cannot be read
                found.append(ArtifactGenerator.parse(manifest))
    return found


def _claim(wanted: WantedObjects, kustomizations: Informer, is_root: Callable[[Kustomization], bool]) -> None:
    """Have known what Kustomizations have. The root says so itself."""
    roots = {key for key, item in _readable(kustomizations).items() if is_root(item)}
    for key, manifest in kustomizations.items():
        if key not in roots:
            claim_present(wanted.claims, manifest)


def _readable(kustomizations: Informer) -> dict[ObjectKey, Kustomization]:
    """Those of the cluster that can be read."""
    found: dict[ObjectKey, Kustomization] = {}
    for key, manifest in kustomizations.items():
        with suppress(FieldErrors):
            found[key] = Kustomization.parse(manifest)
    return found


def _source_of(watches: Watches, key: ObjectKey) -> Manifest | None:
    watch = watches.get(key[:2])
    return watch.get(key) if watch is not None else None


def _declared(cluster: Cluster, watches: Watches, synced: SyncedRepository) -> Declared:
    """What the GitRepository asks for, in the cluster, by which the repository names itself."""

    async def declared() -> Verification | None:
        watch = watches.get((SOURCE_GROUP, GIT_REPOSITORY))
        live = watch.get(BOOTSTRAP) if watch is not None else None
        repository = GitRepository.parse(live) if live is not None else None
        if repository is None or not synced.is_named_by(BOOTSTRAP, repository):
            return None
        return await verification_of(cluster, repository)

    return declared


async def _unsigned(commits: CommitSource, desired: Desired) -> tuple[Problem, ...]:
    """The error that the agent would have about a commit without the signatures that are demanded."""
    try:
        await commits.verify(desired.commit)
    except NotVerified as error:
        return (Problem(f"commit {desired.commit.short}", f"it would not be applied: {error.message}", error.hint),)
    return ()


def _nothing_follows() -> None:
    """A listener that does nothing: a plan is of one moment."""


async def commit_difference(settings: Settings, old: str, new: str) -> Preview:
    """What differs between two commits, by their ids, once releases are rendered. Asks no cluster.

    Raises: GitRefused, GitUnavailable.
    """
    catalog = await asyncio.to_thread(Catalog)
    scopes = {(kind.group, kind.kind): kind.namespaced for kind in catalog.kinds()}

    def scope(group: str, kind: str) -> bool | None:
        return scopes.get((group, kind))

    async with open_chart_repositories(settings) as sources:
        before, _, _ = await _contents(settings.model_copy(update={"commit": old}), sources, scope)
        after, desired, unsigned = await _contents(settings.model_copy(update={"commit": new}), sources, scope)
        found = difference(before, after, desired, root_sync(settings).owner.claimant)
        return replace(found, problems=(*unsigned, *found.problems))


async def _contents(
    settings: Settings, sources: ChartRepositories, scope: Scope
) -> tuple[Contents, Desired, tuple[Problem, ...]]:
    async with open_commits(settings, sources) as commits:
        whole = WholeCommit(commits.directories.builder, sources.unpacker, settings.path)
        commits.spec_of = whole.spec_of
        desired = await whole.read(await _head(commits))
        artifacts, _ = _carried_out(settings, desired)
        locator = sources_of_commit(Brought.of(desired), artifacts, sources).locator
        made = CommitRenderer(locator.locate, Renderer(sources.charts), scope, settings.default_namespace)
        return await made.contents(desired, whole), desired, await _unsigned(commits, desired)


def _carried_out(
    settings: Settings, desired: Desired, mirror: Mirror | None = None
) -> tuple[Artifacts, SyncedRepository]:
    """What charts and Kustomizations are taken from once a commit is carried out, which the ``mirror`` has."""
    artifacts = Artifacts(is_shared=settings.cross_namespace_refs)
    synced = synced_repository(root_sync(settings), git_source(settings), artifacts)
    synced.polled(None, *((mirror.default_branch, mirror.cloned_from) if mirror is not None else ()))
    synced.carry_out(Artifact.of(desired), ())
    return artifacts, synced


async def whole_commit(settings: Settings) -> tuple[Desired, Desired]:
    """What the commit that the settings name wants, without and with what is in its Kustomizations. Their trees cannot
    be read any more. Raises: GitRefused, GitUnavailable.
    """
    async with (
        open_chart_repositories(settings) as sources,
        open_commits(settings, sources) as commits,
    ):
        desired = await _head(commits)
        return desired, await WholeCommit(commits.directories.builder, sources.unpacker, settings.path).read(desired)


async def _head(commits: CommitSource, branch: str = "") -> Desired:
    mirror = commits.mirror
    if not branch:
        return await commits.read(await mirror.fetch(await mirror.head()))
    reference = GitReference(branch=branch)
    found = await mirror.resolve(reference, await mirror.refs({HEAD, *reference.names}))
    return await commits.read(await mirror.fetch(found.commit, reference))


@dataclass(frozen=True)
class Journals:
    """What past commits did, newest first: by the sync of the settings, and by Kustomizations, by their names."""

    root: tuple[JournalEntry, ...]
    kustomizations: Mapping[str, tuple[JournalEntry, ...]]


async def read_journals(settings: Settings) -> Journals:
    """Both journals, in full. Raises: InventoryError, ApiError, ClusterUnavailable."""
    async with await connect(settings) as cluster:
        store = sync_store(settings, cluster)
        return Journals(await store.journal(), await store.kustomization_journals())
