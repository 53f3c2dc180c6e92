"""What would become of objects that left Git, by the agent's own decisions in their order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gitsync.api.identity import ObjectKey
from gitsync.api.kinds import is_kustomization, is_release
from gitsync.errors import ApiError, KindUnknown, NotFound
from gitsync.preview.dryrun import ObjectPreview, ObjectPreviews, handed_over
from gitsync.preview.releases import ReleasePreviewer
from gitsync.release.dependencies.index import ReleaseIndex
from gitsync.sync.plan import needs_kept, prune_prerequisites
from gitsync.sync.rollout.prune import Pruned, Pruner
from gitsync.sync.storage.inventory import Entry

if TYPE_CHECKING:
    from gitsync.cluster import Cluster


@dataclass(frozen=True)
class Pruning:
    """What one sync would prune: ``entries`` of its inventory, by the ``pruner`` that decides about them."""

    name: str
    pruner: Pruner
    entries: Sequence[Entry]


@dataclass
class PrunePreviewer:
    """Looks at what syncs would prune. ``index`` has the HelmReleases as they are; ``releases`` looks at those that are
    uninstalled; ``going`` are objects that are there, and are deleted by something else of the commit. ``left`` are the
    Kustomizations that leave their objects when they are deleted, and why."""

    cluster: Cluster
    index: ReleaseIndex
    releases: ReleasePreviewer
    objects: ObjectPreviews
    going: set[ObjectKey]
    left: Mapping[ObjectKey, str]
    _left: set[ObjectKey] = field(default_factory=set)

    async def previews(self, syncs: Iterable[Pruning], commit: str) -> list[tuple[str, ObjectPreview]]:
        """What becomes of each object, and of those of releases that go with their HelmReleases; each with the name of
        the sync that had it."""
        work = [(sync, entry) for sync in syncs for entry in sync.entries]
        sources = {release.key: release.source for release in self.index.releases()}
        needs = prune_prerequisites((entry for _, entry in work), self.index.graph, sources)
        found: list[tuple[str, ObjectPreview]] = []
        for sync, entry in _in_order(work, needs):
            previews = await self._preview(sync.pruner, entry, commit, needs[entry.key])
            found += [(sync.name, preview) for preview in previews]
        return found

    async def _preview(
        self, pruner: Pruner, entry: Entry, commit: str, needs: frozenset[ObjectKey]
    ) -> list[ObjectPreview]:
        key, why = entry.key, "removed from Git, kept so far" if entry.dropped else "removed from Git"
        try:
            pruned = await self._pruned(pruner, entry.dropped_by(commit), needs)
            if pruned.left:
                self._left.add(key)
            if pruned.verb == "deleted":
                return await self._deleted(entry, why)
        except (KindUnknown, NotFound):
            return []
        except ApiError as error:
            return [ObjectPreview(key, "unknown", (), entry.origin, why=f"{why}, which is refused: {error.message}")]
        if pruned.to is not None:
            return [handed_over(key, pruned.to, origin=entry.origin, why=why)]
        return [ObjectPreview(key, "keep", (), entry.origin, why=pruned.why)] if pruned.verb == "kept" else []

    async def _pruned(self, pruner: Pruner, entry: Entry, needs: frozenset[ObjectKey]) -> Pruned:
        needed_by = next((key for key in sorted(needs & self._left) if needs_kept(entry.key, key)), None)
        return await pruner.foresee(entry, needed_by, self.going)

    async def _deleted(self, entry: Entry, why: str) -> list[ObjectPreview]:
        found: list[ObjectPreview] = []
        self.going.add(entry.key)
        if is_release(entry.key) and (release := self.index.get(entry.key)) is not None:
            uninstall = await self.releases.uninstalled(release)
            found += uninstall.objects
            self.going |= uninstall.gone
            why = ", ".join(filter(None, (why, uninstall.why)))
        if is_kustomization(entry.key) and (left := self.left.get(entry.key)):
            why = f"{why}, and leaves its objects, for {left}"
        preview = await self.objects.deletion(self.cluster, entry.key, origin=entry.origin, why=why)
        return [preview, *found] if preview is not None else found


_Work = tuple[Pruning, Entry]


def _in_order(work: Sequence[_Work], needs: Mapping[ObjectKey, frozenset[ObjectKey]]) -> Iterator[_Work]:
    """Each entry after those that it needs, Namespaces last: what else there is may live in them."""

    def place(item: _Work) -> tuple[bool, ObjectKey]:
        key = item[1].key
        return key.kind == "Namespace" and not key.group, key

    left = sorted(work, key=place)
    while left:
        waiting = {entry.key for _, entry in left}
        ready = next((item for item in left if not needs[item[1].key] & waiting), left[0])
        left.remove(ready)
        yield ready
