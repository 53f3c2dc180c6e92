"""What moving from one revision to the next does to the release's objects. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.apply.ownership import kept


@dataclass(frozen=True, slots=True)
class Delta:
    """What moving from one set of objects to another does. ``removed`` are the objects to delete, in the order in which
    they were applied, without those with a resource policy to keep them (``kept``); ``taken_over`` are new to the set,
    but were in the cluster already; ``hooks`` are in the next set as hooks only."""

    created: tuple[ObjectKey, ...]
    changed: tuple[ObjectKey, ...]
    removed: tuple[Manifest, ...]
    kept: tuple[ObjectKey, ...]
    taken_over: tuple[ObjectKey, ...] = ()
    hooks: tuple[ObjectKey, ...] = ()

    def having_created(self, created: Collection[ObjectKey]) -> Delta:
        """The delta, given that of its new objects only these did not exist in the cluster: others were taken over."""
        taken_over = tuple(key for key in self.created if key not in created)
        return replace(self, created=tuple(key for key in self.created if key in created), taken_over=taken_over)

    def without(self, keys: Collection[ObjectKey]) -> Delta:
        """The delta without the removal of these objects, which is decided elsewhere."""
        return replace(self, removed=tuple(item for item in self.removed if ObjectKey.of(item) not in keys))


def delta(
    before: Sequence[Manifest],
    after: Sequence[Manifest],
    crds: Iterable[Manifest] = (),
    hooks: Collection[ObjectKey] = (),
) -> Delta:
    """Compare a release's last manifest with its next one. Both have their namespaces filled in. ``crds`` are those in
    the next chart's ``crds/``: a definition that moves there has no owner from now on, and stays. ``hooks`` are the
    objects of its hooks: an object that becomes a hook stays until that runs; then its delete policies decide."""
    old = {ObjectKey.of(item): item for item in before}
    new = {ObjectKey.of(item): item for item in after}
    unowned = set(map(ObjectKey.of, crds))
    gone = [item for key, item in old.items() if key not in new and key not in unowned]
    become_hooks = tuple(ObjectKey.of(item) for item in gone if ObjectKey.of(item) in hooks)
    gone = [item for item in gone if ObjectKey.of(item) not in hooks]
    return Delta(
        created=tuple(key for key in new if key not in old),
        changed=tuple(key for key, item in new.items() if key in old and old[key] != item),
        removed=tuple(item for item in gone if not kept(item)),
        kept=tuple(ObjectKey.of(item) for item in gone if kept(item)),
        hooks=become_hooks,
    )
