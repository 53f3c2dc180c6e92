"""The ConfigMaps and Secrets that releases and Kustomizations refer to, watched for as long as they do."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Final

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.errors import RetryableError
from gitsync.runtime.memory import Memory, TakenMemory
from gitsync.runtime.singleflight import SingleFlight
from gitsync.sources.watch.datawatch import DataWatches, content_of, is_large, size_of, whole

if TYPE_CHECKING:
    from gitsync.cluster import Cluster, WatchEvent

#: The data of the objects that are referred to, by key; None for one that does not exist.
Referred = Mapping[ObjectKey, Manifest | None]

#: Characters of large objects that one release or Kustomization may refer to; and how often they are in memory while
#: they are used: themselves, and what is made of them. Then the bounds of all that is in memory at a moment, of what is
#: for one namespace, and what each namespace can always have.
MOST: Final = 24 << 20
_COPIES: Final = 2
TOGETHER: Final = 64 << 20
OF_NAMESPACE: Final = 48 << 20
ALWAYS: Final = 4 << 20


class Found(dict[ObjectKey, Manifest | None]):
    """The data that was read. The memory for what is large among it is held as long as this object lives."""

    held: TakenMemory | None = None


#: What of the data matters to the object that refers to it: when this differs, that object is reconciled.
Counts = Callable[[Referred], object]


def data_of(found: Referred) -> object:
    """All the data."""
    return {key: None if manifest is None else manifest.get("data") for key, manifest in found.items()}


class ReferredData:
    """The data of the ConfigMaps and Secrets that releases and Kustomizations refer to. ``changed(who, why)`` is called
    for a release or Kustomization when what it refers to changes.

    There is one watch for each kind and namespace that is referred to, shared by all that refer to something there: a
    reconciliation to which nothing has changed makes no request. Large objects are the exception: they are not kept but
    read each time, within a bound of memory, in turns by namespace.
    """

    def __init__(self, cluster: Cluster, changed: Callable[[ObjectKey, str], None]) -> None:
        self._cluster = cluster
        self._changed = changed
        self._memory = Memory("large ConfigMaps and Secrets", TOGETHER, OF_NAMESPACE, ALWAYS, cluster.input)
        self._followed: dict[ObjectKey, _Followed] = {}
        self._beginning: SingleFlight[None] = SingleFlight()

    async def of(
        self,
        who: ObjectKey,
        named: tuple[ObjectKey, ...],
        counts: Counts = data_of,
        only: Collection[ObjectKey] | None = None,
    ) -> Referred:
        """The objects that ``who`` refers to now, which are ``named``; keep them no longer than they are used. With
        ``only``, large objects that are not in it are returned without data.

        Raises: Forbidden and ClusterUnavailable when a watch does not begin, or a large object cannot be read;
        RetryableError when there is no memory for it; what ``counts`` raises.
        """
        if not named:
            await self.forget(who)
            return {}
        # Its reconciliation and a look at a newer commit may both call this, and name other objects.
        while (followed := self._followed.get(who)) is None or followed.named != named:
            await self._beginning.run(who, lambda: self._begin(who, named))
        return await followed.read(counts, self._memory, named if only is None else only)

    async def _begin(self, who: ObjectKey, named: tuple[ObjectKey, ...]) -> None:
        before = self._followed.pop(who, None)
        followed = _Followed(self._cluster, who, named, self._changed)
        try:
            await followed.begin()
        finally:
            if before is not None:  # last, so that what is referred to before and now stays watched
                await before.end()
        self._followed[who] = followed

    async def forget(self, who: ObjectKey) -> None:
        """Forget a release or Kustomization that is gone, or refers to nothing any more."""
        followed = self._followed.pop(who, None)
        if followed is not None:
            await followed.end()

    async def close(self) -> None:
        """End every watch."""
        for key in list(self._followed):
            await self.forget(key)


class _Followed:
    """The objects that one release or Kustomization refers to."""

    def __init__(
        self,
        cluster: Cluster,
        who: ObjectKey,
        named: tuple[ObjectKey, ...],
        changed: Callable[[ObjectKey, str], None],
    ) -> None:
        self.named = named
        self._who = who
        self._changed = changed
        namespaces = {key.namespace for key in named}
        self._watches = {name: DataWatches(cluster, name, self._on_event) for name in sorted(namespaces)}
        self._cluster = cluster
        self._counts: Counts | None = None
        self._seen: object = None
        #: Set when one of the objects is large: by key, what tells whether an object has changed (a large one's
        #: version).
        self._contents: dict[ObjectKey, object] | None = None

    async def begin(self) -> None:
        try:
            for namespace, watches in self._watches.items():
                await watches.begin({key.kind for key in self.named if key.namespace == namespace})
        except BaseException:
            await self.end()
            raise

    async def end(self) -> None:
        for watches in self._watches.values():
            await watches.end()

    async def read(self, counts: Counts, memory: Memory, wanted: Collection[ObjectKey]) -> Referred:
        found = Found(self._find())
        large = {key: size_of(manifest) for key, manifest in found.items() if is_large(manifest)}
        contents = {key: content_of(manifest) for key, manifest in found.items()} if large else None
        read = [key for key in large if key in wanted]
        found.held = await self._room(memory, sum(large[key] for key in read))
        for key in read:
            manifest = await self._cluster.find(key)
            found[key] = None if manifest is None else whole(manifest)
        seen = counts(found)
        # What is large is not kept to be compared either.
        self._counts, self._contents, self._seen = counts, contents, None if large else seen
        return found

    async def _room(self, memory: Memory, size: int) -> TakenMemory | None:
        if size > MOST:
            raise RetryableError(
                f"the ConfigMaps and Secrets that it refers to have more than {MOST >> 20} MiB of data",
                hint="let it refer to fewer, or make them smaller",
            )
        return await memory.hold_in_time(self._who.namespace, _COPIES * size) if size else None

    def _find(self) -> dict[ObjectKey, Manifest | None]:
        return {key: self._watches[key.namespace].find(key) for key in self.named}

    def _on_event(self, event: WatchEvent) -> None:
        """Has the object that refers to them reconciled if the event is about one of them, and changes what matters
        of it."""
        if self._counts is None or event.key not in self.named:
            return
        if self._is_news(event.key):
            self._changed(self._who, f"{event.key} was changed")

    def _is_news(self, key: ObjectKey) -> bool:
        found = self._find()
        if self._contents is not None or is_large(found[key]):
            before, self._contents = self._contents, {key: content_of(manifest) for key, manifest in found.items()}
            return before is None or before[key] != self._contents[key]
        assert self._counts is not None
        seen, self._seen = self._seen, self._counts(found)
        return bool(seen != self._seen)
