"""Which pods explain a workload, when a hook is done, and that no status breaks the reading of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitsync.api.identity import Manifest
from gitsync.health import MESSAGE_LIMIT, assess, finished, has_health, pods_of
from gitsync.health.registry import RULES


def pod(
    name: str,
    labels: dict[str, str] | None = None,
    owner: str = "",
    namespace: str = "default",
    uid: str = "",
    status: dict[str, Any] | None = None,
) -> Manifest:
    """``owner`` as ``Kind/name``."""
    kind, _, owner_name = owner.partition("/")
    owners = [{"kind": kind, "name": owner_name, "uid": uid, "controller": True}] if owner else []
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": labels or {}, "ownerReferences": owners},
        "spec": {"containers": [{"name": "app"}]},
        "status": status or {},
    }


def workload(kind: str, selector: dict[str, Any], uid: str = "") -> Manifest:
    metadata = {"name": "web", "namespace": "default", "uid": uid}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": {"selector": selector}}


def names(pods: list[Manifest]) -> list[str]:
    return [str(one["metadata"]["name"]) for one in pods]


WEB = {"app": "web"}


def test_a_deployments_pods_belong_to_its_replica_sets() -> None:
    deployment = workload("Deployment", {"matchLabels": WEB})
    pods = [
        pod("mine", WEB, "ReplicaSet/web-6d4cf56db6"),
        pod("of-another-deployment", WEB, "ReplicaSet/web-admin-6d4cf56db6"),
        pod("charts-test", WEB),
        pod("of-a-job", WEB, "Job/web-abc"),
        pod("elsewhere", WEB, "ReplicaSet/web-6d4cf56db6", namespace="other"),
        pod("other-labels", {"app": "api"}, "ReplicaSet/web-6d4cf56db6"),
    ]
    assert names(pods_of(deployment, pods)) == ["mine"]


def test_pods_of_a_predecessor_of_the_same_name_are_not_taken() -> None:
    stateful_set = workload("StatefulSet", {"matchLabels": WEB}, uid="new")
    pods = [pod("a", WEB, "StatefulSet/web", uid="old"), pod("b", WEB, "StatefulSet/web", uid="new")]
    assert names(pods_of(stateful_set, pods)) == ["b"]


@pytest.mark.parametrize(
    ("expression", "chosen"),
    [
        ({"key": "tier", "operator": "In", "values": ["front"]}, ["front"]),
        ({"key": "tier", "operator": "NotIn", "values": ["front"]}, ["back", "none"]),
        ({"key": "tier", "operator": "Exists"}, ["front", "back"]),
        ({"key": "tier", "operator": "DoesNotExist"}, ["none"]),
    ],
)
def test_selectors_with_expressions_choose_as_kubernetes_does(expression: dict[str, Any], chosen: list[str]) -> None:
    daemon_set = workload("DaemonSet", {"matchExpressions": [expression]})
    pods = [pod(tier, {} if tier == "none" else {"tier": tier}, "DaemonSet/web") for tier in ("front", "back", "none")]
    assert names(pods_of(daemon_set, pods)) == chosen


def test_a_workload_without_a_selector_has_no_pods() -> None:
    assert pods_of(workload("DaemonSet", {}), [pod("a", WEB, "DaemonSet/web")]) == []


def test_a_jobs_pods_bear_its_name_in_a_label() -> None:
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "web", "namespace": "default"}}
    pods = [
        pod("new-label", {"batch.kubernetes.io/job-name": "web"}, "Job/web"),
        pod("old-label", {"job-name": "web"}, "Job/web"),
        pod("other-job", {"job-name": "api"}, "Job/api"),
    ]
    assert names(pods_of(job, pods)) == ["new-label", "old-label"]


def test_a_service_has_no_pods_to_explain_it() -> None:
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "default"}}
    assert pods_of(service, [pod("a", WEB)]) == []


def crashing(name: str, created: str) -> Manifest:
    status = {
        "phase": "Running",
        "containerStatuses": [{"name": "app", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}],
    }
    found = pod(name, WEB, "StatefulSet/web", status=status)
    found["metadata"]["creationTimestamp"] = created
    return found


def three_replicas() -> Manifest:
    stateful_set = workload("StatefulSet", {"matchLabels": WEB})
    stateful_set["spec"]["replicas"] = 3
    stateful_set["status"] = {"replicas": 3}
    return stateful_set


def test_pods_with_the_same_trouble_are_counted_and_the_newest_is_named() -> None:
    pods = [crashing("web-0", "2026-07-01T10:00:00Z"), crashing("web-1", "2026-07-01T10:00:09Z")]
    assert assess(three_replicas(), pods).message == (
        "0 of 3 replicas ready; pod web-1 (and 1 more): CrashLoopBackOff: restarting"
    )


def test_what_is_broken_is_told_before_what_merely_starts() -> None:
    starting = pod("web-2", WEB, "StatefulSet/web", status={"phase": "Pending"})
    starting["metadata"]["creationTimestamp"] = "2026-07-01T11:00:00Z"
    pods = [crashing("web-0", "2026-07-01T10:00:00Z"), starting]
    assert assess(three_replicas(), pods).reason == "CrashLoopBackOff"


def test_a_pod_that_is_being_deleted_explains_nothing() -> None:
    leaving = crashing("web-0", "2026-07-01T10:00:00Z")
    leaving["metadata"]["deletionTimestamp"] = "2026-07-01T10:01:00Z"
    assert assess(three_replicas(), [leaving]).message == "0 of 3 replicas ready"


def test_a_stateful_sets_old_broken_pod_is_named_when_the_new_one_is_fine() -> None:
    old = crashing("web-0", "2026-07-01T10:00:00Z")
    new = pod(
        "web-1",
        WEB,
        "StatefulSet/web",
        status={"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    )
    new["metadata"]["creationTimestamp"] = "2026-07-01T11:00:00Z"
    old["metadata"]["labels"] = WEB | {"controller-revision-hash": "web-1"}
    new["metadata"]["labels"] = WEB | {"controller-revision-hash": "web-2"}
    assert "pod web-0: CrashLoopBackOff" in assess(three_replicas(), [old, new]).message


def test_a_hook_pod_is_done_when_it_has_ended_not_when_it_is_ready() -> None:
    running = pod("test", status={"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]})
    assert assess(running).status == "ready"
    assert (finished(running).status, finished(running).message) == ("progressing", "still running")
    assert finished(pod("test", status={"phase": "Succeeded"})).status == "ready"
    assert finished(pod("test", status={"phase": "Failed"})).status == "failed"


def test_a_hook_pod_that_cannot_start_says_why() -> None:
    status = {
        "phase": "Pending",
        "containerStatuses": [{"name": "app", "state": {"waiting": {"reason": "ErrImagePull"}}}],
    }
    assert finished(pod("test", status=status)).reason == "ErrImagePull"


def test_a_hook_job_must_run_to_its_end_a_suspended_one_has_not() -> None:
    job: Manifest = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "migrate"}, "status": {}}
    assert finished(job).status == "progressing"
    job["status"]["conditions"] = [{"type": "Suspended", "status": "True"}]
    assert (finished(job).status, finished(job).reason) == ("progressing", "Suspended")
    job["status"]["conditions"] = [{"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}]
    assert (finished(job).status, finished(job).reason) == ("failed", "DeadlineExceeded")
    job["status"]["conditions"] = [{"type": "Complete", "status": "True"}]
    assert finished(job).status == "ready"


def test_a_hook_of_any_other_kind_is_done_once_it_exists() -> None:
    deployment = workload("Deployment", {"matchLabels": WEB})
    assert assess(deployment | {"status": {}, "metadata": {"generation": 1}}).status == "progressing"
    assert finished(deployment).status == "ready"


FIELDS = (
    "status spec conditions type reason message metadata state waiting terminated name labels selector matchLabels "
    "containerStatuses phase generation observedGeneration replicas"
)
words = st.sampled_from(FIELDS.split())
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=60)
@given(
    st.sampled_from([*RULES, ("example.com", "Widget"), ("", "ConfigMap")]),
    st.dictionaries(words, json_values),
    st.lists(st.dictionaries(words, json_values), max_size=2),
)
def test_no_shape_of_a_status_breaks_the_reading(kind: tuple[str, str], fields: Manifest, pods: list[Manifest]) -> None:
    manifest = fields | {"apiVersion": f"{kind[0]}/v1" if kind[0] else "v1", "kind": kind[1]}
    pods_of(manifest, pods)
    for health in (assess(manifest, pods), finished(manifest, pods)):
        assert health.status in ("ready", "progressing", "failed")
        assert len(health.message) <= MESSAGE_LIMIT
        assert health.message.isprintable()
        if not has_health(*kind) and not fields.get("metadata"):
            assert health.status == "ready"
