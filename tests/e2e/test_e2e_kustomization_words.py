"""What the log says of Kustomizations and sources that are suspended, of syncs that end before their time, and of a
commit that is held: each thing once, and as what it is."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.controlplane.cluster import Cli
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.kustomizations import Cluster, kustomization
from tests.e2e.manifests import config_map
from tests.e2e.ordered import CHART, release
from tests.e2e.unready import never_ready

KIND = "kustomization.kustomize.toolkit.fluxcd.io"
SOURCES = {"GitRepository": "https://127.0.0.1:1/none.git", "HelmRepository": "https://127.0.0.1:1/charts"}


def source(namespace: str, kind: str, **spec: bool) -> str:
    head = {"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": kind}
    fields = {"interval": "10m", "url": SOURCES[kind], **spec}
    return json.dumps({**head, "metadata": {"name": "other", "namespace": namespace}, "spec": fields})


@pytest.fixture
def agent(new_agent: NewAgent, fleet: Fleet) -> AgentProcess:
    return new_agent(fleet, "--path=clusters")


def test_that_something_is_suspended_and_resumed_is_a_line_each(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    cluster = Cluster(kubectl, namespace)

    def files(**spec: bool) -> dict[str, str | None]:
        named = {f"clusters/{kind}.yaml": source(namespace, kind, **spec) for kind in SOURCES}
        return {**named, "clusters/apps.yaml": kustomization(namespace, "apps", "./apps", **spec)}

    fleet.commit({**files(), "apps/a.yaml": config_map(namespace, "a")}, "all go on")
    agent.start().wait_for("sync finished")
    cluster.wait("apps")
    for spec, words in (({"suspend": True}, "suspended"), ({}, "resumed")):
        before = agent.count
        fleet.commit(files(**spec), words)
        agent.wait_for(f"kustomization is {words}", kustomization=f"{namespace}/apps", after=before)
        for kind in SOURCES:
            agent.wait_for(f"source is {words}", kind=kind, repository=f"{namespace}/other", after=before)
    assert len(agent.said("kustomization is suspended")) == 1
    assert len(agent.said("source is suspended")) == len(SOURCES)


def test_a_sync_that_ends_since_its_kustomization_is_removed_says_so(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    never = {"apps/never.yaml": never_ready(namespace), "apps/a.yaml": config_map(namespace, "a")}
    apps = kustomization(namespace, "apps", "./apps", wait=True, timeout="5m")
    fleet.commit({"clusters/apps.yaml": apps, **never, "clusters/stays.yaml": config_map(namespace, "stays")}, "apps")
    agent.start()
    agent.wait_for("object created", object=f"ConfigMap/{namespace}/a")
    kubectl("delete", KIND, "apps", "-n", namespace)
    line = agent.wait_for("sync superseded", sync=f"{namespace}/apps")
    assert line.fields["why"] == "it is being removed"
    kubectl("get", "configmap", "stays", "-n", namespace)


def test_a_commit_that_is_held_is_warned_of_once_for_each_cause(
    new_agent: NewAgent, fleet: Fleet, tmp_path: Path, namespace: str
) -> None:
    """The repository is another one, by the same name: the commit before is not in it."""
    many = {f"clusters/{n}.yaml": config_map(namespace, f"map-{n}") for n in range(12)}
    fleet.commit(many, "twelve")
    first = new_agent(fleet, "--path=clusters", "--once")
    assert first.start().wait() == 0
    other_fleet = Fleet(tmp_path / "other")
    other_fleet.commit({"clusters/0.yaml": config_map(namespace, "map-0")}, "one")
    second = new_agent(other_fleet, "--path=clusters")
    second.start().wait_for("commit is held until it is confirmed")
    second.wait_for("charts of the commit before cannot be read")
    for number in range(3):  # each of which is held, and looks for them again
        head = other_fleet.commit({"README": f"{number}"}, "another one")
        second.wait_for("commit is held until it is confirmed", commit=head[:7])
    assert len(second.said("charts of the commit before cannot be read")) == 1


def test_a_kustomization_that_waits_in_vain_for_a_release_is_ready_as_soon_as_that_has_recovered(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    """By then it is tried again ever more rarely: after about 5, 15, 35 and 75 seconds."""
    cluster = Cluster(kubectl, namespace)
    fleet.commit(
        {
            **CHART,
            "clusters/apps.yaml": kustomization(namespace, "apps", "./apps", wait=True, timeout="1s"),
            "apps/web.yaml": release(namespace, "web", valuesFrom=[{"kind": "Secret", "name": "late"}]),
        },
        "values that come late",
    )
    agent.start().wait_for("sync finished", sync=f"{namespace}/apps")
    cluster.wait("apps", "jsonpath={.status.conditions[?(@.type=='Ready')].reason}=HealthCheckFailed")
    time.sleep(44.0)  # the fourth try is at least a quarter of a minute away then
    kubectl("create", "secret", "generic", "late", "-n", namespace, "--from-literal=values.yaml=a: b")
    agent.wait_for("release installed", release=f"{namespace}/web")
    began = time.monotonic()
    cluster.wait("apps")
    assert time.monotonic() - began < 15.0
