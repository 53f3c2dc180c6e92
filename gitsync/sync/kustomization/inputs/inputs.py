"""What a Kustomization refers to in the cluster: variables, keys for decryption, and another cluster's kubeconfig."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from gitsync.api.identity import ObjectKey
from gitsync.api.kustomization import Kustomization
from gitsync.build import BuildSpec
from gitsync.release.values.kubeconfig import remote_of
from gitsync.sources.watch.referred import Referred, ReferredData
from gitsync.sync.kustomization.inputs.building import build_spec
from gitsync.sync.kustomization.inputs.keys import keys_of, keys_secret
from gitsync.sync.kustomization.inputs.variables import variables_of

if TYPE_CHECKING:
    from gitsync.cluster import Cluster, Remote


class BuildSpecs(Protocol):
    """Says how Kustomizations are built. In the agent, these are ``Inputs``."""

    async def spec_of(self, kustomization: Kustomization) -> BuildSpec:
        """How a Kustomization is built. Raises: ValuesMissing, and what reading the cluster raises."""
        ...

    async def remote(self, kustomization: Kustomization) -> Remote | None:
        """The cluster that its ``kubeConfig`` names, None when it has none.

        Raises: KubeConfigMissing, KubeConfigRefused, and what reading the cluster raises.
        """
        ...

    async def forget(self, key: ObjectKey) -> None:
        """Nobody will ask about this Kustomization any more."""


class Inputs:
    """The inputs of all Kustomizations of a cluster. ``changed(key, why)`` is called when something that a
    Kustomization refers to has changed. ``default_keys`` is the Secret with keys for those that name none."""

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

    async def remote(self, kustomization: Kustomization) -> Remote | None:
        """See BuildSpecs. Raises: KubeConfigMissing, KubeConfigRefused; Forbidden and ClusterUnavailable."""
        found = await self._found(kustomization) if kustomization.kubeconfig_source is not None else {}
        return remote_of(kustomization, found.get)

    async def _found(self, kustomization: Kustomization) -> Referred:
        others = keys_secret(kustomization, self._default_keys), kustomization.kubeconfig_source
        named = (*kustomization.value_sources(), *(key for key in others if key is not None))
        return await self._referred.of(kustomization.key, named)

    async def forget(self, key: ObjectKey) -> None:
        """The Kustomization is gone."""
        await self._referred.forget(key)

    async def close(self) -> None:
        """End every watch."""
        await self._referred.close()
