"""A release whose chart is in its own repository, and that chart."""

from __future__ import annotations

RELEASE = """
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {{name: app, namespace: {namespace}}}
spec:
  interval: 5m
  driftDetection: {{mode: warn}}
  chart:
    spec:
      chart: ./charts/app
      sourceRef: {{kind: GitRepository, name: flux-system}}
"""
CHART = {
    "charts/app/Chart.yaml": "apiVersion: v2\nname: app\nversion: 1.0.0\n",
    "charts/app/templates/settings.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n",
}
