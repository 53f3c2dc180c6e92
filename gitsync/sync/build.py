"""A commit of the synced repository, read into what it wants."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gitsync.api.identity import CommitInfo, ObjectKey
from gitsync.api.names import GIT_REPOSITORY
from gitsync.errors import GitRefused
from gitsync.git import redacted_url
from gitsync.manifests import Desired, ManifestReader
from gitsync.sources.gitrepository import GitCharts
from gitsync.tree import TreeEntry

if TYPE_CHECKING:
    from gitsync.git import Mirror


@dataclass
class CommitSource:
    """Reads commits. ``path`` is the directory of the repository that holds the manifests, "" for all of it."""

    mirror: Mirror
    reader: ManifestReader
    charts: GitCharts
    path: str = ""

    async def read(self, commit: CommitInfo) -> Desired:
        """What a commit wants. A release whose chart is in the repository changes when the chart's tree does.

        Raises: GitRefused when the commit has no such directory; GitUnavailable.
        """
        tree = await self.mirror.tree(commit.id)
        entries = [TreeEntry(item.path, item.blob_id, item.size) for item in tree]
        if self.path and not any(entry.path.startswith(f"{self.path}/") for entry in entries):
            raise GitRefused(
                f"commit {commit.short} has no directory {self.path!r}", hint="mend --path, or push the directory"
            )
        desired = await self.reader.read(commit, entries, self.mirror.read, root=self.path)
        self.charts.move_to(commit.id, self._same_repository(desired))
        objects = dict(desired.objects)
        for key, release in desired.helm_releases.items():
            content = await self.charts.content_id(release, commit.id)
            if content is not None:
                objects[key] = replace(objects[key], digest=f"{objects[key].digest}+{content}")
        return replace(desired, objects=objects)

    def _same_repository(self, desired: Desired) -> set[ObjectKey]:
        ours = _comparable(self.mirror.source.url)
        return {
            key
            for key, item in desired.objects.items()
            if key.kind == GIT_REPOSITORY and _comparable((item.manifest.get("spec") or {}).get("url", "")) == ours
        }


def _comparable(url: str) -> str:
    return redacted_url(url).removesuffix("/").removesuffix(".git").removeprefix("file://").lower()
