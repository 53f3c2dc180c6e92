"""Who has the Namespace that he is in, or the account that he works as, himself is removed with all of it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from tests.controlplane.cluster import Cli
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.kustomizations import kustomization
from tests.e2e.manifests import config_map
from tests.e2e.moving import finished
from tests.until import ask_until

#: A chart of the Namespace in its values.
CHART = {
    "charts/place/Chart.yaml": "apiVersion: v2\nname: place\nversion: 1.0.0\n",
    "charts/place/templates/all.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: {{ .Values.place }}}\n",
}
KEPT, GONE = "fleet/kept.yaml", "# gone\n"


@pytest.fixture
def agent(new_agent: NewAgent, fleet: Fleet) -> AgentProcess:
    return new_agent(fleet, "--path=fleet", "--allow-mass-prune").start()


@pytest.fixture
def own(kubectl: Cli, namespace: str) -> Iterator[str]:
    """The name of a Namespace that is brought by Git."""
    name = f"{namespace}-own"
    yield name
    kubectl("delete", "namespace", name, "--ignore-not-found", "--wait=false")


def place(name: str) -> str:
    return f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n"


def release(namespace: str, has: str) -> str:
    return f"""\
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {{name: r, namespace: {namespace}}}
spec:
  interval: 1h
  timeout: 3m
  chart: {{spec: {{chart: ./charts/place, sourceRef: {{kind: GitRepository, name: flux-system}}}}}}
  values: {{place: {has}}}
"""


def files_of(who: str, namespace: str, own: str) -> dict[str, str | None]:
    """The repository once the Namespace has come to who is in it: it was a plain manifest before."""
    gone: dict[str, str | None] = {"fleet/ns.yaml": GONE}
    if who == "release":
        return {**gone, **CHART, "fleet/r.yaml": release(own, own)}
    held = {"k/map.yaml": config_map(own, "held"), "fleet/k.yaml": kustomization(own, "k", "./k")}
    if who == "kustomization":
        return {**gone, **held, "k/ns.yaml": place(own)}
    return {**gone, **held, **CHART, "k/r.yaml": release(namespace, own)}


@pytest.mark.parametrize("who", ["kustomization", "release", "release of a kustomization"])
def test_it_goes_with_who_is_in_it(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str, own: str, who: str
) -> None:
    files = files_of(who, namespace, own)
    before = {name: text for name, text in files.items() if name.startswith("charts/")}
    finished(agent, fleet.commit({**before, KEPT: config_map(namespace, "kept"), "fleet/ns.yaml": place(own)}, "plain"))
    uid = kubectl("get", "namespace", own, "-o", "jsonpath={.metadata.uid}")
    finished(agent, fleet.commit(files, "its own"))
    ready = "jsonpath={.items[*].status.conditions[?(@.type=='Ready')].status}"
    kinds = "kustomizations.kustomize.toolkit.fluxcd.io,helmreleases.helm.toolkit.fluxcd.io"
    ask_until(partial(kubectl, "get", kinds, "-A", "-o", ready), lambda said: set(said.split()) == {"True"}, "ready")
    assert kubectl("get", "namespace", own, "-o", "jsonpath={.metadata.uid}") == uid

    removed = {name: GONE for name in files if name.startswith("fleet/")}
    finished(agent, fleet.commit({**removed, KEPT: config_map(namespace, "kept", "changed")}, "all of it goes"))
    get = partial(kubectl, "get", "namespace", own, "--ignore-not-found", "-o", "name")
    ask_until(get, lambda found: not found, "the Namespace is gone", timeout=90)
    assert agent.said("object failed") == []
    assert agent.said("namespace is being deleted, its release goes with it") == []


RIGHTS = """\
apiVersion: v1
kind: ServiceAccount
metadata: {name: s, namespace: NAMESPACE}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: s, namespace: NAMESPACE}
rules: [{apiGroups: ["*"], resources: ["*"], verbs: ["*"]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: s, namespace: NAMESPACE}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: s}
subjects: [{kind: ServiceAccount, name: s, namespace: NAMESPACE}]
"""


def test_what_one_has_goes_before_the_rights_that_it_works_by(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    files = {"k/rights.yaml": RIGHTS.replace("NAMESPACE", namespace), "k/map.yaml": config_map(namespace, "held")}
    one, other = (
        {"fleet/k.yaml": kustomization(namespace, "k", "./k", **spec)} for spec in ({}, {"serviceAccountName": "s"})
    )
    finished(agent, fleet.commit({**files, **one, KEPT: config_map(namespace, "kept")}, "as the agent"))
    kubectl("wait", "kustomization/k", "-n", namespace, "--for=condition=Ready", "--timeout=60s")
    finished(agent, fleet.commit({**other, "k/map.yaml": config_map(namespace, "held", "more")}, "as its account"))
    agent.wait_for("object changed", object=f"ConfigMap/{namespace}/held")
    finished(agent, fleet.commit({"fleet/k.yaml": GONE, KEPT: config_map(namespace, "kept", "more")}, "removed"))
    kubectl("wait", "kustomization/k", "-n", namespace, "--for=delete", "--timeout=60s")
    assert kubectl("get", "configmap", "held", "-n", namespace, "--ignore-not-found", "-o", "name") == ""
