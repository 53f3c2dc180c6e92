"""The ConfigMaps and Secrets that Kustomizations refer to, watched for as long as they do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.runtime.singleflight import SingleFlight
from gitsync.sources.datawatch import DataWatches

if TYPE_CHECKING:
    from gitsync.cluster import Cluster, WatchEvent

#: The objects that are referred to, as far as what they hold; None for one that does not exist.
Referred = Mapping[ObjectKey, Manifest | None]


class ReferredData:
    """What is in them. ``changed(key, why)`` is told of a Kustomization when what it refers to changes.

    There is one watch for each kind and namespace that is referred to, shared by those there.
    """

    def __init__(self, cluster: Cluster, changed: Callable[[ObjectKey, str], None]) -> None:
        self._cluster = cluster
        self._changed = changed
        self._followed: dict[ObjectKey, _Followed] = {}
        self._beginning: SingleFlight[None] = SingleFlight()

    async def of(self, kustomization: ObjectKey, named: tuple[ObjectKey, ...]) -> Referred:
        """The objects that it names by now.

        Raises: Forbidden and ClusterUnavailable when a watch does not begin.
        """
        if not named:
            await self.forget(kustomization)
            return {}
        # Its own pass may want them, and who asks what it will want: others, where a commit names others.
        while (followed := self._followed.get(kustomization)) is None or followed.named != named:
            await self._beginning.run(kustomization, lambda: self._begin(kustomization, named))
        return followed.read()

    async def _begin(self, kustomization: ObjectKey, named: tuple[ObjectKey, ...]) -> None:
        await self.forget(kustomization)
        followed = _Followed(self._cluster, kustomization, named, self._changed)
        await followed.begin()
        self._followed[kustomization] = followed

    async def forget(self, kustomization: ObjectKey) -> None:
        """It is gone, or refers to nothing any more."""
        followed = self._followed.pop(kustomization, None)
        if followed is not None:
            await followed.end()

    async def close(self) -> None:
        """End every watch."""
        for key in list(self._followed):
            await self.forget(key)


class _Followed:
    """What one Kustomization refers to."""

    def __init__(
        self,
        cluster: Cluster,
        kustomization: ObjectKey,
        named: tuple[ObjectKey, ...],
        changed: Callable[[ObjectKey, str], None],
    ) -> None:
        self.named = named
        self._key = kustomization
        self._changed = changed
        namespaces = {key.namespace for key in named}
        self._watches = {name: DataWatches(cluster, name, self._on_event) for name in sorted(namespaces)}
        self._seen: object = None

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

    def read(self) -> Referred:
        found = self._find()
        self._seen = _data(found)
        return found

    def _find(self) -> Referred:
        return {key: self._watches[key.namespace].find(key) for key in self.named}

    def _on_event(self, event: WatchEvent) -> None:
        """Of all that happens in their namespaces, only other data is news."""
        if self._seen is None or event.key not in self.named:
            return
        if (data := _data(self._find())) != self._seen:
            self._seen = data
            self._changed(self._key, f"{event.key} was changed")


def _data(found: Referred) -> Mapping[ObjectKey, object]:
    return {key: None if manifest is None else manifest.get("data") for key, manifest in found.items()}
