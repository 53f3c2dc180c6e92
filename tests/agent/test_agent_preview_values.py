"""`gitsync plan` with values by reference: what the commit itself brings counts before what is in the cluster."""

from __future__ import annotations

import json
from pathlib import Path

from gitsync.preview.compose import preview
from gitsync.settings import Settings
from tests.controlplane.cluster import Cluster
from tests.git.git_world import Repository

RELEASE = """
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {{name: app, namespace: {namespace}}}
spec:
  interval: 5m
  chart:
    spec:
      chart: ./charts/app
      sourceRef: {{kind: GitRepository, name: flux-system}}
      valuesFiles: [charts/app/values.yaml, env/prod.yaml]
  commonMetadata: {{labels: {{team: storage}}}}
  postRenderers:
    - kustomize:
        patches:
          - target: {{kind: ConfigMap}}
            patch: '- {{op: add, path: /data/patched, value: by kustomize}}'
  valuesFrom:
    - {{kind: ConfigMap, name: base}}
    - {{kind: Secret, name: login, valuesKey: password, targetPath: auth.password}}
"""
BASE = """
apiVersion: v1
kind: ConfigMap
metadata: {{name: base, namespace: {namespace}}}
data: {{values.yaml: "from: git"}}
"""
CHART = {
    "charts/app/Chart.yaml": "apiVersion: v2\nname: app\nversion: 1.0.0\n",
    "charts/app/values.yaml": "default: chart\nenvironment: none\n",
    "charts/app/templates/shown.yaml": (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: shown}\n"
        'data: {values: {{ omit .Values "auth" | toJson | quote }}}\n'
    ),
    "charts/app/templates/hidden.yaml": (
        "apiVersion: v1\nkind: Secret\nmetadata: {name: hidden}\nstringData: {password: {{ .Values.auth.password }}}\n"
    ),
    "charts/app/templates/careless.yaml": (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: careless}\n"
        "data: {url: 'https://app:{{ .Values.auth.password }}@db', login: {{ .Values.auth.password | b64enc }}}\n"
    ),
    "env/prod.yaml": "environment: prod\n",
}


async def test_a_plan_shows_what_references_make_of_a_release(
    control_plane: Cluster, namespace: str, tmp_path: Path
) -> None:
    place = f"/api/v1/namespaces/{namespace}"
    old = {"metadata": {"name": "base"}, "data": {"values.yaml": "from: cluster"}}
    control_plane.request("POST", f"{place}/configmaps", old)
    origin = Repository.make(tmp_path / "origin")
    files = CHART | {
        "fleet/app.yaml": RELEASE.format(namespace=namespace),
        "fleet/base.yaml": BASE.format(namespace=namespace),
    }
    origin.commit(files)
    settings = Settings(
        repo=str(origin.path), path="fleet", kubeconfig=control_plane.kubeconfig, state_dir=tmp_path / "state"
    )

    missing = await preview(settings)
    assert [problem.message for problem in missing.problems] == [
        f"HelmRelease/{namespace}/app: valuesFrom: Secret '{namespace}/login' key 'password' does not exist"
    ]
    control_plane.request(
        "POST", f"{place}/secrets", {"metadata": {"name": "login"}, "stringData": {"password": "hunter2"}}
    )
    found = await preview(settings)
    assert not found.problems
    text = "\n".join(line.text for item in found.objects for line in item.diff)
    shown = json.dumps({"default": "chart", "environment": "prod", "from": "git"}, separators=(",", ":"))
    assert shown in text.replace('\\"', '"')
    assert "team: storage" in text
    assert "patched: by kustomize" in text
    assert "url: https://app:***@db" in text
    assert "login: ***" in text
    assert "hunter2" not in text


async def test_neither_the_present_value_of_a_secret_is_shown_nor_the_one_that_takes_its_place(
    control_plane: Cluster, namespace: str, tmp_path: Path
) -> None:
    place = f"/api/v1/namespaces/{namespace}"
    careless = {"metadata": {"name": "careless"}, "data": {"url": "https://app:present-one@db", "plain": "seen"}}
    control_plane.request("POST", f"{place}/configmaps", careless)
    login = {"metadata": {"name": "login"}, "stringData": {"password": "present-one"}}
    control_plane.request("POST", f"{place}/secrets", login)
    coming = f"apiVersion: v1\nkind: Secret\nmetadata: {{name: login, namespace: {namespace}}}\n"
    origin = Repository.make(tmp_path / "origin")
    origin.commit(
        CHART
        | {
            "fleet/app.yaml": RELEASE.format(namespace=namespace),
            "fleet/base.yaml": BASE.format(namespace=namespace),
            "fleet/login.yaml": coming + "stringData: {password: coming-one}\n",
        }
    )
    settings = Settings(
        repo=str(origin.path), path="fleet", kubeconfig=control_plane.kubeconfig, state_dir=tmp_path / "state"
    )
    found = await preview(settings)
    assert not found.problems
    changed = next(item for item in found.objects if item.key.name == "careless")
    text = "\n".join(f"{line.kind}{line.text}" for line in changed.diff)
    assert "-  url: https://app:***@db" in text
    assert "+  url: https://app:***@db" in text
    everything = "\n".join(line.text for item in found.objects for line in item.diff)
    assert "present-one" not in everything
    assert "coming-one" not in everything
