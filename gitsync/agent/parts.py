"""The parts of gitsync, put together from settings: by the agent, which serves with them, and by plan, diff, verify and
other commands, which use some of them for one look. Nothing else wires parts.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from gitsync.apply.claims import ObjectClaims
from gitsync.apply.live import LiveReader
from gitsync.cluster import Cluster, Informer, Leave
from gitsync.errors import InventoryError, SettingsError
from gitsync.git import GitCredentials, GitSource, Mirror
from gitsync.manifests import ManifestReader
from gitsync.release.access import AccessRules
from gitsync.release.clusters import AgentIdentity, TargetClusters
from gitsync.release.controller import Releases
from gitsync.release.dependencies.index import ReleaseIndex
from gitsync.release.values.references import References
from gitsync.release.wanted import WantedObjects
from gitsync.sources.helm import ChartRepositories
from gitsync.sync.apply import Syncer, SyncOptions
from gitsync.sync.build import CommitSource
from gitsync.sync.outcome import Hopeless
from gitsync.sync.owner import Owner
from gitsync.sync.store import SyncStore

if TYPE_CHECKING:
    from pathlib import Path

    from gitsync.api.helmrelease import HelmRelease
    from gitsync.api.identity import ObjectKey
    from gitsync.runtime.schedule import Schedule
    from gitsync.settings import Settings
    from gitsync.sources.artifacts import Artifacts, SyncedRepository


async def connect(settings: Settings) -> Cluster:
    """The cluster, or the namespace of it, that the settings name. Makes no request. Raises: SettingsError."""
    return await Cluster.connect(
        kubeconfig=settings.kubeconfig, context=settings.context or None, namespace=settings.watch_namespace
    )


def git_source(settings: Settings) -> GitSource:
    """Where to read from, and how to get in. Raises: GitRefused, SettingsError."""
    try:
        password, token = settings.read_git_password(), settings.read_git_token()
    except (OSError, ValueError) as error:
        raise SettingsError(f"the git credentials cannot be read: {error}", setting="git_password_file") from error
    credentials = GitCredentials(
        username=settings.git_username,
        password=password,
        token=token,
        ssh_key_file=settings.git_ssh_key_file,
        known_hosts_file=settings.git_known_hosts_file,
        ca_file=settings.git_ca_file,
    )
    return GitSource(
        settings.repo, settings.branch, settings.tag, settings.commit, credentials, timeout=settings.git_timeout
    )


@asynccontextmanager
async def open_mirror(settings: Settings, directory: Path | None = None) -> AsyncIterator[Mirror]:
    """The mirror of the repository, in ``directory`` or the state directory. Credentials are read anew for each
    connection: a mounted Secret changes. Raises: GitRefused, SettingsError.
    """
    mirror = Mirror(git_source(settings), directory or settings.state_dir / "git", lambda: git_source(settings).access)
    try:
        yield mirror
    finally:
        await mirror.close()


@asynccontextmanager
async def open_commits(settings: Settings) -> AsyncIterator[CommitSource]:
    """The commits of the repository. Raises: GitRefused, SettingsError."""
    async with open_mirror(settings) as mirror:
        reader = ManifestReader(settings.default_namespace, json_manifests=settings.json_manifests)
        yield CommitSource(mirror, reader, settings.name, settings.path)


@asynccontextmanager
async def open_chart_repositories(settings: Settings) -> AsyncIterator[ChartRepositories]:
    """Chart repositories, and the cache of what was fetched from them."""
    repositories = ChartRepositories(settings.state_dir / "charts")
    try:
        yield repositories
    finally:
        await repositories.close()


def sync_store(settings: Settings, cluster: Cluster) -> SyncStore:
    """Where the sync of the settings keeps its inventory and journal."""
    return SyncStore(cluster, settings.namespace, settings.name)


def sync_owner(settings: Settings) -> Owner:
    """The sync that the settings describe. Raises: GitRefused, SettingsError."""
    return Owner(settings.name, git_source(settings).url, settings.path)


def make_syncer(
    settings: Settings,
    cluster: Cluster,
    wanted: WantedObjects,
    synced: SyncedRepository,
    watches: dict[tuple[str, str], Informer],
    hopeless: Hopeless | None = None,
) -> Syncer:
    """What applies commits of ``synced``. ``wanted`` knows the releases and what everybody wants; ``watches`` are those
    of releases and repositories, by group and kind; ``hopeless`` ends a wait for releases before its time.

    Raises: GitRefused, SettingsError.
    """
    owner = sync_owner(settings)
    return Syncer(
        cluster,
        wanted.index,
        owner,
        sync_store(settings, cluster),
        LiveReader(cluster, watches),
        synced,
        SyncOptions(settings.prune, settings.allow_mass_prune, settings.default_namespace),
        wanted.claims,
        wanted.for_sync(owner.claimant),
        hopeless=hopeless,
    )


async def claim_inventory(settings: Settings, cluster: Cluster, claims: ObjectClaims) -> None:
    """Have known what the sync has in the cluster before a release asks, at a start: what it wants is known with its
    first commit only. An inventory that cannot be read is left for the sync to tell of.

    Raises: ClusterUnavailable, ApiError.
    """
    with suppress(InventoryError):
        inventory = await sync_store(settings, cluster).inventory()
        claims.set(sync_owner(settings).claimant, "commit", (entry.key for entry in inventory))


def make_releases(
    settings: Settings, cluster: Cluster, repositories: ChartRepositories, artifacts: Artifacts, schedule: Schedule
) -> Releases:
    """What serves HelmReleases and HelmRepositories."""
    return Releases(
        cluster,
        repositories,
        artifacts,
        schedule,
        holder=_holder(settings),
        concurrency=settings.concurrency,
        rules=access_rules(settings),
    )


@asynccontextmanager
async def open_targets(settings: Settings, cluster: Cluster) -> AsyncIterator[TargetClusters]:
    """The clusters that releases live in, for one look: nobody hears of changes there."""
    references = References(cluster, _ignore)
    identity = AgentIdentity(_holder(settings), settings.concurrency)
    try:
        async with TargetClusters(cluster, identity, references, access_rules(settings)) as targets:
            yield targets
    finally:
        await references.close()


def known_wishes(cluster: Cluster) -> WantedObjects:
    """What releases have, for one look: nobody renders what they will have."""

    async def renders_nothing(release: HelmRelease) -> frozenset[ObjectKey]:
        return frozenset()

    return WantedObjects(ReleaseIndex(cluster.namespace), ObjectClaims(), renders_nothing, _ignore)


def access_rules(settings: Settings) -> AccessRules:
    """What the settings say about releases that live elsewhere, or are worked on as somebody else."""
    return AccessRules(
        settings.default_service_account,
        settings.cross_namespace_refs,
        Leave(exec=settings.insecure_kubeconfig_exec, insecure_tls=settings.insecure_kubeconfig_tls),
    )


def _holder(settings: Settings) -> str:
    """Who works on a pending revision, as Helm's records name it."""
    return f"gitsync/{settings.name}"


def _ignore(*_: object) -> None:
    """A listener for one look: it has ended before anything could follow from a change."""
