"""Charts that live in the synced repository itself, at the commit that is being synced."""

from __future__ import annotations

import asyncio
import posixpath
from functools import partial
from typing import TYPE_CHECKING

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import ObjectKey
from gitsync.api.names import GIT_REPOSITORY
from gitsync.charts import Chart, Charts
from gitsync.errors import ChartNotFound, GitUnavailable, SourceNotReady
from gitsync.sources.chart import ChartArtifact
from gitsync.sources.valuesfiles import with_values_files

if TYPE_CHECKING:
    from gitsync.git import Mirror

#: Names by which a release may mean the synced repository without a GitRepository object: Flux's bootstrap uses this.
WELL_KNOWN = "flux-system"
#: Seconds that a release waits, after a start, for the repository to be read.
FIRST_COMMIT = 30.0


class GitCharts:
    """Finds charts in a commit's tree. A chart's digest is its tree's id, so a commit that leaves it alone changes
    nothing."""

    def __init__(self, mirror: Mirror, charts: Charts, sync: str) -> None:
        self._mirror = mirror
        self._charts = charts
        self._names = {sync, WELL_KNOWN}
        self._same_url: set[ObjectKey] = set()
        self._commit = ""
        self._known = asyncio.Event()

    def move_to(self, commit: str, same_url: set[ObjectKey]) -> None:
        """Charts are those of this commit from now on; ``same_url`` are the GitRepository objects that mean this
        repository by its URL."""
        self._commit = commit
        self._same_url = same_url
        self._known.set()

    def means_this(self, source: ObjectKey) -> bool:
        """Whether a sourceRef means the synced repository."""
        return source.kind == GIT_REPOSITORY and (source in self._same_url or source.name in self._names)

    async def content_id(self, release: HelmRelease, commit: str) -> str | None:
        """What changes when the chart's folder in a commit or a file of its valuesFiles does; None when the chart is
        elsewhere or there is no such folder."""
        path = chart_path(release)
        if path is None or not self.means_this(release.source):
            return None
        tree = await self._mirror.tree_id(commit, path)
        if tree is None:
            return None
        return "+".join([tree, *(await self._values_blobs(release, commit)).values()])

    async def locate(self, release: HelmRelease) -> ChartArtifact:
        """The chart that a release asks for. Raises: SourceNotReady, ChartNotFound, ChartError."""
        path = chart_path(release)
        if path is None or not self.means_this(release.source):
            raise SourceNotReady(
                f"{release.source.kind} '{release.source.namespace}/{release.source.name}' is not the repository that "
                "is being synced",
                hint="gitsync reads charts from chart repositories and from its own Git repository",
            )
        commit = await self._first_commit()
        tree = await self._mirror.tree_id(commit, path)
        if tree is None:
            raise ChartNotFound(f"there is no folder {path!r} in commit {commit[:7]}", chart=path)
        digest = f"git:{tree}"
        chart = self._charts.cached(digest) or await self._load(path, digest, commit)
        artifact = ChartArtifact(chart.name, chart.version, digest, partial(self._again, path, digest, commit))
        assert release.spec.chart is not None
        blobs = await self._values_blobs(release, commit)
        read = partial(self._read, blobs)
        return with_values_files(self._charts, artifact, release.spec.chart.spec, tuple(blobs.values()), read)

    async def _values_blobs(self, release: HelmRelease, commit: str) -> dict[str, str]:
        """The ids of those valuesFiles that the commit has, by the paths they are written with. As in Flux, those of
        charts in Git are counted from the root of the repository."""
        found: dict[str, str] = {}
        for name in release.spec.chart.spec.all_values_files() if release.spec.chart else ():
            path = posixpath.normpath(name)
            folder = posixpath.dirname(path)
            if path.startswith(("/", "..")) or await self._mirror.tree_id(commit, folder) is None:
                continue
            for item in await self._mirror.tree(commit, folder):
                if item.path == path:
                    found[name] = item.blob_id
        return found

    async def _read(self, blobs: dict[str, str]) -> dict[str, bytes]:
        contents = await self._mirror.read(list(blobs.values()))
        return {name: contents[blob] for name, blob in blobs.items()}

    async def _first_commit(self) -> str:
        """The commit to read from; right after a start, the first one is waited for."""
        try:
            async with asyncio.timeout(FIRST_COMMIT):
                await self._known.wait()
        except TimeoutError:
            raise GitUnavailable("no commit of the repository has been read yet") from None
        return self._commit

    async def _again(self, path: str, digest: str, commit: str) -> Chart:
        return self._charts.cached(digest) or await self._load(path, digest, commit)

    async def _load(self, path: str, digest: str, commit: str) -> Chart:
        entries = await self._mirror.tree(commit, path)
        blobs = await self._mirror.read([entry.blob_id for entry in entries])
        prefix = f"{path}/" if path else ""
        files = {entry.path.removeprefix(prefix): blobs[entry.blob_id] for entry in entries}
        return await self._charts.from_files(files, digest)


def chart_path(release: HelmRelease) -> str | None:
    """``spec.chart.spec.chart`` as a path in the repository, without ``./``; None when it would lead out of it."""
    if release.spec.chart is None or release.source.kind != GIT_REPOSITORY:
        return None
    path = posixpath.normpath(release.spec.chart.spec.chart)
    if path.startswith(("/", "..")):
        return None
    return "" if path == "." else path
