"""Two syncs of two repositories in one process, on a real API server: neither has the other's charts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from gitsync.api.identity import ObjectKey
from gitsync.apply.live import LiveReader
from gitsync.backoff import Backoff
from gitsync.build import Builder, Directories
from gitsync.cluster import Cluster
from gitsync.errors import ClusterUnavailable, GitUnavailable
from gitsync.git import GitSource, Mirror
from gitsync.kustomize import Kustomizer
from gitsync.live.requests import confirm_commit
from gitsync.manifests import ManifestReader
from gitsync.release.controller import Releases
from gitsync.release.wanted.syncclaims import SyncClaims
from gitsync.runtime.fairslots import FairSlots
from gitsync.runtime.recorder import EventRecorder
from gitsync.runtime.schedule import Schedule
from gitsync.sources.controller import Sources
from gitsync.sources.helm import ChartRepositories
from gitsync.sources.resolve.artifacts import Artifacts, Head
from gitsync.sync.apply import Syncer
from gitsync.sync.build import CommitSource
from gitsync.sync.owner import Owner
from gitsync.sync.planner import Planner
from gitsync.sync.reconciler import SyncReconciler
from gitsync.sync.spec import SyncSpec
from gitsync.sync.storage.configmaps import SyncStore
from tests.connecting import serving_namespace
from tests.controlplane.cluster import Cluster as ControlPlane
from tests.git.git_world import Repository
from tests.until import until

CHART = "apiVersion: v2\nname: app\nversion: 1.0.0\n"
TEMPLATE = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: '{{{{ .Release.Name }}}}'}}\ndata: {{from: {text}}}\n"
RELEASE = """
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  interval: 1h
  chart: {{spec: {{chart: charts/app, sourceRef: {{kind: GitRepository, name: {source}}}}}}}
"""
MANY = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: many-{number}, namespace: {namespace}}}\n"


async def no_sync_is_under_way() -> None:
    await until(lambda: not any(task.get_name().startswith("sync ") for task in asyncio.all_tasks()))


@dataclass
class Side:
    """A repository and its sync."""

    name: str
    origin: Repository
    reconciler: SyncReconciler
    syncer: Syncer

    async def sync(self) -> str:
        """Poll, and wait until what that brought is done. Returns how it ended."""
        await self.reconciler.poll()
        await no_sync_is_under_way()
        assert self.reconciler.error is None
        assert self.reconciler.result is not None
        return self.reconciler.result.result


class World:
    """Two of them, in one namespace of a cluster."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self.sides: dict[str, Side] = {}

    async def text(self, release: str) -> str:
        found = await self.cluster.get(ObjectKey("", "ConfigMap", self.namespace, release))
        return str(found["data"]["from"])

    async def became(self, release: str, text: str) -> None:
        """Wait until the release's ConfigMap says this."""
        async with asyncio.timeout(60), self.cluster.watch("", "ConfigMap", namespace=self.namespace) as watch:
            key = ObjectKey("", "ConfigMap", self.namespace, release)
            news = asyncio.Event()
            end = watch.subscribe(lambda _: news.set())
            while ((watch.get(key) or {}).get("data") or {}).get("from") != text:
                news.clear()
                await news.wait()
            end()


@pytest.fixture
async def world(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(serving_namespace(control_plane, namespace))
        fetched = ChartRepositories(tmp_path / "charts")
        stack.push_async_callback(fetched.close)
        schedule = Schedule()
        schedule.start()
        stack.callback(schedule.stop)
        artifacts = Artifacts()
        events = await stack.enter_async_context(EventRecorder(cluster, "gitsync/two").running())
        sources = Sources(cluster, fetched, artifacts, events, schedule)
        releases = Releases(cluster, sources, events, schedule, holder="gitsync/two", concurrency=4)
        slots = FairSlots(1, "objects")
        world = World(cluster, namespace)
        watches = await stack.enter_async_context(sources.serving())
        watches |= await stack.enter_async_context(releases.serving())
        for name in ("red", "blue"):
            origin = Repository.make(tmp_path / name)
            mirror = Mirror(GitSource(str(origin.path)), tmp_path / "mirrors")
            stack.push_async_callback(mirror.close)
            repository = artifacts.add(f"{namespace}/{name}", Head(str(origin.path)))
            owner, store = Owner(name, namespace, str(origin.path), "fleet"), SyncStore(cluster, namespace, name)
            wanted = SyncClaims(releases.wanted, owner.claimant)
            live = LiveReader(cluster, watches)
            planner = Planner(cluster, releases.index, wanted, SyncSpec(owner), store, live)
            syncer = Syncer(planner, repository, slots)
            source = CommitSource(
                mirror, Directories(ManifestReader(), Builder(Kustomizer())), name, fetched.charts.workers, "fleet"
            )
            reconciler = SyncReconciler(source, syncer, repository, 3600)
            stack.push_async_callback(reconciler.stop, 1.0)
            world.sides[name] = Side(name, origin, reconciler, syncer)
        yield world


def files(world: World, text: str, **sources: str) -> dict[str, str | bytes | None]:
    """A repository with the chart ``app``, of which releases make a ConfigMap that says ``text``."""
    found: dict[str, str | bytes | None] = {
        "charts/app/Chart.yaml": CHART,
        "charts/app/templates/cm.yaml": TEMPLATE.format(text=text),
    }
    for name, source in sources.items():
        manifest = RELEASE.format(name=name, namespace=world.namespace, source=source)
        found[f"fleet/{name}.yaml"] = manifest
    return found


async def test_each_release_has_the_chart_of_the_repository_that_it_means_and_follows_that_alone(
    world: World,
) -> None:
    red, blue = world.sides["red"], world.sides["blue"]
    reds = red.origin.commit(files(world, "red-1", ours="flux-system", named="red", crossed="blue"))
    blues = blue.origin.commit(files(world, "blue-1", theirs="flux-system"))
    with capture_logs() as lines:
        await asyncio.gather(red.sync(), blue.sync())
    started = {line["sync"]: line["commit"] for line in lines if line["event"] == "sync started"}
    assert started == {f"{world.namespace}/red": reds[:7], f"{world.namespace}/blue": blues[:7]}
    await world.became("crossed", "blue-1")
    assert [await world.text(name) for name in ("ours", "named", "theirs")] == ["red-1", "red-1", "blue-1"]

    blue.origin.commit({"charts/app/templates/cm.yaml": TEMPLATE.format(text="blue-2")})
    await blue.sync()
    await world.became("crossed", "blue-2")
    assert [await world.text(name) for name in ("ours", "named", "theirs")] == ["red-1", "red-1", "blue-2"]

    red.origin.commit({"charts/app/templates/cm.yaml": TEMPLATE.format(text="red-2")})
    await red.sync()
    assert [await world.text(name) for name in ("ours", "named")] == ["red-2", "red-2"]
    assert [await world.text(name) for name in ("theirs", "crossed")] == ["blue-2", "blue-2"]
    records = await world.cluster.list("", "Secret", namespace=world.namespace, labels="owner=helm")
    revisions = {(it["metadata"]["labels"]["name"], it["metadata"]["labels"]["version"]) for it in records}
    assert {version for name, version in revisions if name == "theirs"} == {"1", "2"}, json.dumps(sorted(revisions))


async def test_a_held_commit_of_one_repository_leaves_its_charts_while_the_other_goes_on(world: World) -> None:
    red, blue = world.sides["red"], world.sides["blue"]
    many = {f"fleet/many-{number}.yaml": MANY.format(number=number, namespace=world.namespace) for number in range(12)}
    red.origin.commit(files(world, "red-1", ours="flux-system") | many)
    blue.origin.commit(files(world, "blue-1", theirs="flux-system", crossed="red"))
    await asyncio.gather(red.sync(), blue.sync())
    await world.became("crossed", "red-1")

    red.origin.commit({"charts/app/templates/cm.yaml": TEMPLATE.format(text="red-2"), **dict.fromkeys(many)})
    assert await red.sync() == "held"
    # A change of the release that uses the held repository's chart makes a revision, of the chart it had.
    blue.origin.commit(
        {
            "charts/app/templates/cm.yaml": TEMPLATE.format(text="blue-2"),
            "fleet/crossed.yaml": RELEASE.format(name="crossed", namespace=world.namespace, source="red")
            + "  values: {more: values}\n",
        }
    )
    await blue.sync()
    await world.became("theirs", "blue-2")
    assert [await world.text(name) for name in ("ours", "crossed")] == ["red-1", "red-1"]


async def test_what_one_sync_lets_go_of_another_takes_as_it_is(world: World) -> None:
    red, blue = world.sides["red"], world.sides["blue"]
    key = ObjectKey("", "ConfigMap", world.namespace, "many-1")
    text = MANY.format(number=1, namespace=world.namespace)
    other = MANY.format(number=2, namespace=world.namespace)
    red.origin.commit({"fleet/one.yaml": text, "fleet/two.yaml": other})
    await red.sync()
    uid = (await world.cluster.get(key))["metadata"]["uid"]
    blue.origin.commit({"fleet/one.yaml": text + "data: {from: blue}\n"})
    assert await blue.sync() == "failed"  # it belongs to the other
    assert red.syncer.owner.owns(await world.cluster.get(key))

    red.origin.commit({"fleet/one.yaml": "# no more\n"})
    await red.sync()
    assert (await world.cluster.get(key))["metadata"]["uid"] == uid
    blue.origin.commit({"fleet/more.yaml": MANY.format(number=3, namespace=world.namespace)})
    assert await blue.sync() == "succeeded"
    live = await world.cluster.get(key)
    assert (live["metadata"]["uid"], live["data"]) == (uid, {"from": "blue"})
    assert blue.syncer.owner.owns(live)
    # And nobody keeps it for the first any longer.
    blue.origin.commit({"fleet/one.yaml": "# no more\n"})
    await blue.sync()
    assert await world.cluster.find(key) is None


async def test_a_sync_that_cannot_go_on_says_so_once_for_each_kind_of_reason(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    red = world.sides["red"]
    red.origin.commit({"fleet/map.yaml": MANY.format(number=1, namespace=world.namespace)})
    away, gone = ClusterUnavailable("the API server is away"), GitUnavailable("the Git server is away")
    errors = [away, away, gone, gone, away]

    async def fail(*_: object, **__: object) -> None:
        raise errors.pop(0)

    monkeypatch.setattr(Syncer, "sync", fail)
    with structlog.testing.capture_logs() as lines:
        await red.reconciler.poll()
        for _ in range(len(errors) - 1):
            await no_sync_is_under_way()
            red.reconciler._queue.wake("red")
        await no_sync_is_under_way()
    told = [line["error"] for line in lines if line["event"] == "sync will be tried again"]
    assert told == [away, gone, away]


async def test_a_commit_that_is_confirmed_goes_on_at_once_and_not_with_the_next_try(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Backoff, "next", lambda *_: 3600.0)  # the next try of what is held
    red = world.sides["red"]
    text = MANY.format(number=1, namespace=world.namespace)
    red.origin.commit({"fleet/one.yaml": text, "fleet/two.yaml": MANY.format(number=2, namespace=world.namespace)})
    await red.sync()
    commit = red.origin.commit({"fleet/one.yaml": "# none\n", "fleet/two.yaml": "# none\n"})
    assert await red.sync() == "held"
    schedule = Schedule()
    schedule.start()
    running = asyncio.create_task(red.reconciler.run(schedule))
    try:
        key = SyncStore(world.cluster, world.namespace, "red").inventory_key
        await confirm_commit(world.cluster, key, commit)
        await until(lambda: red.reconciler.result is not None and red.reconciler.result.result == "succeeded")
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        schedule.stop()
