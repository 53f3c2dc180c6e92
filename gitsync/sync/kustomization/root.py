"""The sync of the settings as Kustomizations see it. One of them may stand for it: if it describes what that sync does
(the same repository and path), it is not applied a second time, but its status shows how that sync stands."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from gitsync.api.identity import ObjectKey
from gitsync.api.kustomization import Kustomization
from gitsync.sync.standing import Standing


@dataclass(frozen=True)
class Root:
    """``is_root`` says whether a Kustomization stands for this sync. ``commit`` is the one that the sync has applied
    last, ``objects`` what it has in the cluster; ``standing`` says how it stands, ``compare`` has it compare everything
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
