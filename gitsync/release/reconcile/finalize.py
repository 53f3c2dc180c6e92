"""Releases whose HelmRelease is being deleted: uninstalled, or let go when nobody ever can.

A namespace that is being deleted must never wait for us. Everything in it goes at once, Helm's records included, the
ServiceAccount that a release is worked on as, the Secret with its kubeconfig; and nothing can be created in it: no Job
of a hook, no Event. What can still be uninstalled is, where the release's objects are elsewhere.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from gitsync.api.identity import ObjectKey
from gitsync.api.names import UNINSTALL_FAILED
from gitsync.errors import (
    NO_ACCESS,
    ClusterUnavailable,
    GitsyncError,
    KubeConfigMissing,
    KubeConfigRefused,
    MissingRight,
    ServiceAccountMissing,
    TerminalError,
    WebhookUnavailable,
)
from gitsync.release.desired import ref_of
from gitsync.runtime.events import Event

if TYPE_CHECKING:
    from gitsync.api.helmrelease import HelmRelease
    from gitsync.cluster import Cluster
    from gitsync.release.clusters import TargetClusters
    from gitsync.release.reconcile.request import ReconcileRequest
    from gitsync.runtime.interrupt import Interrupt


async def leave(
    clusters: TargetClusters, request: ReconcileRequest, release: HelmRelease, interrupt: Interrupt
) -> None:
    """Uninstall, unless nobody ever can: what was needed to get there is gone, or nothing was ever tried there (both as
    Flux).

    Raises: as ``ActionRunner.uninstall`` and ``TargetClusters.of``.
    """
    try:
        request.target = await clusters.of(release)
        await _uninstall(clusters.own.cluster, request, release, interrupt)
    except GitsyncError as error:
        if isinstance(error, MissingRight):
            try:
                await clusters.confirm(release)
            except ServiceAccountMissing as missing:
                error = missing
        if not _for_good(error, request):
            raise error
        request.log.warning("release is let go without being uninstalled", why=error.message)
        request.tell(Event("Warning", UNINSTALL_FAILED, f"let go without being uninstalled: {error.message}"))


def _for_good(error: GitsyncError, request: ReconcileRequest) -> bool:
    """Whether ``error`` keeps a release from ever being uninstalled where it is, or there is nothing to be."""
    if isinstance(error, KubeConfigMissing | ServiceAccountMissing):
        return True
    never_tried = "lastAttemptedGeneration" not in request.status.old
    return never_tried and isinstance(error, (KubeConfigRefused, ClusterUnavailable, *NO_ACCESS))


async def _uninstall(cluster: Cluster, request: ReconcileRequest, release: HelmRelease, interrupt: Interrupt) -> None:
    """``cluster`` is the HelmRelease's; where its namespace goes, what hinders that no longer counts."""
    actions = request.target.actions
    try:
        await actions.uninstall(request, release, ref_of(release), interrupt)
    except (TerminalError, WebhookUnavailable) as error:
        if isinstance(error, MissingRight) or not await _is_leaving(cluster, request.key.namespace):
            raise
        request.log.warning("namespace is being deleted, its release goes with it", why=error.message)
        with suppress(TerminalError, WebhookUnavailable):
            await actions.uninstall(request, release, ref_of(release), interrupt, in_a_hurry=True)


async def _is_leaving(cluster: Cluster, namespace: str) -> bool:
    live = await cluster.find(ObjectKey("", "Namespace", "", namespace))
    return live is None or "deletionTimestamp" in live["metadata"]
