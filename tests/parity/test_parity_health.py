"""When releases and their objects count as ready: expressions in CEL, the wait strategies, and how long is waited."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from tests.controlplane.cluster import Cli
from tests.controlplane.errors import CommandError
from tests.parity.world import HELM_RELEASES, World

REQUESTED = "reconcile.fluxcd.io/requestedAt=now"
SAME_TEXT = "dep.spec.values.text == self.spec.values.text"
MISSING = "registry.example/app:nonexistent"


def annotate(kubectl: Cli, world: World, what: str, *annotations: str) -> None:
    kubectl("annotate", "--overwrite", what, *annotations, "--namespace", world.ours)


def needing(name: str, expression: str) -> list[dict[str, str]]:
    return [{"name": name, "readyExpr": expression}]


def reason(status: dict[str, Any], kind: str = "Ready") -> str:
    found: str = next(item["reason"] for item in status["conditions"] if item["type"] == kind)
    return found


def test_a_ready_expr_alone_says_when_a_dependency_is_ready(world: World, kubectl: Cli) -> None:
    backend = replace(world, name="backend")
    world.deploy("plain", {"text": "one", "image": MISSING}, timeout="10m")
    world.condition("Reconciling", "True", containing="waiting for Deployment/")

    backend.deploy("plain", {"text": "two"}, dependsOn=needing("demo", SAME_TEXT))
    held = f"dependency '{world.ours}/demo' is not ready: readyExpr `"
    status = backend.condition("Ready", "False", containing=f"{held}{SAME_TEXT}` is false")
    assert reason(status) == "DependencyNotReady"
    # that demo itself is not ready does not matter
    world.deploy("plain", {"text": "two", "image": MISSING}, timeout="10m")
    backend.ready()
    # a field that is not there yet, and a change of nothing but the status
    waiting = "dep.status.lastHandledReconcileAt == 'now'"
    backend.deploy("plain", {"text": "three"}, dependsOn=needing("demo", waiting))
    backend.condition("Ready", "False", containing=f"{held}{waiting}`: no such key: lastHandledReconcileAt")
    world.deploy("plain", {"text": "two"})
    world.ready()
    assert backend.revisions() == [(1, "deployed")]
    annotate(kubectl, world, "helmrelease/demo", REQUESTED)
    backend.ready()
    assert backend.revisions() == [(1, "superseded"), (2, "deployed")]


def test_an_expression_that_does_not_compile_stalls_the_release_and_is_named(world: World) -> None:
    world.deploy("raw", dependsOn=needing("other", "dep.status.ok &&"))
    status = world.condition("Stalled", "True", containing="spec.dependsOn[0].readyExpr: Syntax error")
    assert reason(status) == reason(status, "Stalled") == "InvalidSpec"

    world.deploy("raw", healthCheckExprs=[{"apiVersion": "charts.example/v1", "kind": "Widget", "current": "a b"}])
    world.condition("Stalled", "True", containing="spec.healthCheckExprs[0].current: Syntax error")
    assert world.revisions() == []

    world.deploy("raw")
    world.ready()


def test_health_check_expressions_judge_what_is_waited_for(world: World, kubectl: Cli) -> None:
    name = f"Widget/{world.ours}/demo"

    def checks(**texts: str) -> list[dict[str, str]]:
        return [{"apiVersion": "charts.example/v1beta1", "kind": "Widget", **texts}]

    world.deploy("crds", {"size": 1}, healthCheckExprs=checks(current="'done' in metadata.annotations"))
    said = f"waiting for {name}: healthCheckExprs current is false"
    world.condition("Reconciling", "True", containing=said)
    assert f"{name}: healthCheckExprs current is false" in [line.get("for") for line in world.serving.lines]
    annotate(kubectl, world, "widget/demo", "done=yes")
    world.ready()

    world.deploy("crds", {"size": 2}, healthCheckExprs=checks(failed="spec.size == 2", current="true"))
    world.condition("Stalled", "True")
    world.condition("Ready", "False", containing=f"{name}: healthCheckExprs failed is true")

    # a key that never comes, until after the deadline: the release recovers without another revision
    late = checks(current="metadata.annotations.late == 'yes'")
    world.deploy("crds", {"size": 3}, healthCheckExprs=late, upgrade={"timeout": "2s"})
    world.condition("Stalled", "True")
    text = f"not ready within 2s: {name}: healthCheckExprs current: no such key: late"
    world.condition("Ready", "False", containing=text)
    annotate(kubectl, world, "widget/demo", "late=yes")
    annotate(kubectl, world, "helmrelease/demo", REQUESTED)
    world.ready()
    assert [revision for revision, _ in world.revisions()] == [1, 2, 3]


def test_the_legacy_strategy_asks_no_expressions_and_says_so(world: World) -> None:
    never = [{"apiVersion": "charts.example/v1", "current": "this is no CEL"}]
    world.deploy("crds", {"size": 1}, healthCheckExprs=never, waitStrategy={"name": "legacy"})
    world.ready()
    warned = [line for line in world.serving.lines if line["event"] == "fields without effect yet"]
    assert "spec.healthCheckExprs (with waitStrategy: legacy)" in [line["fields"] for line in warned]


def deployment(image: str, label: str = "") -> dict[str, Any]:
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": image}]}}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    metadata = {"name": "web", "labels": {"made": label or "first"}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


def endless(kind: str, name: str, **annotations: str) -> dict[str, Any]:
    """A Job or Pod that never ends."""
    containers = [{"name": "app", "image": "registry.example/app:1.0", "args": ["--unready"]}]
    pod = {"restartPolicy": "Never", "containers": containers}
    version, spec = ("batch/v1", {"template": {"spec": pod}}) if kind == "Job" else ("v1", pod)
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "annotations": annotations}, "spec": spec}


def test_each_action_ends_at_its_own_timeout_or_does_not_wait(world: World) -> None:
    """spec.timeout is ten minutes: a test of any of these that waited so long would fail."""
    web, jobs = world, replace(world, name="jobs")
    hooks, tests = replace(world, name="hooks"), replace(world, name="tests")
    long = {"timeout": "10m"}
    hook = endless("Job", "never", **{"helm.sh/hook": "pre-install"})
    test = endless("Pod", "asks", **{"helm.sh/hook": "test"})
    web.deploy("raw", {"objects": [deployment(MISSING)]}, install={"disableWait": True}, **long)
    jobs.deploy("raw", {"objects": [endless("Job", "runs")]}, install={"disableWaitForJobs": True}, **long)
    hooks.deploy("raw", {"objects": [hook]}, install={"timeout": "2s"}, **long)
    tests.deploy("raw", {"objects": [test]}, test={"enable": True, "timeout": "2s"}, **long)

    web.ready()
    jobs.ready()
    hooks.condition(
        "Ready", "False", containing="pre-install hook raw/templates/objects.yaml failed: not ready within 2s"
    )
    tests.condition("Ready", "False", containing="test hook raw/templates/objects.yaml failed: not ready within 2s")

    back = {"timeout": "2s", "remediation": {"remediateLastFailure": True}}
    web.deploy("raw", {"objects": [deployment(MISSING, "second")]}, upgrade=back, rollback={"timeout": "3s"}, **long)
    jobs.deploy("raw", {"objects": [endless("Job", "runs", x="y")]}, upgrade={"timeout": "2s"}, **long)
    jobs.condition("Ready", "False", containing=f"not ready within 2s: Job/{world.ours}/runs")
    web.condition("Released", "False", containing=f"not ready within 2s: Deployment/{world.ours}/web")
    web.condition("Remediated", "False", containing=f"not ready within 3s: Deployment/{world.ours}/web")

    unwaited = {"disableWaitForJobs": True}
    jobs.deploy("raw", {"objects": [endless("Job", "runs", x="z")]}, upgrade=unwaited, **long)
    jobs.ready()
    no_wait = {"disableWait": True}
    web.deploy("raw", {"objects": [deployment(MISSING, "third")]}, upgrade=back, rollback=no_wait, **long)
    web.condition("Remediated", "True")
    web.deploy("raw", {"objects": [deployment(MISSING, "fourth")]}, upgrade=no_wait, **long)
    web.ready()


def test_an_uninstall_says_what_it_waits_for_and_ends_at_its_timeout(world: World, kubectl: Cli) -> None:
    held = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "held", "finalizers": ["example.com/hold"]}}
    base = replace(world, name="base")
    base.deploy("raw")
    world.deploy("raw", {"objects": [held]}, uninstall={"timeout": "3s"}, timeout="10m", dependsOn=[{"name": "base"}])
    world.ready()

    world.cluster.request("DELETE", f"{HELM_RELEASES}/namespaces/{world.ours}/helmreleases/demo")
    base_is_gone = base.remove()
    why = f"ConfigMap/{world.ours}/held: is being deleted; finalizers: example.com/hold"
    world.condition(
        "Reconciling", "True", containing=f"Running 'uninstall' action with timeout of 3s; waiting for {why}"
    )
    world.condition("Ready", "False", containing=f"still being deleted after 3s: {why}")
    assert why in [line.get("for") for line in world.serving.lines]
    after = f"waiting to be uninstalled after HelmRelease/{world.ours}/demo"
    base.condition("Reconciling", "True", containing=after)

    world.patch_spec(uninstall={"disableWait": True})
    world.until(lambda: world.revisions() == [], "it is uninstalled without waiting")
    base_is_gone()
    assert world.object("/api/v1", "configmaps", "held") is not None
    free = '{"metadata": {"finalizers": null}}'
    kubectl("patch", "configmap", "held", "--namespace", world.ours, "--type", "merge", "--patch", free)
    world.until(lambda: world.object("/api/v1", "configmaps", "held") is None, "it can go")


def test_what_helm_does_by_hand_is_waited_for_and_said(world: World) -> None:
    hook = endless("Job", "never", **{"helm.sh/hook": "pre-install"})
    with ThreadPoolExecutor(1) as thread:
        by_hand = thread.submit(world.install, "raw", {"objects": [hook]}, "--timeout", "10s", namespace=world.ours)
        world.until(lambda: world.revisions() == [(1, "pending-install")], "helm has begun")
        world.deploy("raw")
        world.condition("Reconciling", "True", containing=f"another operation is in progress on {world.ours}/demo")
        with pytest.raises(CommandError, match="never"):
            by_hand.result()
    world.ready()
    assert world.revisions() == [(1, "failed"), (2, "deployed")]
