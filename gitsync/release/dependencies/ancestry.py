"""Where HelmReleases come from: the parent, which is the HelmRelease whose chart has it; the sync that has applied it;
the commit that last changed it. State only; no I/O."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import CommitInfo, Manifest, ObjectKey
from gitsync.api.names import flux_sync_of, sync_of
from gitsync.apply.ownership import prune_disabled, release_of
from gitsync.release.dependencies.states import commit_of

#: HelmReleases may be in charts of HelmReleases that are in charts, and so on: followed up to this depth.
MAX_NESTING = 5


class Ancestry:
    """The ancestry of the HelmReleases with these ``manifests``."""

    def __init__(self, manifests: Mapping[ObjectKey, Manifest]) -> None:
        self._manifests = manifests
        # By ``namespace/name`` of a Helm release, as its objects are marked, the HelmReleases that name it.
        self._by_helm_name: defaultdict[str, set[ObjectKey]] = defaultdict(set)
        # By HelmRelease or Kustomization, the commit that is deleting it, or about to.
        self._removers: dict[ObjectKey, CommitInfo] = {}

    def add(self, release: HelmRelease) -> None:
        """Add a HelmRelease."""
        self._by_helm_name[_helm_name(release)].add(release.key)

    def remove(self, release: HelmRelease) -> None:
        """Remove a HelmRelease that is gone, or names another Helm release now."""
        name = _helm_name(release)
        self._by_helm_name[name].discard(release.key)
        if not self._by_helm_name[name]:
            del self._by_helm_name[name]

    def set_remover(self, key: ObjectKey, commit: CommitInfo | None) -> None:
        """Note that ``commit`` is about to delete a HelmRelease or Kustomization; None: it does not, or could not."""
        if commit is None:
            self._removers.pop(key, None)
        else:
            self._removers[key] = commit

    def remover_of(self, key: ObjectKey) -> CommitInfo | None:
        """The commit that deletes an object."""
        return self._removers.get(key)

    def commit_of(self, key: ObjectKey) -> CommitInfo | None:
        """The commit behind a release's present state: the one that deletes it, if it is being deleted; else the one
        that last changed it, by the stamp on it or on its parent."""
        manifest = self._manifests.get(key)
        if manifest is None:
            return None
        if "deletionTimestamp" in manifest["metadata"] and (remover := self._removers.get(key)) is not None:
            return remover
        return self.commit_behind(manifest)

    def commit_behind(self, manifest: Manifest) -> CommitInfo | None:
        """The commit that last changed an object of any kind, by the stamp on it or on its parent."""
        above = self.parent_of(manifest)
        lineage = self.lineage(above) if above is not None else []
        stamps = map(commit_of, (manifest, *(self._manifests[key] for key in lineage)))
        return next((commit for commit in stamps if commit is not None), None)

    def lineage(self, key: ObjectKey) -> list[ObjectKey]:
        """A HelmRelease, its parent, the parent of that, and so on."""
        found = [key]
        while len(found) < MAX_NESTING and (above := self.parent(found[-1])) is not None and above not in found:
            found.append(above)
        return found

    def of_sync(self, name: str) -> list[ObjectKey]:
        """The HelmReleases that a Kustomization, ``namespace/name``, has applied."""
        labels = ((key, manifest["metadata"].get("labels") or {}) for key, manifest in self._manifests.items())
        return [key for key, found in labels if name in (sync_of(found), flux_sync_of(found))]

    def sync_above(self, key: ObjectKey) -> str:
        """The sync, ``namespace/name``, that deletes a HelmRelease (or one above it) when the sync is removed; "" when
        none does."""
        manifest = self._manifests.get(self.lineage(key)[-1])
        if manifest is None or prune_disabled(manifest):
            return ""
        labels = manifest["metadata"].get("labels") or {}
        return sync_of(labels) or flux_sync_of(labels)

    def parent(self, key: ObjectKey) -> ObjectKey | None:
        """The HelmRelease whose chart has this one; None when there is none, or it is not known here."""
        manifest = self._manifests.get(key)
        return self.parent_of(manifest) if manifest is not None else None

    def parent_of(self, manifest: Manifest) -> ObjectKey | None:
        """The HelmRelease whose chart has an object of any kind; None when there is none, or it is not known here."""
        of = release_of(manifest)
        return min(self._by_helm_name[of], default=None) if of in self._by_helm_name else None


def _helm_name(release: HelmRelease) -> str:
    return f"{release.release_namespace}/{release.release_name}"
