"""What is removed by hand is kept for who cannot be built only where that could be his: near what he has."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.controlplane.cluster import Cli
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import Fleet
from tests.e2e.insides import CHART, release
from tests.e2e.kustomizations import Cluster, kustomization
from tests.e2e.manifests import config_map


@pytest.fixture
def strange(kubectl: Cli, namespace: str) -> Iterator[str]:
    """Somebody else's namespace."""
    name = f"{namespace}-strange"
    kubectl("create", "namespace", name)
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


def broken(namespace: str) -> dict[str, str | None]:
    """A Kustomization that cannot be built."""
    return {"clusters/kb.yaml": kustomization(namespace, "kb", "./b"), "b/a.yaml": "kind: [\n"}


@pytest.mark.parametrize("where", ["elsewhere", "beside it"])
def test_a_release_that_is_removed_by_hand_goes_whoever_cannot_be_built_elsewhere(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str, strange: str, where: str
) -> None:
    """One in the same namespace may be about to take its objects: they are kept for that one."""
    place = strange if where == "elsewhere" else namespace
    fleet.commit({**CHART, "clusters/own.yaml": config_map(namespace, "own"), **broken(place)}, "kb is broken")
    agent = new_agent(fleet, "--path=clusters").start()
    agent.wait_for("kustomization cannot be built", kustomization=f"{place}/kb")
    kubectl("apply", "-f", "-", stdin=release(namespace, "r", config_map(namespace, "theirs")))
    agent.wait_for("release installed", release=f"{namespace}/r")
    kubectl("delete", "helmrelease", "r", "-n", namespace, "--timeout=60s")
    there = Cluster(kubectl, namespace).maps().keys()
    assert there == ({"own"} if where == "elsewhere" else {"own", "theirs"})
    assert bool(agent.said("object kept")) == (where == "beside it")


@pytest.mark.parametrize("where", ["elsewhere", "beside it"])
def test_a_kustomization_that_is_removed_by_hand_goes_whoever_cannot_be_built_elsewhere(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str, strange: str, where: str
) -> None:
    place = strange if where == "elsewhere" else namespace
    files = {"clusters/own.yaml": config_map(namespace, "own"), "k/k.yaml": config_map(namespace, "theirs")}
    fleet.commit({**files, **broken(place)}, "kb is broken")
    agent = new_agent(fleet, "--path=clusters").start()
    agent.wait_for("kustomization cannot be built", kustomization=f"{place}/kb")
    kubectl("apply", "-f", "-", stdin=kustomization(namespace, "k", "./k"))
    agent.wait_for("object created", object=f"ConfigMap/{namespace}/theirs")
    kubectl("delete", "kustomization", "k", "-n", namespace, "--wait=false")
    if where == "elsewhere":
        kubectl("wait", "--for=delete", "kustomization/k", "-n", namespace, "--timeout=60s")
        assert Cluster(kubectl, namespace).maps().keys() == {"own"}
        return
    agent.wait_for("object kept", object=f"ConfigMap/{namespace}/theirs")
    fleet.commit({"clusters/kb.yaml": None}, "without kb")
    kubectl("wait", "--for=delete", "configmap/theirs", "-n", namespace, "--timeout=60s")


def test_what_one_commit_drops_and_may_have_given_to_who_cannot_be_built_goes_when_he_does(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str, strange: str
) -> None:
    fleet.commit(
        {
            "clusters/a.yaml": kustomization(namespace, "a", "./a"),
            "clusters/kb.yaml": kustomization(strange, "kb", "./b"),
            "a/goes.yaml": config_map(namespace, "goes"),
            "a/stays.yaml": config_map(namespace, "stays"),
            "b/b.yaml": config_map(strange, "b"),
        },
        "all is well",
    )
    agent = new_agent(fleet, "--path=clusters", "--allow-mass-prune").start()
    cluster = Cluster(kubectl, namespace)
    agent.wait_for("object created", object=f"ConfigMap/{strange}/b")
    cluster.wait("a")
    Cluster(kubectl, strange).wait("kb")
    commit = fleet.commit({"a/goes.yaml": None, "b/b.yaml": "kind: [\n"}, "less, and a mistake")
    agent.wait_for("object kept", object=f"ConfigMap/{namespace}/goes", commit=commit[:7])
    fleet.commit({"clusters/kb.yaml": None}, "without kb")
    agent.wait_for("object deleted", object=f"ConfigMap/{namespace}/goes")
    assert cluster.maps().keys() == {"stays"}
