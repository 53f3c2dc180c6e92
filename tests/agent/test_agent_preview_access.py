"""`gitsync plan` of releases that are worked on as a ServiceAccount, or may not refer to where they do."""

from __future__ import annotations

from pathlib import Path

from gitsync.agent.parts import access_rules
from gitsync.cluster import KubeconfigAllowance
from gitsync.preview.compose import preview
from gitsync.release.access import PLAIN, AccessRules
from gitsync.settings import Settings
from tests.controlplane.cluster import Cluster
from tests.git.git_world import Repository

RELEASE = """
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {{name: app, namespace: {namespace}}}
spec:
  interval: 5m
  serviceAccountName: deployer
  chart:
    spec:
      chart: ./charts/app
      sourceRef: {{kind: GitRepository, name: flux-system}}
"""
ACCOUNT = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: deployer, namespace: {namespace}}}\n"
CHART = {
    "charts/app/Chart.yaml": "apiVersion: v2\nname: app\nversion: 1.0.0\n",
    "charts/app/templates/shown.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: shown}\n",
}


async def test_a_plan_looks_with_the_rights_of_the_account(
    control_plane: Cluster, namespace: str, tmp_path: Path
) -> None:
    origin = Repository.make(tmp_path / "origin")
    files = CHART | {"fleet/app.yaml": RELEASE.format(namespace=namespace)}
    origin.commit(files)
    settings = Settings(
        repo=str(origin.path), path="fleet", kubeconfig=control_plane.kubeconfig, state_dir=tmp_path / "state"
    )
    missing = await preview(settings)
    assert [problem.message for problem in missing.problems] == [
        f"HelmRelease/{namespace}/app: ServiceAccount {namespace}/deployer does not exist"
    ]

    origin.commit(files | {"fleet/account.yaml": ACCOUNT.format(namespace=namespace)})
    coming = await preview(settings)
    assert not coming.problems
    assert f"ConfigMap/{namespace}/shown" in [str(item.key) for item in coming.objects]

    place = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    control_plane.request("POST", place, {"metadata": {"name": "deployer"}})
    (problem,) = (await preview(settings)).problems
    assert f'User "system:serviceaccount:{namespace}:deployer" cannot list resource "secrets"' in problem.message

    strict = settings.model_copy(update={"cross_namespace_refs": False})
    origin.commit(
        files | {"fleet/app.yaml": files["fleet/app.yaml"].replace("flux-system}", "flux-system, namespace: other}")}
    )
    (problem,) = (await preview(strict)).problems
    assert problem.message == (
        f"HelmRelease/{namespace}/app: spec.chart.spec.sourceRef: cross-namespace references are not allowed: "
        "cannot access GitRepository/other/flux-system"
    )


def test_the_rules_are_those_of_the_settings() -> None:
    assert access_rules(Settings()) == PLAIN
    settings = Settings(
        default_service_account="deployer",
        cross_namespace_refs=False,
        insecure_kubeconfig_exec=True,
        insecure_kubeconfig_tls=True,
    )
    assert access_rules(settings) == AccessRules("deployer", False, KubeconfigAllowance(exec=True, insecure_tls=True))
