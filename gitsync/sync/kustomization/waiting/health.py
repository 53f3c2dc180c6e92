"""The health of the objects that ``spec.healthChecks`` names: anybody's, not only those of the Kustomization."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.kustomization import Kustomization
from gitsync.apply.readiness import Readiness
from gitsync.apply.wait import WaitFor, wait_ready
from gitsync.errors import NotReadyInTime

if TYPE_CHECKING:
    from gitsync.cluster import Cluster
    from gitsync.runtime.interrupt import Interrupt


class HealthChecks:
    """Waits until objects are there, and ready, as far as they can be seen in ``cluster``."""

    def __init__(self, cluster: Cluster, readiness: Readiness) -> None:
        self._cluster = cluster
        self._readiness = readiness

    async def wait(self, kustomization: Kustomization, interrupt: Interrupt) -> None:
        """Return when all are ready. Raises: NotReadyInTime, ObjectFailed, Superseded, ClusterUnavailable, ApiError."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + kustomization.timeout
        keys = [reference.key for reference in kustomization.spec.health_checks]
        found = {key: await interrupt.guard(self._appeared(key, deadline)) for key in keys}
        left = max(deadline - loop.time(), 0.0)
        await wait_ready(self._cluster, WaitFor(found, labels="", timeout=left, readiness=self._readiness), interrupt)

    async def _appeared(self, key: ObjectKey, deadline: float) -> Manifest:
        """An object, as soon as it is there. Raises: NotReadyInTime at the deadline."""
        if (found := await self._cluster.find(key)) is not None:
            return found
        group, kind, namespace = self._cluster.scope_of(key)
        try:
            async with asyncio.timeout_at(deadline), self._cluster.watch(group, kind, namespace=namespace) as watch:
                news = asyncio.Event()
                unsubscribe = watch.subscribe(lambda _: news.set())
                try:
                    while (found := watch.get(key)) is None:
                        await news.wait()
                        news.clear()
                    return found
                finally:
                    unsubscribe()
        except TimeoutError:
            raise NotReadyInTime(f"{key}, which healthChecks names, does not exist") from None
