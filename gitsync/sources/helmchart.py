"""Charts built from the files of an artifact's tree, as Flux's HelmChart builds them from a GitRepository."""

from __future__ import annotations

import asyncio
import hashlib
import posixpath
from collections.abc import Mapping, Sequence
from functools import partial

from cachetools import LRUCache

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import CommitInfo, ObjectKey
from gitsync.api.names import GIT_REPOSITORY
from gitsync.charts import Chart
from gitsync.charts.dependencies import with_dependencies
from gitsync.charts.source import archive_from_files
from gitsync.errors import ArtifactPathMissing, ChartError, ChartNotFound
from gitsync.sources.artifacts import Artifact, other_repository
from gitsync.sources.chart import ChartArtifact
from gitsync.sources.dependencies import Local, LocalDependencies
from gitsync.sources.helm import ChartRepositories
from gitsync.sources.remote import Fetched, RemoteDependencies
from gitsync.sources.repositories import RepositoryLookup, comparable
from gitsync.sources.treefiles import chart_files
from gitsync.sources.valuesfiles import with_values_files
from gitsync.tree import Tree

_MAX_LOADABLE = 4096


class TreeCharts:
    """Finds charts in trees. A chart's digest is that of the directory that it stands in, with those of what it depends
    on outside of that: a commit that leaves all of it alone changes nothing."""

    def __init__(self, repositories: RepositoryLookup, fetched: ChartRepositories) -> None:
        self._charts = fetched.charts
        self._local = LocalDependencies()
        self._remote = RemoteDependencies(repositories, fetched)
        self._loadable: LRUCache[str, bool] = LRUCache(_MAX_LOADABLE)
        self._urls: dict[ObjectKey, frozenset[str]] = {}

    async def locate(self, release: HelmRelease, artifact: Artifact) -> ChartArtifact:
        """The chart that a release asks for, in this artifact.

        Raises: SourceNotReady, ChartNotFound, ChartError, ChartRepositoryUnavailable.
        """
        path = chart_path(release)
        if path is None or release.spec.chart is None:
            raise other_repository(release.source)
        tree = artifact.tree
        local = await self._local.of(tree, path)
        if local is None:
            raise await _no_chart(tree, path, artifact.commit)
        folders = list(local.all())
        self._note(release.key, folders)
        namespaces = (release.source.namespace, release.metadata.namespace)
        fetched = {item.path: await self._remote.of(item, namespaces) for item in folders if item.remote}
        digest = f"git:{_digest(local, fetched)}"
        load = partial(self._load, tree, local, fetched, digest)
        if digest not in self._loadable:  # a chart that Helm does not take is said to be none at once
            await load()
            self._loadable[digest] = True
        located = ChartArtifact(local.name, local.version, digest, load)
        blobs = await _values_blobs(release, tree)
        read = partial(_read, tree, blobs)
        return with_values_files(self._charts, located, release.spec.chart.spec, tuple(blobs.values()), read)

    def needs(self, release: ObjectKey, url: str) -> bool:
        """Whether a release's chart, as it was last located, depends on a chart of the repository with this URL."""
        return comparable(url) in self._urls.get(release, ())

    def _note(self, release: ObjectKey, folders: Sequence[Local]) -> None:
        self._urls.pop(release, None)
        if urls := {comparable(wanted.repository) for item in folders for wanted in item.remote}:
            self._urls[release] = frozenset(urls)

    async def _load(self, tree: Tree, local: Local, fetched: Mapping[str, Sequence[Fetched]], digest: str) -> Chart:
        cached = self._charts.cached(digest)
        return cached or await self._charts.from_files(await _files(tree, local, fetched), digest)


async def _files(tree: Tree, local: Local, fetched: Mapping[str, Sequence[Fetched]]) -> dict[str, bytes]:
    """A chart's files, with all that is missing from its ``charts/``."""
    archives = {f"{item.name}-{item.version}": await item.load() for item in fetched.get(local.path, ())}
    for item in local.local:
        files = await _files(tree, item, fetched)
        archives[f"{item.name}-{item.version}"] = await asyncio.to_thread(archive_from_files, files)
    return with_dependencies(await chart_files(tree, local.path), archives)


def _digest(local: Local, fetched: Mapping[str, Sequence[Fetched]]) -> str:
    if not fetched:
        return local.content
    parts = [local.content, *(item.digest for path in sorted(fetched) for item in fetched[path])]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


async def content_id(release: HelmRelease, tree: Tree, local: LocalDependencies) -> str | None:
    """What changes when the tree has another chart for a release: other files in its folder, in the folders that it
    depends on, or in its valuesFiles. None when there is no such folder.

    Raises: ChartError; what the tree raises.
    """
    path = chart_path(release)
    found = await local.of(tree, path) if path is not None else None
    if found is None:
        return None
    return "+".join([found.content, *(await _values_blobs(release, tree)).values()])


async def _no_chart(tree: Tree, path: str, commit: CommitInfo) -> ChartNotFound:
    try:
        await tree.entries(path)
        why = ""
    except ArtifactPathMissing as error:
        why = f": {error.reason}" if error.reason else ""
    where = f"commit {commit.short}" if commit.id else "the working tree"
    return ChartNotFound(f"there is no folder {path!r} in {where}{why}", chart=path)


async def _values_blobs(release: HelmRelease, tree: Tree) -> dict[str, str]:
    """The ids of those valuesFiles that the tree has, by the paths they are written with. As in Flux, those of charts
    in Git are counted from the root of the repository.

    Raises: ChartError for one that is there and cannot be read.
    """
    found: dict[str, str] = {}
    for name in release.spec.chart.spec.all_values_files() if release.spec.chart else ():
        path = posixpath.normpath(name)
        entry = await tree.file(path) if not path.startswith("/") else None
        if entry is not None and entry.unreadable:
            raise ChartError(f"values file {name!r} is {entry.unreadable}")
        if entry is not None:
            found[name] = entry.blob_id
    return found


async def _read(tree: Tree, blobs: dict[str, str]) -> dict[str, bytes]:
    contents = await tree.read(list(blobs.values()))
    return {name: contents[blob] for name, blob in blobs.items()}


def chart_path(release: HelmRelease) -> str | None:
    """``spec.chart.spec.chart`` as a path in the repository, without ``./``; None when it would lead out of it."""
    if release.spec.chart is None or release.source.kind != GIT_REPOSITORY:
        return None
    path = posixpath.normpath(release.spec.chart.spec.chart)
    if path.startswith(("/", "..")):
        return None
    return "" if path == "." else path
