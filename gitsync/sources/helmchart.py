"""Charts built from the files of an artifact's tree, as Flux's HelmChart builds them from a GitRepository."""

from __future__ import annotations

import posixpath
from functools import partial

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.names import GIT_REPOSITORY
from gitsync.charts import Chart, Charts
from gitsync.errors import ChartNotFound
from gitsync.sources.artifacts import Artifact, other_repository
from gitsync.sources.chart import ChartArtifact
from gitsync.sources.valuesfiles import with_values_files
from gitsync.tree import Tree


class TreeCharts:
    """Finds charts in trees. A chart's digest is the id of the directory that it stands in, so a commit that leaves
    that alone changes nothing."""

    def __init__(self, charts: Charts) -> None:
        self._charts = charts

    async def locate(self, release: HelmRelease, artifact: Artifact) -> ChartArtifact:
        """The chart that a release asks for, in this artifact. Raises: SourceNotReady, ChartNotFound, ChartError."""
        path = chart_path(release)
        if path is None or release.spec.chart is None:
            raise other_repository(release.source)
        tree = artifact.tree
        tree_id = await tree.tree_id(path)
        if tree_id is None:
            raise ChartNotFound(f"there is no folder {path!r} in commit {artifact.commit.short}", chart=path)
        digest = f"git:{tree_id}"
        load = partial(self._load, tree, path, digest)
        chart = await load()
        located = ChartArtifact(chart.name, chart.version, digest, load)
        blobs = await _values_blobs(release, tree)
        read = partial(_read, tree, blobs)
        return with_values_files(self._charts, located, release.spec.chart.spec, tuple(blobs.values()), read)

    async def _load(self, tree: Tree, path: str, digest: str) -> Chart:
        cached = self._charts.cached(digest)
        if cached is not None:
            return cached
        entries = await tree.entries(path)
        contents = await tree.read([entry.blob_id for entry in entries])
        prefix = f"{path}/" if path else ""
        files = {entry.path.removeprefix(prefix): contents[entry.blob_id] for entry in entries}
        return await self._charts.from_files(files, digest)


async def content_id(release: HelmRelease, tree: Tree) -> str | None:
    """What changes when the chart's folder in a tree or a file of its valuesFiles does; None when there is no such
    folder."""
    path = chart_path(release)
    tree_id = await tree.tree_id(path) if path is not None else None
    if tree_id is None:
        return None
    return "+".join([tree_id, *(await _values_blobs(release, tree)).values()])


async def _values_blobs(release: HelmRelease, tree: Tree) -> dict[str, str]:
    """The ids of those valuesFiles that the tree has, by the paths they are written with. As in Flux, those of charts
    in Git are counted from the root of the repository."""
    found: dict[str, str] = {}
    for name in release.spec.chart.spec.all_values_files() if release.spec.chart else ():
        path = posixpath.normpath(name)
        if path.startswith(("/", "..")):
            continue
        for item in await tree.entries(posixpath.dirname(path)):
            if item.path == path:
                found[name] = item.blob_id
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
