"""What a Kustomization refers to: variables, keys for what is encrypted, and the kubeconfig of another cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from gitsync.api.identity import ObjectKey
from gitsync.api.kustomization import Kustomization
from gitsync.build import BuildSpec
from gitsync.release.values.kubeconfig import kubeconfig_of
from gitsync.sources.referred import Referred, ReferredData
from gitsync.sync.kustomization.building import build_spec
from gitsync.sync.kustomization.keys import keys_of, keys_secret
from gitsync.sync.kustomization.variables import variables_of

if TYPE_CHECKING:
    from gitsync.cluster import Cluster


class BuildSpecs(Protocol):
    """Says how each is built; for the agent, ``Inputs`` is it."""

    async def spec_of(self, kustomization: Kustomization) -> BuildSpec:
        """How it is built. Raises: ValuesMissing, and what reading the cluster raises."""
        ...

    async def kubeconfig(self, kustomization: Kustomization) -> str:
        """The text of the kubeconfig that it names, "" when it names no cluster. Never log it.

        Raises: KubeConfigMissing, KubeConfigRefused, and what reading the cluster raises.
        """
        ...

    async def forget(self, key: ObjectKey) -> None:
        """Nobody asks about it any more."""


class Inputs:
    """For all Kustomizations of a cluster. ``changed(key, why)`` is told when what one refers to changes.
    ``default_keys`` is the Secret for those that name none of their own."""

    def __init__(
        self, cluster: Cluster, changed: Callable[[ObjectKey, str], None], default_keys: ObjectKey | None = None
    ) -> None:
        self._referred = ReferredData(cluster, changed)
        self._default_keys = default_keys

    async def spec_of(self, kustomization: Kustomization) -> BuildSpec:
        """How it is built.

        Raises: ValuesMissing; Forbidden and ClusterUnavailable when what it refers to cannot be watched.
        """
        found = await self._found(kustomization)
        keys = keys_of(kustomization, found, self._default_keys)
        return build_spec(kustomization, variables_of(kustomization, found), keys)

    async def kubeconfig(self, kustomization: Kustomization) -> str:
        """See BuildSpecs. Raises: KubeConfigMissing, KubeConfigRefused; Forbidden and ClusterUnavailable."""
        found = await self._found(kustomization) if kustomization.kubeconfig_secret is not None else {}
        return kubeconfig_of(kustomization, found.get)

    async def _found(self, kustomization: Kustomization) -> Referred:
        secrets = keys_secret(kustomization, self._default_keys), kustomization.kubeconfig_secret
        named = (*kustomization.value_sources(), *(key for key in secrets if key is not None))
        return await self._referred.of(kustomization.key, named)

    async def forget(self, key: ObjectKey) -> None:
        """The Kustomization is gone."""
        await self._referred.forget(key)

    async def close(self) -> None:
        """End every watch."""
        await self._referred.close()
