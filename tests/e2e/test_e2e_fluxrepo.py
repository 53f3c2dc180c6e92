"""A repository as ``flux bootstrap`` makes it, with the usual structure below: the agent is pointed at it as it is."""

from __future__ import annotations

import json

import pytest

from tests.controlplane.cluster import Cli
from tests.e2e.configmaps import data
from tests.e2e.conftest import NewAgent
from tests.e2e.fluxrepositories import SYNC, config_map, kustomization, repository
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.moving import finished


@pytest.fixture
def agent(new_agent: NewAgent, fleet: Fleet) -> AgentProcess:
    return new_agent(fleet, "--path=clusters/prod", "--once")


def in_namespace(namespace: str, name: str) -> str:
    manifest = json.loads(config_map(name))
    return json.dumps({**manifest, "metadata": {"name": name, "namespace": namespace}})


def test_what_the_root_s_kustomization_had_elsewhere_goes_when_it_stands_for_the_root_again(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    made = "apiVersion: v1\nkind: Namespace\nmetadata: {name: flux-system}\n"
    own = {"clusters/prod/own.yaml": in_namespace(namespace, "own"), "clusters/prod/namespace.yaml": made}
    here = {"clusters/prod/sync.yaml": SYNC}
    agent = new_agent(fleet, "--path=clusters/prod")
    finished(agent.start(), fleet.commit({**own, **here}, "before"))
    other = {f"other/{name}.yaml": in_namespace(namespace, name) for name in ("goes", "moves")}
    fleet.commit({**other, "clusters/prod/sync.yaml": SYNC.replace("./clusters/prod", "./other")}, "elsewhere")
    for name in ("goes", "moves"):
        kubectl("wait", "--for=create", f"configmap/{name}", "-n", namespace, "--timeout=60s")
    uid = kubectl("get", "configmap", "moves", "-n", namespace, "-o", "jsonpath={.metadata.uid}")
    moved = {"clusters/prod/moves.yaml": in_namespace(namespace, "moves"), **dict.fromkeys(other)}
    finished(agent, fleet.commit({**here, **moved}, "here again"))
    kubectl("wait", "--for=delete", "configmap/goes", "-n", namespace, "--timeout=110s")
    assert kubectl("get", "configmap", "moves", "-n", namespace, "-o", "jsonpath={.metadata.uid}") == uid
    assert '"level":"error"' not in agent.log
    agent.stop()


def test_a_repository_of_flux_works_as_it_is(agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str) -> None:
    first = fleet.commit(repository(namespace), "as it is")
    assert agent.start().wait() == 0
    assert data(kubectl, namespace, "zone") == {"text": "zone a"}
    assert data(kubectl, namespace, "web") == {"color": "green"}
    (left_out,) = agent.said("objects of Flux itself are left out")
    assert left_out.fields["objects"] == 1
    assert kubectl("get", "deployments", "-n", "flux-system", "-o", "name") == ""
    zone = agent.wait_for("object created", object=f"ConfigMap/{namespace}/zone")
    assert (zone.fields["sync"], zone.fields["origin"].partition(":")[0]) == ("flux-system/infra", "infra/zone.yaml")
    assert zone.number < agent.wait_for("release installed", release=f"{namespace}/web").number
    listed = json.loads(
        kubectl("get", "kustomizations.kustomize.toolkit.fluxcd.io", "-n", "flux-system", "-o", "json")
    )["items"]
    applied = {item["metadata"]["name"]: item["status"]["lastAppliedRevision"] for item in listed}
    assert applied == dict.fromkeys(("flux-system", "infra", "apps"), f"main@sha1:{first}")

    before = agent.count
    second = fleet.edit("clusters/prod/settings.yaml", '"green"', '"blue"', "another color")
    assert agent.start().wait() == 0
    assert data(kubectl, namespace, "web") == {"color": "blue"}
    (upgraded,) = agent.said("release upgraded", after=before)
    assert upgraded.fields["commit"] == second[:7]

    fleet.edit("clusters/prod/settings.yaml", '"zone": "a"', '"area": "a"', "a variable is gone")
    fleet.edit("infra/zone.yaml", "zone ${zone:=none}", "zone ${zone}", "without a default")
    before = agent.count
    assert agent.start().wait() == 1
    (failed,) = agent.said("kustomization cannot be built", after=before)
    assert failed.fields["file"].startswith("infra/zone.yaml:1")
    assert "zone" in failed.fields["error"]
    unready = {line.fields["kustomization"] for line in agent.said("not ready", after=before)}
    assert unready == {"flux-system/infra", "flux-system/apps"}
    assert data(kubectl, namespace, "zone") == {"text": "zone a"}


def test_what_somebody_has_deleted_comes_again_when_the_root_s_kustomization_is_asked_for(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    made = "apiVersion: v1\nkind: Namespace\nmetadata: {name: flux-system}\n"
    files = {
        "clusters/prod/namespace.yaml": made,
        "clusters/prod/sync.yaml": SYNC,
        "clusters/prod/apps.yaml": kustomization("apps", "./apps"),
        "apps/one.yaml": in_namespace(namespace, "one"),
    }
    agent = new_agent(fleet, "--path=clusters/prod")
    finished(agent.start(), fleet.commit(files, "apps"))
    agent.wait_for("sync finished", sync="flux-system/apps")
    kind, flux = "kustomizations.kustomize.toolkit.fluxcd.io", ("-n", "flux-system")
    kubectl("wait", "--for=condition=Ready", f"{kind}/flux-system", *flux, "--timeout=60s")
    kubectl("delete", kind, "apps", *flux, "--timeout=60s")
    gone = agent.wait_for("object deleted", object=f"ConfigMap/{namespace}/one")
    assert gone.fields["why"] == "its Kustomization was deleted"
    kubectl("annotate", kind, "flux-system", *flux, "reconcile.fluxcd.io/requestedAt=now")
    handled = "--for=jsonpath={.status.lastHandledReconcileAt}=now"
    kubectl("wait", handled, f"{kind}/flux-system", *flux, "--timeout=60s")
    assert kubectl("get", kind, "apps", *flux, "-o", "name") != ""
    kubectl("wait", "--for=create", "configmap/one", "-n", namespace, "--timeout=60s")
    agent.stop()
