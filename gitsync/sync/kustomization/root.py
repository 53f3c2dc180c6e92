"""The sync of the settings, as far as Kustomizations have to know of it: one of them may stand for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from gitsync.api.identity import ObjectKey
from gitsync.api.kustomization import Kustomization
from gitsync.sync.standing import Standing


@dataclass(frozen=True)
class Root:
    """``is_root`` says whether a Kustomization asks for what this sync does. ``commit`` is the one that it has last
    come to the end of, ``objects`` what it has; ``standing`` says how it stands, ``compare`` has it compare everything
    with the cluster, and ``is_busy`` says whether it is at work."""

    is_root: Callable[[Kustomization], bool]
    commit: Callable[[], str]
    objects: Callable[[], Awaitable[Iterable[ObjectKey]]]
    standing: Callable[[], Standing | None] = lambda: None
    compare: Callable[[], None] = lambda: None
    is_busy: Callable[[], bool] = lambda: False


async def _nothing() -> Iterable[ObjectKey]:
    return ()


#: Where the settings name no repository.
NO_ROOT = Root(lambda _: False, lambda: "", _nothing)
