"""One sync on a real API server and the parts that carry out its commits, put together by hand: no Git, no queue, no
agent beside it; an API server that can be made to fail at any write, those of the sync's own store among them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from gitsync.agent.ownkinds import ensure_crds
from gitsync.api.identity import CommitInfo, ObjectKey
from gitsync.api.names import HELM_GROUP, HELM_RELEASE, OWNER_ANNOTATION
from gitsync.apply.live import LiveReader
from gitsync.cluster import Cluster
from gitsync.cluster.transport import Answer, Request
from gitsync.errors import ClusterUnavailable, Forbidden, GitsyncError, NotFound
from gitsync.manifests import Desired, ManifestReader
from gitsync.release.dependencies.index import ReleaseIndex
from gitsync.release.wanted.claims import ObjectClaims
from gitsync.release.wanted.syncclaims import SyncClaims
from gitsync.release.wanted.wantedobjects import WantedObjects
from gitsync.runtime.fairslots import FairSlots
from gitsync.runtime.interrupt import Interrupt
from gitsync.sources.resolve.artifacts import Artifacts, Head
from gitsync.sync.apply import Syncer, SyncResult
from gitsync.sync.owner import Owner
from gitsync.sync.planner import Planner
from gitsync.sync.spec import SyncSpec
from gitsync.sync.storage.configmaps import SyncStore
from gitsync.sync.storage.history import JournalEntry
from gitsync.sync.storage.inventory import Inventory
from gitsync.tree import Tree
from tests.controlplane.cluster import Cluster as ControlPlane
from tests.manifests.commits import Repository
from tests.release.reconciling import finds_nothing, renders_nothing

#: What a commit holds: ConfigMaps by name, with their text; the HelmRelease ``app`` (suspended), with a value.
Content = Mapping[str, str]
RELEASE = "app"


@dataclass(frozen=True)
class Fault:
    """What happens to a write: it fails with ``error``, instead of being done, or (``done``) after it, as when its
    answer is lost; or (``hangs``) there is no answer at all."""

    error: GitsyncError
    done: bool = False
    hangs: bool = False


class FaultyCluster(Cluster):
    """A cluster that notes the writes to it, and fails at the writes whose numbers it is told."""

    writes: list[str]
    reads: list[str]
    faults: dict[int, Fault]
    #: Whether no write is done at all, and how many requests are under way.
    is_away = False
    under_way = 0
    #: The largest number of tasks during a request.
    tasks = 0
    #: The name of an object that the API server refuses; "" for none.
    refused = ""

    def expect(self, faults: Mapping[int, Fault] | None = None) -> None:
        """Count writes from 0 again."""
        self.writes, self.reads, self.faults = [], [], dict(faults or {})

    async def _send(self, request: Request) -> Answer:
        self.under_way += 1
        self.tasks = max(self.tasks, len(asyncio.all_tasks()))
        try:
            return await self._sent(request)
        finally:
            self.under_way -= 1

    async def _sent(self, request: Request) -> Answer:
        if request.method == "GET":
            self.reads.append(request.subject.key.name if request.subject.key is not None else request.subject.name)
            return await super()._send(request)
        if self.is_away:
            raise ClusterUnavailable("the API server is away")
        if self.refused and request.subject.key is not None and request.subject.key.name == self.refused:
            raise Forbidden("not now", status=403, reason="Forbidden", verb=request.subject.verb)
        fault = self.faults.pop(len(self.writes), None)
        key = request.subject.key
        assert key is not None
        self.writes.append(f"{request.subject.verb} {key.name}")
        if fault is None:
            return await super()._send(request)
        if fault.done:
            await super()._send(request)
        if fault.hangs:
            await asyncio.Event().wait()
        raise fault.error


@dataclass
class Place:
    """A sync of its own, ``name``, in a namespace that others share; its objects begin with its name."""

    cluster: FaultyCluster
    namespace: str
    name: str
    syncer: Syncer = field(init=False)

    def __post_init__(self) -> None:
        self.owner = Owner(self.name, self.namespace, "https://git.example/fleet", "fleet")
        self._start(ReleaseIndex())

    async def restart(self) -> None:
        """As a new agent: it knows nothing but what is in the cluster."""
        index = ReleaseIndex()
        if (live := await self.live(RELEASE)) is not None:
            index.update(self.key(RELEASE), live)
        self._start(index)

    def _start(self, index: ReleaseIndex) -> None:
        wanted = WantedObjects(index, ObjectClaims(), renders_nothing, finds_nothing, lambda _: None)
        claims, live = SyncClaims(wanted, self.owner.claimant), LiveReader(self.cluster, {})
        self.syncer = Syncer(
            Planner(self.cluster, index, claims, SyncSpec(self.owner), self.store(), live),
            Artifacts().add(self.name, Head(self.owner.repository)),
            FairSlots(1, "objects"),
        )

    def store(self) -> SyncStore:
        """The sync's store, which reads its state again."""
        return SyncStore(self.cluster, self.namespace, self.name)

    def key(self, name: str) -> ObjectKey:
        group, kind = (HELM_GROUP, HELM_RELEASE) if name == RELEASE else ("", "ConfigMap")
        return ObjectKey(group, kind, self.namespace, f"{self.name}-{name}")

    def short(self, name: str) -> str:
        """An object's name without the sync's prefix."""
        return name.removeprefix(f"{self.name}-")

    async def sync(
        self, commit: str, content: Content, faults: Mapping[int, Fault] | None = None, *, full: bool = False
    ) -> SyncResult:
        """Carry a commit out. What was written is in ``written``. Raises: what the Syncer does."""
        self.cluster.expect(faults)
        try:
            return await self.syncer.sync(
                await self.desired(commit, content), full=full, files=1, interrupt=Interrupt()
            )
        finally:
            assert not self.cluster.faults, f"there was no such write: {self.cluster.faults}, {self.written}"

    @property
    def written(self) -> list[str]:
        """The writes of the last sync, in their order: ``apply a``."""
        return [f"{verb} {self.short(name)}" for verb, name in (write.split() for write in self.cluster.writes)]

    async def live(self, name: str) -> dict[str, Any] | None:
        return await self.cluster.find(self.key(name))

    async def disown(self, name: str) -> None:
        """Take the sync's marks off an object, as by hand."""
        mark = {"metadata": {"annotations": {OWNER_ANNOTATION: None}}}
        await self.cluster.patch(self.key(name), mark, manager="somebody")

    async def held_by(self, finalizer: str, name: str) -> None:
        """Delete an object, which stays for this finalizer; "" removes the finalizer."""
        patch = {"metadata": {"finalizers": [finalizer] if finalizer else []}}
        await self.cluster.patch(self.key(name), patch, manager="somebody")
        if finalizer:
            await self.cluster.delete(self.key(name))

    async def texts(self, *names: str) -> dict[str, str | None]:
        """The texts of these objects; None for one that does not exist."""
        return {name: _text(await self.live(name)) for name in names}

    async def versions(self, *names: str) -> dict[str, tuple[str, str]]:
        """uid and resourceVersion of those of these objects that exist."""
        found = {name: await self.live(name) for name in names}
        return {
            name: (live["metadata"]["uid"], live["metadata"]["resourceVersion"])
            for name, live in found.items()
            if live is not None
        }

    async def inventory(self) -> Inventory:
        """The inventory that a restarted agent would read."""
        return await self.store().inventory()

    async def journal(self) -> tuple[JournalEntry, ...]:
        return await self.store().journal()

    async def did(self) -> set[str]:
        """The changes of the newest commit by its entry in the journal: ``created a``."""
        newest = (await self.journal())[0]
        return {f"{change.verb} {self.short(change.object.rpartition('/')[2])}" for change in newest.changes}

    async def desired(self, commit: str, content: Content) -> Desired:
        files = Repository({f"fleet/{name}.yaml": self._manifest(name, text) for name, text in content.items()})
        tree = Tree(commit, files.entries(), files.read_blobs)
        info = CommitInfo(commit, "Ann", f"commit {commit[:1]}")
        desired = await ManifestReader().read(info, await tree.entries(), tree.read, root="fleet")
        assert not desired.errors
        return Desired(info, desired.objects, files=desired.files, tree=tree)

    def _manifest(self, name: str, text: str) -> str:
        metadata = f"metadata: {{name: {self.name}-{name}, namespace: {self.namespace}}}"
        if name != RELEASE:
            return f"apiVersion: v1\nkind: ConfigMap\n{metadata}\ndata: {{text: {text}}}\n"
        chart = "chart: {spec: {chart: app, sourceRef: {kind: HelmRepository, name: charts}}}"
        spec = f"spec: {{interval: 1h, suspend: true, {chart}, values: {{text: {text}}}}}"
        return f"apiVersion: {HELM_GROUP}/v2\nkind: {HELM_RELEASE}\n{metadata}\n{spec}\n"


@asynccontextmanager
async def places(control_plane: ControlPlane, namespace: str, names: list[str]) -> AsyncIterator[list[Place]]:
    """Several syncs, each with a connection of its own; ended in order, their HelmReleases without their finalizers."""
    found: list[Place] = []
    try:
        for name in names:
            cluster = await FaultyCluster.connect(kubeconfig=control_plane.kubeconfig)
            assert isinstance(cluster, FaultyCluster)
            cluster.expect()
            found.append(Place(cluster, namespace, name))
            if len(found) == 1:
                await _ensure_crds(control_plane)
        yield found
    finally:
        for place in found:
            place.cluster.expect()
            with suppress(NotFound):
                await place.cluster.patch(place.key(RELEASE), {"metadata": {"finalizers": []}}, manager="test")
            await place.cluster.close()


async def _ensure_crds(control_plane: ControlPlane) -> None:
    async with await Cluster.connect(kubeconfig=control_plane.kubeconfig) as cluster:
        await ensure_crds(cluster)


def _text(live: Mapping[str, Any] | None) -> str | None:
    if live is None:
        return None
    return str(live["data"]["text"] if "data" in live else live["spec"]["values"]["text"])
