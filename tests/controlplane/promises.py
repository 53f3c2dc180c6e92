"""What other tests rely on of pods, workloads, volumes and helm, on whatever claims to be a cluster."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane.cluster import Cli, Cluster
from tests.controlplane.errors import ApiError, CommandError
from tests.until import ask_until

Manifest = dict[str, Any]


def container(*args: str, image: str = "example.test/app:1.0") -> Manifest:
    return {"name": "app", "image": image, "args": list(args)}


def pod(name: str, *args: str, image: str = "example.test/app:1.0", restart: str = "Always") -> Manifest:
    spec = {"restartPolicy": restart, "containers": [container(*args, image=image)]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def workload(kind: str, name: str, *args: str, **spec: Any) -> Manifest:
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container(*args)]}}
    spec = {"selector": {"matchLabels": {"app": name}}, "template": template, **spec}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def job(name: str, *args: str, backoff_limit: int = 0) -> Manifest:
    template = {"spec": {"restartPolicy": "Never", "containers": [container(*args)]}}
    spec = {"backoffLimit": backoff_limit, "template": template}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec}


def claim(name: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }


class Namespaced:
    """kubectl in one namespace, with JSON in and out."""

    def __init__(self, kubectl: Cli, name: str) -> None:
        self.kubectl = kubectl
        self.name = name

    def run(self, *arguments: str, stdin: str | None = None) -> str:
        return self.kubectl("--namespace", self.name, *arguments, stdin=stdin)

    def apply(self, *objects: Manifest) -> None:
        everything = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.run("apply", "-f", "-", stdin=json.dumps(everything))

    def wait(self, kind: str, name: str, condition: str, timeout: str = "60s") -> None:
        self.run("wait", f"{kind}/{name}", f"--for={condition}", f"--timeout={timeout}")

    def get(self, kind: str, name: str) -> Manifest:
        found: Manifest = json.loads(self.run("get", kind, name, "-o", "json"))
        return found

    def app_state(self, pod: str) -> Manifest:
        """The status of the pod's only container."""
        (status,) = self.get("pod", pod)["status"]["containerStatuses"]
        assert isinstance(status, dict)
        return status


def conditions(status: Mapping[str, Any]) -> dict[str, str]:
    return {condition["type"]: condition["status"] for condition in status["conditions"]}


@pytest.fixture
def ns(kubectl: Cli, namespace: str) -> Namespaced:
    return Namespaced(kubectl, namespace)


class TestPods:
    def test_a_pod_becomes_ready_within_moments(self, ns: Namespaced) -> None:
        ns.apply(pod("plain"))
        ns.wait("pod", "plain", "condition=Ready", timeout="30s")
        assert ns.get("pod", "plain")["status"]["phase"] == "Running"

    def test_an_image_whose_tag_has_nonexistent_is_never_pulled(self, ns: Namespaced) -> None:
        image = "example.test/app:1.0-nonexistent"
        ns.apply(pod("unpullable", image=image))
        ns.wait("pod", "unpullable", "jsonpath={.status.containerStatuses[0].state.waiting.reason}=ImagePullBackOff")
        status = ns.get("pod", "unpullable")["status"]
        assert status["phase"] == "Pending"
        assert conditions(status)["Ready"] == "False"
        assert ns.app_state("unpullable")["state"]["waiting"]["message"] == f'Back-off pulling image "{image}"'

    def test_nonexistent_in_an_image_name_means_nothing(self, ns: Namespaced) -> None:
        ns.apply(pod("pullable", image="nonexistent.test:5000/nonexistent/app:1.0"))
        ns.wait("pod", "pullable", "condition=Ready")

    def test_unready_runs_and_never_becomes_ready(self, ns: Namespaced) -> None:
        ns.apply(pod("unready", "--unready"))
        ns.wait("pod", "unready", "jsonpath={.status.phase}=Running")
        status = ns.get("pod", "unready")["status"]
        (ready,) = (condition for condition in status["conditions"] if condition["type"] == "Ready")
        assert (ready["status"], ready["reason"]) == ("False", "ContainersNotReady")
        assert ready["message"] == "containers with unready status: [app]"
        assert "running" in ns.app_state("unready")["state"]

    def test_crashloop_crashes_again_and_again(self, ns: Namespaced) -> None:
        ns.apply(pod("crashing", "--crashloop"))
        ns.wait("pod", "crashing", "jsonpath={.status.containerStatuses[0].state.waiting.reason}=CrashLoopBackOff")
        state = ns.app_state("crashing")
        assert state["restartCount"] > 0
        assert state["ready"] is False
        assert state["lastState"]["terminated"]["exitCode"] == 1

    @pytest.mark.parametrize("script", ["exit 1", "echo no; exit 1", "false && exit 1"])
    @pytest.mark.parametrize("restart", ["Never", "Always"])
    def test_exit_1_fails_a_bare_pod(self, ns: Namespaced, script: str, restart: str) -> None:
        ns.apply(pod("failing", "sh", "-c", script, restart=restart))
        ns.wait("pod", "failing", "jsonpath={.status.phase}=Failed")
        terminated = ns.app_state("failing")["state"]["terminated"]
        assert (terminated["exitCode"], terminated["reason"]) == (1, "Error")

    def test_a_script_of_several_lines_that_ends_in_exit_1_does_not_fail(self, ns: Namespaced) -> None:
        ns.apply(pod("script", "sh", "-c", "for i in 1 2 3; do try && exit 0; done\nexit 1\n", restart="Never"))
        ns.wait("pod", "script", "jsonpath={.status.phase}=Succeeded")

    def test_a_bare_pod_that_is_never_restarted_succeeds(self, ns: Namespaced) -> None:
        ns.apply(pod("hook", restart="Never"))
        ns.wait("pod", "hook", "jsonpath={.status.phase}=Succeeded")
        assert ns.app_state("hook")["state"]["terminated"]["reason"] == "Completed"

    def test_ready_after_takes_its_time(self, ns: Namespaced) -> None:
        started = time.monotonic()
        ns.apply(pod("slow", "--ready-after=1500ms"))
        ns.wait("pod", "slow", "condition=Ready")
        assert time.monotonic() - started >= 1.5
        found = ns.get("pod", "slow")  # by the cluster's clock: how long kubectl takes is another matter
        (ready,) = [item for item in found["status"]["conditions"] if item["type"] == "Ready"]
        moments = (found["metadata"]["creationTimestamp"], ready["lastTransitionTime"])
        created, ended = (datetime.fromisoformat(moment) for moment in moments)
        assert (ended - created).total_seconds() < 15

    def test_a_log_can_be_asked_for(self, ns: Namespaced) -> None:
        ns.apply(pod("plain"))
        ns.wait("pod", "plain", "condition=Ready")
        assert "kwok" in ns.run("logs", "plain")

    def test_a_deleted_pod_is_gone_at_once(self, ns: Namespaced) -> None:
        ns.apply(pod("short"))
        ns.wait("pod", "short", "condition=Ready")
        ns.run("delete", "pod", "short", "--wait", "--timeout=3s")


class TestWorkloads:
    @pytest.mark.parametrize(
        "manifest",
        [
            workload("Deployment", "web", replicas=3),
            workload("StatefulSet", "web", replicas=2, serviceName="web"),
            workload("DaemonSet", "web"),
            workload("Deployment", "web", "sh", "-c", "exit 1"),
        ],
        ids=["deployment", "statefulset", "daemonset", "a deployment does not know exit 1"],
    )
    def test_it_rolls_out(self, ns: Namespaced, manifest: Manifest) -> None:
        ns.apply(manifest)
        ns.run("rollout", "status", f"{manifest['kind']}/web", "--timeout=60s")

    def test_a_rollout_to_an_unpullable_image_does_not_finish(self, ns: Namespaced) -> None:
        ns.apply(workload("Deployment", "web", replicas=2))
        ns.run("rollout", "status", "deployment/web", "--timeout=60s")
        ns.run("set", "image", "deployment/web", "app=example.test/app:nonexistent")
        with pytest.raises(CommandError, match="timed out"):
            ns.run("rollout", "status", "deployment/web", "--timeout=1s")
        assert conditions(ns.get("deployment", "web")["status"])["Available"] == "True"

    @pytest.mark.parametrize("host_network", [False, True])
    def test_a_service_finds_its_pods(self, ns: Namespaced, host_network: bool) -> None:
        manifest = workload("Deployment", "web")
        manifest["spec"]["template"]["spec"]["hostNetwork"] = host_network
        service = {"selector": {"app": "web"}, "ports": [{"port": 80}]}
        ns.apply(manifest, {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": service})
        ready = ("get", "endpointslices", "-o", "jsonpath={.items[*].endpoints[*].conditions.ready}")
        ask_until(lambda: ns.run(*ready), lambda told: told == "true", "endpoint ready")

    def test_a_job_completes(self, ns: Namespaced) -> None:
        ns.apply(job("migrate"))
        ns.wait("job", "migrate", "condition=Complete")

    def test_a_job_fails_when_its_tries_are_used_up(self, ns: Namespaced) -> None:
        ns.apply(job("migrate", "exit 1"))
        ns.wait("job", "migrate", "condition=Failed")
        failed = [c for c in ns.get("job", "migrate")["status"]["conditions"] if c["type"] == "Failed"]
        assert failed[0]["reason"] == "BackoffLimitExceeded"

    def test_the_pods_of_a_deleted_deployment_are_collected(self, ns: Namespaced) -> None:
        ns.apply(workload("Deployment", "web", replicas=2))
        ns.run("rollout", "status", "deployment/web", "--timeout=60s")
        ns.run("delete", "deployment", "web", "--cascade=foreground", "--wait", "--timeout=60s")
        assert ns.run("get", "pods", "-o", "name") == ""


class TestVolumes:
    def test_many_claims_are_bound_and_their_volumes_go_with_them(self, ns: Namespaced, kubectl: Cli) -> None:
        ns.apply(*(claim(f"data-{n}") for n in range(50)))
        phases = ("get", "pvc", "-o", "jsonpath={.items[*].status.phase}")
        ask_until(lambda: ns.run(*phases).split(), lambda told: told == ["Bound"] * 50, "claims bound")
        ns.run("delete", "pvc", "--all", "--wait=false")
        ask_until(lambda: ns.run("get", "pvc", "-o", "name"), lambda told: not told, "claims deleted")
        ask_until(lambda: kubectl("get", "pv"), lambda told: ns.name not in told, "volumes deleted")

    def test_a_stateful_set_gets_its_volumes(self, ns: Namespaced) -> None:
        template = claim("data")
        ns.apply(workload("StatefulSet", "db", replicas=2, serviceName="db", volumeClaimTemplates=[template]))
        ns.run("rollout", "status", "statefulset/db", "--timeout=60s")
        assert ns.get("pvc", "data-db-1")["status"]["phase"] == "Bound"


class TestCluster:
    def test_it_says_its_version(self, control_plane: Cluster) -> None:
        version = control_plane.request("GET", "/version")
        assert (version["gitVersion"], version["major"], version["minor"]) == ("v1.36.3", "1", "36")

    def test_errors_carry_their_status(self, control_plane: Cluster) -> None:
        with pytest.raises(ApiError, match="not found") as raised:
            control_plane.request("GET", "/api/v1/namespaces/none-such")
        assert raised.value.status == 404

    def test_a_namespace_with_contents_is_deleted(self, ns: Namespaced) -> None:
        """The namespace controller waits 5 s before each of its rounds; what is in the namespace goes in the first."""
        ns.apply(workload("Deployment", "web"), claim("data"), job("migrate"))
        ns.run("rollout", "status", "deployment/web", "--timeout=60s")
        ns.kubectl("delete", "namespace", ns.name, "--wait", "--timeout=60s")
        ns.kubectl("create", "namespace", ns.name)  # for the fixture, which deletes it once more


class TestHelm:
    def test_install_waits_for_the_release_and_runs_its_hooks(
        self, helm_cli: Cli, namespace: str, tmp_path: Path
    ) -> None:
        hook = job("migrate")
        hook["metadata"]["annotations"] = {"helm.sh/hook": "pre-install"}
        chart = write_chart(tmp_path / "web", web=workload("Deployment", "web"), migrate=hook)
        answer = helm_cli("install", "web", chart, "--namespace", namespace, "--wait", "--timeout=120s", "-o", "json")
        assert json.loads(answer)["info"]["status"] == "deployed"

    def test_install_fails_on_what_never_becomes_ready(self, helm_cli: Cli, namespace: str, tmp_path: Path) -> None:
        chart = write_chart(tmp_path / "web", web=workload("Deployment", "web", "--unready"))
        with pytest.raises(CommandError, match="web"):
            helm_cli("install", "web", chart, "--namespace", namespace, "--wait", "--timeout=2s")
        listed = json.loads(helm_cli("list", "--namespace", namespace, "-o", "json"))
        assert [release["status"] for release in listed] == ["failed"]

    def test_it_is_helm_4(self, helm_cli: Cli) -> None:
        assert helm_cli("version", "--short").startswith("v4.2.3")


def write_chart(directory: Path, **templates: Manifest) -> Path:
    """A chart whose templates are these objects as they are."""
    (directory / "templates").mkdir(parents=True)
    (directory / "Chart.yaml").write_text("apiVersion: v2\nname: web\nversion: 0.1.0\n")
    for name, manifest in templates.items():
        (directory / "templates" / f"{name}.yaml").write_text(json.dumps(manifest))
    return directory
