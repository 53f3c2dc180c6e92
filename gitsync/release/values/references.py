"""The ConfigMaps and Secrets that releases take values and kubeconfigs from, watched while a release refers to them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.errors import KubeConfigMissing
from gitsync.release.values.compose import Texts, compose, secrets_in, text_in, texts_of
from gitsync.sources.datawatch import DataWatches

if TYPE_CHECKING:
    from gitsync.cluster import Cluster, WatchEvent

#: The keys of a Secret that a kubeconfig is looked for in when none is named, in this order.
_KUBECONFIG_KEYS = ("value", "value.yaml")


class References:
    """What releases refer to, for all of them. ``changed(release, why)`` is told when what one refers to changes.

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
            if release.kubeconfig_secret is None:
                await self.forget(release.key)
            return release.spec.values or {}
        return await (await self._follow(release)).values(release)

    async def kubeconfig(self, release: HelmRelease) -> str:
        """The text of the kubeconfig that the release refers to. Never log it.

        Raises: KubeConfigMissing; Forbidden and ClusterUnavailable when a watch does not begin.
        """
        return (await self._follow(release)).kubeconfig(release)

    async def _follow(self, release: HelmRelease) -> _Followed:
        kinds = {key.kind for key in release.value_sources()}
        if release.kubeconfig_secret is not None:
            kinds.add(release.kubeconfig_secret.kind)
        followed = self._followed.get(release.key)
        if followed is None or followed.kinds != kinds:
            await self.forget(release.key)
            followed = _Followed(self._cluster, release, self._changed)
            await followed.begin(kinds)
            self._followed[release.key] = followed
        return followed

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
        self._release = release
        self._changed = changed
        self._watches = DataWatches(cluster, release.metadata.namespace, self._on_event)
        self._seen: Texts | None = None
        self._kubeconfig: str | None = None
        self._made_of: object = None
        self._made: dict[str, Any] = {}
        self.secrets: frozenset[str] = frozenset()

    @property
    def kinds(self) -> set[str]:
        return self._watches.kinds

    async def begin(self, kinds: set[str]) -> None:
        await self._watches.begin(kinds)

    async def end(self) -> None:
        await self._watches.end()

    async def values(self, release: HelmRelease) -> dict[str, Any]:
        self._release = release
        texts = self._seen = texts_of(release, self._find)
        made_of = (release.spec.values_from, release.spec.values, texts)
        if self._made_of != made_of:
            self._made = await asyncio.to_thread(compose, release, texts)
            self.secrets = await asyncio.to_thread(secrets_in, release, texts)
            self._made_of = made_of
        return self._made

    def kubeconfig(self, release: HelmRelease) -> str:
        self._release = release
        self._kubeconfig = kubeconfig_in(release, self._find)
        if self._kubeconfig is None:
            keys = " or ".join(kubeconfig_keys(release))
            raise KubeConfigMissing(
                f"kubeConfig: {release.kubeconfig_secret} with key {keys} does not exist",
                hint="create that Secret, with a kubeconfig under the key, or correct kubeConfig.secretRef",
            )
        return self._kubeconfig

    def _find(self, key: ObjectKey) -> Manifest | None:
        return self._watches.find(key)

    def _on_event(self, event: WatchEvent) -> None:
        """Of all that happens in the namespace, only another text behind a reference is news."""
        if event.key == self._release.kubeconfig_secret:
            kubeconfig = kubeconfig_in(self._release, self._find)
            if kubeconfig != self._kubeconfig:
                self._kubeconfig = kubeconfig
                self._changed(self._release.key, f"{event.key} was changed")
        if self._seen is None or event.key not in self._release.value_sources():
            return
        texts = texts_of(self._release, self._find)
        if texts != self._seen:
            self._seen = texts
            self._changed(self._release.key, f"{event.key} was changed")


def kubeconfig_keys(release: HelmRelease) -> tuple[str, ...]:
    """The keys of its Secret that a kubeconfig is looked for in, in this order."""
    kube_config = release.spec.kube_config
    named = kube_config.secret_ref.key if kube_config and kube_config.secret_ref else None
    return (named,) if named else _KUBECONFIG_KEYS


def kubeconfig_in(release: HelmRelease, find: Callable[[ObjectKey], Manifest | None]) -> str | None:
    """The text of the kubeconfig that a release refers to, None when it is not there. ``find`` gives Secrets."""
    key = release.kubeconfig_secret
    manifest = find(key) if key is not None else None
    if key is None or manifest is None:
        return None
    texts = (text_in(key, manifest, name) for name in kubeconfig_keys(release))
    return next((text for text in texts if text), None)
