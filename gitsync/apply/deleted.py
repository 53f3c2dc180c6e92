"""Waiting until objects that were deleted are gone: that may take long, and finalizers may keep them."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING

import structlog

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import FINALIZER
from gitsync.errors import KindUnknown, NotReadyInTime
from gitsync.health import assess, is_held_by
from gitsync.runtime.progress import SILENCE, report
from gitsync.text import listed

if TYPE_CHECKING:
    from gitsync.cluster import Cluster, WatchEvent

log = structlog.get_logger(__name__)

#: Seconds to wait for a PersistentVolumeClaim that is all that is left, and that pods still mount: these may belong to
#: a release that is removed only after this.
IN_USE_TIME = 10.0
_IN_USE = "kubernetes.io/pvc-protection"


async def find_all(cluster: Cluster, keys: Iterable[ObjectKey]) -> dict[ObjectKey, Manifest]:
    """Those of these objects that are in the cluster; one request each. Of a kind that is not served there are none."""

    async def find(key: ObjectKey) -> Manifest | None:
        try:
            return await cluster.find(key)
        except KindUnknown:
            return None

    keys = list(keys)
    found = await asyncio.gather(*(find(key) for key in keys))
    return {key: live for key, live in zip(keys, found, strict=True) if live is not None}


async def wait_deleted(cluster: Cluster, keys: Iterable[ObjectKey], timeout: float) -> None:  # noqa: ASYNC109
    """Wait until these objects exist no more, at most ``timeout`` seconds.

    Not waited for are claims that pods still mount (they go with the last pod), and Namespaces in which only objects
    with a finalizer of gitsync are left: to remove those may need what the caller does next.

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
            await _until_none(left, changed, min(IN_USE_TIME, timeout / 2))
    except TimeoutError:
        if not left:  # the last one went at that moment
            return
        raise NotReadyInTime(
            f"still being deleted after {timeout:g}s: {_why_left(left)}",
            hint="a finalizer holds it back: see metadata.finalizers",
        ) from None


async def _until_none(left: dict[ObjectKey, Manifest], changed: asyncio.Event, patience: float) -> None:
    """Return when no object is left, or when for ``patience`` seconds only such are left as go by themselves later.
    Reports what is waited for, each reason once, at most every SILENCE seconds."""
    reported, clock = "", asyncio.get_running_loop().time
    since = clock()
    while left:
        in_use = all(_is_in_use(live) or _is_left_to_us(live) for live in left.values())
        since = since if in_use else clock()
        patient = since + patience - clock() if in_use else math.inf
        if patient <= 0:
            _say_later(left)
            return
        silent = SILENCE if reported != _why_left(left) else math.inf
        if await _changes(changed, min(silent, patient)) or not left:  # the last one may go as the time is up
            continue
        if silent < math.inf:
            why = _why_left(left)
            reported = "" if await report(why) else why


async def _changes(changed: asyncio.Event, seconds: float) -> bool:
    """Whether there is a change within ``seconds``."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds if seconds < math.inf else None):
            await changed.wait()
            changed.clear()
            return True
    return False


def _is_in_use(live: Manifest) -> bool:
    """Whether a claim is being deleted, and nothing but the pods that mount it keep it."""
    metadata = live["metadata"]
    is_claim = live.get("kind") == "PersistentVolumeClaim" and "deletionTimestamp" in metadata
    return is_claim and metadata.get("finalizers") == [_IN_USE]


def _is_left_to_us(live: Manifest) -> bool:
    return live.get("kind") == "Namespace" and "deletionTimestamp" in live["metadata"] and is_held_by(live, FINALIZER)


def _say_later(left: Mapping[ObjectKey, Manifest]) -> None:
    namespaces = [str(key) for key in sorted(left) if key.kind == "Namespace"]
    claims = [str(key) for key in sorted(left) if key.kind != "Namespace"]
    if claims:
        log.info("claims go when no pod mounts them any more", claims=listed(claims))
    if namespaces:
        log.info("namespaces go when what is being removed in them is gone", namespaces=listed(namespaces))


def _why_left(left: dict[ObjectKey, Manifest]) -> str:
    """``ConfigMap/ns/x: is being deleted; finalizers: a/b (and 2 more)``"""
    key = min(left)
    more = f" (and {len(left) - 1} more)" if len(left) > 1 else ""
    return f"{key}: {assess(left[key]).message or 'is still there'}{more}"
