"""The objects of our own kinds as they were last seen, and what each waits for. State only; no I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.kinds import is_kustomization, is_release
from gitsync.api.kustomization import Kustomization
from gitsync.api.names import KUSTOMIZATION, KUSTOMIZE_GROUP, KUSTOMIZE_NAME_LABEL, KUSTOMIZE_NAMESPACE_LABEL
from gitsync.errors import FieldErrors
from gitsync.graph import Edge
from gitsync.live.standing import Standing, standing
from gitsync.release.dependencies.order import Order
from gitsync.release.dependencies.others import Followed, TakenAsReady
from gitsync.release.dependencies.places import edges_of
from gitsync.sync.kustomization.storage.statusstore import sync_behind
from gitsync.sync.kustomization.waiting.order import followed_by


class Known:
    """Objects by key. What is derived from them is kept until one of them changes."""

    def __init__(self) -> None:
        self._manifests: dict[ObjectKey, Manifest] = {}
        self._standings: dict[ObjectKey, Standing] = {}
        self._ties: dict[ObjectKey, _Ties] = {}
        self._order: Order | None = None
        self._brought: dict[ObjectKey, list[ObjectKey]] | None = None

    def update(self, key: ObjectKey, manifest: Manifest | None) -> None:
        """An object as it is now; None: it is gone."""
        self._order = self._brought = None
        self._ties.pop(key, None)
        if manifest is None:
            self._manifests.pop(key, None)
            self._standings.pop(key, None)
        else:
            self._manifests[key] = manifest
            self._standings[key] = standing(manifest)

    def keys(self, wanted: Callable[[ObjectKey], bool]) -> list[ObjectKey]:
        """The keys of all objects of some kinds, sorted."""
        return sorted(filter(wanted, self._manifests))

    def find(self, key: ObjectKey) -> Manifest | None:
        """An object; None when it is not there."""
        return self._manifests.get(key)

    def standing(self, key: ObjectKey) -> Standing | None:
        """How an object stands; None when it is not there."""
        return self._standings.get(key)

    def standings(self) -> Mapping[ObjectKey, Standing]:
        """How all of them stand."""
        return self._standings

    def dependencies(self, key: ObjectKey) -> Sequence[ObjectKey]:
        """What an object's dependsOn names."""
        return [edge.dependency for edge in self._of(key).needs]

    def source(self, key: ObjectKey) -> ObjectKey | None:
        """The source of a HelmRelease or a Kustomization."""
        return self._of(key).source

    def _of(self, key: ObjectKey) -> _Ties:
        """What leads from a HelmRelease or Kustomization to others; nothing of another kind, and of one that cannot be
        read."""
        if (ties := self._ties.get(key)) is None:
            manifest = self._manifests.get(key)
            ties = self._ties[key] = _ties(key, manifest) if manifest is not None else _NONE
        return ties

    def above(self, key: ObjectKey) -> ObjectKey | None:
        """The Kustomization that has applied an object, by its labels; None when none has, or it is itself."""
        labels = ((self._manifests.get(key) or {}).get("metadata") or {}).get("labels") or {}
        namespace, name = labels.get(KUSTOMIZE_NAMESPACE_LABEL), labels.get(KUSTOMIZE_NAME_LABEL)
        above = ObjectKey(KUSTOMIZE_GROUP, KUSTOMIZATION, str(namespace), str(name))
        return above if namespace and name and above != key else None

    def release_of(self, namespace: str, name: str) -> ObjectKey | None:
        """The HelmRelease that a release of Helm's is of; None when none is."""
        return next((key for key in self.keys(is_release) if self._of(key).helm == (namespace, name)), None)

    def brought_by(self, key: ObjectKey) -> Sequence[ObjectKey]:
        """What a Kustomization has applied of our own kinds, sorted."""
        if self._brought is None:
            self._brought = {}
            for item in sorted(self._manifests):
                if (above := self.above(item)) is not None:
                    self._brought.setdefault(above, []).append(item)
        return self._brought.get(key, ())

    @property
    def order(self) -> Order:
        """What waits for what, with cycles, as the agent has it."""
        if self._order is None:
            releases = {key: self._of(key).needs for key in self.keys(is_release)}
            ties = {key: self._of(key) for key in self.keys(is_kustomization)}
            readable = {key: found for key, found in ties.items() if found is not _NONE}
            self._order = Order.of_edges(releases, _Kustomizations(readable, self.find))
        return self._order


@dataclass(frozen=True, slots=True)
class _Ties:
    """The references of an object: what it ``needs`` (dependsOn), its ``source``, the HelmReleases and
    Kustomizations ``inside`` that it waits for, and the namespace and name of its Helm release. The manifest would
    take five times as much memory."""

    needs: Sequence[Edge[ObjectKey]] = ()
    source: ObjectKey | None = None
    inside: Sequence[Followed] = ()
    helm: tuple[str, str] = ("", "")


_NONE: Final = _Ties()


def _ties(key: ObjectKey, manifest: Manifest) -> _Ties:
    with suppress(FieldErrors):
        if is_release(key):
            release = HelmRelease.parse(manifest)
            name = release.release_namespace, release.release_name
            return _Ties(tuple(edges_of(release)), release.source, helm=name)
        if is_kustomization(key):
            item = Kustomization.parse(manifest)
            inside = followed_by(item) if sync_behind(manifest) is None else ()
            return _Ties(tuple(edges_of(item)), item.source, tuple(inside))
    return _NONE


class _Kustomizations(TakenAsReady):
    """See Others: as far as the order asks for it."""

    def __init__(self, found: Mapping[ObjectKey, _Ties], find: Callable[[ObjectKey], Manifest | None]) -> None:
        self._found = found
        self._find = find

    def manifest(self, key: ObjectKey) -> Manifest | None:
        """See Others."""
        return self._find(key) if key in self._found else None

    def needs(self) -> Mapping[ObjectKey, Sequence[Edge[ObjectKey]]]:
        """See Others."""
        return {key: ties.needs for key, ties in self._found.items()}

    def followed(self) -> Mapping[ObjectKey, Sequence[Followed]]:
        """See Others."""
        return {key: ties.inside for key, ties in self._found.items()}
