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
from gitsync.release.clusters import TargetClusters
from gitsync.release.desired import ref_of
from gitsync.release.reconcile.engine import Engines
from gitsync.release.reconcile.request import ReconcileRequest
from gitsync.release.reconcile.uninstall import uninstall
from gitsync.runtime.events import Event

if TYPE_CHECKING:
    from gitsync.cluster import Cluster


async def uninstall_or_let_go(clusters: TargetClusters, engines: Engines, request: ReconcileRequest) -> None:
    """Uninstall, unless nobody ever can: what was needed to get there is gone, or nothing was ever attempted there
    (both as Flux).

    Raises: as ``uninstall`` and ``TargetClusters.of``.
    """
    try:
        request.target = await clusters.of(request.release)
        await _uninstall(clusters.own.cluster, engines, request)
    except GitsyncError as error:
        if isinstance(error, MissingRight):
            try:
                await clusters.confirm(request.release)
            except ServiceAccountMissing as missing:
                error = missing
        if not _never_possible(error, request):
            raise error
        request.log.warning("release is let go without being uninstalled", why=error.message)
        text = f"let go without being uninstalled: {error.message}"
        engines.writer.tell(request, Event("Warning", UNINSTALL_FAILED, text))


def _never_possible(error: GitsyncError, request: ReconcileRequest) -> bool:
    """Whether ``error`` keeps a release from ever being uninstalled where it is, or there is nothing to be."""
    if isinstance(error, KubeConfigMissing | ServiceAccountMissing):
        return True
    never_there = (KubeConfigRefused, ClusterUnavailable, *NO_ACCESS)
    return isinstance(error, never_there) and not request.status.was_attempted


async def _uninstall(cluster: Cluster, engines: Engines, request: ReconcileRequest) -> None:
    """``cluster`` is the HelmRelease's; where its namespace goes, what hinders that no longer counts."""
    engine, ref = engines(request.target), ref_of(request.release)
    try:
        await uninstall(engine, request, ref)
    except (TerminalError, WebhookUnavailable) as error:
        if isinstance(error, MissingRight) or not await _is_being_deleted(cluster, request.key.namespace):
            raise
        request.log.warning("namespace is being deleted, its release goes with it", why=error.message)
        with suppress(TerminalError, WebhookUnavailable):
            await uninstall(engine, request, ref, without_waiting=True)


async def _is_being_deleted(cluster: Cluster, namespace: str) -> bool:
    live = await cluster.find(ObjectKey("", "Namespace", "", namespace))
    return live is None or "deletionTimestamp" in live["metadata"]
