"""Objects on the real control plane, and every state that they have been through."""

from __future__ import annotations

import json
from collections.abc import Callable

from gitsync.api.identity import Manifest
from gitsync.health import Health, assess, pods_of
from tests.controlplane.cluster import Cli
from tests.until import ask_until

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


def look(kubectl: Cli, namespace: str) -> dict[str, Health]:
    """The health of everything, by ``Kind/name``."""
    kinds = "deployment,statefulset,daemonset,job,pvc,service,pod"
    items: list[Manifest] = json.loads(kubectl("get", kinds, "-n", namespace, "-o", "json"))["items"]
    pods = [item for item in items if item["kind"] == "Pod"]
    return {f"{item['kind']}/{item['metadata']['name']}": assess(item, pods_of(item, pods)) for item in items}


def until(seen: Callable[[], dict[str, Health]], name: str, status: str) -> dict[str, Health]:
    return ask_until(seen, lambda found: name in found and found[name].status == status, f"{name} is {status}")


def history(kubectl: Cli, path: str, version: str) -> list[Manifest]:
    """Every state since ``version`` of the objects of a collection, as a watch gives them."""
    query = f"watch=true&timeoutSeconds=1&resourceVersion={version}"
    return [json.loads(line)["object"] for line in kubectl("get", "--raw", f"{path}?{query}").splitlines()]
