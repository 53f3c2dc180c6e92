"""Kustomizations in other clusters: a hub that applies to its spokes."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.controlplane import binaries
from tests.controlplane.cluster import Cli, Cluster
from tests.controlplane.fixtures import kubectl_on
from tests.controlplane.plane import ControlPlane
from tests.e2e import kustomizations as here
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import Fleet
from tests.e2e.kustomizations import kustomization
from tests.e2e.manifests import config_map
from tests.e2e.moving import CHART, box, finished
from tests.e2e.planning import Commits
from tests.until import ask_until

CRDS = Path(__file__).parents[2] / "config" / "crds"
KIND = "kustomizations.kustomize.toolkit.fluxcd.io"
#: Who may see whose keys sign the tokens of a cluster.
KEYS = "system:service-account-issuer-discovery"
#: Whom tokens for the spoke are for.
AUDIENCE = "https://spoke.example"
BY_TOKEN = {"kubeConfig": {"configMapRef": {"name": "spoke"}}}
SPOKE = {"kubeConfig": {"secretRef": {"name": "spoke"}}}


@pytest.fixture(scope="module")
def spoke(tmp_path_factory: pytest.TempPathFactory, control_plane: Cluster) -> Iterator[Cluster]:
    """Another cluster, in which nobody runs. It takes tokens of the first one's accounts that are made for it."""
    kubectl = kubectl_on(control_plane)
    everybody = "--group=system:unauthenticated"
    kubectl("create", "clusterrolebinding", "e2e-keys", f"--clusterrole={KEYS}", everybody)
    hub = {
        "url": "https://kubernetes.default.svc",
        "discoveryURL": f"{control_plane.server}/.well-known/openid-configuration",
        "certificateAuthority": control_plane.ca_file.read_text(),
        "audiences": [AUDIENCE],
    }
    directory = tmp_path_factory.mktemp("spoke")
    plane = ControlPlane(directory, binaries.ensure_all(), issuer="https://spoke.example", trusts=[hub])
    yield plane.start(bare=True)
    plane.stop()
    kubectl("delete", "clusterrolebinding", "e2e-keys")


@pytest.fixture
def in_spoke(spoke: Cluster, namespace: str) -> Cli:
    """kubectl in the spoke, which has a namespace of the same name."""
    kubectl = kubectl_on(spoke)
    kubectl("create", "namespace", namespace)
    return kubectl


@pytest.fixture
def commits(new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str) -> Commits:
    return Commits(new_agent(fleet, "--path=clusters", "--allow-mass-prune"), fleet, kubectl, namespace)


def secret(spoke: Cluster, namespace: str, server: str = "") -> str:
    """The manifest of the Secret with the spoke's kubeconfig."""
    authority = base64.b64encode(spoke.ca_file.read_bytes()).decode()
    cluster = {"server": server or spoke.server, "certificate-authority-data": authority}
    text = json.dumps(
        {
            "current-context": "it",
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
            "clusters": [{"name": "it", "cluster": cluster}],
            "users": [{"name": "it", "user": {"token": spoke.token}}],
        }
    )
    metadata = {"name": "spoke", "namespace": namespace}
    return json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"value": text}})


def test_the_same_directory_in_two_clusters_each_with_an_inventory_of_its_own(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, in_spoke: Cli, spoke: Cluster, namespace: str
) -> None:
    cluster, there = here.Cluster(kubectl, namespace), here.Cluster(in_spoke, namespace)
    agent = new_agent(fleet, "--path=clusters")
    fleet.commit(
        {
            "clusters/hub.yaml": kustomization(namespace, "hub", "./apps", dependsOn=[{"name": "spoke"}]),
            "clusters/spoke.yaml": kustomization(namespace, "spoke", "./apps", wait=True, **SPOKE),
            "apps/one.yaml": config_map(namespace, "one"),
            "apps/two.yaml": config_map(namespace, "two"),
        },
        "both",
    )
    missing = f"kubeConfig: Secret/{namespace}/spoke with key value or value.yaml does not exist"
    agent.start().wait_for("kustomization has to wait", kustomization=f"{namespace}/spoke", why=missing)
    # Each is woken by the change of the Secret.
    fleet.commit({"clusters/secret.yaml": secret(spoke, namespace, "https://127.0.0.1:1")}, "a wrong address")
    agent.until(lambda line: "https://127.0.0.1:1 cannot be reached" in str(line.fields))
    fleet.commit({"clusters/secret.yaml": secret(spoke, namespace)}, "a way to the spoke")
    for name in ("spoke", "hub"):
        cluster.wait(name)
    assert set(cluster.maps()) == set(there.maps()) == {"one", "two"}

    # A manual change there is no news here, and is corrected by a comparison with everything.
    in_spoke("patch", "configmap", "one", "-n", namespace, "--type=merge", "-p", '{"data":{"text":"by hand"}}')
    fleet.commit({"apps/two.yaml": None, "apps/three.yaml": config_map(namespace, "three")}, "two becomes three")
    ask_until(lambda: set(there.maps()), lambda names: names == {"one", "three"}, "two is pruned there")
    ask_until(lambda: set(cluster.maps()), lambda names: names == {"one", "three"}, "two is pruned here")
    agent.command("reconcile", "kustomization", "spoke", "-n", namespace)
    assert there.maps()["one"] == cluster.maps()["one"] != "by hand"

    alone = kustomization(namespace, "hub", "./apps")
    fleet.commit({"clusters/spoke.yaml": None, "clusters/hub.yaml": alone}, "no spoke any more")
    ask_until(there.maps, lambda maps: maps == {}, "the spoke is empty")
    assert set(cluster.maps()) == {"one", "three"}


def maps(kubectl: Cli, namespace: str) -> set[str]:
    found = set(kubectl("get", "configmaps", "-n", namespace, "-o", "name").split())
    return found - {"configmap/kube-root-ca.crt"}


def test_releases_of_another_cluster_are_for_whoever_serves_that(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, in_spoke: Cli, spoke: Cluster, namespace: str
) -> None:
    """The agent works on the one of the same name that is here."""
    in_spoke("apply", "--server-side", "-f", str(CRDS))
    cluster = here.Cluster(kubectl, namespace)
    release = box(namespace, "app")
    agent = new_agent(fleet, "--path=clusters")
    commit = fleet.commit(
        {
            **CHART,
            "clusters/secret.yaml": secret(spoke, namespace),
            "clusters/app.yaml": release,
            "clusters/spoke.yaml": kustomization(namespace, "spoke", "./apps", **SPOKE),
            "apps/app.yaml": release,
            "apps/inner.yaml": kustomization(namespace, "inner", "./nowhere"),
        },
        "a release in both",
    )
    finished(agent.start(), commit)
    cluster.wait("spoke")
    assert "configmap/app-own" in maps(kubectl, namespace)
    assert maps(in_spoke, namespace) == set()
    for kind, name in (("helmrelease", "app"), ("kustomizations.kustomize.toolkit.fluxcd.io", "inner")):
        found = json.loads(in_spoke("get", kind, name, "-n", namespace, "-o", "json"))
        assert "finalizers" not in found["metadata"], "whoever serves it there says when it may go"
        assert "conditions" not in found.get("status", {})

    last = fleet.commit({"clusters/spoke.yaml": "# gone\n"}, "no spoke any more")
    finished(agent, last)
    assert in_spoke("get", "helmrelease", "-n", namespace, "-o", "name") == ""
    assert "configmap/app-own" in maps(kubectl, namespace)


def test_the_revisions_of_a_release_in_another_cluster_are_shown(
    new_agent: NewAgent, fleet: Fleet, in_spoke: Cli, spoke: Cluster, namespace: str
) -> None:
    agent = new_agent(fleet, "--path=clusters")
    release = box(namespace, "app").replace("spec:\n", "spec:\n  kubeConfig: {secretRef: {name: spoke}}\n", 1)
    files = {**CHART, "clusters/secret.yaml": secret(spoke, namespace), "clusters/app.yaml": release}
    fleet.commit(files, "a release there")
    agent.start().wait_for("release installed", release=f"{namespace}/app")
    code, said, errors = agent.ended("history", "helmrelease", "app", "-n", namespace)
    assert code == 0, errors
    assert said.splitlines()[1].split()[0] == "1", said
    assert "deployed" in said


@pytest.mark.parametrize("by", ["a kubeconfig", "a token"])
def test_a_plan_compares_with_the_cluster_that_each_goes_to(
    commits: Commits, in_spoke: Cli, spoke: Cluster, namespace: str, by: str
) -> None:
    way = {"clusters/way.yaml": secret(spoke, namespace)}
    if by == "a token":
        way = {"clusters/way.yaml": described(spoke, namespace), "clusters/account.yaml": account(namespace)}
        let_in(in_spoke, namespace)
    hub = {f"clusters/{name}.yaml": kustomization(namespace, name, f"./{name}") for name in ("hub", "other")}
    commits.commit(
        {
            **hub,
            **way,
            "clusters/spoke.yaml": kustomization(
                namespace, "spoke", "./spoke", **(SPOKE if len(way) == 1 else BY_TOKEN)
            ),
            "hub/moves.yaml": config_map(namespace, "moves"),
            "hub/own.yaml": config_map(namespace, "own"),
            "other/third.yaml": config_map(namespace, "third"),
            "spoke/own.yaml": config_map(namespace, "own"),
        }
    )
    assert commits.plan().doing("create"), "also before there is a way to the spoke"
    assert commits.run() == 0
    commits.commit({"hub/moves.yaml": None, "spoke/moves.yaml": config_map(namespace, "moves")})
    planned = commits.plan()
    assert not planned.problems
    moves = f"ConfigMap/{namespace}/moves"
    assert set(planned.objects) == {("create", moves), ("delete", moves)}
    assert commits.run() == 0
    assert "configmap/moves" in maps(in_spoke, namespace)
    assert not commits.plan().objects


def test_what_moves_to_another_cluster_is_made_there_and_deleted_here(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, in_spoke: Cli, spoke: Cluster, namespace: str
) -> None:
    cluster, there = here.Cluster(kubectl, namespace), here.Cluster(in_spoke, namespace)
    agent = new_agent(fleet, "--path=clusters")
    first = fleet.commit(
        {
            "clusters/secret.yaml": secret(spoke, namespace),
            "clusters/hub.yaml": kustomization(namespace, "hub", "./hub"),
            "clusters/spoke.yaml": kustomization(namespace, "spoke", "./spoke", **SPOKE),
            "hub/own.yaml": config_map(namespace, "own"),
            "hub/moves.yaml": config_map(namespace, "moves"),
            "spoke/own.yaml": config_map(namespace, "own"),
        },
        "here",
    )
    finished(agent.start(), first)
    for name in ("hub", "spoke"):
        cluster.wait(name)
    files = {"hub/moves.yaml": None, "spoke/moves.yaml": config_map(namespace, "moves")}
    fleet.commit(files, "there")
    agent.until(lambda line: line.msg == "object deleted" and line.fields["object"] == f"ConfigMap/{namespace}/moves")
    ask_until(there.maps, lambda maps: set(maps) == {"own", "moves"}, "it is in the spoke")
    assert set(cluster.maps()) == {"own"}

    # Without the way there nobody can remove anything, and nothing is kept for that.
    fleet.commit({"clusters/secret.yaml": "# gone\n", "clusters/spoke.yaml": "# gone\n"}, "no spoke any more")
    kubectl("wait", "--for=delete", f"{KIND}/spoke", "-n", namespace, "--timeout=60s")


def described(spoke: Cluster, namespace: str, **data: str) -> str:
    """The manifest of the ConfigMap that describes the spoke."""
    of_it = {"provider": "generic", "address": spoke.server, "ca.crt": spoke.ca_file.read_text()}
    how = {"audiences": AUDIENCE, "serviceAccountName": "deployer"}
    metadata = {"name": "spoke", "namespace": namespace}
    return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {**of_it, **how, **data}})


def account(namespace: str) -> str:
    """The manifest of the account that logs in to the spoke."""
    metadata = {"name": "deployer", "namespace": namespace}
    return json.dumps({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})


def let_in(in_spoke: Cli, namespace: str) -> None:
    """What the spoke knows of the hub's account."""
    user = f"--user=hub:system:serviceaccount:{namespace}:deployer"
    in_spoke("create", "rolebinding", "deployer", "-n", namespace, "--clusterrole=cluster-admin", user)


def test_a_hub_logs_in_to_its_spoke_with_tokens_that_are_made_for_it(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, in_spoke: Cli, spoke: Cluster, namespace: str, sync_name: str
) -> None:
    """A Kustomization and a HelmRelease: there is no kubeconfig anywhere."""
    cluster, there = here.Cluster(kubectl, namespace), here.Cluster(in_spoke, namespace)
    agent = new_agent(fleet, "--path=clusters")
    files = {
        **CHART,
        "clusters/spoke.yaml": kustomization(namespace, "spoke", "./apps", wait=True, **BY_TOKEN),
        "clusters/box.yaml": box(namespace, "box", spec="  kubeConfig: {configMapRef: {name: spoke}}\n"),
        "apps/one.yaml": config_map(namespace, "one"),
    }
    fleet.commit(files, "nobody knows the way yet")
    agent.start().wait_for(
        "kustomization has to wait",
        kustomization=f"{namespace}/spoke",
        why=f"kubeConfig: ConfigMap/{namespace}/spoke does not exist",
    )
    fleet.commit({"clusters/way.yaml": described(spoke, namespace, provider="aws")}, "a cloud's")
    agent.until(lambda line: "provider aws" in str(line.fields) and "is not supported" in str(line.fields))
    fleet.commit({"clusters/way.yaml": described(spoke, namespace)}, "whose account is not there")
    missing = f"ServiceAccount {namespace}/deployer does not exist"
    agent.until(lambda line: missing in str(line.fields))
    fleet.commit({"clusters/account.yaml": account(namespace)}, "and has no rights there")
    refusal = f'User "hub:system:serviceaccount:{namespace}:deployer" cannot'
    agent.until(lambda line: refusal in str(line.fields).replace('\\"', '"'))
    let_in(in_spoke, namespace)
    commit = fleet.commit({"apps/two.yaml": config_map(namespace, "two")}, "it has")
    cluster.wait("spoke")
    finished(agent, commit)
    kubectl("wait", "--for=condition=Ready", "helmrelease/box", "-n", namespace, "--timeout=60s")
    assert {"configmap/one", "configmap/two", "configmap/box-own"} <= maps(in_spoke, namespace)
    assert maps(kubectl, namespace) == {"configmap/spoke"}
    for kind, name, has in (("kustomization", "spoke", ["one", "two"]), ("helmrelease", "box", ["box-own"])):
        shown = agent.told("tree", kind, name, "-n", namespace, "-o", "json")
        assert shown["cluster"] == f"ConfigMap/{namespace}/spoke"
        children = [(child["name"], child["status"]) for child in shown["children"]]
        assert children == [(item, "ready") for item in has], "what is in the spoke"
    assert f"in the cluster of ConfigMap/{namespace}/spoke" in agent.command("tree", "all", f"--name={sync_name}")

    in_spoke("delete", "rolebinding", "deployer", "-n", namespace)
    shown = agent.told("tree", "kustomization", "spoke", "-n", namespace, "-o", "json")
    assert shown["message"].startswith("its cluster cannot be looked into: ")
    let_in(in_spoke, namespace)

    last = fleet.commit({"clusters/spoke.yaml": None, "clusters/box.yaml": None}, "no spoke any more")
    finished(agent, last)
    ask_until(lambda: maps(in_spoke, namespace), lambda found: found == set(), "the spoke is empty")
    assert there.maps() == {}
    assert "eyJ" not in "".join(agent.raw), "no token is ever written"


def test_what_moves_within_another_cluster_stays_the_same_also_when_somebody_cannot_get_there(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, in_spoke: Cli, spoke: Cluster, namespace: str
) -> None:
    cluster, there = here.Cluster(kubectl, namespace), here.Cluster(in_spoke, namespace)
    let_in(in_spoke, namespace)
    agent = new_agent(fleet, "--path=clusters")
    both = {f"clusters/{name}.yaml": kustomization(namespace, name, f"./{name}", **BY_TOKEN) for name in ("a", "b")}
    way = {"clusters/way.yaml": described(spoke, namespace), "clusters/account.yaml": account(namespace)}
    moves = config_map(namespace, "moves")
    own = {f"{name}/{name}.yaml": config_map(namespace, name) for name in ("a", "b")}
    first = fleet.commit({**both, **way, **own, "a/moves.yaml": moves}, "a has it")
    finished(agent.start(), first)
    for name in ("a", "b"):
        cluster.wait(name)
    uid = uid_of(in_spoke, namespace, "moves")

    broken = {"a/moves.yaml": None, "b/moves.yaml": moves, "b/kustomization.yaml": "resources: [gone.yaml]\n"}
    fleet.commit(broken, "b gets it, and cannot be built")
    agent.wait_for("kustomization cannot be built", kustomization=f"{namespace}/b")
    cluster.wait("b", "condition=Ready=False")
    assert uid_of(in_spoke, namespace, "moves") == uid
    finished(agent, fleet.commit({"b/kustomization.yaml": None}, "it can"))
    cluster.wait("b")
    assert uid_of(in_spoke, namespace, "moves") == uid
    cluster.wait("a")
    assert set(there.maps()) == {"moves", "a", "b"}

    cloud = {"clusters/way.yaml": described(spoke, namespace, provider="aws")}
    back = fleet.commit({**cloud, "b/moves.yaml": None, "a/moves.yaml": moves}, "back, and nobody gets there")
    for name in ("a", "b"):
        cluster.wait(name, "condition=Ready=False")
    assert set(there.maps()) == {"moves", "a", "b"}
    finished(agent, back)
    fleet.commit({"clusters/way.yaml": described(spoke, namespace)}, "they do")
    for name in ("a", "b"):
        cluster.wait(name)
    assert uid_of(in_spoke, namespace, "moves") == uid


def uid_of(kubectl: Cli, namespace: str, name: str) -> str:
    return kubectl("get", "configmap", name, "-n", namespace, "-o", "jsonpath={.metadata.uid}")
