"""Objects that were there before a revision took them over: a failed revision must not delete these. Pure.

The apply that takes an object over notes that on the object itself (``gitsync.dev/taken-over-by``), so that it is known
whenever the process ends. The note has the revision, and the release or sync that owned the object before. It loses its
meaning once that revision, or a later one, has succeeded; the next revision that applies the object takes it off.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.apply.ownership import belongs_to, former_owner, taken_over, taken_over_in
from gitsync.release.revision import ReleaseRef


@dataclass(frozen=True, slots=True)
class History:
    """The objects of several revisions. ``versions`` has an object as each revision had it, the newest last; ``first``
    is the number of the first revision that had it."""

    versions: dict[ObjectKey, list[Manifest]] = field(default_factory=dict)
    first: dict[ObjectKey, int] = field(default_factory=dict)

    def add(self, revision: int, manifest: Manifest) -> None:
        """Add an object of a revision. Call it for the oldest revision first."""
        key = ObjectKey.of(manifest)
        self.versions.setdefault(key, []).append(manifest)
        self.first.setdefault(key, revision)


@dataclass(frozen=True, slots=True)
class Predecessors:
    """Decides which objects of a revision were there before the release. ``first`` has the first revision that had an
    object; ``good`` is the last revision that succeeded, 0 for none; ``resumed``: objects of this revision may have
    been applied already."""

    ref: ReleaseRef
    revision: int
    first: Mapping[ObjectKey, int]
    good: int
    resumed: bool

    def succeeded_with(self, key: ObjectKey) -> bool:
        """Whether a revision that succeeded had the object: then it is the release's, wherever it came from."""
        return key in self.first and self.first[key] <= self.good

    def attempted(self, key: ObjectKey) -> bool:
        """Whether the object may have been applied since the last revision that succeeded."""
        return not self.succeeded_with(key) and (self.resumed or key in self.first)

    def noted(self, manifest: Manifest, live: Manifest) -> Manifest:
        """The manifest as it is applied over ``live``: with the note, if the object was there before the release."""
        key = ObjectKey.of(manifest)
        if self.succeeded_with(key):
            return manifest
        note = taken_over_in(live, self.ref.name, self.ref.namespace)
        ours = belongs_to(live, self.ref.name, self.ref.namespace)
        if ours and not note and self.attempted(key):
            return manifest  # a revision of this release that failed has created it
        taken_before = ours and self.good < note < self.revision
        revision = note if taken_before else self.revision
        return taken_over(manifest, self.ref.name, self.ref.namespace, revision, former_owner(live))


def why_kept(live: Manifest, *, ref: ReleaseRef, good: int, stay: Collection[ObjectKey] = ()) -> str:
    """Why an object of a release is not deleted, "" when it may be: an object of ``stay`` would go with it, or only
    revisions after ``good``, the last that succeeded, have taken it over."""
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
