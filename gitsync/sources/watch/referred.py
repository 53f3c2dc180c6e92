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

#: The objects that are referred to, as far as what they hold; None for one that does not exist.
Referred = Mapping[ObjectKey, Manifest | None]

#: Characters of what is large that one may refer to, and how often it is in memory while it is worked with: itself, and
#: what is made of it. What all come to at a moment, those of one namespace, and what there is for each.
MOST: Final = 24 << 20
_COPIES: Final = 2
TOGETHER: Final = 64 << 20
OF_NAMESPACE: Final = 48 << 20
ALWAYS: Final = 4 << 20


class Found(dict[ObjectKey, Manifest | None]):
    """What was read. What is large among it takes memory as long as there is this."""

    held: TakenMemory | None = None


#: What of them counts, for who refers to them: another one is news.
Counts = Callable[[Referred], object]


def data_of(found: Referred) -> object:
    """All that they hold."""
    return {key: None if manifest is None else manifest.get("data") for key, manifest in found.items()}


class ReferredData:
    """What is in them. ``changed(who, why)`` is told of a release or Kustomization when what it refers to changes.

    There is one watch for each kind and namespace that is referred to, shared by those there: a pass in which nothing
    has changed asks the API server nothing, but for what is large, which is not kept: there is room for so much of it
    at once, in turns by namespace.
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
        """The objects that it names by now; keep them no longer than they are worked with. Of ``only`` some of them is
        what is large wanted, too: of the others there is then no data.

        Raises: Forbidden and ClusterUnavailable when a watch does not begin, or what is large cannot be read;
        RetryableError when there is no memory for it; what ``counts`` raises.
        """
        if not named:
            await self.forget(who)
            return {}
        # Its own pass may want them, and who asks what it will want: others, where a commit names others.
        while (followed := self._followed.get(who)) is None or followed.named != named:
            await self._beginning.run(who, lambda: self._begin(who, named))
        return await followed.read(counts, self._memory, named if only is None else only)

    async def _begin(self, who: ObjectKey, named: tuple[ObjectKey, ...]) -> None:
        before = self._followed.pop(who, None)
        followed = _Followed(self._cluster, who, named, self._changed)
        try:
            await followed.begin()
        finally:
            if before is not None:  # last: what both refer to is watched on
                await before.end()
        self._followed[who] = followed

    async def forget(self, who: ObjectKey) -> None:
        """Forget an object that is gone, or refers to nothing any more."""
        followed = self._followed.pop(who, None)
        if followed is not None:
            await followed.end()

    async def close(self) -> None:
        """End every watch."""
        for key in list(self._followed):
            await self.forget(key)


class _Followed:
    """What one of them refers to."""

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
        #: What is large among them is told by its version, and so are all then.
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
        # What is large is not kept for this either.
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
        """Of all that happens in their namespaces, only what counts is news."""
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
