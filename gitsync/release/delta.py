"""What moving from one revision to the next does to the release's objects. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.apply.ownership import kept


@dataclass(frozen=True, slots=True)
class Delta:
    """What moving from one set of objects to another does, by key; ``removed`` holds what is to be deleted, in the
    order they were applied in, without what a keep policy protects (``kept``)."""

    created: tuple[ObjectKey, ...]
    changed: tuple[ObjectKey, ...]
    unchanged: tuple[ObjectKey, ...]
    removed: tuple[Manifest, ...]
    kept: tuple[ObjectKey, ...]


def delta(before: Sequence[Manifest], after: Sequence[Manifest]) -> Delta:
    """Compare a release's last manifest with its next one. Both have their namespaces filled in."""
    old = {ObjectKey.of(item): item for item in before}
    new = {ObjectKey.of(item): item for item in after}
    gone = [item for key, item in old.items() if key not in new]
    return Delta(
        created=tuple(key for key in new if key not in old),
        changed=tuple(key for key, item in new.items() if key in old and old[key] != item),
        unchanged=tuple(key for key, item in new.items() if key in old and old[key] == item),
        removed=tuple(item for item in gone if not kept(item)),
        kept=tuple(ObjectKey.of(item) for item in gone if kept(item)),
    )
