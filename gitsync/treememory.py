"""What the lists of files of trees take in memory: whoever may write sources may name repositories of any size, and any
number of them."""

from __future__ import annotations

import asyncio
import weakref
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress
from typing import Final
from weakref import WeakValueDictionary

from cachetools import LRUCache

from gitsync.budget import Budget, Share, Spent
from gitsync.errors import NoRoom
from gitsync.tree import Tree

#: The lists of all trees that are in memory at a moment, and those of one namespace, in bytes; of another one there is
#: always room for so many. A list has 100 to 200 bytes for each file.
TOGETHER: Final = 64 << 20
OF_NAMESPACE: Final = 40 << 20
ALWAYS: Final = 1 << 20
_MOST_REFUSED: Final = 1024
_HINT = "name fewer or smaller sources, or keep manifests in repositories of their own; it is tried again"


class TreeMemory:
    """Trees by what they were made of. Those that nobody uses stay as long as there is room. ``within`` is a larger
    budget that all of it is a part of."""

    def __init__(
        self,
        together: int = TOGETHER,
        of_namespace: int = OF_NAMESPACE,
        always: int = ALWAYS,
        within: Budget | None = None,
    ) -> None:
        self._budget = Budget(together, always, within)
        self._most = of_namespace
        self._shares: WeakValueDictionary[str, Share] = WeakValueDictionary()
        #: What those take for which there was no room.
        self._refused: LRUCache[Hashable, int] = LRUCache(_MOST_REFUSED)
        #: The ids of the parts of trees that are counted.
        self._counted: set[int] = set()
        self._trees: WeakValueDictionary[Hashable, Tree] = WeakValueDictionary()
        #: Those that were used last, with their namespaces, the last one at the end.
        self._kept: OrderedDict[Hashable, tuple[str, Tree]] = OrderedDict()
        #: One list at a time is made: that takes a multiple of what stays.
        self.making = asyncio.Lock()

    @classmethod
    def of_own_repository(cls) -> TreeMemory:
        """Never too small: what nobody uses does not stay beyond it, that is all."""
        return cls(of_namespace=2**63, always=2**63)

    @property
    def taken(self) -> int:
        """What the lists take now, in bytes."""
        return self._budget.taken

    def get(self, key: Hashable) -> Tree | None:
        """What was made before, as long as it is in memory."""
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._trees.get(key)

    async def make(self, key: Hashable, namespace: str, making: Callable[[], Awaitable[Tree]]) -> Tree:
        """Make a tree on behalf of a namespace; with None for its key only its user keeps it. ``making`` waits for no
        server: others wait for it.

        Raises: NoRoom; what ``making`` raises.
        """
        async with self.making:
            if (weight := self._refused.pop(key, 0)) and key is not None:
                self._take(namespace, weight, key).give(weight)  # it need not be made to be refused once more
            tree = await making()
            self._count(namespace, tree, key)
        if key is not None:
            self._trees[key] = tree
            self._kept[key] = namespace, tree
            self._trim()
        return tree

    def forget(self, wanted: Callable[[Hashable], bool]) -> None:
        """Keep no trees any more whose keys are wanted for that, nor give them to anybody."""
        for key in [key for key in self._trees if wanted(key)]:
            self._trees.pop(key, None)
        for key in [key for key in self._kept if wanted(key)]:
            del self._kept[key]

    def _count(self, namespace: str, tree: Tree, key: Hashable) -> None:
        """Count those parts of a tree that no other tree shares yet."""
        parts = {id(part): (part, part.weight) for part in tree.parts if id(part) not in self._counted}
        share = self._take(namespace, sum(weight for _, weight in parts.values()), key)
        for number, (part, weight) in parts.items():
            self._counted.add(number)
            gone = weakref.finalize(part, self._gone, asyncio.get_running_loop(), number, share, weight)
            gone.atexit = False

    def _take(self, namespace: str, weight: int, key: Hashable) -> Share:
        share = self._shares.get(namespace)
        if share is None:
            share = self._shares[namespace] = Share(self._budget, self._most)
        while True:
            try:
                share.take(weight)
                return share
            except Spent as spent:
                whose = None if spent.together else namespace
                if not self._drop(whose):
                    self._refused[key] = weight
                    raise NoRoom(self._told(spent, namespace), hint=_HINT) from None

    @staticmethod
    def _told(spent: Spent, namespace: str) -> str:
        who = "all sources" if spent.together else f"the sources of namespace {namespace}"
        return f"the lists of the files of {who} would take {spent}"

    def _drop(self, namespace: str | None) -> bool:
        """Keep one tree less, of this namespace or of any; whether there was one."""
        key = next((key for key, (owner, _) in self._kept.items() if namespace in (None, owner)), None)
        if key is None:
            return False
        del self._kept[key]
        return True

    def _trim(self) -> None:
        while self._budget.taken > self._budget.most and len(self._kept) > 1:
            self._kept.popitem(last=False)

    def _gone(self, loop: asyncio.AbstractEventLoop, part: int, share: Share, weight: int) -> None:
        self._counted.discard(part)
        try:
            on_loop = asyncio.get_running_loop() is loop
        except RuntimeError:
            on_loop = False
        if on_loop:
            share.give(weight)
            return
        with suppress(RuntimeError):  # in whatever thread it ended; the loop may have ended, too
            loop.call_soon_threadsafe(share.give, weight)
