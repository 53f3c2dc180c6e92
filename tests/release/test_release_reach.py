"""Who names somebody else's object in his own Git, and may not write it, keeps nobody from it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable
from typing import Any

import pytest

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.kustomization import Kustomization
from gitsync.apply.claimant import Claimant
from gitsync.cluster import Cluster
from gitsync.errors import ObjectTaken
from gitsync.release.access import PLAIN
from gitsync.release.dependencies.index import ReleaseIndex
from gitsync.release.wanted.claims import ObjectClaims
from gitsync.release.wanted.comingsync import ComingSync, Inner
from gitsync.release.wanted.reach import AccountReach
from gitsync.release.wanted.revisionobjects import RevisionObjects
from gitsync.release.wanted.syncclaims import SyncClaims
from gitsync.release.wanted.wantedobjects import WantedObjects
from tests.controlplane.cluster import Cluster as Plane
from tests.release.reconciling import finds_nothing, renders_nothing
from tests.until import until

ASKER = Claimant("sync", "gitsync-system/fleet")

RBAC = "rbac.authorization.k8s.io"


def kustomization(namespace: str, account: str = "team") -> Kustomization:
    source = {"kind": "GitRepository", "name": "own"}
    spec = {"interval": "1h", "path": "./", "prune": True, "sourceRef": source}
    return Kustomization.parse(
        {
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
            "kind": "Kustomization",
            "metadata": {"name": "app", "namespace": namespace},
            "spec": {**spec, **({"serviceAccountName": account} if account else {})},
        }
    )


def release(namespace: str, **spec: Any) -> Manifest:
    chart = {"spec": {"chart": "c", "sourceRef": {"kind": "HelmRepository", "name": "r"}}}
    return {
        "apiVersion": "helm.toolkit.fluxcd.io/v2",
        "kind": "HelmRelease",
        "metadata": {"name": "app", "namespace": namespace, "generation": 1, "uid": "u", "resourceVersion": "1"},
        "spec": {"interval": "1h", "chart": chart, **spec},
    }


class World:
    """A tenant whose account may write ConfigMaps of its namespace, and what others ask about objects."""

    def __init__(self, cluster: Cluster, namespace: str, item: Kustomization) -> None:
        self.item = item
        self.claimant = Claimant("sync", item.key.namespaced_name)
        self.own = ObjectKey("", "ConfigMap", namespace, "mine")
        self.other = ObjectKey("", "ConfigMap", "default", "theirs")
        self.index, self.holds = ReleaseIndex(), RevisionObjects()
        self.wanted = WantedObjects(self.index, ObjectClaims(), self._renders, cluster_finds(cluster), lambda _: None)
        kustomizations = {item.key.namespaced_name: item}
        self.wanted.to_come.reach = AccountReach(cluster, PLAIN, kustomizations.get)

    async def _renders(self, release: HelmRelease) -> RevisionObjects:
        return self.holds

    def claims(self, *keys: ObjectKey, commit: str = "c2") -> None:
        """It has taken a commit up."""
        self.wanted.claims.set(self.claimant, "commit", keys)
        self.wanted.claims.set_commit(self.claimant, commit, "")

    def comes(self, *keys: ObjectKey, commit: str = "c2", doubt: str = "", beside: Iterable[ComingSync] = ()) -> None:
        """It has yet to take one up, and others (``beside``) have, too."""
        own = ComingSync(self.item, self.claimant._replace(doubt=doubt), frozenset({commit}), frozenset(keys), ())

        async def coming(_: Collection[Inner]) -> list[ComingSync]:
            return [own, *beside]

        self.wanted.to_come.syncs = coming

    async def others(self, *keys: ObjectKey, commits: frozenset[str] | None = frozenset({"c1"})) -> set[ObjectKey]:
        return set(await self.wanted.others(ASKER, keys, commits=commits))


def cluster_finds(cluster: Cluster) -> Any:
    async def find(release: ObjectKey, key: ObjectKey) -> Manifest | None:
        return await cluster.find(key)

    return find


@pytest.fixture
async def cluster(control_plane: Plane) -> AsyncIterator[Cluster]:
    async with await Cluster.connect(kubeconfig=control_plane.kubeconfig) as connected:
        yield connected


@pytest.fixture
async def tenant(cluster: Cluster, namespace: str) -> World:
    metadata = {"name": "team", "namespace": namespace}
    for manifest in (
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "edit"},
            "subjects": [{"kind": "ServiceAccount", **metadata}],
        },
    ):
        await cluster.apply(manifest, manager="test")
    world = World(cluster, namespace, kustomization(namespace))

    async def is_bound() -> bool:  # who asks anew each time is told as soon as the API server knows it
        return await AccountReach(cluster, PLAIN, lambda _: None).covers(world.item, world.own)

    await until(is_bound)
    return world


async def test_what_a_tenant_may_not_write_is_pruned_whatever_he_names_in_his_git(tenant: World) -> None:
    both = (tenant.own, tenant.other)
    tenant.claims(*both)
    assert await tenant.others(*both) == {tenant.own}
    tenant.claims()
    tenant.comes(*both)
    assert await tenant.others(*both) == {tenant.own}
    tenant.comes(doubt="it cannot be built")
    assert await tenant.others(*both, commits=None) == {tenant.own}


async def test_what_the_commit_itself_gives_him_stays_though_his_rights_are_yet_to_come(tenant: World) -> None:
    tenant.claims(tenant.other, commit="c1")
    assert await tenant.others(tenant.other) == {tenant.other}
    tenant.claims()
    tenant.comes(tenant.other, commit="c1")
    assert await tenant.others(tenant.other) == {tenant.other}
    tenant.comes(tenant.other, commit="c2")  # he is at another one by now, and still without the rights
    assert await tenant.others(tenant.other) == {tenant.other}
    assert await tenant.others(tenant.other, commits=frozenset({"c3"})) == set(), "what another commit drops is not his"


def beside(namespace: str, *keys: ObjectKey, account: str = "", doubt: str = "") -> ComingSync:
    """One that takes up a commit beside the tenant."""
    item = kustomization(namespace, account)
    return ComingSync(
        item, Claimant("sync", f"{namespace}/beside", doubt=doubt), frozenset({"c1"}), frozenset(keys), ()
    )


async def test_who_cannot_be_built_at_the_commit_of_all_holds_nothing_that_he_may_not_write(tenant: World) -> None:
    """Everybody's directories are in one repository: each commit is one of the tenant's source, too."""
    both = (tenant.own, tenant.other)
    tenant.comes(commit="c1", doubt="it cannot be built")
    assert await tenant.others(*both) == {tenant.own}
    tenant.comes()
    tenant.claims(commit="c1")
    tenant.wanted.claims.set_commit(tenant.claimant, "c1", "a file cannot be read")
    assert await tenant.others(*both) == {tenant.own}


async def may_write_rights(cluster: Cluster, account: str, *, of: str, to: str) -> None:
    """An account ``of`` a namespace may write RoleBindings in another one."""
    metadata = {"name": account, "namespace": to}
    rules = [{"apiGroups": [RBAC], "resources": ["rolebindings"], "verbs": ["patch"]}]
    role = {"apiGroup": RBAC, "kind": "Role", "name": account}
    subjects = [{"kind": "ServiceAccount", "name": account, "namespace": of}]
    for manifest in (
        {"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": metadata, "rules": rules},
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": role,
            "subjects": subjects,
        },
    ):
        await cluster.apply(manifest, manager="test")


async def test_but_when_somebody_may_bring_him_the_right_to(tenant: World, cluster: Cluster) -> None:
    mine = tenant.own.namespace
    await may_write_rights(cluster, f"{mine}-admin", of=mine, to="default")
    binding = ObjectKey(RBAC, "RoleBinding", tenant.other.namespace, "for-the-tenant")
    elsewhere = ObjectKey(RBAC, "RoleBinding", "kube-system", "for-the-tenant")
    admin = beside(mine, account=f"{mine}-admin", doubt="it cannot be built")
    held = {"a right": beside("default", binding), "what nobody can tell, who may make some": admin}

    async def is_bound() -> bool:
        return await AccountReach(cluster, PLAIN, lambda _: None).covers(admin.kustomization, binding)

    await until(is_bound)
    free = {
        "one elsewhere": beside("default", elsewhere),
        "one that he may not make himself": beside(mine, binding, account="team"),
        "what nobody can tell, who may not": beside(mine, account="team", doubt="it cannot be built"),
        "something else": beside("default", tenant.other._replace(name="another")),
    }
    for what, other in (held | free).items():
        tenant.comes(commit="c1", doubt="it cannot be built", beside=[other])
        tenant.wanted.to_come._given.clear()
        assert await tenant.others(tenant.other) == ({tenant.other} if what in held else set()), what


async def test_a_namespace_goes_that_he_names_an_object_in(tenant: World) -> None:
    theirs, mine = (ObjectKey("", "Namespace", "", key.namespace) for key in (tenant.other, tenant.own))
    tenant.claims(tenant.own, tenant.other)
    assert await tenant.others(theirs, mine) == {mine}
    tenant.claims()
    root = ObjectKey("", "ConfigMap", "default", "kube-root-ca.crt")
    tenant.comes(root)
    assert await tenant.others(theirs) == set()


async def test_nobody_s_install_waits_for_what_a_tenant_only_names(tenant: World, cluster: Cluster) -> None:
    tenant.claims(tenant.own, tenant.other)
    other = HelmRelease.parse(release("default"))
    await tenant.wanted.claim(other, [tenant.other], [])
    with pytest.raises(ObjectTaken):
        await tenant.wanted.claim(other, [tenant.own], [])
    free = World(cluster, tenant.own.namespace, kustomization(tenant.own.namespace, account=""))
    free.claims(free.other)
    with pytest.raises(ObjectTaken):
        await free.wanted.claim(other, [free.other], [])


async def test_the_same_of_a_tenant_s_release(tenant: World) -> None:
    manifest = release(tenant.own.namespace, serviceAccountName="team")
    tenant.index.update(ObjectKey.of(manifest), manifest)
    both = frozenset({tenant.own, tenant.other})
    tenant.holds = RevisionObjects(owned=both)
    assert await tenant.others(*both) == {tenant.own}
    tenant.wanted.claims.set(Claimant.of_release(ObjectKey.of(manifest)), "underway", both)
    assert await tenant.others(*both) == {tenant.own}


async def test_who_was_to_be_removed_and_stays_for_now_is_asked_what_he_wants() -> None:
    """He is let off while others are being built, and so was not among those who are on their way."""
    item = kustomization("apps", account="")
    claimant, key = Claimant("sync", "apps/app"), ObjectKey("", "ConfigMap", "apps", "one")
    wanted = WantedObjects(ReleaseIndex(), ObjectClaims(), renders_nothing, finds_nothing, lambda _: None)
    leaving = [claimant]

    async def coming(_: Collection[Inner]) -> list[ComingSync]:
        if claimant in leaving:
            leaving.clear()
            return []
        return [ComingSync(item, claimant, frozenset({"c1"}), frozenset({key}), ())]

    wanted.to_come.syncs, wanted.to_come.leaving_with_charts = coming, lambda: leaving
    assert await SyncClaims(wanted, ASKER).to_be() == {claimant: {key}}
