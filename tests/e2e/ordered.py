"""A chart in Git whose releases wait for each other."""

from __future__ import annotations

import json
from typing import Any

from tests.e2e.manifests import config_map

CHART = {
    "charts/web/Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\n",
    "charts/web/templates/cm.yaml": config_map('"{{ .Release.Namespace }}"', '"{{ .Release.Name }}"', "of a release"),
}


def release(namespace: str, name: str, **spec: Any) -> str:
    source = {"kind": "GitRepository", "name": "flux-system"}
    fields = {"interval": "10m", "chart": {"spec": {"chart": "./charts/web", "sourceRef": source}}, **spec}
    head = {"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease"}
    return json.dumps({**head, "metadata": {"name": name, "namespace": namespace}, "spec": fields})
