"""Charts built from the files of an artifact's tree, as Flux's HelmChart builds them from a GitRepository."""

from __future__ import annotations

import posixpath
from functools import partial

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.names import GIT_REPOSITORY
from gitsync.charts import Chart, Charts
from gitsync.errors import ArtifactPathMissing, ChartError, ChartNotFound
from gitsync.sources.artifacts import Artifact, other_repository
from gitsync.sources.chart import ChartArtifact
from gitsync.sources.treefiles import chart_files
from gitsync.sources.valuesfiles import with_values_files
from gitsync.tree import Tree, TreeEntry


class TreeCharts:
    """Finds charts in trees. A chart's digest is that of the directory that it stands in, so a commit that leaves that
    alone changes nothing."""

    def __init__(self, charts: Charts) -> None:
        self._charts = charts

    async def locate(self, release: HelmRelease, artifact: Artifact) -> ChartArtifact:
        """The chart that a release asks for, in this artifact. Raises: SourceNotReady, ChartNotFound, ChartError."""
        path = chart_path(release)
        if path is None or release.spec.chart is None:
            raise other_repository(release.source)
        tree = artifact.tree
        directory = await tree.directory_digest(path)
        if directory is None:
            raise await _no_chart(tree, path, artifact.commit.short)
        digest = f"git:{directory}"
        load = partial(self._load, tree, path, digest)
        chart = await load()
        located = ChartArtifact(chart.name, chart.version, digest, load)
        blobs = await _values_blobs(release, tree)
        read = partial(_read, tree, blobs)
        return with_values_files(self._charts, located, release.spec.chart.spec, tuple(blobs.values()), read)

    async def _load(self, tree: Tree, path: str, digest: str) -> Chart:
        cached = self._charts.cached(digest)
        return cached or await self._charts.from_files(await chart_files(tree, path), digest)


async def content_id(release: HelmRelease, tree: Tree) -> str | None:
    """What changes when the chart's folder in a tree or a file of its valuesFiles does; None when there is no such
    folder."""
    path = chart_path(release)
    directory = await tree.directory_digest(path) if path is not None else None
    if directory is None:
        return None
    return "+".join([directory, *(await _values_blobs(release, tree)).values()])


async def _no_chart(tree: Tree, path: str, commit: str) -> ChartNotFound:
    try:
        await tree.entries(path)
        why = ""
    except ArtifactPathMissing as error:
        why = f": {error.reason}" if error.reason else ""
    return ChartNotFound(f"there is no folder {path!r} in commit {commit}{why}", chart=path)


async def _values_blobs(release: HelmRelease, tree: Tree) -> dict[str, str]:
    """The ids of those valuesFiles that the tree has, by the paths they are written with. As in Flux, those of charts
    in Git are counted from the root of the repository.

    Raises: ChartError for one that is there and cannot be read.
    """
    found: dict[str, str] = {}
    for name in release.spec.chart.spec.all_values_files() if release.spec.chart else ():
        entry = await _file(tree, posixpath.normpath(name))
        if entry is not None and entry.unreadable:
            raise ChartError(f"values file {name!r} is {entry.unreadable}")
        if entry is not None:
            found[name] = entry.blob_id
    return found


async def _file(tree: Tree, path: str) -> TreeEntry | None:
    if path.startswith(("/", "..")):
        return None
    try:
        entries = await tree.entries(posixpath.dirname(path))
    except ArtifactPathMissing:
        return None
    return next((entry for entry in entries if entry.path == path), None)


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
