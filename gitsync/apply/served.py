"""Waiting until the API server serves what CustomResourceDefinitions define."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

from gitsync.api.identity import Manifest
from gitsync.errors import KindUnknown
from gitsync.runtime.progress import SILENCE, report

if TYPE_CHECKING:
    from gitsync.cluster import Cluster

SERVED_TIMEOUT = 10.0
#: Seconds to look whether a release that has just become ready has brought a kind.
JUST_BROUGHT = 3.0
#: Seconds between two looks at what discovery says.
_LOOK = 0.1


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
