"""Objects that were there before a revision took them over: what a failure must not delete. Pure.

Whether an object was there, the API server says as it is applied; that it was is noted on the object in the apply that
takes it over, so that it is known whenever the process ends. The note says by which revision, and from which release
or sync if it was one's own. It means nothing any more once that revision, or a later one, has succeeded; the next
revision that applies the object takes it off.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.apply.ownership import belongs_to, former_owner, taken_over, taken_over_in
from gitsync.release.revision import ReleaseRef


@dataclass(frozen=True, slots=True)
class History:
    """The objects of several revisions: each as every one of them had it, the newest last, and the number of the first
    that had it."""

    versions: dict[ObjectKey, list[Manifest]] = field(default_factory=dict)
    first: dict[ObjectKey, int] = field(default_factory=dict)

    def add(self, revision: int, manifest: Manifest) -> None:
        """Revisions come oldest first."""
        key = ObjectKey.of(manifest)
        self.versions.setdefault(key, []).append(manifest)
        self.first.setdefault(key, revision)


@dataclass(frozen=True, slots=True)
class Predecessors:
    """Tells of the objects of a revision whether they were there before the release. ``first`` are the first revisions
    that had an object, ``good`` is the last one that succeeded, 0 for none; ``resumed``: some of this one may have been
    applied already."""

    ref: ReleaseRef
    revision: int
    first: Mapping[ObjectKey, int]
    good: int
    resumed: bool

    def succeeded_with(self, key: ObjectKey) -> bool:
        """Whether a revision that succeeded had it: it is the release's, wherever it came from."""
        return key in self.first and self.first[key] <= self.good

    def attempted(self, key: ObjectKey) -> bool:
        """Whether the object may have been applied since the last revision that succeeded."""
        return not self.succeeded_with(key) and (self.resumed or key in self.first)

    def noted(self, manifest: Manifest, live: Manifest) -> Manifest:
        """The object as it is applied over what is there: with a note, where that was there before."""
        key = ObjectKey.of(manifest)
        if self.succeeded_with(key):
            return manifest
        note = taken_over_in(live, self.ref.name, self.ref.namespace)
        ours = belongs_to(live, self.ref.name, self.ref.namespace)
        if ours and not note and self.attempted(key):
            return manifest  # a revision that failed has made it
        taken_before = ours and self.good < note < self.revision
        revision = note if taken_before else self.revision
        return taken_over(manifest, self.ref.name, self.ref.namespace, revision, former_owner(live))


def why_kept(live: Manifest, *, ref: ReleaseRef, good: int, stay: Collection[ObjectKey] = ()) -> str:
    """Why an object of the release is not deleted with it, ``good`` being the last revision that succeeded, ``stay``
    what the release goes on having; "" when it may be."""
    if (inside := _first_inside(live, stay)) is not None:
        return f"{inside} would go with it"
    revision = taken_over_in(live, ref.name, ref.namespace)
    return f"was there before revision {revision} took it over, which has failed" if revision > good else ""


def _first_inside(live: Manifest, keys: Collection[ObjectKey]) -> ObjectKey | None:
    """The first of these objects that would go with a Namespace or CustomResourceDefinition, None for none."""
    of = ObjectKey.of(live)
    if (of.group, of.kind) == ("", "Namespace"):
        return min((key for key in keys if key.namespace == of.name), default=None)
    if of.kind != "CustomResourceDefinition":
        return None
    kind = live.get("spec", {}).get("group"), live.get("spec", {}).get("names", {}).get("kind")
    return min((key for key in keys if (key.group, key.kind) == kind), default=None)
