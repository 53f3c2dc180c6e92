"""What Git has and somebody deletes by hand: the agent serves these kinds, hears of it, and makes it again."""

from __future__ import annotations

import pytest

from gitsync.charts.serve import ChartServer
from tests.controlplane.cluster import Cli
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import Fleet
from tests.e2e.kustomizations import Cluster, kustomization
from tests.e2e.manifests import config_map, release, repository
from tests.until import ask_until


@pytest.mark.parametrize("deleted", ["top", "nested"])
def test_a_kustomization_is_made_again_at_once_and_who_depends_on_it_goes_on(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str, deleted: str
) -> None:
    cluster = Cluster(kubectl, namespace)
    files = {
        "clusters/top.yaml": kustomization(namespace, "top", "./top"),
        "top/nested.yaml": kustomization(namespace, "nested", "./nested"),
        "nested/one.yaml": config_map(namespace, "one"),
        "clusters/after.yaml": kustomization(namespace, "after", "./after", dependsOn=[{"name": deleted}]),
        "after/two.yaml": config_map(namespace, "two"),
    }
    fleet.commit(files, "first")
    new_agent(fleet, "--path=clusters").start().wait_for("sync finished")
    cluster.wait("after")

    kubectl("delete", "kustomization", deleted, "-n", namespace, "--timeout=60s")
    ask_until(cluster.maps, lambda maps: maps.keys() == {"one", "two"}, "all there again")
    head = fleet.commit({"after/two.yaml": config_map(namespace, "two", "new")}, "what depends on it is changed")
    cluster.wait("after", f"jsonpath={{.status.lastAppliedRevision}}=main@sha1:{head}")


def test_a_release_and_its_source_are_made_again_at_once(
    new_agent: NewAgent, fleet: Fleet, charts: ChartServer, kubectl: Cli, helm_cli: Cli, namespace: str
) -> None:
    fleet.commit({"charts.yaml": repository(namespace, charts.url), "a.yaml": release(namespace, "a")}, "first")
    agent = new_agent(fleet).start()
    agent.wait_for("release installed", release=f"{namespace}/a")
    agent.wait_for("sync finished")

    for kind in ("helmrepository", "helmrelease"):
        before, name = agent.count, "a" if kind == "helmrelease" else "charts"
        kubectl("delete", kind, name, "-n", namespace, "--timeout=60s")
        agent.until(lambda line: line.msg == "object created", kind, after=before, timeout=60)
    agent.wait_for("release installed", release=f"{namespace}/a", after=before)
    assert f"{namespace}" in helm_cli("list", "-A")
