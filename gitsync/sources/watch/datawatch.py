"""The ConfigMaps and Secrets that releases, Kustomizations and sources refer to, watched as long as they do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import HELM_RECORD_TYPE

if TYPE_CHECKING:
    from gitsync.cluster import Cluster, Informer, WatchEvent

#: Leaves out Helm's own records: these are Secrets, too, many and large, and hold no logins or values.
FIELDS: Final = {"Secret": f"type!={HELM_RECORD_TYPE}", "ConfigMap": ""}
#: An object with at least this many characters of data is large.
LARGE: Final = 32 << 10


class DataWatches:
    """The data of a namespace's ConfigMaps and Secrets. There is one watch for each kind and namespace, shared by
    all that refer to something there; ``on_event`` is called for each change there."""

    def __init__(self, cluster: Cluster, namespace: str, on_event: Callable[[WatchEvent], None]) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._on_event = on_event
        self._stack = AsyncExitStack()
        self._watches: dict[str, Informer] = {}

    @property
    def kinds(self) -> set[str]:
        """The kinds that are watched."""
        return set(self._watches)

    async def begin(self, kinds: Iterable[str]) -> None:
        """Watch objects of these kinds. Raises: Forbidden, ClusterUnavailable."""
        try:
            for kind in sorted(kinds):
                shared = self._cluster.watch("", kind, namespace=self._namespace, fields=FIELDS[kind], keep=data_only)
                self._watches[kind] = watch = await self._stack.enter_async_context(shared)
                self._stack.callback(watch.subscribe(self._on_event))
        except BaseException:
            await self.end()
            raise

    async def end(self) -> None:
        """End all watches."""
        await self._stack.aclose()

    def find(self, key: ObjectKey) -> Manifest | None:
        """An object of a kind that is watched; None when there is none."""
        return self._watches[key.kind].get(key)


def data_only(manifest: Manifest) -> Manifest:
    """A Secret or ConfigMap as it is kept: its data, without metadata such as annotations. A large object is kept
    without its data, which is read when it is wanted."""
    found = whole(manifest)
    size = sum(len(name) + len(str(text)) for name, text in found["data"].items())
    if size > LARGE:
        del found["data"]
        found["size"] = size
    return found


def whole(manifest: Manifest) -> Manifest:
    """An object's name and version, and all of its data."""
    metadata = manifest["metadata"]
    kept = {name: metadata[name] for name in ("name", "namespace", "uid", "resourceVersion") if name in metadata}
    return {"metadata": kept, "data": manifest.get("data") or {}}


def is_large(manifest: Manifest | None) -> bool:
    """Whether an object's data is too large to be kept here."""
    return manifest is not None and "data" not in manifest


def size_of(manifest: Manifest | None) -> int:
    """The number of characters of a large object's data, which is not kept here."""
    return int(manifest["size"]) if manifest is not None and is_large(manifest) else 0


def content_of(manifest: Manifest | None) -> object:
    """A value that differs when an object's data does; of a large object, when its version does."""
    if manifest is None:
        return None
    return ("version", manifest["metadata"].get("resourceVersion")) if is_large(manifest) else manifest["data"]
