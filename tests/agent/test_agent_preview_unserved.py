"""`gitsync plan` of a commit with Kustomizations: it says that they keep something away."""

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


async def test_a_plan_without_releases_names_the_kustomizations_that_are_why(
    control_plane: Cluster, namespace: str, tmp_path: Path
) -> None:
    origin = Repository.make(tmp_path / "origin")
    origin.commit({"apps.yaml": KUSTOMIZATION})
    settings = Settings(
        repo=str(origin.path),
        name=namespace,
        kubeconfig=control_plane.kubeconfig,
        default_namespace=namespace,
        state_dir=tmp_path / "state",
    )
    found = await preview(settings)
    assert found.exit_code == 1
    (problem,) = [item for item in found.problems if "Kustomization" in item.message]
    assert problem.place == "apps.yaml:2:1"
    assert problem.message.endswith("what it leads to is neither built nor applied; no HelmRelease was found")
    assert problem.hint == "sync a directory of plain manifests: name it with --path"
