"""`gitsync plan` and `gitsync get` show drift that the agent only warns of."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Gitsync
from tests.cli.manifests import CHART, RELEASE
from tests.controlplane.cluster import Cluster
from tests.git.git_world import Repository

RELEASES = "/apis/helm.toolkit.fluxcd.io/v2/namespaces/{}/helmreleases"
DRIFT = "the cluster differs from the release: ConfigMap/shop/settings (data.text, last written by kubectl-edit)"


def said_to_have_drifted(cluster: Cluster, namespace: str) -> None:
    """The HelmRelease as an agent leaves it."""
    source = {"kind": "GitRepository", "name": "flux-system"}
    spec = {"interval": "5m", "chart": {"spec": {"chart": "./charts/app", "sourceRef": source}}}
    manifest = {
        "apiVersion": "helm.toolkit.fluxcd.io/v2",
        "kind": "HelmRelease",
        "metadata": {"name": "app", "namespace": namespace},
        "spec": {**spec, "driftDetection": {"mode": "warn"}},
    }
    made = cluster.request("POST", RELEASES.format(namespace), manifest)
    time = "2026-01-01T00:00:00Z"
    made["status"] = {
        "conditions": [
            {"type": kind, "status": "True", "reason": "Said", "message": message, "lastTransitionTime": time}
            for kind, message in (("Ready", "installed"), ("Drifted", DRIFT))
        ]
    }
    cluster.request("PUT", f"{RELEASES.format(namespace)}/app/status", made)


def test_drift_is_shown_by_plan_and_get(
    gitsync: Gitsync, our_kinds: None, control_plane: Cluster, namespace: str, tmp_path: Path
) -> None:
    said_to_have_drifted(control_plane, namespace)
    origin = Repository.make(tmp_path / "origin")
    origin.commit(CHART | {"fleet/app.yaml": RELEASE.format(namespace=namespace)})
    plan = ("plan", "--repo", str(origin.path), "--path", "fleet", "--state-dir", str(tmp_path / "state"))

    assert f"Drift: {namespace}/app: {DRIFT}." in gitsync(*plan).out
    (found,) = json.loads(gitsync(*plan, "-o", "json").out)["drifted"]
    assert found == {"namespace": namespace, "name": "app", "message": DRIFT}
    assert f"installed; {DRIFT}" in gitsync("get", "helmreleases", "-n", namespace).out

    live = control_plane.request("GET", f"{RELEASES.format(namespace)}/app")
    live["status"]["conditions"].pop()
    control_plane.request("PUT", f"{RELEASES.format(namespace)}/app/status", live)
    assert "Drift" not in gitsync(*plan).out
    assert json.loads(gitsync(*plan, "-o", "json").out)["drifted"] == []
