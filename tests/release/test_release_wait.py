"""Applying and waiting on a real control plane: deadlines with reasons, interrupts, and what gets in between."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.parts.rendering import HealthCheck
from gitsync.apply.applier import Applier
from gitsync.apply.crds import apply_crds
from gitsync.apply.deleted import find_all, wait_deleted
from gitsync.apply.namespaces import fill_namespaces
from gitsync.apply.readiness import HealthChecks, Readiness
from gitsync.apply.wait import WaitFor, older, wait_ready
from gitsync.cel.expressions import Expressions
from gitsync.cluster import Cluster
from gitsync.errors import Invalid, NotReadyInTime, ObjectFailed, Superseded
from gitsync.health import Health, helm_waits_for, stuck_pods
from gitsync.runtime.interrupt import Interrupt
from gitsync.runtime.progress import SILENCE, reporting
from tests.controlplane.cluster import Cluster as ControlPlane
from tests.release.late import LateWatch
from tests.until import until

MANAGER = "gitsync-test"
LABELS = {"app": "waited-for"}
SELECTOR = "app=waited-for"
IMAGE = "registry.example/app:1.0"


@pytest.fixture
async def live(control_plane: ControlPlane) -> AsyncIterator[Cluster]:
    async with await Cluster.connect(kubeconfig=control_plane.kubeconfig) as connected:
        yield connected


def workload(namespace: str, kind: str = "Deployment", name: str = "web", image: str = IMAGE, *args: str) -> Manifest:
    """A Deployment, StatefulSet or Job of one pod."""
    container = {"name": "app", "image": image, "args": list(args)}
    template: Manifest = {"metadata": {"labels": LABELS}, "spec": {"containers": [container]}}
    spec: Manifest = {"template": template}
    if kind == "Job":
        template["spec"]["restartPolicy"] = "Never"
        spec["backoffLimit"] = 0
    else:
        spec |= {"selector": {"matchLabels": LABELS}, "replicas": 1}
    if kind == "StatefulSet":
        spec["serviceName"] = name
    return {
        "apiVersion": "batch/v1" if kind == "Job" else "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "labels": LABELS},
        "spec": spec,
    }


def config_map(namespace: str, name: str = "settings", **metadata: Any) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, "labels": LABELS, **metadata},
    }


async def applied(live: Cluster, *manifests: Manifest) -> dict[ObjectKey, Manifest]:
    return await Applier(live, MANAGER).apply_all(manifests)


async def watched(live: Cluster, watches: int = 1) -> None:
    """A wait has seen what there is: so many of its watches have got beyond their list."""
    await until(lambda: live.requests["watch"] >= watches)


async def pulls_in_vain(live: Cluster, namespace: str) -> bool:
    """A pod is there and says why it does not run."""
    pods = await live.list("", "Pod", namespace=namespace)
    return any("waiting" in item["state"] for pod in pods for item in pod["status"].get("containerStatuses", ()))


def wanting(objects: dict[ObjectKey, Manifest], timeout: float = 60.0, **more: Any) -> WaitFor:
    return WaitFor(objects, SELECTOR, timeout, **more)


async def test_a_wait_ends_when_the_last_object_is_ready(live: Cluster, namespace: str) -> None:
    objects = await applied(live, config_map(namespace), workload(namespace), workload(namespace, "Job", "migrate"))

    await wait_ready(live, wanting(objects), Interrupt())

    deployment = await live.get(ObjectKey("apps", "Deployment", namespace, "web"))
    job = await live.get(ObjectKey("batch", "Job", namespace, "migrate"))
    assert deployment["status"]["availableReplicas"] == 1
    assert job["status"]["succeeded"] == 1


async def test_kinds_that_are_ready_once_they_exist_cost_no_request(live: Cluster, namespace: str) -> None:
    objects = await applied(live, config_map(namespace))
    before = live.requests.total()

    await wait_ready(live, wanting(objects), Interrupt())

    assert live.requests.total() == before


async def test_jobs_are_left_out_when_nobody_waits_for_jobs(live: Cluster, namespace: str) -> None:
    objects = await applied(live, workload(namespace, "Job", "endless", IMAGE, "--unready"))
    await wait_ready(live, wanting(objects, readiness=Readiness(jobs=False)), Interrupt())


def checked(expressions: Expressions, **texts: str) -> Readiness:
    """ConfigMaps, for which gitsync has no rule, judged by expressions."""
    check = HealthCheck.model_validate({"apiVersion": "v1", "kind": "ConfigMap", **texts})
    return Readiness(checks=HealthChecks([check], expressions))


async def test_expressions_are_asked_at_each_change_and_their_kind_is_said(live: Cluster, namespace: str) -> None:
    objects = await applied(live, {**config_map(namespace), "data": {"phase": "starting"}}, workload(namespace))
    key = ObjectKey("", "ConfigMap", namespace, "settings")
    told: asyncio.Queue[str] = asyncio.Queue()
    async with Expressions() as expressions:
        readiness = checked(expressions, inProgress="data.phase == 'starting'", current="data.done == 'yes'")
        want = wanting(objects, readiness=readiness, on_reason=told.put)
        waiting = asyncio.create_task(wait_ready(live, want, Interrupt()))
        for phase, reason in (
            ("", "healthCheckExprs inProgress is true"),
            ("working", "healthCheckExprs current: no such key: done"),
        ):
            if phase:
                await live.patch(key, {"data": {"phase": phase}}, manager=MANAGER)
            await until_told(told, f"{key}: {reason}")
        await live.patch(key, {"data": {"done": "yes"}}, manager=MANAGER)
        await asyncio.wait_for(waiting, 60)


async def until_told(told: asyncio.Queue[str], reason: str) -> None:
    """Wait for a reason; the others may come before it."""
    async with asyncio.timeout(60):
        while not (await told.get()).startswith(reason):
            pass


async def test_expressions_end_a_wait_as_failed_or_at_its_deadline(live: Cluster, namespace: str) -> None:
    objects = await applied(live, {**config_map(namespace), "data": {"phase": "broken"}})
    async with Expressions() as expressions:
        broken = checked(expressions, failed="data.phase == 'broken'", current="false")
        with pytest.raises(ObjectFailed, match="settings: healthCheckExprs failed is true"):
            await wait_ready(live, wanting(objects, readiness=broken), Interrupt())

        missing = checked(expressions, current="status.ready")
        with pytest.raises(
            NotReadyInTime, match=r"settings: healthCheckExprs current: no such field or function: status"
        ):
            await wait_ready(live, wanting(objects, 0.5, readiness=missing), Interrupt())


async def test_the_legacy_strategy_still_waits_for_workloads(live: Cluster, namespace: str) -> None:
    legacy = Readiness(helm_waits_for)
    autoscaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web", "namespace": namespace, "labels": LABELS},
        "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "maxReplicas": 2},
    }
    objects = await applied(live, workload(namespace), autoscaler)
    await wait_ready(live, wanting(objects, readiness=legacy), Interrupt())

    objects = await applied(live, workload(namespace, "Deployment", "web", IMAGE, "--unready"), autoscaler)
    with pytest.raises(NotReadyInTime, match="Deployment/"):
        await wait_ready(live, wanting(objects, 0.5, readiness=legacy), Interrupt())


async def test_a_deadline_names_the_object_and_its_pod_s_reason(live: Cluster, namespace: str) -> None:
    objects = await applied(live, workload(namespace, image="registry.example/app:nonexistent"))
    started = time.monotonic()

    with pytest.raises(NotReadyInTime) as raised:
        await wait_ready(live, wanting(objects, 2.5), Interrupt())

    assert time.monotonic() - started >= 2.5
    message = raised.value.message
    assert message.startswith(f"not ready within 2.5s: Deployment/{namespace}/web: 0 of 1 replicas ready; pod web-")
    assert 'ImagePullBackOff: Back-off pulling image "registry.example/app:nonexistent"' in message


async def test_a_deadline_shorter_than_the_silence_still_knows_the_pods(live: Cluster, namespace: str) -> None:
    objects = await applied(live, workload(namespace, image="registry.example/app:nonexistent"))
    await until(lambda: pulls_in_vain(live, namespace))

    with pytest.raises(NotReadyInTime, match="ImagePullBackOff"):
        await wait_ready(live, wanting(objects, SILENCE / 2), Interrupt())


async def test_an_interrupt_ends_a_wait_at_once_and_leaves_nothing_behind(live: Cluster, namespace: str) -> None:
    objects = await applied(live, workload(namespace, "Deployment", "web", IMAGE, "--unready"))
    interrupt = Interrupt()
    waiting = asyncio.create_task(wait_ready(live, wanting(objects, 60), interrupt))
    await watched(live)
    before = asyncio.all_tasks() - {waiting}

    interrupt.set("commit 3f2a91c changes it")
    interrupt.set("a later reason")
    started = time.monotonic()
    with pytest.raises(Superseded, match="commit 3f2a91c changes it"):
        await waiting

    assert time.monotonic() - started < 30  # and not the 60 seconds of its deadline
    await asyncio.sleep(0)
    assert asyncio.all_tasks() <= before


async def test_a_cancelled_wait_leaves_nothing_behind(live: Cluster, namespace: str) -> None:
    objects = await applied(live, workload(namespace, "Deployment", "web", IMAGE, "--unready"))
    waiting = asyncio.create_task(wait_ready(live, wanting(objects, 60), Interrupt()))
    await watched(live, 2)  # pods, too: somebody wants to know what it is about
    before = asyncio.all_tasks() - {waiting}

    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    await asyncio.sleep(0)
    assert asyncio.all_tasks() <= before


async def test_an_object_deleted_while_waited_for_is_said_to_be(live: Cluster, namespace: str) -> None:
    objects = await applied(live, workload(namespace, "Deployment", "web", IMAGE, "--unready"))
    waiting = asyncio.create_task(wait_ready(live, wanting(objects, 2), Interrupt()))
    await watched(live)

    await live.delete(next(iter(objects)))

    with pytest.raises(NotReadyInTime, match="web: was deleted while being waited for"):
        await waiting


async def test_an_object_put_back_by_somebody_else_ends_the_wait(live: Cluster, namespace: str) -> None:
    objects = await applied(live, workload(namespace, "Deployment", "web", IMAGE, "--unready"))
    waiting = asyncio.create_task(wait_ready(live, wanting(objects), Interrupt()))
    await watched(live)

    await live.delete(next(iter(objects)))
    await applied(live, workload(namespace))

    await waiting


async def test_a_failing_job_ends_the_wait_with_its_pod_s_reason(live: Cluster, namespace: str) -> None:
    objects = await applied(live, workload(namespace, "Job", "migrate", IMAGE, "exit 1"), workload(namespace))

    with pytest.raises(ObjectFailed) as raised:
        await wait_ready(live, wanting(objects, 60), Interrupt())

    assert raised.value.key == ObjectKey("batch", "Job", namespace, "migrate")
    assert "1 failed" in raised.value.message
    assert "pod migrate-" in raised.value.message
    assert "exit code 1" in raised.value.message


async def test_an_object_that_had_failed_before_says_so_at_once(live: Cluster, namespace: str) -> None:
    objects = await applied(live, workload(namespace, "Job", "migrate", IMAGE, "exit 1"))
    with pytest.raises(ObjectFailed):
        await wait_ready(live, wanting(objects, 60), Interrupt())

    again = await applied(live, workload(namespace, "Job", "migrate", IMAGE, "exit 1"))

    with pytest.raises(ObjectFailed, match="exit code 1"):
        await wait_ready(live, wanting(again, 60), Interrupt())


@pytest.mark.parametrize("heard", [0, -1], ids=["of all", "of its end alone"])
async def test_what_has_failed_has_also_when_it_is_gone_before_anybody_looks(
    live: Cluster, namespace: str, heard: int
) -> None:
    """As a Job whose time to live after its end is nothing."""
    late = LateWatch(live)
    objects = await applied(live, workload(namespace, "Deployment", "web", IMAGE, "--unready"))
    (key,) = objects

    def judge(manifest: Manifest, pods: Sequence[Manifest]) -> Health:
        failed = "failed" in (manifest["metadata"].get("annotations") or {})
        return Health("failed", "Failed", "has failed") if failed else Health("progressing", "Runs", "runs")

    want = wanting(objects, 10, judge=judge)
    waiting = asyncio.create_task(wait_ready(late, want, Interrupt()))  # type: ignore[arg-type]
    await until(lambda: late.heard)
    await live.patch(key, {"metadata": {"annotations": {"failed": "yes"}}}, manager=MANAGER)
    await live.delete(key)
    await until(lambda: any(event.key == key and event.type == "DELETED" for event in late.held))
    late.deliver(*late.held[heard:])

    with pytest.raises(ObjectFailed, match="has failed"):
        await waiting


async def test_reasons_are_told_once_a_second_at_most(live: Cluster, namespace: str) -> None:
    objects = await applied(live, workload(namespace))
    key = next(iter(objects))
    told: list[tuple[float, str]] = []

    async def listen(reason: str) -> None:
        told.append((time.monotonic(), reason))

    def judge(manifest: Manifest, pods: Sequence[Manifest]) -> Health:
        step = (manifest["metadata"].get("annotations") or {}).get("step", "0")
        return Health("ready") if step == "done" else Health("progressing", "Step", f"at step {step}")

    started = time.monotonic()
    waiting = asyncio.create_task(wait_ready(live, wanting(objects, judge=judge, on_reason=listen), Interrupt()))
    for step in [*range(30), "done"]:
        await live.patch(key, {"metadata": {"annotations": {"step": str(step)}}}, manager=MANAGER)
        await asyncio.sleep(0.1)  # the rate of the changes is what this is about
    await waiting

    moments = [moment for moment, _ in told]
    assert 2 <= len(told) <= 1 + (time.monotonic() - started) / SILENCE
    assert moments[0] - started >= SILENCE * 0.95
    assert len({reason for _, reason in told}) == len(told), "nothing is told twice"
    assert told[0][1].startswith(f"{key}: at step ")


async def test_a_reason_that_stays_is_told_once(live: Cluster, namespace: str) -> None:
    objects = await applied(live, workload(namespace, image="registry.example/app:nonexistent"))
    told: list[str] = []

    async def listen(reason: str) -> None:
        told.append(reason)

    with pytest.raises(NotReadyInTime):
        await wait_ready(live, wanting(objects, 3.5, on_reason=listen), Interrupt())

    assert len(told) == 1
    assert "ImagePullBackOff" in told[0]


async def test_a_reason_that_stays_is_told_again_to_who_asks_for_that(live: Cluster, namespace: str) -> None:
    objects = await applied(live, workload(namespace, "Deployment", "web", IMAGE, "--unready"))
    told: list[str] = []

    async def listen(reason: str) -> bool:
        told.append(reason)
        return len(told) < 3

    with pytest.raises(NotReadyInTime):
        await wait_ready(
            live,
            wanting(objects, 7 * SILENCE, judge=lambda *_: Health("progressing", "Stays", "stays"), on_reason=listen),
            Interrupt(),
        )

    assert told == [f"Deployment/{namespace}/web: stays"] * 3


async def test_a_statefulset_stuck_on_a_broken_pod_is_freed_by_the_fix(live: Cluster, namespace: str) -> None:
    broken = await applied(live, workload(namespace, "StatefulSet", "db", "registry.example/app:nonexistent"))
    with pytest.raises(NotReadyInTime, match="ImagePullBackOff"):
        await wait_ready(live, wanting(broken, 2), Interrupt())
    pod = ObjectKey("", "Pod", namespace, "db-0")
    stuck = await live.get(pod)

    fixed = await applied(live, workload(namespace, "StatefulSet", "db"))
    await wait_ready(live, wanting(fixed), Interrupt())

    assert (await live.get(pod))["metadata"]["uid"] != stuck["metadata"]["uid"]


async def test_a_pod_that_may_not_be_deleted_is_said_once_and_waited_for(live: Cluster, namespace: str) -> None:
    """Somebody who may delete it can still do that."""
    looks = ["get", "list", "watch"]
    rules = [
        {"apiGroups": ["apps"], "resources": ["statefulsets"], "verbs": looks},
        {"apiGroups": [""], "resources": ["pods"], "verbs": looks},
    ]
    rbac = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "few", "namespace": namespace}}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "few"}
    subjects = [{"kind": "ServiceAccount", "name": "few", "namespace": namespace}]
    await live.apply({**config_map(namespace, "few"), "kind": "ServiceAccount"}, manager=MANAGER)
    await live.apply({**rbac, "kind": "Role", "rules": rules}, manager=MANAGER)
    await live.apply({**rbac, "kind": "RoleBinding", "roleRef": role, "subjects": subjects}, manager=MANAGER)
    await applied(live, workload(namespace, "StatefulSet", "db", "registry.example/app:nonexistent"))
    await until(lambda: pulls_in_vain(live, namespace))
    fixed = await applied(live, workload(namespace, "StatefulSet", "db"))
    with capture_logs() as lines:
        waiting = asyncio.create_task(wait_ready(live.impersonating(namespace, "few"), wanting(fixed), Interrupt()))
        refused = "a pod that blocks the update stays"
        await until(lambda: any(line["event"] == refused for line in lines) or waiting.done())
        for number in range(2):  # news of the pod, so that it is looked at again
            note = {"metadata": {"annotations": {"number": str(number)}}}
            await live.patch(ObjectKey("", "Pod", namespace, "db-0"), note, manager=MANAGER)
            await asyncio.sleep(1.5 * SILENCE)  # time in which it could be said once more
        await live.delete(ObjectKey("", "Pod", namespace, "db-0"))
        await waiting

    said = [(line["event"], line["log_level"]) for line in lines if line.get("object") == f"Pod/{namespace}/db-0"]
    assert said == [("deleting a pod that blocks the update", "info"), (refused, "warning")]


def stateful_set(**spec: Any) -> Manifest:
    status = {"observedGeneration": 2, "updateRevision": "db-new"}
    return {"kind": "StatefulSet", "metadata": {"name": "db", "generation": 2}, "spec": spec, "status": status}


def pod(revision: str = "db-old", reason: str = "ImagePullBackOff", **metadata: Any) -> Manifest:
    state = {"waiting": {"reason": reason}} if reason else {"running": {}}
    labels = {"controller-revision-hash": revision}
    return {
        "metadata": {"name": "db-0", "labels": labels} | metadata,
        "status": {"containerStatuses": [{"state": state}]},
    }


def test_only_a_hopeless_pod_of_an_old_revision_is_stuck() -> None:
    assert stuck_pods(stateful_set(), [pod()]) == [(pod(), "ImagePullBackOff")]
    assert stuck_pods(stateful_set(), [pod(revision="db-new")]) == []
    assert stuck_pods(stateful_set(), [pod(reason="ContainerCreating"), pod(reason="")]) == []
    assert stuck_pods(stateful_set(), [pod(deletionTimestamp="2026-11-23T00:00:00Z")]) == []


def test_pods_are_left_alone_where_kubernetes_replaces_them_or_was_told_not_to() -> None:
    assert stuck_pods(stateful_set(podManagementPolicy="Parallel"), [pod()]) == []
    assert stuck_pods(stateful_set(updateStrategy={"type": "OnDelete"}), [pod()]) == []
    assert stuck_pods({**stateful_set(), "kind": "Deployment"}, [pod()]) == []


def test_a_pod_below_the_partition_is_left_alone_for_it_would_come_again_as_it_is() -> None:
    parted = stateful_set(updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"partition": 1}})
    first, second = pod(), pod(name="db-1")
    assert stuck_pods(parted, [first, second]) == [(second, "ImagePullBackOff")]


def test_pods_are_left_alone_while_the_update_revision_is_not_known() -> None:
    waiting = stateful_set()
    waiting["status"] = {"observedGeneration": 1, "updateRevision": "db-new"}
    assert stuck_pods(waiting, [pod()]) == []
    waiting["status"] = {"observedGeneration": 2}
    assert stuck_pods(waiting, [pod()]) == []


def state(uid: str = "u", version: str = "10", generation: int | None = None) -> Manifest:
    metadata: Manifest = {"uid": uid, "resourceVersion": version}
    return {"metadata": metadata if generation is None else {**metadata, "generation": generation}}


@pytest.mark.parametrize(
    ("seen", "answer", "expected"),
    [
        (state(generation=1), state(generation=2), True),
        (state(generation=2, version="9"), state(generation=2), False),  # nothing but its status differs
        (state(generation=3), state(generation=2), False),
        (state(version="9"), state(version="10"), True),  # a kind without generations
        (state(version="10"), state(version="10"), False),
        (state(version="100"), state(version="99"), False),  # numbers, not texts
        (state(uid="before", version="9", generation=7), state(generation=1), True),  # what the apply replaced
        (state(uid="after", version="11", generation=1), state(generation=7), False),  # what replaced it since
    ],
)
def test_a_watch_that_lags_behind_the_apply_is_noticed(seen: Manifest, answer: Manifest, expected: bool) -> None:
    assert older(seen, answer) is expected


async def test_an_upgrade_is_not_taken_as_ready_for_what_was_ready_before(live: Cluster, namespace: str) -> None:
    async with live.watch("apps", "Deployment", labels=SELECTOR):
        await wait_ready(live, wanting(await applied(live, workload(namespace))), Interrupt())
        upgraded = await applied(live, workload(namespace, image="registry.example/app:nonexistent"))

        with pytest.raises(NotReadyInTime):
            await wait_ready(live, wanting(upgraded, 1.5), Interrupt())


async def test_namespaces_are_filled_in_and_taken_out(live: Cluster, namespace: str) -> None:
    bare: Manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
    role: Manifest = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "r", "namespace": "x"},
    }

    settled = await fill_namespaces(live, [bare, config_map("other"), role], namespace)

    assert [item["metadata"].get("namespace") for item in settled] == [namespace, "other", None]
    assert "namespace" not in bare["metadata"], "what was given is left as it is"
    assert role["metadata"]["namespace"] == "x"


async def test_one_object_that_is_refused_does_not_cut_its_neighbours_short(live: Cluster, namespace: str) -> None:
    one, refused, other = (
        {**config_map(namespace, name), "kind": "ServiceAccount"} for name in ("one", "Not_A_Name", "other")
    )

    with pytest.raises(Invalid, match="Not_A_Name"):
        await applied(live, one, refused, other, workload(namespace))

    for name in ("one", "other"):
        assert await live.find(ObjectKey("", "ServiceAccount", namespace, name)) is not None
    assert await live.find(ObjectKey("apps", "Deployment", namespace, "web")) is None, "the next wave is not begun"


async def test_what_is_being_deleted_is_waited_out_and_made_anew(live: Cluster, namespace: str) -> None:
    # The finalizer is somebody else's, or an apply that does not name it would take it away.
    before = await live.create(config_map(namespace, finalizers=["example.com/hold"]), manager="somebody")
    key = ObjectKey.of(before)
    await live.delete(key)

    watches = live.requests["watch"]
    task = asyncio.create_task(applied(live, config_map(namespace)))
    await until(lambda: live.requests["watch"] > watches)
    assert not task.done()
    await live.patch(key, {"metadata": {"finalizers": None}}, manager=MANAGER)
    after = (await task)[key]

    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert "deletionTimestamp" not in after["metadata"]


async def test_what_does_not_go_is_named_with_what_may_hold_it(live: Cluster, namespace: str) -> None:
    ((key, _),) = (await applied(live, config_map(namespace, finalizers=["example.com/hold"]))).items()
    gone = ObjectKey("", "ConfigMap", namespace, "never-was")
    await live.delete(key)

    why = f"{key}: is being deleted; finalizers: example.com/hold"
    told: list[str] = []

    async def listen(reason: str) -> bool:
        told.append(reason)
        return len(told) < 2

    with pytest.raises(NotReadyInTime) as raised, reporting(listen):
        await wait_deleted(live, [gone, key], 5 * SILENCE)

    assert raised.value.message == f"still being deleted after {5 * SILENCE:g}s: {why}"
    assert "finalizer" in raised.value.hint
    assert told == [why, why], "again only for who asks for that"
    await live.patch(key, {"metadata": {"finalizers": None}}, manager=MANAGER)
    await wait_deleted(live, [gone, key], 10)


async def test_a_crd_that_was_applied_can_be_used_at_once(live: Cluster, namespace: str) -> None:
    group = f"{namespace}.example.com"
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"things.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": "Thing", "plural": "things"},
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
            ],
        },
    }
    applier = Applier(live, MANAGER)
    try:
        await apply_crds(live, applier, [crd], Interrupt())
        thing = {"apiVersion": f"{group}/v1", "kind": "Thing", "metadata": {"name": "a", "namespace": namespace}}
        assert (await applier.apply(thing))["metadata"]["uid"]
        assert set(await find_all(live, [ObjectKey.of(crd), ObjectKey.of(thing)])) == {
            ObjectKey.of(crd),
            ObjectKey.of(thing),
        }
    finally:
        await live.delete(ObjectKey.of(crd))
