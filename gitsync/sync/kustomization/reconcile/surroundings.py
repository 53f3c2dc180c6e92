"""What a pass over one Kustomization asks of what is beside it: other objects, and the sync of the settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.kustomization import Kustomization
from gitsync.graph import HeldByCycle
from gitsync.release.access import PLAIN, AccessRules
from gitsync.sync.kustomization.root import NO_ROOT, Root
from gitsync.sync.kustomization.unbuilt import Unbuilt


@dataclass(frozen=True)
class Surroundings:
    """``find`` gives an object that may be waited for, ``held`` who is in or behind a cycle of dependencies. ``root``
    is the sync of the settings: what that does is done once. ``rules`` are what settings say about access.
    ``is_leaving`` says whether one is about to be removed. ``typed`` is what an object has been read as already, None
    when it has not been, or cannot be. ``unbuilt`` is told of each build.
    """

    find: Callable[[ObjectKey], Manifest | None]
    held: Callable[[], Mapping[ObjectKey, HeldByCycle[ObjectKey]]]
    root: Root = NO_ROOT
    rules: AccessRules = PLAIN
    is_leaving: Callable[[Kustomization], bool] = lambda _: False
    typed: Callable[[ObjectKey, Manifest], Kustomization | None] = lambda _, __: None
    unbuilt: Unbuilt = field(default_factory=Unbuilt)
