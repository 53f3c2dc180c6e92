"""Who has the Namespace that he is in himself, and is removed with all of it, waits for nobody who waits for him."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from tests.controlplane.cluster import Cli
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.manifests import config_map
from tests.e2e.moving import finished
from tests.e2e.test_e2e_kustomization import kustomization
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
