"""`gitsync plan` of a commit with Kustomizations that cannot be applied: it says what is in the way."""

from __future__ import annotations

from pathlib import Path

from gitsync.preview.compose import preview
from gitsync.settings import Settings
from tests.controlplane.cluster import Cluster
from tests.git.git_world import Repository

KUSTOMIZATION = """
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: apps, namespace: flux-system}
spec: {interval: 10m, path: ./apps, prune: true, sourceRef: {kind: GitRepository, name: flux-system}}
"""
MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\n"


async def test_a_plan_looks_into_kustomizations_and_says_what_keeps_them_from_being_applied(
    control_plane: Cluster, namespace: str, tmp_path: Path
) -> None:
    origin = Repository.make(tmp_path / "origin")
    refused = KUSTOMIZATION.replace("name: apps", "name: remote")
    refused = refused.replace("prune:", "decryption: {provider: sops, serviceAccountName: x}, prune:")
    elsewhere = KUSTOMIZATION.replace("name: apps", "name: elsewhere").replace("name: flux-system}}", "name: gone}}")
    origin.commit(
        {"fleet/apps.yaml": KUSTOMIZATION, "fleet/b.yaml": refused, "fleet/c.yaml": elsewhere, "apps/one.yaml": MAP}
    )
    settings = Settings(
        repo=str(origin.path),
        path="fleet",
        name=namespace,
        kubeconfig=control_plane.kubeconfig,
        default_namespace=namespace,
        state_dir=tmp_path / "state",
    )
    found = await preview(settings)
    problems = {item.place: item.message for item in found.problems}
    assert problems == {
        "fleet/b.yaml:5:66": "spec.decryption.serviceAccountName is not supported yet: nobody logs in to a cloud as a "
        "ServiceAccount; name a Secret with keys in secretRef",
        "fleet/c.yaml:2:1": "Kustomization/flux-system/elsewhere: GitRepository 'flux-system/gone' does not exist",
    }
    inside = [(item.kustomization, str(item.key)) for item in found.objects if item.kustomization]
    assert inside == [("flux-system/apps", "ConfigMap/default/one")]
