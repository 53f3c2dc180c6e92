"""Cycles of what waits for what: named with file and line of every edge, as Git has them now, and at once."""

from __future__ import annotations

import os
from dataclasses import dataclass

import pytest

from tests.controlplane.cluster import Cli
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.kustomizations import Cluster
from tests.e2e.manifests import config_map
from tests.forked import run
from tests.until import ask_until

KIND = "kustomization.kustomize.toolkit.fluxcd.io"
KINDS = {"web": "HelmRelease", "infra": "Kustomization", "apps": "Kustomization"}
HEAD = """\
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  interval: 10m
  prune: true
  path: ./{name}
  sourceRef: {{kind: GitRepository, name: flux-system}}
"""
RELEASE = """\
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  interval: 10m
  chart: {{spec: {{chart: ./charts/web, sourceRef: {{kind: GitRepository, name: flux-system}}}}}}
"""
CHART = {
    "charts/web/Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\n",
    "charts/web/templates/cm.yaml": config_map('"{{ .Release.Namespace }}"', '"{{ .Release.Name }}"', "of a release"),
}


def needs(kind: str, name: str) -> str:
    return f"  dependsOn:\n    - kind: {kind}\n      name: {name}\n"


@pytest.fixture
def agent(new_agent: NewAgent, fleet: Fleet) -> AgentProcess:
    return new_agent(fleet, "--path=clusters")


@dataclass(frozen=True)
class Said:
    """What Kustomizations say of themselves."""

    kubectl: Cli
    namespace: str

    def ready(self, name: str, field: str = "message") -> str:
        path = f"jsonpath={{.status.conditions[?(@.type=='Ready')].{field}}}"
        return self.kubectl("get", KIND, name, "-n", self.namespace, "--ignore-not-found", "-o", path)

    def until(self, name: str, words: str) -> None:
        ask_until(lambda: self.ready(name), lambda text: words in text, f"{name} says {words}")


@pytest.fixture
def said(kubectl: Cli, namespace: str) -> Said:
    return Said(kubectl, namespace)


def test_every_edge_of_a_cycle_has_its_file_and_the_line_of_the_newest_commit(
    agent: AgentProcess, fleet: Fleet, namespace: str, said: Said
) -> None:
    apps = HEAD.format(namespace=namespace, name="apps") + needs("HelmRelease", "web")
    web = RELEASE.format(namespace=namespace, name="web") + needs("Kustomization", "infra")
    infra = HEAD.format(namespace=namespace, name="infra") + needs("Kustomization", "apps")
    fleet.commit(
        {
            **CHART,
            "clusters/all.yaml": "---\n".join([apps, web]),
            "clusters/infra.yaml": infra,
            "apps/a.yaml": config_map(namespace, "a"),
            "infra/b.yaml": config_map(namespace, "b"),
        },
        "a cycle",
    )
    agent.start().wait_for("sync started")

    def edges(web_at: int, infra_at: int) -> str:
        names = {name: f"{kind}/{namespace}/{name}" for name, kind in KINDS.items()}
        return (
            f"{names['web']} -> {names['infra']} at clusters/all.yaml:{web_at}:7; "
            f"{names['infra']} -> {names['apps']} at clusters/infra.yaml:{infra_at}:7; "
            f"{names['apps']} -> {names['web']} at clusters/all.yaml:10:7"
        )

    for name in ("apps", "infra"):
        said.until(name, edges(20, 10))
    agent.until(lambda line: edges(20, 10) in line.msg, "the release says so, too")
    line = agent.until(lambda line: edges(20, 10) in line.fields.get("why", ""), "and the Kustomizations")
    assert line.fields["level"] == "error"

    before = agent.count
    fleet.commit({"clusters/infra.yaml": "# one\n# two\n" + infra}, "two lines further down")
    for name in ("apps", "infra"):
        said.until(name, edges(20, 12))
    agent.until(lambda line: edges(20, 12) in line.msg, "the release says so, too", after=before)


def test_a_cycle_across_levels_is_named_at_once_and_a_commit_ends_it(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str, said: Said
) -> None:
    """``parent`` waits for ``child``, which it brings and which depends on it."""
    cluster = Cluster(kubectl, namespace)
    child = HEAD.format(namespace=namespace, name="child")
    parent = HEAD.format(namespace=namespace, name="parent") + "  timeout: 10m\n  wait: true\n"
    fleet.commit(
        {
            "clusters/parent.yaml": parent,
            "parent/child.yaml": child + needs("Kustomization", "parent"),
            "child/a.yaml": config_map(namespace, "a"),
        },
        "a child that waits for its parent",
    )
    agent.start().wait_for("sync started")
    edges = (
        f"{namespace}/child -> {namespace}/parent at parent/child.yaml:10:7; "
        f"{namespace}/parent -> {namespace}/child at clusters/parent.yaml:10:3"
    )
    said.until("child", edges)
    assert said.ready("child", "reason") == "DependencyCycle"
    line = agent.until(lambda line: edges in line.fields.get("why", ""), "it is named")
    assert line.fields["hint"].startswith(f"remove the dependsOn that leads to Kustomization/{namespace}/parent")
    said.until("parent", edges)  # though it has ten minutes
    assert said.ready("parent", "reason") == "HealthCheckFailed"
    code, problems, _ = run(["validate", str(fleet.path / "clusters")], os.environ)
    assert code == 1, problems
    assert edges in problems

    fleet.commit({"parent/child.yaml": child}, "it does not")
    for name in ("child", "parent"):
        cluster.wait(name)
    assert set(cluster.maps()) == {"a"}
