"""What is said about objects on the real control plane, while they come up, fail, and are mended."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from gitsync.api.identity import Manifest
from gitsync.health import Health, assess, pods_of
from tests.controlplane.cluster import Cli

WORKLOADS = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: app, image: "web:1"}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: broken}
spec:
  progressDeadlineSeconds: 1
  selector: {matchLabels: {app: broken}}
  template:
    metadata: {labels: {app: broken}}
    spec: {containers: [{name: app, image: "app:nonexistent"}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: redis-master}
spec:
  serviceName: redis
  selector: {matchLabels: {app: redis}}
  template:
    metadata: {labels: {app: redis}}
    spec: {containers: [{name: redis, image: "redis:nonexistent"}]}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec: {containers: [{name: agent, image: "agent:1"}]}
---
apiVersion: batch/v1
kind: Job
metadata: {name: migrate}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: m, image: "m:1"}]}}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: fails}
spec: {backoffLimit: 0, template: {spec: {restartPolicy: Never, containers: [{name: m, image: "m:1", args: [exit 1]}]}}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: v1
kind: Service
metadata: {name: lb}
spec: {type: LoadBalancer, ports: [{port: 80}]}
"""
MENDED = {
    "spec": {"replicas": 2, "template": {"spec": {"containers": [{"name": "app", "image": "app:1"}]}}},
}


def look(kubectl: Cli, namespace: str) -> dict[str, Health]:
    """The health of everything, by ``Kind/name``."""
    kinds = "deployment,statefulset,daemonset,job,pvc,service,pod"
    items: list[Manifest] = json.loads(kubectl("get", kinds, "-n", namespace, "-o", "json"))["items"]
    pods = [item for item in items if item["kind"] == "Pod"]
    return {f"{item['kind']}/{item['metadata']['name']}": assess(item, pods_of(item, pods)) for item in items}


def until(seen: Callable[[], dict[str, Health]], name: str, status: str) -> dict[str, Health]:
    deadline = time.monotonic() + 60
    while True:
        found = seen()
        if name in found and found[name].status == status:
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


def test_every_kind_settles_on_what_became_of_it(kubectl: Cli, namespace: str) -> None:
    kubectl("apply", "--server-side", "-n", namespace, "-f", "-", stdin=WORKLOADS)
    for name in ("Deployment/web", "DaemonSet/agent", "Job/migrate", "PersistentVolumeClaim/data"):
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
        "Service/lb": "no load balancer address yet",
    }
    assert found["StatefulSet/redis-master"].reason == "ImagePullBackOff"


def test_a_mended_deployment_never_counts_as_failed_again(kubectl: Cli, namespace: str) -> None:
    broken = WORKLOADS.split("---")[1]
    kubectl("apply", "--server-side", "-n", namespace, "-f", "-", stdin=broken)
    until(lambda: look(kubectl, namespace), "Deployment/broken", "failed")
    started = kubectl("get", "deployment", "broken", "-n", namespace, "-o", "jsonpath={.metadata.resourceVersion}")
    kubectl("patch", "deployment", "broken", "-n", namespace, "--type=merge", "-p", json.dumps(MENDED))
    until(lambda: look(kubectl, namespace), "Deployment/broken", "ready")

    states = history(kubectl, namespace, started)
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


def history(kubectl: Cli, namespace: str, version: str) -> list[Manifest]:
    """Every state of the Deployments since ``version``, as a watch gives them."""
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments?watch=true&timeoutSeconds=1&resourceVersion={version}"
    return [json.loads(line)["object"] for line in kubectl("get", "--raw", path).splitlines()]
