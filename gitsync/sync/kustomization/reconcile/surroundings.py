"""What a pass over one Kustomization asks of other parts: other objects, and the sync of the settings."""

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
    """``find`` gives an object that may be waited for, ``held`` the objects in or behind a cycle of dependencies.
    ``root`` is the sync of the settings; a Kustomization that stands for it is not applied a second time. ``rules`` are
    what settings say about access. ``is_leaving`` says whether a Kustomization is about to be removed. ``typed`` is an
    object as it was parsed before, None when it was not or cannot be. ``unbuilt`` is told of each build.
    """

    find: Callable[[ObjectKey], Manifest | None]
    held: Callable[[], Mapping[ObjectKey, HeldByCycle[ObjectKey]]]
    root: Root = NO_ROOT
    rules: AccessRules = PLAIN
    is_leaving: Callable[[Kustomization], bool] = lambda _: False
    typed: Callable[[ObjectKey, Manifest], Kustomization | None] = lambda _, __: None
    unbuilt: Unbuilt = field(default_factory=Unbuilt)
