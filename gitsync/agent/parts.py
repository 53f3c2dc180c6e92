"""The parts of gitsync, made from settings: by the agent, which serves with them, and by plan, diff, verify and other
commands, which use some of them once. A part that needs settings is made nowhere else.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from gitsync.agent.trust import demands
from gitsync.api.identity import ObjectKey
from gitsync.api.kustomization import Kustomization
from gitsync.api.names import sync_name
from gitsync.budget import Budget
from gitsync.build import Builder, Directories
from gitsync.cel.expressions import Expressions
from gitsync.cluster import Cluster, KubeconfigAllowance
from gitsync.errors import InventoryError, SettingsError
from gitsync.git import GitCredentials, GitSource, Mirror, redacted_url
from gitsync.kustomize import Kustomizer
from gitsync.manifests import ManifestReader
from gitsync.notify import Notifier
from gitsync.release.access import AccessRules
from gitsync.release.clusters import AgentIdentity, TargetClusters
from gitsync.release.controller import Releases
from gitsync.release.values.references import References
from gitsync.release.wanted.claims import ObjectClaims
from gitsync.runtime.recorder import EventRecorder
from gitsync.sources.helm import ChartRepositories
from gitsync.sources.resolve.artifacts import BOOTSTRAP, Head
from gitsync.sync.build import CommitSource
from gitsync.sync.kustomization.root import Root
from gitsync.sync.kustomization.storage.rootstore import RootStore, StandsFor
from gitsync.sync.owner import Owner
from gitsync.sync.reconciler import SyncReconciler
from gitsync.sync.spec import SyncSpec
from gitsync.sync.storage.configmaps import SyncStore

if TYPE_CHECKING:
    from pathlib import Path

    from gitsync.manifests import Desired
    from gitsync.runtime.schedule import Schedule
    from gitsync.settings import Settings
    from gitsync.sources.controller import Sources
    from gitsync.sources.resolve.artifacts import Artifacts, SyncedRepository


async def connect(settings: Settings) -> Cluster:
    """The cluster, or the namespace of it, that the settings name. Makes no request. Raises: SettingsError."""
    return await Cluster.connect(
        kubeconfig=settings.kubeconfig, context=settings.context or None, namespace=settings.watch_namespace
    )


def git_source(settings: Settings) -> GitSource:
    """The repository to read, with its reference and credentials. Raises: GitRefused, SettingsError."""
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


def directories(
    settings: Settings, repositories: ChartRepositories | None, kustomizer: Kustomizer | None = None
) -> Directories:
    """What reads manifests, and builds what is for kustomize."""
    reader = ManifestReader(settings.default_namespace, json_manifests=settings.json_manifests)
    return Directories(reader, make_builder(settings, repositories, kustomizer))


def make_builder(
    settings: Settings, repositories: ChartRepositories | None, kustomizer: Kustomizer | None = None
) -> Builder:
    """What builds directories, by the one ``kustomizer`` of this process, which bounds how many are built at once.
    Remote bases, where the settings allow them, are fetched by the HTTP client of ``repositories``."""
    remotes = repositories.bases if repositories is not None and settings.allow_remote_bases else None
    return Builder(kustomizer or Kustomizer(), settings.default_namespace, remotes=remotes)


@asynccontextmanager
async def open_commits(
    settings: Settings, repositories: ChartRepositories, kustomizer: Kustomizer | None = None
) -> AsyncIterator[CommitSource]:
    """The commits of the repository; the workers of ``repositories`` read charts in it, ``kustomizer`` builds
    directories.

    Raises: GitRefused, SettingsError.
    """
    async with open_mirror(settings) as mirror:
        made, wanted = directories(settings, repositories, kustomizer), demands(settings)
        await wanted()  # keys that cannot be used are an error at the start
        yield CommitSource(mirror, made, settings.name, repositories.charts.workers, settings.path, demands=wanted)


@asynccontextmanager
async def open_chart_repositories(settings: Settings, within: Budget | None = None) -> AsyncIterator[ChartRepositories]:
    """Chart repositories, and the cache of what was fetched from them; trees in memory are ``within`` a budget."""
    repositories = ChartRepositories(
        settings.state_dir / "charts", settings.source_timeout_limit, within, settings.default_service_account
    )
    try:
        yield repositories
    finally:
        await repositories.close()


def sync_store(settings: Settings, cluster: Cluster) -> SyncStore:
    """Where the sync of the settings keeps its inventory and journal."""
    return SyncStore(cluster, settings.namespace, settings.name)


def root_sync(settings: Settings) -> SyncSpec:
    """The sync that the settings describe. Raises: GitRefused, SettingsError."""
    return SyncSpec(
        Owner(settings.name, settings.namespace, git_source(settings).url, settings.path),
        prune=settings.prune,
        allow_mass_prune=settings.allow_mass_prune,
        default_namespace=settings.default_namespace,
        is_root=True,
    )


def synced_repository(
    spec: SyncSpec, source: GitSource, artifacts: Artifacts, *, is_trusted: bool = False
) -> SyncedRepository:
    """The repository of a sync, from now on one of those that charts are taken from. In a sandbox it ``is_trusted``,
    whoever has signed it."""
    repository = artifacts.add(spec.owner.full_name, Head(source.url, source.reference, is_tried=is_trusted))
    repository.is_trusted = is_trusted
    return repository


async def claim_inventory(owner: Owner, cluster: Cluster, claims: ObjectClaims) -> None:
    """At a start, enter what the sync has in the cluster, by its inventory, into ``claims``, before any release asks
    who wants its objects: what the sync wants is known with its first commit only. An inventory that cannot be read is
    no error here; the sync will report it.

    Raises: ClusterUnavailable, ApiError.
    """
    claims.first_commit.clear()
    with suppress(InventoryError):
        inventory = await SyncStore(cluster, owner.namespace, owner.name).inventory()
        claims.set(owner.claimant, "commit", inventory.wanted)
        claims.set(owner.claimant, "kept", inventory.kept)


def root_of(spec: SyncSpec, artifacts: Artifacts, synced: SyncedRepository, reconciler: SyncReconciler) -> Root:
    """The sync of the settings, as Kustomizations see it."""
    return Root(
        is_root(spec, artifacts, synced),
        lambda: reconciler.applied_commit,
        reconciler.objects,
        lambda: reconciler.standing,
        reconciler.compare_all,
        lambda: reconciler.is_syncing,
    )


def is_root(spec: SyncSpec, artifacts: Artifacts, synced: SyncedRepository) -> Callable[[Kustomization], bool]:
    """Says for which Kustomizations the sync of the settings stands (see ``Root``). Until its first commit is carried
    out, which may name that Kustomization, also for one with the name that ``flux bootstrap`` gives: applied as a sync
    of its own, it would be in the way."""

    def is_meant(source: ObjectKey) -> bool:
        return artifacts.find(source) is synced or (synced.current is None and source == BOOTSTRAP)

    return lambda item: item.path == spec.owner.path and is_meant(item.source)


def stands_for(spec: SyncSpec, artifacts: Artifacts, synced: SyncedRepository) -> StandsFor:
    """Says of a Kustomization whether the sync of the settings stands for it, once ``desired`` is carried out."""

    def answer(item: Kustomization, desired: Desired) -> bool:
        if item.path != spec.owner.path:
            return False
        declared = desired.git_repositories.get(item.source)
        if declared is None:
            return artifacts.find(item.source) is synced
        return synced.head.is_meant_by(item.source, declared, brought=True)

    return answer


def root_store(spec: SyncSpec, cluster: Cluster, artifacts: Artifacts, synced: SyncedRepository) -> RootStore:
    """Where the sync of the settings keeps its state: its ConfigMaps, and the status of its Kustomization."""
    return RootStore(cluster, spec.owner.namespace, spec.owner.name, stands_for(spec, artifacts, synced))


def event_recorder(settings: Settings, cluster: Cluster) -> EventRecorder:
    """What writes Events about sources and releases."""
    return EventRecorder(cluster, _holder(settings))


@asynccontextmanager
async def open_events(
    settings: Settings, cluster: Cluster, expressions: Expressions, *, is_sandbox: bool
) -> AsyncIterator[EventRecorder]:
    """What writes Events, and passes them to the Providers that Alerts name; in a sandbox, to none of them."""
    async with event_recorder(settings, cluster).running() as events:
        if is_sandbox:
            yield events
            return
        notifier = Notifier(cluster, _holder(settings), crosses=settings.cross_namespace_refs, expressions=expressions)
        async with notifier.serving():
            events.on_event = notifier.hear
            yield events


def make_releases(
    settings: Settings,
    cluster: Cluster,
    sources: Sources,
    events: EventRecorder,
    schedule: Schedule,
    expressions: Expressions,
) -> Releases:
    """What serves HelmReleases."""
    return Releases(
        cluster,
        sources,
        events,
        schedule,
        holder=_holder(settings),
        concurrency=settings.concurrency,
        rules=access_rules(settings),
        expressions=expressions,
    )


@asynccontextmanager
async def open_targets(settings: Settings, cluster: Cluster) -> AsyncIterator[TargetClusters]:
    """The target clusters of releases, for commands that look once: changes there wake nobody."""
    references = References(cluster, _ignore)
    identity = AgentIdentity(_holder(settings), settings.concurrency)
    try:
        async with TargetClusters(cluster, identity, references, access_rules(settings)) as targets:
            yield targets
    finally:
        await references.close()


def access_rules(settings: Settings) -> AccessRules:
    """What the settings say about releases that live elsewhere, or are worked on as somebody else."""
    return AccessRules(
        settings.default_service_account,
        settings.cross_namespace_refs,
        KubeconfigAllowance(
            exec=settings.insecure_kubeconfig_exec,
            insecure_tls=settings.insecure_kubeconfig_tls,
            account=settings.default_kubeconfig_service_account,
        ),
    )


def default_keys(settings: Settings) -> ObjectKey | None:
    """The Secret with keys for Kustomizations that name none."""
    name = settings.sops_age_secret
    return ObjectKey("", "Secret", settings.namespace, name) if name else None


@asynccontextmanager
async def page_for_readers(settings: Settings, cluster: Cluster) -> AsyncIterator[None]:
    """Serve the page (``gitsync ui``) during the body, if the settings give it a port. Raises: SettingsError."""
    if not settings.web_port:
        yield
        return
    from gitsync.web.ui import Page, Readers  # templates and all, which only those wait for who ask for it

    readers = Readers((settings.web_host,) if settings.web_host else ())
    sync, url = (settings.namespace, settings.name), redacted_url(settings.repo) if settings.repo else ""
    page = Page(cluster, sync, settings.watch_namespace, readers=readers, url=url)
    address = None if settings.web_host else "127.0.0.1"
    async with page.serving(settings.web_port, address=address, setting="web_port"):
        yield


def _holder(settings: Settings) -> str:
    """This agent, as the annotation on a pending revision's record names it (``gitsync.dev/holder``)."""
    return f"gitsync/{sync_name(settings.namespace, settings.name)}"


def _ignore(*_: object) -> None:
    """A listener where nothing follows from a change: the command ends before."""
