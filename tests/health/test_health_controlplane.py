"""What is said about objects on the real control plane, while they come up, fail, and are mended."""

from __future__ import annotations

import json

from gitsync.api.identity import Manifest
from gitsync.health import assess
from tests.controlplane.cluster import Cli
from tests.health.live import WORKLOADS, history, look, until

MENDED = {
    "spec": {
        "replicas": 2,
        "progressDeadlineSeconds": 600,  # as slow as the machine may be: what is mended has not failed again
        "template": {"spec": {"containers": [{"name": "app", "image": "app:1"}]}},
    },
}


def test_every_kind_settles_on_what_became_of_it(kubectl: Cli, namespace: str) -> None:
    kubectl("apply", "--server-side", "-n", namespace, "-f", "-", stdin=WORKLOADS)
    for name in ("Deployment/web", "DaemonSet/agent", "Job/migrate", "PersistentVolumeClaim/data", "Service/lb"):
        until(lambda: look(kubectl, namespace), name, "ready")
    until(lambda: look(kubectl, namespace), "Job/fails", "failed")
    found = until(lambda: look(kubectl, namespace), "Deployment/broken", "failed")
    (fails,) = (name for name in found if name.startswith("Pod/fails-"))
    (broken,) = (name for name in found if name.startswith("Pod/broken-"))
    assert {
        name: health.message for name, health in found.items() if health.status != "ready" and name[:4] != "Pod/"
    } == {
        "Deployment/broken": "progress deadline exceeded; 0 of 1 replicas ready; "
        f'pod {broken[4:]}: ImagePullBackOff: Back-off pulling image "app:nonexistent"',
        "StatefulSet/redis-master": "0 of 1 replicas ready; "
        'pod redis-master-0: ImagePullBackOff: Back-off pulling image "redis:nonexistent"',
        "Job/fails": "Job has reached the specified backoff limit; 0 of 1 completions, 1 failed; "
        f"pod {fails[4:]}: exit code 1 (Error)",
    }
    assert found["StatefulSet/redis-master"].reason == "ImagePullBackOff"


def test_a_mended_deployment_never_counts_as_failed_again(kubectl: Cli, namespace: str) -> None:
    broken = WORKLOADS.split("---")[1]
    kubectl("apply", "--server-side", "-n", namespace, "-f", "-", stdin=broken)
    until(lambda: look(kubectl, namespace), "Deployment/broken", "failed")
    started = kubectl("get", "deployment", "broken", "-n", namespace, "-o", "jsonpath={.metadata.resourceVersion}")
    kubectl("patch", "deployment", "broken", "-n", namespace, "--type=merge", "-p", json.dumps(MENDED))
    until(lambda: look(kubectl, namespace), "Deployment/broken", "ready")

    states = history(kubectl, f"/apis/apps/v1/namespaces/{namespace}/deployments", started)
    mended = [state for state in states if state["metadata"]["generation"] == 2]
    stale = [
        state
        for state in mended
        if state["status"].get("observedGeneration") == 2
        and any(found.get("reason") == "ProgressDeadlineExceeded" for found in state["status"]["conditions"])
    ]
    assert stale, "the controller shows the old verdict for a moment: what this test is about"
    assert "failed" not in {assess(state).status for state in mended}
    assert assess(mended[-1]).status == "ready"
    assert [state for state in mended[:-1] if assess(state).status == "ready" and updated(state) < 2] == []


def updated(deployment: Manifest) -> int:
    return int(deployment["status"].get("updatedReplicas", 0))
