"""Putting objects into the cluster and taking them out: one engine for Helm releases and plain manifests alike."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from gitsync.api.identity import Manifest, ObjectKey, group_of
from gitsync.apply.wait import WaitFor, wait_ready
from gitsync.errors import KindUnknown, NotReadyInTime
from gitsync.health import assess
from gitsync.release.action.ownership import waves
from gitsync.runtime.progress import SILENCE, report

if TYPE_CHECKING:
    from gitsync.cluster import Cluster, WatchEvent
    from gitsync.runtime.interrupt import Interrupt

#: Seconds to wait for an object that is on its way out before applying its successor.
GONE_TIMEOUT = 60.0
CRD_TIMEOUT = 60.0
SERVED_TIMEOUT = 10.0
#: Seconds between two looks at what discovery says.
_LOOK = 0.1
CRD_GROUP = "apiextensions.k8s.io"


class Applier:
    """Applies and deletes with one field manager."""

    def __init__(self, cluster: Cluster, manager: str) -> None:
        self._cluster = cluster
        self._manager = manager

    async def fill_namespaces(self, manifests: Iterable[Manifest], namespace: str) -> list[Manifest]:
        """The same objects with ``namespace`` filled in where a namespaced kind has none, and taken out where a
        cluster-scoped kind names one (as kubectl and Helm do).

        Raises: KindUnknown.
        """
        settled = []
        for manifest in manifests:
            resource = await self._cluster.resource(group_of(manifest["apiVersion"]), manifest["kind"])
            named = (manifest.get("metadata") or {}).get("namespace")
            if resource.namespaced and not named:
                manifest = {**manifest, "metadata": {**manifest["metadata"], "namespace": namespace}}
            elif not resource.namespaced and named:
                rest = {key: value for key, value in manifest["metadata"].items() if key != "namespace"}
                manifest = {**manifest, "metadata": rest}
            settled.append(manifest)
        return settled

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
        answer: Manifest = await self._cluster.apply(manifest, manager=self._manager)
        if "deletionTimestamp" in answer["metadata"]:
            await self.gone([ObjectKey.of(answer)], GONE_TIMEOUT)
            answer = await self._cluster.apply(manifest, manager=self._manager)
        return answer

    async def apply_crds(self, crds: Sequence[Manifest], interrupt: Interrupt) -> None:
        """Apply CustomResourceDefinitions and wait until the API server serves them.

        Raises: NotReadyInTime, ObjectFailed (names not accepted), ApiError.
        """
        if crds:
            applied = await self.apply_all(crds)
            await wait_ready(self._cluster, WaitFor(applied, labels="", timeout=CRD_TIMEOUT), interrupt)
            await self.await_served(applied.values())

    async def await_served(self, crds: Iterable[Manifest]) -> None:
        """Wait until discovery names the kinds of CustomResourceDefinitions, which it does a little after they are
        established. Gives up silently: whoever applies such a kind is told that it is unknown.
        """
        try:
            async with asyncio.timeout(SERVED_TIMEOUT):
                for spec in (crd["spec"] for crd in crds):
                    for served in (item["name"] for item in spec["versions"] if item.get("served")):
                        await self._served(spec["group"], spec["names"]["kind"], served)
        except TimeoutError:
            return

    async def _served(self, group: str, kind: str, served: str) -> None:
        looks = 0
        while not await self._serves(group, kind, served):
            looks += 1
            if looks == SILENCE / _LOOK:
                await report(f"{kind}: {group}/{served} is not served yet")
            await asyncio.sleep(_LOOK)  # there is no watch that tells what discovery will say

    async def _serves(self, group: str, kind: str, served: str) -> bool:
        try:
            await self._cluster.resource(group, kind, served)
        except KindUnknown:
            return False
        return True

    async def existing(self, keys: Iterable[ObjectKey]) -> set[ObjectKey]:
        """Which of these are in the cluster."""
        return set(await self._found(keys))

    async def gone(self, keys: Iterable[ObjectKey], patience: float) -> None:
        """Wait until these objects exist no more, at most ``patience`` seconds.

        Raises: NotReadyInTime, naming what is left and why.
        """
        left = await self._found(keys)
        if not left:
            return
        changed = asyncio.Event()

        def on_event(event: WatchEvent) -> None:
            if event.type == "DELETED":
                left.pop(event.key, None)
            elif event.key in left:
                left[event.key] = event.manifest
            changed.set()

        try:
            async with asyncio.timeout(patience), AsyncExitStack() as stack:
                for key in sorted(left):
                    watch = await stack.enter_async_context(
                        self._cluster.watch(
                            key.group, key.kind, namespace=key.namespace, fields=f"metadata.name={key.name}"
                        )
                    )
                    stack.callback(watch.subscribe(on_event))
                    if watch.get(key) is None:
                        left.pop(key, None)
                await _until_none(left, changed)
        except TimeoutError:
            raise NotReadyInTime(
                f"still being deleted after {patience:g}s: {_why_left(left)}",
                hint="a finalizer holds it back: see metadata.finalizers",
            ) from None

    async def _found(self, keys: Iterable[ObjectKey]) -> dict[ObjectKey, Manifest]:
        keys = list(keys)
        found = await asyncio.gather(*(self._cluster.find(key) for key in keys))
        return {key: live for key, live in zip(keys, found, strict=True) if live is not None}


async def _until_none(left: dict[ObjectKey, Manifest], changed: asyncio.Event) -> None:
    """Return when no object is left. Tells what is, each reason once, not sooner than SILENCE after the one before."""
    told = ""
    while left:
        try:
            async with asyncio.timeout(SILENCE if told != _why_left(left) else None):
                await changed.wait()
            changed.clear()
        except TimeoutError:
            why = _why_left(left)
            told = "" if await report(why) else why


def _why_left(left: dict[ObjectKey, Manifest]) -> str:
    """``ConfigMap/ns/x: is being deleted; finalizers: a/b (and 2 more)``"""
    key = min(left)
    more = f" (and {len(left) - 1} more)" if len(left) > 1 else ""
    return f"{key}: {assess(left[key]).message or 'is still there'}{more}"
