"""Kustomizations as the graph of releases has them: what they wait for, and whether who waits for them may go on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.kinds import is_release
from gitsync.api.kustomization import Kustomization, source_of
from gitsync.sync.kustomization.dependencies import Find, why_not_ready
from gitsync.sync.kustomization.statusstore import brought_by
from gitsync.sync.outcome import Outcome


@dataclass(frozen=True)
class KustomizationOrder:
    """See Others. ``all`` gives those of the cluster that can be read, ``revision_of`` what a source has now,
    ``outcome`` how one stands."""

    all: Callable[[], Mapping[ObjectKey, Kustomization]]
    find: Find
    revision_of: Callable[[ObjectKey], str]
    outcome: Callable[[ObjectKey], Outcome]

    def manifest(self, key: ObjectKey) -> Manifest | None:
        """See Others."""
        return self.find(key)

    def why_not_ready(self, key: ObjectKey) -> str | None:
        """See Others."""
        return why_not_ready(self.find(key), self.revision_of)

    def is_hopeless(self, key: ObjectKey) -> bool:
        """See Others."""
        return self.outcome(key).phase in ("failed", "waiting", "suspended")

    def untried(self, key: ObjectKey) -> str:
        """See Others."""
        manifest = self.find(key)
        if manifest is None or (manifest.get("spec") or {}).get("suspend"):
            return ""
        wanted = self.revision_of(source_of(manifest))
        return wanted if (manifest.get("status") or {}).get("lastAttemptedRevision", "") != wanted else ""

    def needs(self) -> Mapping[ObjectKey, Sequence[ObjectKey]]:
        """See Others."""
        return {key: [reference.key for reference in item.dependencies()] for key, item in self.all().items()}

    def followed(self) -> Mapping[ObjectKey, Sequence[ObjectKey]]:
        """See Others."""
        return {key: waits_inside(item) for key, item in self.all().items()}


def waits_inside(kustomization: Kustomization) -> list[ObjectKey]:
    """The HelmReleases that it has applied, where it waits for these."""
    if not kustomization.spec.wait:
        return []
    return sorted(filter(is_release, brought_by(kustomization.manifest)))
