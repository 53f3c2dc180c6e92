"""Charts that live in the synced repository itself, at the commit that is being synced."""

from __future__ import annotations

import posixpath
from functools import partial
from typing import TYPE_CHECKING

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import ObjectKey
from gitsync.api.names import GIT_REPOSITORY
from gitsync.charts import Chart, Charts
from gitsync.errors import ChartNotFound, SourceNotReady
from gitsync.release.target import Located

if TYPE_CHECKING:
    from gitsync.git import Mirror

#: Names by which a release may mean the synced repository without a GitRepository object: Flux's bootstrap uses this.
WELL_KNOWN = "flux-system"


class GitCharts:
    """Finds charts in a commit's tree. A chart's digest is its tree's id, so a commit that leaves it alone changes
    nothing."""

    def __init__(self, mirror: Mirror, charts: Charts, sync: str) -> None:
        self._mirror = mirror
        self._charts = charts
        self._names = {sync, WELL_KNOWN}
        self._same_url: set[ObjectKey] = set()
        self.commit = ""

    def know_as(self, keys: set[ObjectKey]) -> None:
        """The GitRepository objects whose URL is the synced repository's."""
        self._same_url = keys

    def means_this(self, source: ObjectKey) -> bool:
        """Whether a sourceRef means the synced repository."""
        return source.kind == GIT_REPOSITORY and (source in self._same_url or source.name in self._names)

    async def tree_id(self, release: HelmRelease, commit: str) -> str | None:
        """The id of the chart's tree in a commit; None when the chart is elsewhere or there is no such folder."""
        path = chart_path(release)
        if path is None or not self.means_this(release.source):
            return None
        return await self._mirror.tree_id(commit, path)

    async def locate(self, release: HelmRelease) -> Located:
        """The chart that a release asks for. Raises: SourceNotReady, ChartNotFound, ChartError."""
        path = chart_path(release)
        if path is None or not self.means_this(release.source):
            raise SourceNotReady(
                f"{release.source.kind} '{release.source.namespace}/{release.source.name}' is not the repository that "
                "is being synced",
                hint="gitsync reads charts from chart repositories and from its own Git repository",
            )
        if not self.commit:
            raise SourceNotReady("no commit of the repository has been read yet")
        tree = await self._mirror.tree_id(self.commit, path)
        if tree is None:
            raise ChartNotFound(f"there is no folder {path!r} in commit {self.commit[:7]}", chart=path)
        digest = f"git:{tree}"
        chart = self._charts.cached(digest) or await self._load(path, digest, self.commit)
        return Located(chart.name, chart.version, digest, partial(self._again, path, digest, self.commit))

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
