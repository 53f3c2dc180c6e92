"""The objects of our own kinds as they were last seen, and what waits for what among them. State only; no I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.kinds import is_kustomization, is_release
from gitsync.api.kustomization import Kustomization
from gitsync.api.names import KUSTOMIZATION, KUSTOMIZE_GROUP, KUSTOMIZE_NAME_LABEL, KUSTOMIZE_NAMESPACE_LABEL
from gitsync.errors import FieldErrors
from gitsync.live.standing import Standing, standing
from gitsync.release.dependencies.order import Order
from gitsync.sync.kustomization.order import waits_inside


class Known:
    """Objects by key. What is worked out of them is kept until one of them changes."""

    def __init__(self) -> None:
        self._manifests: dict[ObjectKey, Manifest] = {}
        self._standings: dict[ObjectKey, Standing] = {}
        self._typed: dict[ObjectKey, HelmRelease | Kustomization | None] = {}
        self._order: Order | None = None
        self._brought: dict[ObjectKey, list[ObjectKey]] | None = None

    def update(self, key: ObjectKey, manifest: Manifest | None) -> None:
        """An object as it is now; None: it is gone."""
        self._order = self._brought = None
        self._typed.pop(key, None)
        if manifest is None:
            self._manifests.pop(key, None)
            self._standings.pop(key, None)
        else:
            self._manifests[key] = manifest
            self._standings[key] = standing(manifest)

    def keys(self, wanted: Callable[[ObjectKey], bool]) -> list[ObjectKey]:
        """Those of some kinds, sorted."""
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

    def typed(self, key: ObjectKey) -> HelmRelease | Kustomization | None:
        """A HelmRelease or Kustomization; None of another kind, and of one that cannot be read."""
        if key not in self._typed:
            self._typed[key] = None
            if (manifest := self._manifests.get(key)) is not None:
                with suppress(FieldErrors):
                    self._typed[key] = _parsed(key, manifest)
        return self._typed[key]

    def dependencies(self, key: ObjectKey) -> Sequence[ObjectKey]:
        """What an object's dependsOn names."""
        typed = self.typed(key)
        return [reference.key for reference in typed.dependencies()] if typed is not None else []

    def source(self, key: ObjectKey) -> ObjectKey | None:
        """The source of a HelmRelease or a Kustomization."""
        typed = self.typed(key)
        return typed.source if typed is not None else None

    def above(self, key: ObjectKey) -> ObjectKey | None:
        """The Kustomization that has applied an object, by its labels; None when none has, or it is itself."""
        labels = ((self._manifests.get(key) or {}).get("metadata") or {}).get("labels") or {}
        namespace, name = labels.get(KUSTOMIZE_NAMESPACE_LABEL), labels.get(KUSTOMIZE_NAME_LABEL)
        above = ObjectKey(KUSTOMIZE_GROUP, KUSTOMIZATION, str(namespace), str(name))
        return above if namespace and name and above != key else None

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
            typed = {key: self.typed(key) for key in self.keys(is_release)}
            releases = {key: item if isinstance(item, HelmRelease) else None for key, item in typed.items()}
            self._order = Order.of(releases, _Kustomizations(list(self._kustomizations())))
        return self._order

    def _kustomizations(self) -> Iterator[Kustomization]:
        for key in self.keys(is_kustomization):
            if isinstance(typed := self.typed(key), Kustomization):
                yield typed


class _Kustomizations:
    """See Others: as far as the order asks for it."""

    def __init__(self, found: Iterable[Kustomization]) -> None:
        self._found = {item.key: item for item in found}

    def manifest(self, key: ObjectKey) -> Manifest | None:
        """See Others."""
        found = self._found.get(key)
        return found.manifest if found is not None else None

    def why_not_ready(self, key: ObjectKey) -> str | None:
        """See Others: how they stand is not asked of this."""
        return None

    def is_hopeless(self, key: ObjectKey) -> bool:
        """See Others."""
        return False

    def needs(self) -> Mapping[ObjectKey, Sequence[ObjectKey]]:
        """See Others."""
        return {key: [reference.key for reference in item.dependencies()] for key, item in self._found.items()}

    def followed(self) -> Mapping[ObjectKey, Sequence[ObjectKey]]:
        """See Others."""
        return {key: waits_inside(item) for key, item in self._found.items()}


def _parsed(key: ObjectKey, manifest: Manifest) -> HelmRelease | Kustomization | None:
    """Raises: FieldErrors."""
    if is_release(key):
        return HelmRelease.parse(manifest)
    return Kustomization.parse(manifest) if is_kustomization(key) else None
