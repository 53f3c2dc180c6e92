"""Who wants an object, of several: owners before those who have it in their chart's ``crds/``, and one at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

import pytest

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.kustomization import Kustomization
from gitsync.apply.claimant import Claimant
from gitsync.apply.ownership import owned
from gitsync.errors import GitsyncError, ObjectTaken
from gitsync.release.dependencies.index import ReleaseIndex
from gitsync.release.wanted import renderings
from gitsync.release.wanted.claims import ObjectClaims
from gitsync.release.wanted.comingsync import ComingSync, Inner, no_syncs
from gitsync.release.wanted.reach import Anywhere, Worked
from gitsync.release.wanted.revisionobjects import RevisionObjects
from gitsync.release.wanted.syncclaims import SyncClaims
from gitsync.release.wanted.valueschanges import data_digest
from gitsync.release.wanted.wantedobjects import WantedObjects
from gitsync.runtime.progress import reporting, telling

CRD = ObjectKey("apiextensions.k8s.io", "CustomResourceDefinition", "", "dolls.example")
SOURCE = {"kind": "HelmRepository", "name": "r"}
MAP = ObjectKey("", "ConfigMap", "x", "a")


def helm_release(name: str, holds: list[ObjectKey]) -> Manifest:
    """One that is deployed, and has these objects."""
    snapshot = {
        **{"name": name, "namespace": "x", "version": 1, "status": "deployed", "digest": "d", "chartName": "c"},
        **{"chartVersion": "1.0.0", "configDigest": "v"},
        **{"firstDeployed": "2026-01-01T00:00:00Z", "lastDeployed": "2026-01-01T00:00:00Z"},
    }
    ids = [f"{key.namespace}_{key.name}_{key.group}_{key.kind}" for key in holds]
    ready = {"type": "Ready", "status": "True", "reason": "InstallSucceeded", "message": ""}
    return {
        "apiVersion": "helm.toolkit.fluxcd.io/v2",
        "kind": "HelmRelease",
        "metadata": {"name": name, "namespace": "x", "generation": 1, "uid": name, "resourceVersion": "1"},
        "spec": {
            "interval": "1h",
            "chart": {"spec": {"chart": "c", "sourceRef": {"kind": "HelmRepository", "name": "r"}}},
        },
        "status": {
            "observedGeneration": 1,
            "conditions": [{**ready, "lastTransitionTime": "2026-01-01T00:00:00Z"}],
            "history": [snapshot],
            "inventory": {"entries": [{"id": item, "v": "v1"} for item in ids]},
        },
    }


class World:
    """Some releases, and the definition as the cluster has it, marked as that of ``marked``."""

    def __init__(self, marked: str, **releases: list[ObjectKey]) -> None:
        self.live: dict[str, Any] = {"metadata": {"name": CRD.name}}
        if marked:
            self.live = owned(self.live, marked, "x")
        self.index = ReleaseIndex()
        self.wanted = WantedObjects(self.index, ObjectClaims(), self._renders, self._find, lambda _: None)
        for name, holds in releases.items():
            manifest = helm_release(name, holds)
            self.index.update(ObjectKey.of(manifest), manifest)

    async def _renders(self, release: HelmRelease) -> RevisionObjects:
        return RevisionObjects()

    async def _find(self, release: ObjectKey, key: ObjectKey) -> Manifest | None:
        await asyncio.sleep(0)
        return self.live

    def release(self, name: str) -> HelmRelease:
        found = self.index.get(ObjectKey("helm.toolkit.fluxcd.io", "HelmRelease", "x", name))
        assert found is not None
        return found

    async def others(self) -> Claimant | None:
        return (await self.wanted.others(Claimant("sync", "gitsync-system/fleet"), [CRD])).get(CRD)


async def test_who_owns_a_definition_says_more_than_who_has_it_in_crds() -> None:
    assert await World("z", a=[CRD], z=[CRD]).others() == Claimant("HelmRelease", "x/z")
    assert await World("", a=[CRD], z=[CRD]).others() == Claimant("HelmRelease", "x/a", unowned=True)
    assert await World("", a=[]).others() is None


async def test_a_definition_in_crds_is_in_nobody_s_way() -> None:
    world = World("", a=[CRD], b=[])
    await world.wanted.claim(world.release("b"), [CRD], [])
    world = World("a", a=[CRD], b=[])
    with pytest.raises(ObjectTaken, match="is already managed by HelmRelease/x/a"):
        await world.wanted.claim(world.release("b"), [CRD], [])


async def test_a_sync_and_a_release_that_claim_an_object_at_once_do_not_both_get_it() -> None:
    world = World("a", a=[CRD], b=[])
    sync = SyncClaims(world.wanted, Claimant("sync", "gitsync-system/fleet"))
    world.wanted.claims.set(Claimant("sync", "gitsync-system/fleet"), "let go", [CRD, MAP])
    taken, claimed = await asyncio.gather(
        sync.take(MAP), world.wanted.claim(world.release("b"), [MAP], []), return_exceptions=True
    )
    assert (taken, type(claimed)) == (None, ObjectTaken)
    held = await sync.take(CRD)
    assert held is not None
    assert held.claimant == Claimant("HelmRelease", "x/a")


async def test_of_two_that_claim_an_object_at_once_one_gets_it() -> None:
    world = World("", a=[CRD], b=[], c=[])
    claims = (world.wanted.claim(world.release(name), [CRD, MAP], []) for name in ("b", "c"))
    found = await asyncio.gather(*claims, return_exceptions=True)
    assert [type(item) for item in found] == [type(None), ObjectTaken]


async def test_who_arrives_while_others_are_asked_is_not_overlooked() -> None:
    """He has nothing yet when it is asked who has it, and is no longer on his way when it is asked who is."""
    world = World("")

    async def arrives(_: Collection[Inner]) -> list[ComingSync]:
        manifest = helm_release("b", [MAP])
        world.index.update(ObjectKey.of(manifest), manifest)
        await asyncio.sleep(0)
        return []

    world.wanted.to_come.syncs = arrives
    found = await world.wanted.others(Claimant("sync", "gitsync-system/fleet"), [MAP])
    assert found == {MAP: Claimant("HelmRelease", "x/b")}


async def test_who_arrives_in_a_namespace_while_others_are_asked_is_not_overlooked() -> None:
    world, namespace = World(""), ObjectKey("", "Namespace", "", "x")

    async def arrives(_: Collection[Inner]) -> list[ComingSync]:
        if len(asked) == 1:  # the first question is who is to have the Namespace itself
            manifest = helm_release("b", [MAP])
            world.index.update(ObjectKey.of(manifest), manifest)
        asked.append(None)
        await asyncio.sleep(0)
        return []

    asked: list[None] = []
    world.wanted.to_come.syncs = arrives
    found = await world.wanted.others(Claimant("sync", "gitsync-system/fleet"), [namespace])
    assert found == {namespace: Claimant("HelmRelease", "x/b", inside=MAP)}


async def test_what_is_left_to_a_release_on_its_way_is_looked_at_once_it_is_deployed() -> None:
    """It may find that what helm has deployed is what it is to be, and then nothing applies the object again."""
    world, woken = World("somebody"), list[ObjectKey]()
    world.wanted.wake = woken.append
    manifest = helm_release("b", [])
    status, manifest["status"] = manifest["status"], {}
    key = ObjectKey.of(manifest)
    world.index.update(key, manifest)

    async def renders(release: HelmRelease) -> RevisionObjects:
        return RevisionObjects(owned=frozenset({MAP}))

    world.wanted.to_come.renderings.objects_of = renders
    found = await world.wanted.others(Claimant("sync", "gitsync-system/fleet"), [MAP])
    assert found == {MAP: Claimant("HelmRelease", "x/b")}
    world.wanted.claims.first_commit.set()
    assert not await world.wanted.objects_taken(world.release("b"))  # it is none yet that could apply it again

    inventory = helm_release("b", [MAP])["status"]["inventory"]
    metadata = {**manifest["metadata"], "resourceVersion": "2"}
    world.index.update(key, {**manifest, "metadata": metadata, "status": {**status, "inventory": inventory}})
    assert woken == [key]
    assert await world.wanted.objects_taken(world.release("b"))


async def test_a_stranger_whose_chart_does_not_come_is_waited_for_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them together, and what the same commit changed may want the object all the same."""
    monkeypatch.setattr(renderings, "RENDER_TIMEOUT", 0.2)
    world, asked = World(""), []
    for number in range(50):
        manifest = helm_release(f"slow-{number}", [])
        manifest["status"] = {}
        manifest["metadata"]["annotations"] = {"gitsync.dev/commit": "c1"} if number == 7 else {}
        world.index.update(ObjectKey.of(manifest), manifest)

    async def never(release: HelmRelease) -> RevisionObjects:
        asked.append(release.metadata.name)
        await asyncio.Event().wait()
        return RevisionObjects()

    world.wanted.to_come.renderings.objects_of = never
    async with asyncio.timeout(60):
        assert await world.wanted.others(Claimant("sync", "gitsync-system/fleet"), [MAP], commits=["c2"]) == {}
        found = await world.wanted.others(Claimant("sync", "gitsync-system/fleet"), [MAP], commits=["c1"])
    assert len(asked) == 100
    doubt = "release x/slow-7 has not been rendered within 0.2s"
    assert found == {MAP: Claimant("HelmRelease", "x/slow-7", doubt=doubt)}


class _Accounts(Anywhere):
    """All are worked on as accounts that may write what is in their own namespace."""

    def account(self, item: Worked) -> str:
        return "default"

    async def covers(self, item: Worked, key: ObjectKey) -> bool:
        return key.namespace == item.metadata.namespace


@pytest.mark.parametrize("namespace", ["honest", "x"])
async def test_a_stranger_who_could_have_nothing_of_it_is_hardly_waited_for(
    monkeypatch: pytest.MonkeyPatch, namespace: str
) -> None:
    """Nor is he told of again and again, one of many after the other."""
    monkeypatch.setattr(renderings, "OUT_OF_REACH_TIMEOUT", 0.1)
    monkeypatch.setattr(renderings, "RENDER_TIMEOUT", 4.0)
    world, told = World(""), list[str]()
    for number in range(40):
        manifest = helm_release(f"slow-{number}", [])
        manifest["status"] = {}
        world.index.update(ObjectKey.of(manifest), manifest)
    world.wanted.to_come.reach = _Accounts()

    async def never(release: HelmRelease) -> RevisionObjects:
        async with telling(lambda: f"an answer of {release.key}"):
            await asyncio.Event().wait()
        return RevisionObjects()

    async def tell(reason: str) -> bool:
        told.append(reason)
        return True

    world.wanted.to_come.renderings.objects_of = never
    key, began = ObjectKey("", "ConfigMap", namespace, "a"), asyncio.get_running_loop().time()
    with reporting(tell):
        assert await world.wanted.others(Claimant("sync", "honest/apps"), [key]) == {}
    took = asyncio.get_running_loop().time() - began
    assert (took < 2.0) == (namespace == "honest"), took
    assert len(told) <= 5, told[:10]
    assert all("slow-" in reason and reason.endswith("will have") for reason in told), told


async def test_strangers_whose_charts_never_come_are_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """And those of one's own namespace, or of the commit, each time."""
    monkeypatch.setattr(renderings, "OUT_OF_REACH_TIMEOUT", 0.1)
    monkeypatch.setattr(renderings, "RENDER_TIMEOUT", 2.0)
    world, clock = World(""), asyncio.get_running_loop().time
    manifest = helm_release("slow", [])
    manifest["status"], manifest["metadata"]["annotations"] = {}, {"gitsync.dev/commit": "c1"}
    world.index.update(ObjectKey.of(manifest), manifest)

    async def never(release: HelmRelease) -> RevisionObjects:
        await asyncio.Event().wait()
        return RevisionObjects()

    world.wanted.to_come.renderings.objects_of = never

    async def seconds(asker: str, commit: str) -> float:
        began = clock()
        await world.wanted.others(Claimant("sync", asker), [MAP], commits=[commit])
        return clock() - began

    took = [await seconds("honest/apps", "c2"), await seconds("honest/apps", "c2"), await seconds("other/apps", "c2")]
    assert took[0] >= 2.0
    assert max(took[1:]) < 1.5
    assert await seconds("x/apps", "c2") >= 2.0
    assert await seconds("honest/apps", "c1") >= 2.0


@pytest.mark.parametrize("behind", ["its source", "its values"])
async def test_who_cannot_be_rendered_may_want_what_the_commit_dropped_that_changed_what_he_is_made_of(
    monkeypatch: pytest.MonkeyPatch, behind: str
) -> None:
    world = World("")
    manifest = helm_release("b", [])
    manifest["metadata"]["annotations"] = {"gitsync.dev/commit": "c1"}
    manifest["spec"]["valuesFrom"] = [{"kind": "ConfigMap", "name": "values"}]
    manifest["status"]["conditions"][0]["status"] = "False"
    world.index.update(ObjectKey.of(manifest), manifest)
    changed = "HelmRepository" if behind == "its source" else "ConfigMap"

    async def cannot(release: HelmRelease) -> RevisionObjects:
        raise GitsyncError("no such version")

    async def find(release: ObjectKey, key: ObjectKey) -> Manifest | None:
        commit = "c2" if key.kind == changed else "c0"
        return {"metadata": {"name": key.name, "annotations": {"gitsync.dev/commit": commit}}}

    monkeypatch.setattr(world.wanted.to_come.renderings, "objects_of", cannot)
    monkeypatch.setattr(world.wanted.to_come, "find", find)
    asker = Claimant("sync", "gitsync-system/fleet")
    for commit, kept in (("c1", True), ("c2", True), ("c3", False)):
        found = await world.wanted.others(asker, [MAP], commits=[commit])
        assert (MAP in found) == kept, commit


def test_of_an_object_that_somebody_leaves_it_is_told_when_he_has_it_in_no_way_any_more() -> None:
    claims, told = ObjectClaims(), list[ObjectKey]()
    release, sync = Claimant("HelmRelease", "x/b"), Claimant("sync", "x/k")
    claims.set(sync, "commit", [MAP])
    claims.set(release, "underway", [MAP])
    claims.set(release, "deployed", [MAP])
    claims.on_release.append(lambda key, cluster: told.append(key))
    claims.set(release, "underway", [])
    assert told == []
    claims.set(release, "deployed", [])
    assert told == [MAP]
    assert claims.to_have(MAP, "") == [sync]  # which applied it before the release did so once more


def test_who_is_about_to_be_removed_keeps_nobody_else_from_that() -> None:
    claims, root = ObjectClaims(), Claimant("sync", "gitsync-system/fleet")
    release, sync, other = Claimant("HelmRelease", "x/g"), Claimant("sync", "x/d"), Claimant("sync", "x/e")
    claims.set(sync, "commit", [release.object])
    claims.set(release, "deployed", [sync.object])
    claims.set_leaving(root, [release])
    assert not claims.is_leaving(release), "it is a Kustomization's, which stays"
    claims.set_leaving_syncs(root, [sync])
    assert claims.is_leaving(release), "each has the other, and both are to go"
    assert claims.leaving_syncs == {sync}
    claims.set(other, "commit", [sync.object])
    assert claims.leaving_syncs == frozenset()
    assert not claims.is_leaving(release)


@pytest.mark.parametrize("changes", [True, False])
async def test_a_release_whose_values_a_sync_is_about_to_change_may_want_anything(changes: bool) -> None:
    world = World("")
    manifest = helm_release("b", [])
    manifest["spec"]["valuesFrom"] = [{"kind": "Secret", "name": "values"}]
    world.index.update(ObjectKey.of(manifest), manifest)
    world.live = {"metadata": {"name": "values"}, "data": {"values.yaml": "b2xk"}}
    key = ObjectKey("", "Secret", "x", "values")
    wanted = {"metadata": {"name": "values"}, "stringData": {"values.yaml": "new" if changes else "old"}}
    spec = {"interval": "1h", "prune": True, "sourceRef": {"kind": "GitRepository", "name": "r"}}
    head = {"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization"}
    kustomization = Kustomization.parse({**head, "metadata": {"name": "kv", "namespace": "x"}, "spec": spec})

    async def coming(_: Collection[Inner]) -> list[ComingSync]:
        claimant = Claimant("sync", "x/kv")
        return [
            ComingSync(kustomization, claimant, frozenset({"c2"}), frozenset({key}), (), {key: data_digest(wanted)})
        ]

    world.wanted.to_come.syncs = coming
    found = await world.wanted.others(Claimant("sync", "gitsync-system/fleet"), [MAP], commits=["c2"])
    doubt = "Secret/x/values is about to be changed by sync/x/kv"
    assert found == ({MAP: Claimant("HelmRelease", "x/b", doubt=doubt)} if changes else {})

    world.wanted.to_come.syncs = no_syncs  # it has, and the release may not have heard of that
    assert await world.wanted.others(Claimant("sync", "gitsync-system/fleet"), [MAP], commits=["c2"]) == found


async def test_what_has_its_values_from_what_a_sync_has_just_written_may_want_anything() -> None:
    """It has yet to hear of that; what others have in another cluster is none of it."""
    world = World("")
    manifest = helm_release("b", [])
    manifest["spec"]["valuesFrom"] = [{"kind": "ConfigMap", "name": "values"}]
    world.index.update(ObjectKey.of(manifest), manifest)
    key, root = ObjectKey("", "ConfigMap", "x", "values"), Claimant("sync", "gitsync-system/fleet")
    SyncClaims(world.wanted, Claimant("sync", "x/far"), "secretRef x/far").about_to_write(key, "c2")
    assert await world.wanted.others(root, [MAP], commits=["c2"]) == {}
    SyncClaims(world.wanted, Claimant("sync", "x/kv")).about_to_write(key, "c2")
    doubt = "ConfigMap/x/values is about to be changed by sync/x/kv"
    found = await world.wanted.others(root, [MAP], commits=["c2"])
    assert found == {MAP: Claimant("HelmRelease", "x/b", doubt=doubt)}


def test_what_somebody_else_has_put_into_a_config_map_is_no_change_of_it() -> None:
    ours = {"manager": "gitsync", "fieldsV1": {"f:data": {".": {}, "f:P": {}}}}
    theirs = {"manager": "kubectl", "fieldsV1": {"f:data": {"f:P": {}, "f:runtime": {}}}}
    live = {"metadata": {"managedFields": [ours, theirs]}, "data": {"P": "x", "runtime": "kept"}}
    assert data_digest(live) == data_digest({"metadata": {}, "data": {"P": "x"}})
    assert data_digest(live) != data_digest({"metadata": {}, "data": {"P": "y"}})
    assert data_digest({**live, "metadata": {"managedFields": [theirs]}}) != data_digest({"metadata": {}, "data": {}})


async def test_who_has_variables_of_variables_that_are_about_to_change_may_want_anything() -> None:
    """A sync changes a ConfigMap, another at rest makes one of that, and a third, at rest, is built of it."""
    world, to_come = World(""), []
    names = ("q", "vars", "k")
    keys = {name: ObjectKey("", "ConfigMap", "x", name) for name in names}
    for name, source in zip(names, (None, "q", "vars"), strict=True):
        spec: dict[str, Any] = {"interval": "1h", "prune": True, "sourceRef": {"kind": "GitRepository", "name": "r"}}
        if source is not None:
            spec["postBuild"] = {"substituteFrom": [{"kind": "ConfigMap", "name": source}]}
        head = {"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization"}
        to_come.append(Kustomization.parse({**head, "metadata": {"name": f"k-{name}", "namespace": "x"}, "spec": spec}))
        world.wanted.claims.set(Claimant("sync", f"x/k-{name}"), "commit", [keys[name]])

    async def coming(_: Collection[Inner]) -> list[ComingSync]:
        claimant, key = Claimant("sync", "x/k-q"), keys["q"]
        return [ComingSync(to_come[0], claimant, frozenset({"c2"}), frozenset({key}), (), {key: "another"})]

    world.wanted.to_come.syncs = coming
    world.wanted.to_come.kustomizations = lambda: to_come
    found = await world.wanted.others(Claimant("sync", "gitsync-system/fleet"), [MAP], commits=["c2"])
    assert found[MAP].by_name in (Claimant("sync", "x/k-vars"), Claimant("sync", "x/k-k"))
    found = await world.wanted.others(Claimant("sync", "x/k-vars"), [MAP], commits=["c2"])
    assert found == {MAP: Claimant("sync", "x/k-k", doubt=f"{keys['vars']} is about to be changed by sync/x/k-vars")}


async def test_many_that_cannot_be_rendered_are_of_one_source_which_is_looked_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world, looked = World(""), list[ObjectKey]()
    for number in range(50):
        manifest = helm_release(f"broken-{number}", [])
        manifest["status"] = {}
        world.index.update(ObjectKey.of(manifest), manifest)

    async def cannot(release: HelmRelease) -> RevisionObjects:
        raise GitsyncError("no such version")

    async def find(release: ObjectKey, key: ObjectKey) -> Manifest | None:
        looked.append(key)
        return None

    monkeypatch.setattr(world.wanted.to_come.renderings, "objects_of", cannot)
    monkeypatch.setattr(world.wanted.to_come, "find", find)
    for _ in range(2):
        assert await world.wanted.others(Claimant("sync", "gitsync-system/fleet"), [MAP], commits=["c2"]) == {}
    assert len(looked) <= 2, "once a second"
