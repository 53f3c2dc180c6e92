"""Kustomizations in the graph of releases: what they wait for, and whether those that wait for them may go on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.kinds import is_kustomization, is_release
from gitsync.api.kustomization import Kustomization, source_of
from gitsync.graph import Edge
from gitsync.release.dependencies.others import Followed
from gitsync.release.dependencies.places import KnownEdges, applied_from, edges_of
from gitsync.sync.kustomization.storage.statusstore import brought_by
from gitsync.sync.kustomization.waiting.dependencies import Find, why_not_ready
from gitsync.sync.outcome import Outcome


@dataclass(frozen=True)
class KustomizationOrder:
    """Kustomizations as the ``Others`` of the graph (see there). ``all`` gives those of the cluster that can be read,
    ``revision_of`` the present revision of a source, ``outcome`` how a Kustomization stands, ``is_root`` whether it
    stands for the sync of the settings."""

    all: Callable[[], Mapping[ObjectKey, Kustomization]]
    find: Find
    revision_of: Callable[[ObjectKey], str]
    outcome: Callable[[ObjectKey], Outcome]
    is_root: Callable[[Kustomization], bool] = lambda _: False
    _needs: KnownEdges[Kustomization, Edge[ObjectKey]] = field(init=False, default_factory=lambda: KnownEdges(edges_of))
    _followed: KnownEdges[Kustomization, Followed] = field(init=False, default_factory=lambda: KnownEdges(followed_by))

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

    def needs(self) -> Mapping[ObjectKey, Sequence[Edge[ObjectKey]]]:
        """See Others."""
        return self._needs.of(self.all())

    def followed(self) -> Mapping[ObjectKey, Sequence[Followed]]:
        """See Others. A suspended Kustomization waits for nothing, nor does anything wait for it; the sync of the
        settings does not wait for objects that depend on its own Kustomization."""
        items = self.all()
        idle = {key for key, item in items.items() if item.spec.suspend}
        following = {key: item for key, item in items.items() if key not in idle and not self.is_root(item)}
        return {
            key: [edge for edge in edges if edge.dependency not in idle]
            for key, edges in self._followed.of(following).items()
        }


def followed_by(kustomization: Kustomization) -> list[Followed]:
    """The HelmReleases and Kustomizations that a Kustomization waits for once it has applied all."""
    place = applied_from(kustomization.manifest)
    return [Followed(kustomization.key, key, place) for key in waits_inside(kustomization)]


def waits_inside(kustomization: Kustomization) -> list[ObjectKey]:
    """The same, as keys: those that it has applied, or whose health it checks."""
    spec = kustomization.spec
    found = brought_by(kustomization.manifest) if spec.wait else [check.key for check in spec.health_checks]
    if spec.kube_config is not None:
        return []
    return sorted(key for key in found if is_release(key) or is_kustomization(key))
