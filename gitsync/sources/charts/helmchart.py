"""Charts built from the files of an artifact's tree, as Flux's HelmChart builds them from a GitRepository."""

from __future__ import annotations

import asyncio
import hashlib
import posixpath
from collections.abc import Mapping, Sequence
from functools import partial

from cachetools import LRUCache

from gitsync import semver
from gitsync.api.identity import CommitInfo, ObjectKey
from gitsync.api.names import BUCKET, GIT_REPOSITORY
from gitsync.charts import Chart
from gitsync.errors import ArtifactPathMissing, ChartError, ChartNotFound
from gitsync.helm.archive import MAX_FILE, MAX_UNPACKED
from gitsync.sources.charts.chart import ChartArtifact, WantedChart
from gitsync.sources.charts.dependencies import Local, LocalDependencies
from gitsync.sources.charts.remote import Fetched, RemoteDependencies
from gitsync.sources.charts.treefiles import chart_files, chart_folder, packed
from gitsync.sources.charts.valuesfiles import with_values_files
from gitsync.sources.helm import ChartRepositories
from gitsync.sources.resolve.artifacts import Artifact
from gitsync.sources.resolve.repositories import RepositoryLookup, comparable
from gitsync.sources.resolve.treeartifact import TreeArtifact, shortened
from gitsync.spool import Body, Spool
from gitsync.tree import Tree

_MAX_LOADABLE = 4096
#: Digits of a revision that a version shows, as with Flux.
_SHOWN = 12
_PATH_HINT = "correct spec.chart.spec.chart: it is counted from the root of the repository"


class TreeCharts:
    """Finds charts in trees. A chart's digest is made of its directory's and of those that it depends on outside of
    that: a commit that changes none of these is no news."""

    def __init__(self, repositories: RepositoryLookup, fetched: ChartRepositories) -> None:
        self._charts = fetched.charts
        self._local = LocalDependencies(fetched.charts.workers)
        self._remote = RemoteDependencies(repositories, fetched)
        self._loadable: LRUCache[str, bool] = LRUCache(_MAX_LOADABLE)
        self._urls: dict[ObjectKey, frozenset[str]] = {}

    async def locate(self, wanted: WantedChart, artifact: Artifact) -> ChartArtifact:
        """The chart that is asked for, in this artifact.

        Raises: SourceNotReady, ChartNotFound, ChartError, ChartRepositoryUnavailable.
        """
        path = chart_path(wanted)
        if path is None:
            raise ChartNotFound("the path of the chart leads out of the repository", hint=_PATH_HINT)
        tree, owner = artifact.tree, wanted.owner
        local = await self._local.of(tree, path, owner)
        if local is None:
            raise await _no_chart(tree, path, artifact.commit, wanted.source)
        build = artifact.commit.id[:_SHOWN] if wanted.by_revision else ""
        located = await self._located(wanted.by, wanted.source, tree, local, build)
        blobs = await _values_blobs(wanted, tree)
        read = partial(_read, tree, blobs, self._charts.workers.spool)
        return with_values_files(self._charts, located, wanted.choice, owner, tuple(blobs.values()), read, tuple(blobs))

    async def whole(self, by: ObjectKey, source: ObjectKey, artifact: TreeArtifact) -> ChartArtifact:
        """The chart that an artifact is, for a HelmRelease that names it by ``chartRef``: with the first digits of its
        revision's digest in its version, as with Flux, where the revision has one.

        Raises: SourceNotReady, ChartError, ChartRepositoryUnavailable.
        """
        where = f"{source.kind} '{source.namespaced_name}' at {shortened(artifact.revision)}"
        path = await asyncio.to_thread(chart_folder, await artifact.tree.entries(), where)
        local = await self._local.of(artifact.tree, path, by.namespace)
        assert local is not None  # chart_folder has found its Chart.yaml
        revision = _digest_in(artifact.revision)
        build = revision.rpartition(":")[2][:_SHOWN]
        return await self._located(by, source, artifact.tree, local, build, revision)

    async def _located(
        self, by: ObjectKey, source: ObjectKey, tree: Tree, local: Local, build: str, revision: str = ""
    ) -> ChartArtifact:
        """The chart of a folder; its version gets ``build`` as build metadata, if any. ``revision`` is that of its
        artifact, for a status."""
        folders = list(local.all())
        self._note(by, folders)
        namespaces = (source.namespace, by.namespace)
        fetched = {item.path: await self._remote.of(item, namespaces) for item in folders if item.remote}
        content = _digest(local, fetched)
        digest = f"{revision}+{content}" if revision else f"git:{content}" + (f"+{build}" if build else "")
        load = partial(self._load, tree, local, fetched, digest, by.namespace, build)
        if digest not in self._loadable:  # load it once now, so that a chart that Helm refuses is an error here
            await load()
            self._loadable[digest] = True
        version = semver.with_build(local.version, build) if build else local.version
        return ChartArtifact(local.name, version, digest, load)

    def needs(self, asking: ObjectKey, url: str) -> bool:
        """Whether the chart that a HelmRelease or HelmChart asks for, as it was last located, depends on a chart of the
        repository with this URL."""
        return comparable(url) in self._urls.get(asking, ())

    def _note(self, asking: ObjectKey, folders: Sequence[Local]) -> None:
        self._urls.pop(asking, None)
        if urls := {comparable(wanted.repository) for item in folders for wanted in item.remote}:
            self._urls[asking] = frozenset(urls)

    async def _load(
        self, tree: Tree, local: Local, fetched: Mapping[str, Sequence[Fetched]], digest: str, owner: str, build: str
    ) -> Chart:
        pack = partial(_pack, tree, local, fetched, self._charts.workers.spool)
        return await self._charts.from_tree(pack, digest, owner, build)


async def _pack(tree: Tree, local: Local, fetched: Mapping[str, Sequence[Fetched]], spool: Spool) -> Body:
    """A chart's archive, with all that is missing from its ``charts/``."""
    archives: dict[str, Body] = {}
    needed: list[Fetched | Local] = [*fetched.get(local.path, ()), *local.local]
    for item in needed:
        archive = await (item.load() if isinstance(item, Fetched) else _pack(tree, item, fetched, spool))
        archives[f"charts/{item.name}-{item.version}.tgz"] = archive
        if sum(map(len, archives.values())) > MAX_UNPACKED:
            raise ChartError(
                f"what chart {local.name} depends on is larger than {MAX_UNPACKED >> 20} MiB",
                chart=local.name,
                version=local.version,
            )
    return await packed(tree, await chart_files(tree, local.path), spool, archives)


def _digest_in(revision: str) -> str:
    """The digest in a revision, for a HelmRelease's status, as Flux has it; "" when there is none."""
    if ":" not in revision:
        return ""
    tag, _, digest = revision.rpartition("@")
    return digest if semver.parsed(tag.replace("_", "+")) is not None else revision


def _digest(local: Local, fetched: Mapping[str, Sequence[Fetched]]) -> str:
    if not fetched:
        return local.content
    parts = [local.content, *(item.digest for path in sorted(fetched) for item in fetched[path])]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


async def content_id(wanted: WantedChart, artifact: Artifact, local: LocalDependencies) -> str | None:
    """Identifies the chart that an artifact has for a release: the files in its folder, in the folders that it depends
    on, and its valuesFiles; also the commit, if each revision counts. None when there is no such folder.

    Raises: ChartError; what the tree raises.
    """
    path, tree = chart_path(wanted), artifact.tree
    found = await local.of(tree, path, wanted.owner) if path is not None else None
    if found is None:
        return None
    revision = [artifact.commit.id] if wanted.by_revision else []
    return "+".join([found.content, *revision, *(await _values_blobs(wanted, tree)).values()])


async def _no_chart(tree: Tree, path: str, commit: CommitInfo, source: ObjectKey) -> ChartNotFound:
    try:
        await tree.entries(path)
        why = ""
    except ArtifactPathMissing as error:
        why = f": {error.reason}" if error.reason else ""
    where = f"commit {commit.short}" if commit.id else "the working tree"
    hint = _PATH_HINT
    if source.kind == BUCKET:
        where = f"Bucket '{source.namespaced_name}' at sha256:{commit.short}"
        hint = "correct spec.chart.spec.chart: files of a bucket have their whole keys as paths"
    return ChartNotFound(
        f"there is no folder {path!r} in {where}{why}",
        chart=path,
        hint=hint,
    )


async def _values_blobs(wanted: WantedChart, tree: Tree) -> dict[str, str]:
    """The ids of those valuesFiles that the tree has, by the paths they are written with. As in Flux, those of charts
    in Git are counted from the root of the repository.

    Raises: ChartError for one that is there and cannot be read.
    """
    found: dict[str, str] = {}
    for name in wanted.choice.all_values_files():
        path = posixpath.normpath(name)
        entry = await tree.file(path) if not path.startswith("/") else None
        if entry is not None and entry.unreadable:
            raise ChartError(
                f"values file {name!r} is {entry.unreadable}", hint="put a plain file there, or correct valuesFiles"
            )
        if entry is not None and entry.size > MAX_FILE:
            raise ChartError(f"values file {name!r} is larger than {MAX_FILE >> 20} MiB", hint="correct valuesFiles")
        if entry is not None:
            found[name] = entry.blob_id
    return found


async def _read(tree: Tree, blobs: dict[str, str], spool: Spool) -> dict[str, Body]:
    return {name: await spool.of((await tree.read([blob]))[blob]) for name, blob in blobs.items()}


def chart_path(wanted: WantedChart) -> str | None:
    """The chart's path in the repository, without ``./``; None when it would lead out of it."""
    if wanted.source.kind not in (GIT_REPOSITORY, BUCKET):
        return None
    path = posixpath.normpath(wanted.choice.chart)
    if path.startswith(("/", "..")):
        return None
    return "" if path == "." else path
