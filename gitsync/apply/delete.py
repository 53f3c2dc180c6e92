"""Waiting until objects that are being deleted are gone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.errors import NotReadyInTime
from gitsync.health import assess
from gitsync.runtime.progress import SILENCE, report

if TYPE_CHECKING:
    from gitsync.cluster import Cluster, WatchEvent


async def find_all(cluster: Cluster, keys: Iterable[ObjectKey]) -> dict[ObjectKey, Manifest]:
    """Those of these objects that are in the cluster; one request each."""
    keys = list(keys)
    found = await asyncio.gather(*(cluster.find(key) for key in keys))
    return {key: live for key, live in zip(keys, found, strict=True) if live is not None}


async def wait_deleted(cluster: Cluster, keys: Iterable[ObjectKey], timeout: float) -> None:  # noqa: ASYNC109
    """Wait until these objects exist no more, at most ``timeout`` seconds.

    Raises: NotReadyInTime, naming what is left and why.
    """
    left = await find_all(cluster, keys)
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
        async with asyncio.timeout(timeout), AsyncExitStack() as stack:
            for key in sorted(left):
                watch = await stack.enter_async_context(
                    cluster.watch(key.group, key.kind, namespace=key.namespace, fields=f"metadata.name={key.name}")
                )
                stack.callback(watch.subscribe(on_event))
                if watch.get(key) is None:
                    left.pop(key, None)
            await _until_none(left, changed)
    except TimeoutError:
        raise NotReadyInTime(
            f"still being deleted after {timeout:g}s: {_why_left(left)}",
            hint="a finalizer holds it back: see metadata.finalizers",
        ) from None


async def _until_none(left: dict[ObjectKey, Manifest], changed: asyncio.Event) -> None:
    """Return when no object is left. Reports what is, each reason once, at most every SILENCE seconds."""
    reported = ""
    while left:
        try:
            async with asyncio.timeout(SILENCE if reported != _why_left(left) else None):
                await changed.wait()
            changed.clear()
        except TimeoutError:
            why = _why_left(left)
            reported = "" if await report(why) else why


def _why_left(left: dict[ObjectKey, Manifest]) -> str:
    """``ConfigMap/ns/x: is being deleted; finalizers: a/b (and 2 more)``"""
    key = min(left)
    more = f" (and {len(left) - 1} more)" if len(left) > 1 else ""
    return f"{key}: {assess(left[key]).message or 'is still there'}{more}"
