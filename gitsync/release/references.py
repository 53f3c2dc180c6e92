"""The ConfigMaps and Secrets that releases take values from: watched while a release refers to them, and only then."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.release.records import SECRET_TYPE
from gitsync.release.values import Texts, compose, secrets_in, texts_of

if TYPE_CHECKING:
    from gitsync.cluster import Cluster, SharedWatch, WatchEvent

#: Helm's own records are Secrets too, many and large; nobody takes values from them.
_FIELDS = {"Secret": f"type!={SECRET_TYPE}", "ConfigMap": ""}


class References:
    """Values by reference, for all releases. ``changed(release, why)`` is told when what one refers to changes.

    There is one watch for each kind and namespace that is referred to, shared by the releases there; a pass in which
    nothing has changed asks the API server nothing.
    """

    def __init__(self, cluster: Cluster, changed: Callable[[ObjectKey, str], None]) -> None:
        self._cluster = cluster
        self._changed = changed
        self._followed: dict[ObjectKey, _Followed] = {}

    async def values(self, release: HelmRelease) -> dict[str, Any]:
        """The release's values, those of its ``valuesFrom`` included; shared, never change them.

        Raises: ValuesMissing, ValuesError; Forbidden and ClusterUnavailable when a watch does not begin.
        """
        if not release.spec.values_from:
            await self.forget(release.key)
            return release.spec.values or {}
        kinds = {key.kind for key in release.value_sources()}
        followed = self._followed.get(release.key)
        if followed is None or followed.kinds != kinds:
            await self.forget(release.key)
            followed = _Followed(self._cluster, release, self._changed)
            await followed.begin(kinds)
            self._followed[release.key] = followed
        return await followed.values(release)

    def secrets(self, key: ObjectKey) -> frozenset[str]:
        """What of a release's values, as they were last read, is out of Secrets."""
        followed = self._followed.get(key)
        return followed.secrets if followed is not None else frozenset()

    async def forget(self, key: ObjectKey) -> None:
        """The release is gone, or refers to nothing any more."""
        followed = self._followed.pop(key, None)
        if followed is not None:
            await followed.end()

    async def close(self) -> None:
        """End every watch."""
        for key in list(self._followed):
            await self.forget(key)


class _Followed:
    """What one release refers to: the watches that it shares, and the values that were last made of it."""

    def __init__(self, cluster: Cluster, release: HelmRelease, changed: Callable[[ObjectKey, str], None]) -> None:
        self._cluster = cluster
        self._release = release
        self._changed = changed
        self._stack = AsyncExitStack()
        self._watches: dict[str, SharedWatch] = {}
        self._seen: Texts | None = None
        self._made_of: object = None
        self._made: dict[str, Any] = {}
        self.secrets: frozenset[str] = frozenset()

    @property
    def kinds(self) -> set[str]:
        return set(self._watches)

    async def begin(self, kinds: set[str]) -> None:
        try:
            for kind in sorted(kinds):
                watch = await self._stack.enter_async_context(
                    self._cluster.watch(
                        "", kind, namespace=self._release.metadata.namespace, fields=_FIELDS[kind], keep=_data_only
                    )
                )
                self._watches[kind] = watch
                self._stack.callback(watch.subscribe(self._on_event))
        except BaseException:
            await self.end()
            raise

    async def end(self) -> None:
        await self._stack.aclose()

    async def values(self, release: HelmRelease) -> dict[str, Any]:
        self._release = release
        texts = self._seen = texts_of(release, self._find)
        made_of = (release.spec.values_from, release.spec.values, texts)
        if self._made_of != made_of:
            self._made = await asyncio.to_thread(compose, release, texts)
            self.secrets = await asyncio.to_thread(secrets_in, release, texts)
            self._made_of = made_of
        return self._made

    def _find(self, key: ObjectKey) -> Manifest | None:
        return self._watches[key.kind].get(key)

    def _on_event(self, event: WatchEvent) -> None:
        """Of all that happens in the namespace, only another text behind a reference is news."""
        if self._seen is None or event.key not in self._release.value_sources():
            return
        texts = texts_of(self._release, self._find)
        if texts != self._seen:
            self._seen = texts
            self._changed(self._release.key, f"{event.key} was changed")


def _data_only(manifest: Manifest) -> Manifest:
    """All that is of use, so that a namespace full of annotations costs nothing."""
    metadata = manifest["metadata"]
    kept = {name: metadata[name] for name in ("name", "namespace", "uid", "resourceVersion") if name in metadata}
    return {"metadata": kept, "data": manifest.get("data") or {}}
