"""Putting objects into the cluster by server-side apply: one engine for Helm releases and plain manifests alike."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.apply.delete import wait_deleted
from gitsync.apply.order import waves

if TYPE_CHECKING:
    from gitsync.cluster import Cluster

#: Seconds to wait for an object that is on its way out before applying its successor.
GONE_TIMEOUT = 60.0


class Applier:
    """Applies with one field manager."""

    def __init__(self, cluster: Cluster, manager: str) -> None:
        self._cluster = cluster
        self._manager = manager

    async def apply_all(
        self, manifests: Sequence[Manifest], put: Callable[[Manifest], Awaitable[Manifest]] | None = None
    ) -> dict[ObjectKey, Manifest]:
        """Apply objects that are in install order: one kind after the other, the objects of a kind at once; each by
        ``put``, else by ``apply``.

        Returns the API server's answers. Raises: the first ApiError or ClusterUnavailable, after the others ended.
        """
        put = put or self.apply
        applied: dict[ObjectKey, Manifest] = {}
        for wave in waves(manifests):
            # Exceptions are collected so that one failing apply does not cancel its neighbours half way.
            answers = await asyncio.gather(*(put(item) for item in wave), return_exceptions=True)
            for answer in answers:
                if isinstance(answer, BaseException):
                    raise answer
                applied[ObjectKey.of(answer)] = answer
        return applied

    async def apply(self, manifest: Manifest) -> Manifest:
        """Apply one object; one that is being deleted is waited out first, since an apply to it would be lost."""
        answer = await self.send(manifest)
        if "deletionTimestamp" in answer["metadata"]:
            await wait_deleted(self._cluster, [ObjectKey.of(answer)], GONE_TIMEOUT)
            answer = await self.send(manifest)
        return answer

    async def send(self, manifest: Manifest) -> Manifest:
        """Apply one object as it is now. The answer may be of one that is being deleted."""
        answer: Manifest = await self._cluster.apply(manifest, manager=self._manager)
        return answer
