"""`gitsync plan` of a release whose CEL does not compile: said before it is applied, with its place in the file."""

from __future__ import annotations

from pathlib import Path

from gitsync.preview.compose import preview
from gitsync.settings import Settings
from tests.controlplane.cluster import Cluster
from tests.git.git_world import Repository

RELEASE = """\
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {{name: app, namespace: {namespace}}}
spec:
  interval: 5m
  chart: {{spec: {{chart: ./charts/app, sourceRef: {{kind: GitRepository, name: flux-system}}}}}}
  dependsOn:
    - name: other
      readyExpr: dep.status.ready == {end}
  healthCheckExprs:
    - apiVersion: charts.example/v1
      current: status.ready == {end}
"""
CHART = {
    "charts/app/Chart.yaml": "apiVersion: v2\nname: app\nversion: 1.0.0\n",
    "charts/app/templates/settings.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n",
}


async def test_a_plan_names_expressions_that_do_not_compile(
    control_plane: Cluster, namespace: str, tmp_path: Path
) -> None:
    origin = Repository.make(tmp_path / "origin")
    files = {**CHART, "fleet/app.yaml": RELEASE.format(namespace=namespace, end="")}
    origin.commit(files)
    settings = Settings(
        repo=str(origin.path), path="fleet", kubeconfig=control_plane.kubeconfig, state_dir=tmp_path / "state"
    )

    bad = await preview(settings)
    assert [(problem.place, problem.message.partition(":")[0]) for problem in bad.problems] == [
        ("fleet/app.yaml:9:7", "spec.dependsOn[0].readyExpr"),
        ("fleet/app.yaml:12:7", "spec.healthCheckExprs[0].current"),
    ]
    assert "Syntax error: mismatched input '<EOF>' at line 1, column 20" in bad.problems[0].message

    origin.commit({**files, "fleet/app.yaml": RELEASE.format(namespace=namespace, end="true")})
    good = await preview(settings)
    assert not good.problems
    assert "ConfigMap/settings" in {f"{item.key.kind}/{item.key.name}" for item in good.objects}
