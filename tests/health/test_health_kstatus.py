"""Ready means what kstatus says, by which Helm 4 and Flux wait: its own code judges the same objects. Where the two
differ the table of deviations says why.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

import gitsync.sandbox
from gitsync.api.builtin import is_builtin
from gitsync.api.identity import Manifest
from gitsync.health import Status, assess, has_health
from tests.controlplane.cluster import Cli
from tests.health.deviations import DEVIATIONS, Deviation
from tests.health.kstatus import Kstatus
from tests.health.live import WORKLOADS, history, look, until
from tests.health.objects import GENERATED, Kind
from tests.health.recorded import cases

CONCEPTS = Path(__file__).parents[2] / "docs" / "concepts.md"
#: Beside those of WORKLOADS: kinds that kstatus judges by what holds for all kinds, or does not know.
MORE = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  replicas: 2
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: db, image: "db:1"}]}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
spec: {minAvailable: 1, selector: {matchLabels: {app: web}}}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: none}
spec: {maxReplicas: 3, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: none}}
---
apiVersion: v1
kind: ReplicationController
metadata: {name: old}
spec:
  replicas: 1
  template:
    metadata: {labels: {app: old}}
    spec: {containers: [{name: app, image: "old:1"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: fits-nowhere}
spec: {nodeSelector: {there: is-none}, containers: [{name: app, image: "app:1"}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec: {defaultBackend: {service: {name: lb, port: {number: 80}}}}
"""
#: Under /api/v1 or /apis, without and with the namespace between group and plural.
COLLECTIONS = (
    *("api/v1/pods", "api/v1/services", "api/v1/persistentvolumeclaims", "api/v1/replicationcontrollers"),
    *("apis/apps/v1/deployments", "apis/apps/v1/statefulsets", "apis/apps/v1/daemonsets", "apis/apps/v1/replicasets"),
    *("apis/batch/v1/jobs", "apis/policy/v1/poddisruptionbudgets", "apis/autoscaling/v2/horizontalpodautoscalers"),
    "apis/networking.k8s.io/v1/ingresses",
)


def deviation(kstatus: Kstatus, manifest: Manifest) -> Deviation | None:
    """Why the verdicts on an object differ; None when they do not. Fails when they differ for no known reason."""
    ours, theirs = assess(manifest).status, kstatus.judge(manifest)
    if ours == theirs:
        return None
    known = [one for one in DEVIATIONS if one.explains(manifest, ours, theirs)]
    assert known, f"kstatus says {theirs} ({kstatus.message}), we say {assess(manifest)}, of {manifest}"
    return known[0]


@pytest.mark.parametrize("case", cases())
def test_fixture(case: dict[str, Any], kstatus: Kstatus) -> None:
    deviation(kstatus, case["manifest"])
    verdicts = {assess(case["manifest"], pods).status for pods in ((), case.get("pods", ()))}
    assert len(verdicts) == 1, "pods explain, and never decide"


@pytest.mark.parametrize("kind", GENERATED, ids=lambda kind: str(kind.name))
def test_generated(kind: Kind, kstatus: Kstatus) -> None:
    seen: set[Status] = set()

    @settings(max_examples=8 * len(kind.changes), derandomize=True)
    @given(kind.objects())
    def agree(manifest: Manifest) -> None:
        deviation(kstatus, manifest)
        seen.add(assess(manifest).status)

    agree()
    assert seen >= {"ready", "progressing"}


def test_every_deviation_is_met_and_is_documented(kstatus: Kstatus) -> None:
    met = {deviation(kstatus, param.values[0]["manifest"]) for param in cases()}
    assert met == {None, *DEVIATIONS}, "each has a fixture"

    lines = CONCEPTS.read_text().splitlines()
    head = lines.index("| of | when | gitsync says | kstatus says | because |")
    rows = lines[head + 2 : lines.index("", head)]
    assert rows == [one.row for one in DEVIATIONS]


def test_objects_are_judged_alike_at_every_moment_of_their_lives(
    kubectl: Cli, namespace: str, kstatus: Kstatus
) -> None:
    started = json.loads(kubectl("get", "--raw", f"/api/v1/namespaces/{namespace}/pods"))["metadata"]["resourceVersion"]
    kubectl("apply", "--server-side", "-n", namespace, "-f", "-", stdin=f"{WORKLOADS}---{MORE}")
    changing = ("Deployment/web", "StatefulSet/db", "DaemonSet/agent")
    for name in (*changing, "Job/migrate", "PersistentVolumeClaim/data"):
        until(lambda: look(kubectl, namespace), name, "ready")
    for name in ("Deployment/broken", "Job/fails"):
        until(lambda: look(kubectl, namespace), name, "failed")
    kubectl("set", "image", *changing, "*=app:2", "-n", namespace)
    for name in changing:
        until(lambda: look(kubectl, namespace), name, "ready")
    kubectl("scale", "deployment/web", "statefulset/db", "--replicas=0", "-n", namespace)
    kubectl("delete", "daemonset/agent", "job/migrate", "service/lb", "-n", namespace, "--wait=true")

    def lived(collection: str) -> list[Manifest]:
        group_version, _, plural = collection.rpartition("/")
        return history(kubectl, f"/{group_version}/namespaces/{namespace}/{plural}", started)

    with ThreadPoolExecutor() as threads:  # each watch lasts a second
        states = [state for found in threads.map(lived, COLLECTIONS) for state in found]
    seen = {(state["kind"], assess(state).status) for state in states}
    assert {kind for kind, status in seen if status == "ready"} >= {"Deployment", "StatefulSet", "DaemonSet", "Job"}
    assert {status for _, status in seen} == {"ready", "progressing", "failed"}
    assert len(seen) > len(COLLECTIONS)
    met = {deviation(kstatus, state) for state in states}
    assert {one.kind for one in met if one} >= {"Job", "ReplicationController"}


def test_whatever_is_in_a_cluster_is_judged_alike(kubectl: Cli, kstatus: Kstatus) -> None:
    names = kubectl("api-resources", "--verbs=list", "-o", "name").split()
    found: list[Manifest] = json.loads(kubectl("get", ",".join(names), "--all-namespaces", "-o", "json"))["items"]
    assert {one["kind"] for one in found} >= {"Node", "APIService", "ServiceCIDR", "ClusterRole", "FlowSchema"}
    for manifest in found:
        deviation(kstatus, manifest)


def test_kinds_of_kubernetes_whose_status_says_how_they_are_are_known() -> None:
    recording = Path(gitsync.sandbox.__file__).with_name("kubernetes.json.gz")
    schemas = json.loads(gzip.decompress(recording.read_bytes()))["schemas"]
    telling = {
        (meant["group"], meant["kind"])
        for schema in schemas.values()
        for meant in schema.get("x-kubernetes-group-version-kind", ())
        if {"observedGeneration", "conditions"} & set(status_fields(schemas, schema))
    }
    assert ("apps", "Deployment") in telling
    assert {kind for kind in telling if is_builtin(kind[0]) and not has_health(*kind)} == set()


def status_fields(schemas: dict[str, Any], schema: dict[str, Any]) -> Iterable[str]:
    status = schema.get("properties", {}).get("status", {})
    for part in (status, *status.get("allOf", ())):
        if "$ref" in part:
            yield from schemas[part["$ref"].rpartition("/")[2]].get("properties", {})
