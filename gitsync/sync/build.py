"""A commit of the synced repository, read into what it wants."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gitsync.api.identity import CommitInfo
from gitsync.errors import ChartError, GitRefused
from gitsync.manifests import Desired, ManifestReader
from gitsync.sources.artifacts import Artifact, meaning
from gitsync.sources.dependencies import LocalDependencies
from gitsync.sources.helmchart import content_id

if TYPE_CHECKING:
    from gitsync.api.helmrelease import HelmRelease
    from gitsync.git import Mirror
    from gitsync.tree import Tree


@dataclass
class CommitSource:
    """Reads commits for the sync ``name``. ``path`` is the directory of the repository that holds the manifests, "" for
    all of it."""

    mirror: Mirror
    reader: ManifestReader
    name: str
    path: str = ""

    def __post_init__(self) -> None:
        self._dependencies = LocalDependencies()

    async def read(self, commit: CommitInfo) -> Desired:
        """What a commit wants, with its own tree.

        A release whose chart is in the repository has another digest when that chart is another: the sync then applies
        the HelmRelease again, which brings it chart and spec in one step and says which commit is the cause.

        Raises: GitRefused when the commit has no such directory; GitUnavailable.
        """
        tree = await self.mirror.artifact(commit.id)
        entries = await tree.entries()
        if self.path and not any(entry.path.startswith(f"{self.path}/") for entry in entries):
            raise GitRefused(
                f"commit {commit.short} has no directory {self.path!r}", hint="correct --path, or push the directory"
            )
        desired = await self.reader.read(commit, entries, tree.read, root=self.path)
        desired = replace(desired, tree=tree)
        urls = Artifact.of(desired).git_repositories
        objects = dict(desired.objects)
        for key, release in desired.helm_releases.items():
            if not meaning(release.source, self.name, self.mirror.source.url, urls):
                continue
            content = await self._content(release, tree)
            if content is not None:
                objects[key] = replace(objects[key], digest=f"{objects[key].digest}+{content}")
        return replace(desired, objects=objects)

    async def _content(self, release: HelmRelease, tree: Tree) -> str | None:
        try:
            return await content_id(release, tree, self._dependencies)
        except ChartError:
            return None  # the release itself says what is wrong with its chart
