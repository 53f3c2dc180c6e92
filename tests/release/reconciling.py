"""One HelmRelease on a real API server and the parts that reconcile it, put together by hand: no queue, no watch of
HelmReleases, no repository; a record store that can be made to fail, and a clock that is set."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from gitsync.agent.ownkinds import ensure_crds
from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import FIELD_MANAGER, HELM_GROUP, HELM_RELEASE
from gitsync.cel.expressions import Expressions
from gitsync.charts import Chart, Charts
from gitsync.cluster import Cluster
from gitsync.errors import GitsyncError, NotFound
from gitsync.release.access import PLAIN
from gitsync.release.clusters import AgentIdentity, TargetClusters
from gitsync.release.dependencies.index import ReleaseIndex
from gitsync.release.desired import DesiredRelease, desired_release
from gitsync.release.drift.correct import Drift
from gitsync.release.reconcile.engine import Engine, Engines
from gitsync.release.reconcile.reconciler import Reconciler
from gitsync.release.reconcile.request import ReconcileRequest, Subject
from gitsync.release.reconcile.writer import StatusWriter
from gitsync.release.render import Renderer
from gitsync.release.storage.record import Digests, Record
from gitsync.release.storage.recordmemory import RecordMemory
from gitsync.release.storage.recordstore import RecordStore
from gitsync.release.values.references import References
from gitsync.release.wanted.claims import ObjectClaims
from gitsync.release.wanted.revisionobjects import RevisionObjects
from gitsync.release.wanted.wantedobjects import WantedObjects
from gitsync.runtime.interrupt import Interrupt
from gitsync.runtime.recorder import EventRecorder
from gitsync.sources.charts.chart import ChartArtifact
from gitsync.sources.resolve.artifacts import Artifacts
from tests.charts.build import from_files
from tests.controlplane.cluster import Cluster as ControlPlane

CHART = {
    "Chart.yaml": "apiVersion: v2\nname: app\nversion: 1.0.0\n",
    "templates/settings.yaml": (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n"
        'data: {text: {{ .Values.text | default "" | quote }}}\n'
    ),
    # An object that the API server refuses, so that an action fails half way, and at once.
    "templates/broken.yaml": (
        "{{ if .Values.broken }}\napiVersion: v1\nkind: Service\nmetadata: {name: broken}\n"
        "spec: {ports: [{port: 99999}]}\n{{ end }}\n"
    ),
    # An object that never becomes ready.
    "templates/slow.yaml": (
        "{{ if .Values.slow }}\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: slow}\n"
        "spec:\n  selector: {matchLabels: {app: slow}}\n"
        "  template:\n    metadata: {labels: {app: slow}}\n"
        "    spec: {containers: [{name: slow, image: 'registry.example/app:nonexistent'}]}\n{{ end }}\n"
    ),
    "templates/fail.yaml": '{{ if .Values.fail }}{{ fail "not with these values" }}{{ end }}\n',
    "templates/test.yaml": (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: test, annotations: {helm.sh/hook: test}}\n"
    ),
}
#: A write of the store: its verb, and the status that the record gets.
Step = tuple[str, str]


class FaultyStore(RecordStore):
    """A store that notes its writes, and fails where it is told to: once for each entry of ``faults``."""

    def __init__(self, cluster: Cluster, holder: str, memory: RecordMemory | None = None) -> None:
        super().__init__(cluster, holder, memory)
        self.steps: list[Step] = []
        self.faults: dict[Step, GitsyncError] = {}

    async def create(self, record: Record, namespace: str) -> Record:
        self._step("create", record.status)
        return await super().create(record, namespace)

    async def update(self, record: Record, namespace: str) -> None:
        self._step("update", record.status)
        await super().update(record, namespace)

    async def mark(self, record: Record, namespace: str, digests: Digests) -> None:
        self._step("mark", record.status)
        await super().mark(record, namespace, digests)

    async def delete(self, namespace: str, release: str, revision: int) -> None:
        self._step("delete", str(revision))
        await super().delete(namespace, release, revision)

    async def read(self, namespace: str, release: str, revision: int) -> Record:
        if (fault := self.faults.pop(("read", str(revision)), None)) is not None:
            raise fault
        return await super().read(namespace, release, revision)

    def _step(self, verb: str, what: str) -> None:
        if (fault := self.faults.pop((verb, what), None)) is not None:
            self.steps.append((verb, f"{what} failed to be written"))
            raise fault
        self.steps.append((verb, what))


class OneChart:
    """A ChartSource that returns the chart above, whatever is asked for."""

    def __init__(self, charts: Charts) -> None:
        self._charts = charts
        #: The synced repositories, if the chart has to wait for a first commit of one.
        self.artifacts: Artifacts | None = None
        #: Further files of the chart.
        self.more: dict[str, str] = {}

    async def locate(self, release: HelmRelease) -> ChartArtifact:
        """See ChartSource."""
        if self.artifacts is not None:
            self.artifacts.artifact_of(release)
        return ChartArtifact("app", "1.0.0", "sha256:app", self._load)

    async def _load(self) -> Chart:
        files = {name: text.encode() for name, text in (CHART | self.more).items()}
        return await from_files(self._charts, files, f"sha256:app{''.join(self.more)}")


@dataclass
class Place:
    """The HelmRelease ``app`` of a namespace, its Reconciler, and the parts below. ``now`` is what the clock says."""

    cluster: Cluster
    namespace: str
    index: ReleaseIndex
    clusters: TargetClusters
    reconciler: Reconciler
    charts: OneChart
    engines: Engines
    store: FaultyStore
    now: float = 1_800_000_000.0

    @property
    def key(self) -> ObjectKey:
        return ObjectKey(HELM_GROUP, HELM_RELEASE, self.namespace, "app")

    async def wants(self, values: dict[str, Any] | None = None, **spec: Any) -> None:
        """Create or change the HelmRelease."""
        source = {"kind": "HelmRepository", "name": "charts"}
        chart = {"chart": {"spec": {"chart": "app", "sourceRef": source}}}
        manifest = {
            "apiVersion": "helm.toolkit.fluxcd.io/v2",
            "kind": "HelmRelease",
            "metadata": {"name": "app", "namespace": self.namespace},
            "spec": {"interval": "1h", "timeout": "20s", **chart, "values": values or {}, **spec},
        }
        self.index.update(self.key, await self.cluster.apply(manifest, manager="test"))

    async def annotate(self, **notes: str) -> None:
        """Put a request on the HelmRelease, as ``gitsync reconcile`` does."""
        annotations = {f"reconcile.fluxcd.io/{name}": note for name, note in notes.items()}
        body = {"metadata": {"annotations": annotations}}
        self.index.update(self.key, await self.cluster.patch(self.key, body, manager="test"))

    async def pass_once(self) -> float | None:
        """One pass. Returns what it returned."""
        return await self.reconciler.reconcile(self.key, Interrupt())

    async def passes(self, most: int = 12) -> int:
        """Reconcile until nothing is left to do. Returns how many passes that took."""
        for number in range(1, most + 1):
            if await self.pass_once() is None:
                return number
        raise AssertionError(f"still at work after {most} passes: {self.conditions()}, {self.store.steps}")

    def manifest(self) -> Manifest:
        found = self.index.manifest(self.key)
        assert found is not None
        return found

    def conditions(self) -> dict[str, tuple[str, str]]:
        """Status and reason by type."""
        conditions = (self.manifest().get("status") or {}).get("conditions") or ()
        return {item["type"]: (item["status"], item["reason"]) for item in conditions}

    def message(self, kind: str = "Ready") -> str:
        conditions = self.manifest()["status"]["conditions"]
        return str(next(item["message"] for item in conditions if item["type"] == kind))

    def revisions(self) -> list[Step]:
        """Revision and status of each record, oldest first."""
        known = self.store.revisions(self.namespace, "app")
        return [(str(item.version), item.status) for item in known]

    async def text(self) -> str | None:
        """What the release's ConfigMap says; None when there is none."""
        live = await self.cluster.find(ObjectKey("", "ConfigMap", self.namespace, "settings"))
        return live["data"]["text"] if live else None

    async def request(self) -> ReconcileRequest:
        """A request for an action on its own, as a pass would make it."""
        release = self.index.get(self.key)
        assert release is not None
        subject = Subject.of(self.manifest(), None)
        target = await self.clusters.of(release)
        return ReconcileRequest(subject.manifest, None, subject.log, release, target, Interrupt())

    async def desired(self) -> DesiredRelease:
        """What the HelmRelease asks for, resolved."""
        release = self.index.get(self.key)
        assert release is not None
        return desired_release(release, await self.charts.locate(release), release.spec.values or {})

    def engine(self, request: ReconcileRequest) -> Engine:
        """What actions on the release work with."""
        return self.engines(request.target)


@asynccontextmanager
async def a_place(control_plane: ControlPlane, namespace: str) -> AsyncIterator[Place]:
    """Everything started; ended in order, the HelmRelease uninstalled."""
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(await Cluster.connect(kubeconfig=control_plane.kubeconfig))
        await ensure_crds(cluster)
        expressions = await stack.enter_async_context(Expressions())
        charts = Charts()
        stack.push_async_callback(charts.close)
        source = OneChart(charts)
        references = References(cluster, lambda *_: None)
        stack.push_async_callback(references.close)
        drift = Drift(lambda _: None)
        identity = AgentIdentity("gitsync/test", 4)
        clusters = TargetClusters(cluster, identity, references, PLAIN, drift.forget, store=FaultyStore)
        await stack.enter_async_context(clusters)
        stack.push_async_callback(drift.close)
        events = await stack.enter_async_context(EventRecorder(cluster, "test").running())
        index, renderer = ReleaseIndex(), Renderer(charts)
        store = clusters.own.records
        assert isinstance(store, FaultyStore)
        wanted = WantedObjects(index, ObjectClaims(), renders_nothing, finds_nothing, lambda _: None)
        engines = Engines(renderer, StatusWriter(cluster, index, events), expressions, wanted)
        reconciler = Reconciler(
            cluster,
            index,
            clusters,
            source,
            references,
            events,
            expressions,
            renderer,
            drift,
            wanted,
            wake=lambda _: None,
        )
        place = Place(cluster, namespace, index, clusters, reconciler, source, engines, store)
        reconciler.clock = lambda: place.now
        yield place
        await _end(place)


async def renders_nothing(release: HelmRelease) -> RevisionObjects:
    """For tests in which no other claimant renders anything."""
    return RevisionObjects()


async def finds_nothing(release: ObjectKey, key: ObjectKey) -> Manifest | None:
    return None


async def _end(place: Place) -> None:
    """Remove the HelmRelease's finalizer, which would keep the namespace for ever."""
    try:
        await place.cluster.patch(place.key, {"metadata": {"finalizers": []}}, manager=FIELD_MANAGER)
        await place.cluster.delete(place.key)
    except NotFound:
        return
