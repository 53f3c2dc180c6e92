"""What moving from one revision to the next does to the release's objects. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.apply.ownership import kept


@dataclass(frozen=True, slots=True)
class Delta:
    """What moving from one set of objects to another does, by key; ``removed`` holds what is to be deleted, in the
    order they were applied in, without what a keep policy protects (``kept``); ``taken_over`` what is new to the set
    and was in the cluster already; ``hooks`` what the next set has no longer, and runs as hooks of its own."""

    created: tuple[ObjectKey, ...]
    changed: tuple[ObjectKey, ...]
    removed: tuple[Manifest, ...]
    kept: tuple[ObjectKey, ...]
    taken_over: tuple[ObjectKey, ...] = ()
    hooks: tuple[ObjectKey, ...] = ()

    def having_created(self, created: Collection[ObjectKey]) -> Delta:
        """The delta, when only these objects were created in the cluster."""
        taken_over = tuple(key for key in self.created if key not in created)
        return replace(self, created=tuple(key for key in self.created if key in created), taken_over=taken_over)

    def without(self, keys: Collection[ObjectKey]) -> Delta:
        """The delta, without removing these objects: what becomes of them is decided already."""
        return replace(self, removed=tuple(item for item in self.removed if ObjectKey.of(item) not in keys))


def delta(
    before: Sequence[Manifest],
    after: Sequence[Manifest],
    crds: Iterable[Manifest] = (),
    hooks: Collection[ObjectKey] = (),
) -> Delta:
    """Compare a release's last manifest with its next one. Both have their namespaces filled in. ``crds`` are what is
    in the next chart's ``crds/``: a definition that moves there is nobody's from now on, and stays. ``hooks`` are
    the objects of its hooks: what becomes one stays until that runs, and then its delete policies decide."""
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
