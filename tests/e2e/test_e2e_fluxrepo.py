"""A repository as ``flux bootstrap`` makes it, with the usual structure below: the agent is pointed at it as it is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.controlplane.cluster import Cli
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.moving import finished

PART_OF = "labels: {app.kubernetes.io/part-of: flux}"
#: What runs Flux, in short.
COMPONENTS = f"""\
apiVersion: v1
kind: Namespace
metadata: {{name: flux-system, {PART_OF}}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {{name: kustomize-controller, namespace: flux-system, {PART_OF}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: cluster-reconciler-flux-system, {PART_OF}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}}
subjects: [{{kind: ServiceAccount, name: kustomize-controller, namespace: flux-system}}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: kustomize-controller, namespace: flux-system, {PART_OF}}}
spec:
  selector: {{matchLabels: {{app: kustomize-controller}}}}
  template:
    metadata: {{labels: {{app: kustomize-controller}}}}
    spec: {{containers: [{{name: manager, image: "flux.example/kustomize-controller:v1"}}]}}
"""
SYNC = """\
apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {name: flux-system, namespace: flux-system}
spec: {interval: 1m, ref: {branch: main}, url: "ssh://git@git.example/team/fleet"}
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: flux-system, namespace: flux-system}
spec: {interval: 10m, path: ./clusters/prod, prune: true, sourceRef: {kind: GitRepository, name: flux-system}}
"""
CHART = {
    "charts/web/Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\n",
    "charts/web/templates/cm.yaml": (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\ndata: {color: '{{ .Values.color }}'}\n"
    ),
}


def kustomization(name: str, path: str, **spec: Any) -> str:
    fields = {
        "interval": "10m",
        "path": path,
        "prune": True,
        "sourceRef": {"kind": "GitRepository", "name": "flux-system"},
        **spec,
    }
    head = {"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization"}
    return json.dumps({**head, "metadata": {"name": name, "namespace": "flux-system"}, "spec": fields})


def config_map(name: str, **data: str) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})


def repository(namespace: str) -> dict[str, str | None]:
    """Settings of the cluster first, then what the others stand on, then applications: a base and an overlay."""
    release = {
        "apiVersion": "helm.toolkit.fluxcd.io/v2",
        "kind": "HelmRelease",
        "metadata": {"name": "web"},
        "spec": {
            "interval": "10m",
            "chart": {
                "spec": {
                    "chart": "./charts/web",
                    "sourceRef": {"kind": "GitRepository", "name": "flux-system", "namespace": "flux-system"},
                }
            },
            "values": {"color": "grey"},
        },
    }
    operations = [{"op": "replace", "path": "/spec/values/color", "value": "${color}"}]
    patch = {"patch": json.dumps(operations), "target": {"kind": "HelmRelease"}}
    variables = {"substituteFrom": [{"kind": "ConfigMap", "name": "cluster"}]}
    more = {"targetNamespace": namespace, "wait": True, "postBuild": variables}
    account = {"serviceAccountName": "kustomize-controller"}  # as in Flux's example of many tenants
    settings: dict[str, Any] = json.loads(config_map("cluster", color="green", zone="a"))
    settings["metadata"]["namespace"] = "flux-system"
    return {
        **CHART,
        "clusters/prod/flux-system/kustomization.yaml": "resources: [gotk-components.yaml, gotk-sync.yaml]\n",
        "clusters/prod/flux-system/gotk-components.yaml": COMPONENTS,
        "clusters/prod/flux-system/gotk-sync.yaml": SYNC,
        "clusters/prod/settings.yaml": json.dumps(settings),
        "clusters/prod/infra.yaml": kustomization("infra", "./infra", **account, **more),
        "clusters/prod/apps.yaml": kustomization("apps", "./apps/prod", dependsOn=[{"name": "infra"}], **more),
        "infra/zone.yaml": config_map("zone", text="zone ${zone:=none}"),
        "apps/base/kustomization.yaml": "resources: [release.yaml]\n",
        "apps/base/release.yaml": json.dumps(release),
        "apps/prod/kustomization.yaml": json.dumps({"resources": ["../base"], "patches": [patch]}),
    }


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


def data(kubectl: Cli, namespace: str, name: str) -> dict[str, str]:
    found: dict[str, str] = json.loads(kubectl("get", "configmap", name, "-n", namespace, "-o", "json"))["data"]
    return found


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
