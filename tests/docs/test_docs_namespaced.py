"""An agent installed with the component ``namespaced``: its rights are enough in its namespace, and end there."""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path
from typing import Any

from gitsync.charts.serve import ChartServer
from tests.controlplane.cluster import Cli, Cluster
from tests.docs.test_docs_config import GITSYNC, SAMPLE, of_account
from tests.e2e.harness import AgentProcess, Fleet

TEAM, OTHERS = "team-a", "team-b"
IMAGE = "registry.example/gitsync:0.1.0"
RELEASES = "helmreleases.helm.toolkit.fluxcd.io"


def told(control_plane: Cluster, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What a command says to an administrator."""
    return subprocess.run(
        [str(GITSYNC), *arguments, f"--kubeconfig={control_plane.kubeconfig}"],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        env={"HOME": "/nonexistent", "PATH": "/usr/local/bin:/usr/bin:/bin"},
    )


def sample(charts: ChartServer) -> dict[str, str | None]:
    """redis and backend, which name no namespace."""
    return {
        str(file.relative_to(SAMPLE)): file.read_text()
        .replace("http://charts.example", charts.url)
        .replace("  namespace: default\n", "")
        for file in (SAMPLE / "fleet").rglob("*.yaml")
    }


def release(name: str, namespace: str = TEAM, source: dict[str, str] | None = None, **spec: Any) -> str:
    """backend once more."""
    reference = {"kind": "HelmRepository", "name": "backend", **(source or {})}
    chart = {"spec": {"chart": "podinfo", "version": "6.2.2", "sourceRef": reference}}
    return json.dumps(
        {
            "apiVersion": "helm.toolkit.fluxcd.io/v2",
            "kind": "HelmRelease",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"interval": "1h", "chart": chart, **spec},
        }
    )


def config_map(name: str, namespace: str) -> str:
    metadata = {"name": name, "namespace": namespace}
    return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"greeting": "hello"}})


def refused_reads(kubectl: Cli) -> float:
    """How many gets, lists and watches the API server has answered with 403 so far."""
    lines = kubectl("get", "--raw", "/metrics").splitlines()
    counted = [
        line for line in lines if re.match(r'apiserver_request_total\{.*code="403".*verb="(GET|LIST|WATCH)"', line)
    ]
    return sum(float(line.rpartition(" ")[2]) for line in counted)


def becomes(kubectl: Cli, name: str, reason: str, words: str) -> None:
    """Wait until the release's Ready condition has this reason, with these words in its message."""
    deadline = time.monotonic() + 90
    while True:
        found = json.loads(kubectl("get", RELEASES, name, "-n", TEAM, "--ignore-not-found", "-o", "json") or "{}")
        conditions = {item["type"]: item for item in (found.get("status") or {}).get("conditions") or ()}
        ready = conditions.get("Ready") or {}
        if ready.get("reason") == reason and words in ready["message"]:
            return
        assert time.monotonic() < deadline, ready
        time.sleep(0.2)


def test_an_agent_of_one_namespace(control_plane: Cluster, kubectl: Cli, charts: ChartServer, tmp_path: Path) -> None:
    kubectl("create", "namespace", TEAM)
    kubectl("create", "namespace", OTHERS)
    installed = told(control_plane, "install", "--components=namespaced", f"--namespace={TEAM}", f"--image={IMAGE}")
    assert installed.returncode == 0, installed.stderr
    assert kubectl("get", "clusterrolebindings", "-l", "app.kubernetes.io/part-of=gitsync", "-o", "name") == ""
    checked = told(control_plane, "check", f"--namespace={TEAM}")
    assert re.search(rf"rights: .*:gitsync may do the \d+ things .* in namespace {TEAM}$", checked.stdout, re.MULTILINE)

    fleet = Fleet(tmp_path / "fleet")
    files = sample(charts)
    fleet.commit(files, "redis and backend")
    arguments = ["--repo", str(fleet.path), "--path=fleet", f"--watch-namespace={TEAM}", "--allow-mass-prune"]
    agent = AgentProcess(of_account(TEAM, control_plane, kubectl, tmp_path), tmp_path, arguments)
    refused = refused_reads(kubectl)
    agent.start("--log-level=debug")
    try:
        agent.wait_for("sync finished")
        fleet.edit("fleet/releases/backend.yaml", "cache: tcp", "replicaCount: 2\n    cache: tcp", "two of them")
        agent.wait_for("sync finished", subject="two of them")
        assert kubectl("-n", TEAM, "get", "deployment", "backend-podinfo", "-o=jsonpath={.spec.replicas}") == "2"
        assert "forbidden" not in agent.log
        assert refused_reads(kubectl) == refused

        goes_no_further(agent, fleet, kubectl)

        seen = agent.count
        left = {path.name: None for path in (fleet.path / "fleet").glob("*.yaml")}
        gone = {**dict.fromkeys(files), **{f"fleet/{name}": None for name in left}}
        fleet.commit({**gone, "fleet/none.yaml": "# nothing\n"}, "nothing")
        agent.wait_for("sync finished", after=seen, subject="nothing")
    finally:
        agent.kill()
    assert kubectl("get", f"{RELEASES},deployments,statefulsets,configmaps", "-n", TEAM, "-o", "name").splitlines() == [
        "deployment.apps/gitsync",
        "configmap/gitsync-inventory",
        "configmap/gitsync-journal",
    ]
    leaves_others_alone(control_plane, kubectl)


def goes_no_further(agent: AgentProcess, fleet: Fleet, kubectl: Cli) -> None:
    """What the repository wants elsewhere fails, and each says why; the rest is done."""
    beyond = {
        "fleet/here.yaml": config_map("here", TEAM),
        "fleet/elsewhere.yaml": config_map("elsewhere", OTHERS),
        "fleet/cluster.yaml": '{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team-c"}}',
        "fleet/theirs.yaml": release("theirs", OTHERS),
        "fleet/waiting.yaml": release("waiting", dependsOn=[{"name": "theirs", "namespace": OTHERS}]),
        "fleet/sourced.yaml": release("sourced", source={"namespace": OTHERS}),
        "fleet/stored.yaml": release("stored", storageNamespace=OTHERS),
        "fleet/aimed.yaml": release("aimed", targetNamespace=OTHERS, storageNamespace=TEAM),
    }
    fleet.commit(dict(beyond), "beyond the namespace")
    failed = {
        name: agent.wait_for("object failed", object=name).fields
        for name in (f"ConfigMap/{OTHERS}/elsewhere", "Namespace/team-c", f"HelmRelease/{OTHERS}/theirs")
    }
    assert 'cannot patch resource "configmaps"' in failed[f"ConfigMap/{OTHERS}/elsewhere"]["error"]
    assert "cannot patch" in failed["Namespace/team-c"]["error"]
    assert f"serves namespace '{TEAM}' alone (watch_namespace)" in failed[f"HelmRelease/{OTHERS}/theirs"]["error"]
    becomes(kubectl, "waiting", "DependencyMissing", "cannot be seen: only HelmReleases of")
    becomes(kubectl, "sourced", "SourceNotReady", "cannot be seen: only those of")
    becomes(kubectl, "stored", "ReconciliationFailed", 'cannot list resource "secrets"')
    becomes(kubectl, "aimed", "ReconciliationFailed", f'in the namespace "{OTHERS}"')
    kubectl("get", "configmap", "here", "-n", TEAM)


def leaves_others_alone(control_plane: Cluster, kubectl: Cli) -> None:
    """Taken out again, it takes nothing with it that is another agent's: no finalizer, and not the namespace."""
    theirs = json.loads(release("theirs", OTHERS))
    theirs["metadata"]["finalizers"] = ["finalizers.fluxcd.io"]
    kubectl("apply", "-f", "-", stdin=json.dumps(theirs))
    removed = told(control_plane, "uninstall", f"--namespace={TEAM}", "--silent")
    assert removed.returncode == 0, removed.stderr
    finalizers = kubectl("get", RELEASES, "theirs", "-n", OTHERS, "-o=jsonpath={.metadata.finalizers}")
    assert finalizers == '["finalizers.fluxcd.io"]'
    assert kubectl("get", "namespace", TEAM, "-o=jsonpath={.status.phase}") == "Active"
