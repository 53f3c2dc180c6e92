"""CustomResourceDefinitions: applied, and waited for until the API server serves what they define."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.apply.applier import Applier
from gitsync.apply.wait import WaitFor, wait_ready
from gitsync.errors import AlreadyExists
from gitsync.runtime.together import finish_all

if TYPE_CHECKING:
    from gitsync.cluster import Cluster
    from gitsync.runtime.interrupt import Interrupt

CRD_GROUP = "apiextensions.k8s.io"
CRD_TIMEOUT = 60.0


async def apply_crds(cluster: Cluster, applier: Applier, crds: Sequence[Manifest], interrupt: Interrupt) -> None:
    """Apply CustomResourceDefinitions and wait until the API server serves them.

    Raises: NotReadyInTime, ObjectFailed (names not accepted), ApiError.
    """
    if crds:
        await _until_served(cluster, await applier.apply_all(crds), interrupt)


async def create_crds(cluster: Cluster, manager: str, crds: Iterable[Manifest], interrupt: Interrupt) -> None:
    """Create CustomResourceDefinitions, as ``manager``, and wait likewise. One that somebody was quicker to create is
    left as it is, and waited for. Raises: as ``apply_crds``.
    """

    async def create(crd: Manifest) -> Manifest | None:
        try:
            return await cluster.create(crd, manager=manager)
        except AlreadyExists:
            return await cluster.find(ObjectKey.of(crd))

    found = [crd for crd in await finish_all(create(crd) for crd in crds) if crd is not None]
    if found:
        await _until_served(cluster, {ObjectKey.of(crd): crd for crd in found}, interrupt)


async def _until_served(cluster: Cluster, crds: Mapping[ObjectKey, Manifest], interrupt: Interrupt) -> None:
    await wait_ready(cluster, WaitFor(crds, labels="", timeout=CRD_TIMEOUT), interrupt)
