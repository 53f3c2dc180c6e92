"""Target clusters: a cluster as some user, one for each combination of ``kubeConfig`` and impersonated ServiceAccount.

A target is made when the first object needs it and closed when the last one is gone. Most objects need none of their
own: they are worked on in the cluster that the agent serves, with the agent's rights (``Targets.own``). Nothing here
knows what is done in a target, or which kind asks for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import NamedTuple

from gitsync.api.identity import ObjectKey
from gitsync.cluster.access.remote import Remote
from gitsync.cluster.access.secretconfig import KubeconfigAllowance
from gitsync.cluster.cluster import Cluster
from gitsync.errors import Forbidden, ServiceAccountMissing

#: Of Flux's controllers themselves, with all rights; Flux's guide on tenants has platforms' Kustomizations name them.
_FLUX_ACCOUNTS = ("kustomize-controller", "helm-controller")
_OF_FLUX = ": it is of Flux's own controller, which gitsync does not bring"


@dataclass(eq=False)
class Target:
    """One cluster as one user. ``remote``: it is not the cluster that the agent serves. What is entered on ``closing``
    is left before the connection is closed."""

    cluster: Cluster
    remote: bool = False
    closing: AsyncExitStack = field(default_factory=AsyncExitStack, repr=False)


class TargetUser(NamedTuple):
    """What tells targets apart. ``remote`` is the digest of a remote cluster's description, "" for the agent's own;
    ``service_account`` is the account of ``namespace`` to impersonate, both "" for none."""

    remote: str
    namespace: str
    service_account: str


@dataclass(eq=False)
class _Shared:
    """A target with the objects that use it; ``target`` is None while the first of them has it made."""

    users: set[ObjectKey] = field(default_factory=set)
    making: asyncio.Lock = field(default_factory=asyncio.Lock)
    target: Target | None = None


class Targets:
    """All targets. ``own`` is the agent's cluster with the agent's rights; it is closed, but its connection is not.

    ``allowed`` is what a kubeconfig out of a Secret may do. ``on_release`` is awaited before an object gives its target
    up, which may close it.
    """

    def __init__(
        self, own: Cluster, allowed: KubeconfigAllowance, on_release: Callable[[ObjectKey], Awaitable[None]]
    ) -> None:
        self.own = Target(own)
        self._allowed = allowed
        self._on_release = on_release
        self._shared: dict[TargetUser, _Shared] = {}
        self._used: dict[ObjectKey, TargetUser] = {}
        self._remote: dict[str, Cluster] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def at(self, key: ObjectKey) -> Target:
        """The target that an object was last worked on at."""
        user = self._used.get(key)
        shared = self._shared.get(user) if user is not None else None
        return shared.target if shared is not None and shared.target is not None else self.own

    async def acquire(self, key: ObjectKey, remote: Remote | None, service_account: str) -> Target:
        """The target for an object, in place of the one that it used before.

        ``remote`` is None for the agent's own cluster; ``service_account`` is of the object's namespace, "" for the
        user of the kubeConfig, or the agent itself.

        Raises: KubeConfigRefused; ServiceAccountMissing, for an account of the own cluster; Forbidden and
        ClusterUnavailable when the own cluster gives no token for another one.
        """
        if remote is None and not service_account:
            if key in self._used:
                await self.release(key)
            return self.own
        digest = remote.digest if remote is not None else ""
        user = TargetUser(digest, key.namespace if service_account else "", service_account)
        if self._used.get(key) != user:
            await self.release(key)
            self._used[key] = user
            self._shared.setdefault(user, _Shared()).users.add(key)
        shared = self._shared[user]
        async with shared.making:
            if shared.target is None:
                shared.target = await self._make(user, remote)
        return shared.target

    async def release(self, key: ObjectKey) -> None:
        """The object is gone, or is worked on elsewhere from now on."""
        await self._on_release(key)
        user = self._used.pop(key, None)
        if user is None:
            return
        shared = self._shared[user]
        shared.users.discard(key)
        if not shared.users:
            del self._shared[user]
            # In a task of its own, which goes on if this one is cancelled: nobody else would close the target.
            closing = asyncio.create_task(self._close(user, shared))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
            await asyncio.shield(closing)

    async def check_account(self, namespace: str, name: str) -> None:
        """Make sure that a ServiceAccount of the own cluster exists; one request. The API server lets anybody be
        impersonated, and an account that does not exist looks like one without rights.

        Raises: ServiceAccountMissing.
        """
        try:
            found = await self.own.cluster.find(ObjectKey("", "ServiceAccount", namespace, name))
        except Forbidden:
            return  # we may not look, which is no reason not to try
        if found is None:
            raise ServiceAccountMissing(
                f"ServiceAccount {namespace}/{name} does not exist",
                hint="create it, with a RoleBinding that gives it what it is to do"
                + (_OF_FLUX if name in _FLUX_ACCOUNTS else ""),
            )

    async def close(self) -> None:
        """Close every target."""
        for key in list(self._used):
            await self.release(key)
        await asyncio.gather(*self._closing)
        await self.own.closing.aclose()

    async def _make(self, user: TargetUser, remote: Remote | None) -> Target:
        cluster = await self._remote_cluster(remote) if remote is not None else self.own.cluster
        if user.service_account:
            if remote is None:
                await self.check_account(user.namespace, user.service_account)
            cluster = cluster.impersonating(user.namespace, user.service_account)
        return Target(cluster, remote=remote is not None)

    async def _remote_cluster(self, remote: Remote) -> Cluster:
        """The remote cluster as the user of its kubeConfig; shared by all targets that impersonate others there."""
        known = self._remote.get(remote.digest)
        if known is None:
            fresh = await self.own.cluster.other(remote, self._allowed)
            known = self._remote.setdefault(remote.digest, fresh)
            if known is not fresh:  # somebody else was quicker
                await fresh.close()
        return known

    async def _close(self, user: TargetUser, shared: _Shared) -> None:
        if shared.target is not None:
            await shared.target.closing.aclose()
            if user.service_account:
                await shared.target.cluster.close()
        if user.remote and not any(other.remote == user.remote for other in self._shared):
            cluster = self._remote.pop(user.remote, None)
            if cluster is not None:
                await cluster.close()
