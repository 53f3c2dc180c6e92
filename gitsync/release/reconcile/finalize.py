"""Releases whose HelmRelease is being deleted: uninstalled, or let go without that when it has become impossible.

A namespace that is being deleted must never wait for us. All in it is deleted at the same time: Helm's records, the
ServiceAccount that a release is worked on as, the Secret with its kubeconfig. And nothing can be created in it: no Job
of a hook, no Event. Objects of the release in other namespaces are still uninstalled if that is possible.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gitsync.api.identity import ObjectKey
from gitsync.api.names import FIELD_MANAGER, FINALIZER, UNINSTALL_FAILED
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
from gitsync.logs import Once
from gitsync.release.clusters import TargetClusters
from gitsync.release.dependencies.index import ReleaseIndex
from gitsync.release.dependencies.release_owners import ReleaseIdentity
from gitsync.release.dependencies.waiters import Waiters
from gitsync.release.desired import ref_of
from gitsync.release.impliedcharts import ImpliedCharts
from gitsync.release.leftovers import leftovers_of
from gitsync.release.reconcile.engine import Engine, Engines
from gitsync.release.reconcile.request import ReconcileRequest, Subject
from gitsync.release.reconcile.uninstall import uninstall
from gitsync.release.revision import ReleaseRef
from gitsync.runtime.event import Event
from gitsync.runtime.progress import SILENCE
from gitsync.text import listed

if TYPE_CHECKING:
    from gitsync.cluster import Cluster


@dataclass(frozen=True)
class Finalizer:
    """Keeps a HelmRelease that is deleted until its release is uninstalled."""

    clusters: TargetClusters
    index: ReleaseIndex
    engines: Engines
    waiters: Waiters
    once: Once
    implied: ImpliedCharts | None = None

    async def add(self, request: ReconcileRequest) -> None:
        """Put the finalizer on a HelmRelease, unless it has it."""
        metadata = request.release.metadata
        if FINALIZER not in metadata.finalizers:
            await self._write(request, [*metadata.finalizers, FINALIZER], metadata.resource_version)

    async def finalize(self, request: ReconcileRequest) -> float | None:
        """The HelmRelease is being deleted: uninstall (unless it is suspended), then let it go. Returns seconds until
        the next pass.

        Raises: as ``uninstall_or_let_go``.
        """
        release, writer = request.release, self.engines.writer
        if FINALIZER not in release.metadata.finalizers:
            return None
        if dependents := self.index.dependents_being_deleted(request.key):
            self.waiters.add(request.key, dependents)
            text = listed(sorted(dependents))
            if self.once(request.key, request.log, "waiting to be uninstalled", **{"for": text}):
                return SILENCE  # mostly they are gone by then
            await writer.write(request, request.status.progressing(f"waiting to be uninstalled after {text}"))
            return None
        self.waiters.remove(request.key)
        if not release.spec.suspend and (refs := await self._own_refs(request)):
            own = (ReleaseIdentity(ref.name, ref.storage, release.kubeconfig_source) for ref in refs)
            with self.index.owners.uninstalling(request.key, own):
                await uninstall_or_let_go(self.clusters, self.engines, request, refs)
        if not release.spec.suspend and self.implied is not None:  # of a suspended one it stays, as with Flux
            await self.implied.remove(release)
        await self._write(request, [item for item in release.metadata.finalizers if item != FINALIZER])
        return None

    async def _own_refs(self, request: ReconcileRequest) -> list[ReleaseRef]:
        """The Helm releases to uninstall: the one that the HelmRelease names, and the one that it is still deployed as,
        if that is another. One that another HelmRelease takes over is left out, and logged."""
        release, status = request.release, request.status
        refs = {ref_of(release)}
        if status.last_ref is not None and not status.is_uninstalled:
            refs.add(status.last_ref)
        own = []
        for ref in sorted(refs):
            claim = ReleaseIdentity(ref.name, ref.storage, release.kubeconfig_source)
            if (other := self.index.owners.owner(claim, but=request.key)) is not None:
                say_given_up(self.once, request, other)
                await self._hand_on_leftovers(request, other)
            else:
                own.append(ref)
        return own

    async def _hand_on_leftovers(self, request: ReconcileRequest, other: ObjectKey) -> None:
        """Hand the leftovers to the HelmRelease that has the Helm release from now on."""
        mine, manifest = leftovers_of(request.manifest), self.index.manifest(other)
        if mine and manifest is not None:
            subject = Subject.of(manifest, request.commit)
            await self.engines.writer.note_leftovers(subject, {*leftovers_of(manifest), *mine})

    async def _write(self, request: ReconcileRequest, finalizers: list[str], version: str = "") -> None:
        """``version`` is the resourceVersion that the HelmRelease must still have, "" for any."""
        metadata = {"finalizers": finalizers} | ({"resourceVersion": version} if version else {})
        answer = await self.clusters.own.cluster.patch(request.key, {"metadata": metadata}, manager=FIELD_MANAGER)
        if finalizers:
            self.index.update(request.key, answer)
        else:  # no finalizer is left, so it is gone; until the watch shows that, it must not be uninstalled once more
            self.index.forget(request.key, request.release.metadata.uid)


def say_given_up(once: Once, request: ReconcileRequest, other: ObjectKey) -> None:
    """Log once that nothing is uninstalled, since another HelmRelease has the release now."""
    once(request.key, request.log, "release is left to another HelmRelease", other=str(other))


async def uninstall_or_let_go(
    clusters: TargetClusters, engines: Engines, request: ReconcileRequest, refs: Iterable[ReleaseRef]
) -> None:
    """Uninstall these, unless that is impossible for good (the kubeconfig or ServiceAccount is gone), or nothing was
    ever attempted there; both as Flux.

    Raises: as ``uninstall`` and ``TargetClusters.of``.
    """
    try:
        request.target = await clusters.of(request.release)
        for ref in refs:
            await _uninstall(clusters.own.cluster, engines(request.target), request, ref)
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
    """Whether ``error`` makes an uninstall impossible for good, or there is nothing to uninstall."""
    if isinstance(error, KubeConfigMissing | ServiceAccountMissing):
        return True
    never_there = (KubeConfigRefused, ClusterUnavailable, *NO_ACCESS)
    return isinstance(error, never_there) and not request.status.was_attempted


async def _uninstall(cluster: Cluster, engine: Engine, request: ReconcileRequest, ref: ReleaseRef) -> None:
    """Uninstall one release. ``cluster`` is that of the HelmRelease: if its namespace is being deleted, an error does
    not count."""
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
