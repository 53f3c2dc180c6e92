"""Kustomizations of tenants: each may do what its ServiceAccount may, and nothing else."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.controlplane.cluster import Cli
from tests.e2e.background import Background
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import Fleet
from tests.e2e.kustomizations import Cluster, kustomization
from tests.e2e.manifests import config_map
from tests.e2e.tenants import tenant
from tests.git.git_world import HttpGit, Repository, http_git

SOURCE = {"kind": "GitRepository", "name": "flux-system"}
KIND = "kustomization.kustomize.toolkit.fluxcd.io"
WAITS_FOR = "Kustomization/{0}/app to be gone, which is removed as ServiceAccount/{0}/team"


@pytest.fixture
def other(kubectl: Cli) -> Iterator[str]:
    """Another namespace, with something in it."""
    name = f"other-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", name)
    kubectl("create", "configmap", "victim", "-n", name, "--from-literal=text=mine")
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


def test_a_tenant_can_neither_write_nor_read_nor_prune_beyond_its_account(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str, other: str
) -> None:
    cluster = Cluster(kubectl, namespace)
    looks = {"serviceAccountName": "team", "timeout": "3s"}
    health = [{"apiVersion": "v1", "kind": "ConfigMap", "name": "victim", "namespace": other}]
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": f"r-{other}"}}
    fleet.commit(
        {
            "clusters/tenant.yaml": tenant(namespace),
            "clusters/good.yaml": kustomization(namespace, "good", "./good", serviceAccountName="team", wait=True),
            "clusters/writes.yaml": kustomization(namespace, "writes", "./writes", serviceAccountName="team"),
            "clusters/reads.yaml": kustomization(namespace, "reads", "./reads", healthChecks=health, **looks),
            "good/one.yaml": config_map(namespace, "one"),
            "good/two.yaml": config_map(namespace, "two"),
            "writes/three.yaml": config_map(namespace, "three"),
            "writes/victim.yaml": config_map(other, "victim", "stolen"),
            "writes/role.yaml": json.dumps({**role, "rules": []}),
            "reads/four.yaml": config_map(namespace, "four"),
        },
        "a tenant",
    )
    agent = new_agent(fleet, "--path=clusters").start()
    agent.wait_for("sync finished")
    cluster.wait("good")
    for name, words in (("writes", "forbidden"), ("reads", "forbidden")):
        cluster.wait(name, "condition=Ready=False")
        (ready,) = [it for it in cluster.status(name)["conditions"] if it["type"] == "Ready"]
        assert words in ready["message"], ready
        assert f"system:serviceaccount:{namespace}:team" in ready["message"]
    assert cluster.maps().keys() == {"one", "two", "three", "four"}
    failed = agent.wait_for("object failed", object=f"ConfigMap/{other}/victim", sync=f"{namespace}/writes")
    assert failed.fields["origin"].startswith("writes/victim.yaml")
    assert kubectl("get", "configmap", "victim", "-n", other, "-o", "jsonpath={.data.text}") == "mine"

    # A status that somebody has forged leads to no deletion elsewhere either.
    forged = {"id": f"{other}_victim__ConfigMap", "v": "v1"}
    entries = [*cluster.status("good")["inventory"]["entries"], forged]
    agent.stop()
    kubectl("label", "configmap", "victim", "-n", other, "kustomize.toolkit.fluxcd.io/name=good")
    patch = json.dumps({"status": {"inventory": {"entries": entries}}})
    kubectl("patch", KIND, "good", "-n", namespace, "--subresource=status", "--type=merge", "-p", patch)
    agent.start()
    commit = fleet.commit({"good/two.yaml": None}, "one less")
    agent.wait_for("object deleted", object=f"ConfigMap/{namespace}/two", commit=commit[:7])
    kubectl("delete", KIND, "good", "-n", namespace, "--wait=false")
    kubectl("wait", "--for=delete", "configmap/one", "-n", namespace, "--timeout=60s")
    assert kubectl("get", "configmap", "victim", "-n", other, "-o", "jsonpath={.data.text}") == "mine"


def test_an_account_that_comes_later_and_one_that_is_gone(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    """The setting names one for all; without it nothing is applied, and when it is gone nothing is removed."""
    cluster = Cluster(kubectl, namespace)
    fleet.commit(
        {
            "clusters/app.yaml": kustomization(namespace, "app", "./app"),
            "app/one.yaml": config_map(namespace, "one"),
        },
        "no account yet",
    )
    agent = new_agent(fleet, "--path=clusters", "--default-service-account=team").start()
    line = agent.wait_for("kustomization failed", kustomization=f"{namespace}/app")
    assert line.fields["why"] == f"ServiceAccount {namespace}/team does not exist"
    assert cluster.maps() == {}
    fleet.commit({"clusters/tenant.yaml": tenant(namespace)}, "with an account")
    cluster.wait("app")
    assert set(cluster.maps()) == {"one"}

    kubectl("delete", "serviceaccount", "team", "-n", namespace)
    kubectl("delete", KIND, "app", "-n", namespace)
    line = agent.wait_for("objects of a kustomization stay: nobody can remove them", kustomization=f"{namespace}/app")
    assert line.fields["objects"] == 1
    assert set(cluster.maps()) == {"one"}


@pytest.fixture
def server(background: Background, tmp_path: Path) -> Iterator[HttpGit]:
    """A Git server with the repository ``tenant``."""
    serving = http_git(tmp_path / "served")
    yield background.run(serving.__aenter__())
    background.run(serving.__aexit__(None, None, None))


def test_who_only_names_somebody_else_s_object_keeps_it_from_nothing(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str, other: str, server: HttpGit
) -> None:
    """A tenant with a repository of his own, in which there is an object of the fleet's."""
    own = Repository.make(server.root / "tenant")
    own.commit({"app/mine.yaml": config_map(namespace, "mine"), "app/theirs.yaml": config_map(other, "theirs", "his")})
    source = {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "GitRepository",
        "metadata": {"name": "own", "namespace": namespace},
        "spec": {"interval": "1h", "url": f"{server.url}/tenant", "ref": {"branch": "main"}},
    }
    reads = {"sourceRef": {"kind": "GitRepository", "name": "own"}, "serviceAccountName": "team"}
    fleet.commit(
        {
            "clusters/tenant.yaml": tenant(namespace),
            "clusters/source.yaml": json.dumps(source),
            "clusters/app.yaml": kustomization(namespace, "app", "./app", retryInterval="1s", **reads),
            "clusters/theirs.yaml": config_map(other, "theirs"),
        },
        "an object of the fleet's",
    )
    agent = new_agent(fleet, "--path=clusters").start()
    agent.wait_for("object created", object=f"ConfigMap/{namespace}/mine", sync=f"{namespace}/app")
    agent.wait_for("object failed", object=f"ConfigMap/{other}/theirs", sync=f"{namespace}/app")
    commit = fleet.commit({"clusters/theirs.yaml": None}, "without it")
    agent.wait_for("object deleted", object=f"ConfigMap/{other}/theirs", commit=commit[:7])


def test_rights_of_another_kustomization_go_after_who_is_removed_by_them(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    """One commit removes a Kustomization and, in another one, the account that it works as: what it has goes first."""
    cluster = Cluster(kubectl, namespace)
    fleet.commit(
        {
            "clusters/rights.yaml": kustomization(namespace, "rights", "./rights"),
            "clusters/app.yaml": kustomization(namespace, "app", "./app", serviceAccountName="team"),
            "rights/team.yaml": tenant(namespace),
            "rights/other.yaml": config_map(namespace, "other"),
            "app/one.yaml": config_map(namespace, "one"),
            "app/two.yaml": config_map(namespace, "two"),
        },
        "an app and its account",
    )
    agent = new_agent(fleet, "--path=clusters").start()
    agent.wait_for("sync finished")
    cluster.wait("rights")
    cluster.wait("app")
    held = json.dumps({"metadata": {"finalizers": ["tests.gitsync.dev/held"]}})
    kubectl("patch", "configmap", "one", "-n", namespace, "--type=merge", "-p", held)
    commit = fleet.commit({"clusters/app.yaml": None, "rights/team.yaml": None}, "both go")
    agent.wait_for("object deleted", object=f"ConfigMap/{namespace}/two", commit=commit[:7])
    waiting = {"for": WAITS_FOR.format(namespace), "sync": f"{namespace}/rights"}
    agent.until(lambda line: line.says("waiting", **waiting), "a wait is said")
    kubectl("get", "serviceaccount/team", "rolebinding/team", "-n", namespace)
    kubectl("patch", "configmap", "one", "-n", namespace, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    kubectl("wait", "--for=delete", f"{KIND}/app", "-n", namespace, "--timeout=60s")
    kubectl("wait", "--for=delete", "serviceaccount/team", "-n", namespace, "--timeout=60s")
    assert set(cluster.maps()) == {"other"}
    assert not [line for line in agent.lines if line.fields.get("level") == "error"]
    order = [line.fields["object"] for line in agent.lines if line.msg == "object deleted"]
    rights = {f"ServiceAccount/{namespace}/team", f"RoleBinding/{namespace}/team"}
    assert set(order[-2:]) == rights, order
