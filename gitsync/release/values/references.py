"""The ConfigMaps and Secrets that releases take values and kubeconfigs from, watched while a release refers to them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import ObjectKey
from gitsync.release.values.compose import compose, secrets_in, texts_of
from gitsync.release.values.kubeconfig import remote_data, remote_of
from gitsync.sources.watch.referred import Referred, ReferredData

if TYPE_CHECKING:
    from gitsync.cluster import Cluster, Remote


class References:
    """What releases refer to, for all of them. ``changed(release, why)`` is told when what one refers to changes: the
    text of a value, or the way to its cluster."""

    def __init__(self, cluster: Cluster, changed: Callable[[ObjectKey, str], None]) -> None:
        self._referred = ReferredData(cluster, changed)
        self._made: dict[ObjectKey, _Made] = {}

    async def values(self, release: HelmRelease) -> dict[str, Any]:
        """The release's values, those of its ``valuesFrom`` included; shared, never change them.

        Raises: ValuesMissing, ValuesError; Forbidden and ClusterUnavailable when a watch does not begin.
        """
        if not release.spec.values_from:
            self._made.pop(release.key, None)
            if release.kubeconfig_source is None:
                await self.forget(release.key)
            return release.spec.values or {}
        texts = texts_of(release, (await self._find(release)).get)
        of, made = (release.spec.values_from, release.spec.values, texts), self._made.get(release.key)
        if made is None or made.of != of:
            values = await asyncio.to_thread(compose, release, texts)
            made = _Made(of, values, await asyncio.to_thread(secrets_in, release, texts))
            self._made[release.key] = made
        return made.values

    async def remote(self, release: HelmRelease) -> Remote | None:
        """The cluster that the release refers to; None for the one that its HelmRelease is in.

        Raises: KubeConfigMissing, KubeConfigRefused; Forbidden and ClusterUnavailable when a watch does not begin.
        """
        return remote_of(release, (await self._find(release)).get)

    async def _find(self, release: HelmRelease) -> Referred:
        source = release.kubeconfig_source
        named = (*release.value_sources(), *((source,) if source is not None else ()))

        def counts(found: Referred) -> object:
            return texts_of(release, found.get), remote_data(release, found.get)

        return await self._referred.of(release.key, named, counts)

    def secrets(self, key: ObjectKey) -> frozenset[str]:
        """What of a release's values, as they were last read, is out of Secrets."""
        made = self._made.get(key)
        return made.secrets if made is not None else frozenset()

    async def forget(self, key: ObjectKey) -> None:
        """The release is gone, or refers to nothing any more."""
        self._made.pop(key, None)
        await self._referred.forget(key)

    async def close(self) -> None:
        """End every watch."""
        await self._referred.close()


class _Made(NamedTuple):
    """The values that were last made of what a release refers to, and what of them is out of Secrets."""

    of: object
    values: dict[str, Any]
    secrets: frozenset[str]
