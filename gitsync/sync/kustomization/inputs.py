"""What a Kustomization is built with that is not in its files: variables, and keys for what is encrypted."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from gitsync.api.identity import ObjectKey
from gitsync.api.kustomization import Kustomization
from gitsync.build import BuildSpec
from gitsync.sources.referred import ReferredData
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
        secret = keys_secret(kustomization, self._default_keys)
        named = (*kustomization.value_sources(), *((secret,) if secret is not None else ()))
        found = await self._referred.of(kustomization.key, named)
        keys = keys_of(kustomization, found, self._default_keys)
        return build_spec(kustomization, variables_of(kustomization, found), keys)

    async def forget(self, key: ObjectKey) -> None:
        """The Kustomization is gone."""
        await self._referred.forget(key)

    async def close(self) -> None:
        """End every watch."""
        await self._referred.close()
