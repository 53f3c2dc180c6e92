"""In which line of Git a dependency between two objects is written. State only; no I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from gitsync.api.fields import FieldPath
from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import Manifest, ObjectKey, Origin
from gitsync.api.kinds import is_kustomization, is_release
from gitsync.api.kustomization import Kustomization
from gitsync.api.names import DEPENDS_ON_ORIGIN_ANNOTATION, ORIGIN_ANNOTATION
from gitsync.graph import Edge
from gitsync.manifests import DesiredObject
from gitsync.text import whole_number

#: The place in Git of the dependency of the first object on the second; None when it is not known.
Places = Callable[[ObjectKey, ObjectKey], Origin | None]
Waiting = HelmRelease | Kustomization
M = TypeVar("M", bound=Waiting)
E = TypeVar("E", bound=Edge[ObjectKey])


def nowhere(dependent: ObjectKey, dependency: ObjectKey) -> Origin | None:
    """The Places where nothing is known of Git."""
    return None


class EdgePlaces:
    """The places of the dependencies of all objects that syncs apply, as their newest commits have them."""

    def __init__(self) -> None:
        self._written: dict[ObjectKey, _Written] = {}

    def note(self, item: DesiredObject) -> bool:
        """A commit has this object. Returns whether a dependency of it is written elsewhere than before."""
        before, written = self._written.pop(item.key, None), _written(item)
        if written is not None:
            self._written[item.key] = written
        return before is not None and (written is None or before.item.source is not written.item.source)

    def forget(self, key: ObjectKey) -> None:
        """It is gone."""
        self._written.pop(key, None)

    def place(self, dependent: ObjectKey, dependency: ObjectKey) -> Origin | None:
        """See Places."""
        written = self._written.get(dependent)
        return written.place(dependency) if written is not None else None


def written_in(item: DesiredObject, dependency: ObjectKey) -> Origin | None:
    """The place in an object of a commit that makes it depend on another; None when there is none."""
    written = _written(item)
    return written.place(dependency) if written is not None else None


@dataclass(frozen=True, slots=True)
class _Written:
    """The dependencies of an object as a commit has it: what its ``fields`` name, and, if it ``waits``, the objects
    that it brings. ``item`` is without its content. A place is worked out when it is asked for, since that reads the
    text again."""

    item: DesiredObject
    fields: tuple[tuple[ObjectKey, FieldPath], ...]
    waits: bool

    def place(self, dependency: ObjectKey) -> Origin | None:
        path = next((path for key, path in self.fields if key == dependency), None)
        if path is None and not self.waits:
            return None
        return self.item.field_origin(path or ("spec", "wait"))


def _written(item: DesiredObject) -> _Written | None:
    """The dependencies of an object; None when it can have none."""
    if not isinstance(item.model, Waiting):
        return None
    waits = isinstance(item.model, Kustomization) and item.model.spec.wait
    fields = tuple(_fields(item.model))
    if not fields and not waits:
        return None
    return _Written(replace(item, manifest={}, model=None, secrets=frozenset()), fields, waits)


def _fields(model: Waiting) -> Iterator[tuple[ObjectKey, FieldPath]]:
    yield from model.dependencies()
    if isinstance(model, Kustomization):
        for number, check in enumerate(model.spec.health_checks):
            yield check.key, ("spec", "healthChecks", number)


def edge_origins(item: DesiredObject) -> list[Origin]:
    """The places of the dependsOn entries of a HelmRelease or Kustomization in a commit; empty for other objects."""
    if not (is_release(item.key) or is_kustomization(item.key)):
        return []
    count = len((item.manifest.get("spec") or {}).get("dependsOn") or ())
    return [item.field_origin(("spec", "dependsOn", number)) for number in range(count)]


def edges_of(model: Waiting) -> Sequence[Edge[ObjectKey]]:
    """The dependsOn entries of an object in the cluster, each with the place that the sync noted when it was applied:
    an annotation with ``path:line`` lines in the order of the entries."""
    origins: dict[int, Origin] = {}
    text = model.metadata.annotations.get(DEPENDS_ON_ORIGIN_ANNOTATION, "")
    for number, place in enumerate(text.splitlines()):
        path, _, line = place.rpartition(":")
        if path and (found := whole_number(line)) is not None:
            origins[number] = Origin(path, found)
    dependencies = enumerate(model.dependencies())
    return [Edge(model.key, dependency, origins.get(number)) for number, (dependency, _) in dependencies]


class KnownEdges(Generic[M, E]):
    """Edges of objects, worked out once for each state of an object: while a commit brings a hundred objects, the order
    is made anew a hundred times."""

    def __init__(self, edges: Callable[[M], Sequence[E]]) -> None:
        self._edges = edges
        self._known: dict[ObjectKey, tuple[M, Sequence[E]]] = {}

    def of(self, models: Mapping[ObjectKey, M]) -> Mapping[ObjectKey, Sequence[E]]:
        """The edges of each object. Forgets objects that are not among these."""
        before = self._known
        self._known = {
            key: known if (known := before.get(key)) is not None and known[0] is model else (model, self._edges(model))
            for key, model in models.items()
        }
        return {key: edges for key, (_, edges) in self._known.items()}


def applied_from(manifest: Manifest) -> Origin | None:
    """The place in Git that an object in the cluster was applied from; None for one that no commit has applied."""
    text = (manifest["metadata"].get("annotations") or {}).get(ORIGIN_ANNOTATION, "")
    path, line = text, ""
    for _ in range(2):  # line and column
        before, _, number = path.rpartition(":")
        if before and whole_number(number) is not None:
            path, line = before, number
    return Origin(path, whole_number(line) or 0) if path else None
