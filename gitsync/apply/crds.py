"""CustomResourceDefinitions: applied, and waited for until the API server serves what they define."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from gitsync.api.identity import Manifest
from gitsync.apply.applier import Applier
from gitsync.apply.wait import WaitFor, wait_ready
from gitsync.errors import KindUnknown
from gitsync.runtime.progress import SILENCE, report

if TYPE_CHECKING:
    from gitsync.cluster import Cluster
    from gitsync.runtime.interrupt import Interrupt

CRD_GROUP = "apiextensions.k8s.io"
CRD_TIMEOUT = 60.0
SERVED_TIMEOUT = 10.0
#: Seconds between two looks at what discovery says.
_LOOK = 0.1


async def apply_crds(cluster: Cluster, applier: Applier, crds: Sequence[Manifest], interrupt: Interrupt) -> None:
    """Apply CustomResourceDefinitions and wait until the API server serves them.

    Raises: NotReadyInTime, ObjectFailed (names not accepted), ApiError.
    """
    if crds:
        applied = await applier.apply_all(crds)
        await wait_ready(cluster, WaitFor(applied, labels="", timeout=CRD_TIMEOUT), interrupt)
        await await_served(cluster, applied.values())


async def await_served(cluster: Cluster, crds: Iterable[Manifest]) -> None:
    """Wait until discovery names the kinds of CustomResourceDefinitions, which it does a little after they are
    established. Gives up silently: whoever applies such a kind is told that it is unknown.
    """
    for spec in (crd["spec"] for crd in crds):
        for version in (item["name"] for item in spec["versions"] if item.get("served")):
            await await_kind(cluster, spec["group"], spec["names"]["kind"], version)


async def await_kind(cluster: Cluster, group: str, kind: str, version: str, timeout: float = SERVED_TIMEOUT) -> None:  # noqa: ASYNC109
    """Wait until discovery names a kind, at most ``timeout`` seconds; gives up silently."""
    looks = 0
    try:
        async with asyncio.timeout(timeout):
            while not await _is_served(cluster, group, kind, version):
                looks += 1
                if looks == SILENCE / _LOOK:
                    await report(f"{kind}: {group}/{version} is not served yet")
                await asyncio.sleep(_LOOK)  # there is no watch that tells what discovery will say
    except TimeoutError:
        return


async def _is_served(cluster: Cluster, group: str, kind: str, version: str) -> bool:
    try:
        await cluster.resource(group, kind, version)
    except KindUnknown:
        return False
    return True
