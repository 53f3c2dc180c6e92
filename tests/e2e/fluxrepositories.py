"""Repositories as ``flux bootstrap`` makes them."""

from __future__ import annotations

import json
from typing import Any

from tests.e2e.kustomizations import kustomization as in_namespace

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
    return in_namespace("flux-system", name, path, **spec)


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
