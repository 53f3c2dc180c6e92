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
        "fleet/b.yaml:5:66": "spec.decryption.serviceAccountName is not supported yet: gitsync does not log in to a "
        "cloud as a ServiceAccount; name a Secret with keys in secretRef",
        "fleet/c.yaml:2:1": "Kustomization/flux-system/elsewhere: GitRepository 'flux-system/gone' does not exist",
    }
    inside = [(item.kustomization, str(item.key)) for item in found.objects if item.kustomization]
    assert inside == [("flux-system/apps", "ConfigMap/default/one")]


SOURCES = {
    "OCIRepository": "url: 'oci://registry.example/app'",
    "HelmRepository": "url: 'https://charts.example'",
    "GitRepository": "url: 'https://git.example/app'",
    "Bucket": "bucketName: apps, endpoint: s3.example",
    "HelmChart": "chart: app, sourceRef: {kind: HelmRepository, name: some}",
}


def unreadable(kind: str) -> str:
    """One with a field that nobody knows."""
    return (
        f"apiVersion: source.toolkit.fluxcd.io/v1\nkind: {kind}\n"
        f"metadata: {{name: it, namespace: flux-system}}\nspec: {{intervall: 1h, interval: 1h, {SOURCES[kind]}}}\n"
    )


def release_of(kind: str) -> str:
    if kind in ("OCIRepository", "HelmChart"):
        chart = f"chartRef: {{kind: {kind}, name: it}}"
    else:
        chart = f"chart: {{spec: {{chart: app, sourceRef: {{kind: {kind}, name: it}}}}}}"
    metadata = f"metadata: {{name: of-{kind.lower()}, namespace: flux-system}}"
    return f"apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\n{metadata}\nspec: {{interval: 1h, {chart}}}\n"


async def test_a_source_with_a_field_that_nobody_knows_is_not_said_to_be_missing(
    control_plane: Cluster, namespace: str, tmp_path: Path
) -> None:
    origin = Repository.make(tmp_path / "origin")
    files = {f"fleet/{kind.lower()}.yaml": unreadable(kind) for kind in SOURCES}
    files |= {f"fleet/of-{kind.lower()}.yaml": release_of(kind) for kind in SOURCES}
    built = KUSTOMIZATION.replace("GitRepository, name: flux-system}}", "GitRepository, name: it}}")
    origin.commit({**files, "fleet/built.yaml": built})
    settings = Settings(
        repo=str(origin.path),
        path="fleet",
        name=namespace,
        kubeconfig=control_plane.kubeconfig,
        default_namespace=namespace,
        state_dir=tmp_path / "state",
    )
    problems = {item.place: item.message for item in (await preview(settings)).problems}
    for kind in SOURCES:
        place = f"fleet/{kind.lower()}.yaml:4:8"
        assert "intervall: unknown field" in problems[place]
        said = next(text for where, text in problems.items() if where.startswith(f"fleet/of-{kind.lower()}.yaml"))
        assert f"{kind} 'flux-system/it' is not ready: it cannot be read in Git: {place}: " in said
    built_from = next(text for where, text in problems.items() if where.startswith("fleet/built.yaml"))
    assert "GitRepository 'flux-system/it' is not ready: it cannot be read in Git: " in built_from
    assert not any("does not exist" in text for text in problems.values())
