"""An agent installed with the component ``namespaced``: its rights are enough in its namespace, and end there."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from gitsync.apply.live import LIST_FROM
from gitsync.charts.serve import ChartServer
from tests.controlplane.cluster import Cli, Cluster
from tests.docs.accounts import of_account
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.manifests import SAMPLE
from tests.forked import run
from tests.until import ask_until

TEAM, OTHERS = "team-a", "team-b"
IMAGE = "registry.example/gitsync:0.1.0"
RELEASES = "helmreleases.helm.toolkit.fluxcd.io"


def told(kubeconfig: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What a command says to the user of a kubeconfig."""
    alone = {"HOME": "/nonexistent", "PATH": "/usr/local/bin:/usr/bin:/bin"}
    command = [*arguments, f"--kubeconfig={kubeconfig}"]
    return subprocess.CompletedProcess(command, *run(command, alone, timeout=180))


def sample(charts: ChartServer) -> dict[str, str | None]:
    """redis and backend, which name no namespace, and more ConfigMaps than are asked for one by one."""
    maps = [config_map(f"map-{number}", TEAM) for number in range(LIST_FROM)]
    files: dict[str, str | None] = {"fleet/maps.yaml": "\n---\n".join(maps)}
    for file in (SAMPLE / "fleet").rglob("*.yaml"):
        text = file.read_text().replace("http://charts.example", charts.url)
        files[str(file.relative_to(SAMPLE))] = text.replace("  namespace: default\n", "")
    return files


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

    def ready() -> dict[str, str]:
        found = json.loads(kubectl("get", RELEASES, name, "-n", TEAM, "--ignore-not-found", "-o", "json") or "{}")
        conditions = {item["type"]: item for item in (found.get("status") or {}).get("conditions") or ()}
        return conditions.get("Ready") or {}

    ask_until(ready, lambda found: found.get("reason") == reason and words in found["message"], reason, 90)


@pytest.mark.e2e  # a whole agent
def test_an_agent_of_one_namespace(control_plane: Cluster, kubectl: Cli, charts: ChartServer, tmp_path: Path) -> None:
    kubectl("create", "namespace", TEAM)
    kubectl("create", "namespace", OTHERS)
    fleet = Fleet(tmp_path / "fleet")
    files = sample(charts)
    fleet.commit(files, "redis and backend")
    arguments = ["--repo", str(fleet.path), "--path=fleet", f"--watch-namespace={TEAM}", "--allow-mass-prune"]
    too_early = told(control_plane.kubeconfig, "run", "--once", *arguments, f"--state-dir={tmp_path / 'state'}")
    assert too_early.returncode == 1
    assert "serves no kind HelmRelease" in too_early.stdout + too_early.stderr
    assert "an administrator brings those of gitsync" in too_early.stdout + too_early.stderr

    agent = AgentProcess(installed(control_plane, kubectl, tmp_path), tmp_path, arguments)
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
    assert kubectl("get", f"{RELEASES},deployments,statefulsets", "-n", TEAM, "-o=name") == "deployment.apps/gitsync\n"
    kubectl("get", "configmaps", "gitsync-inventory", "gitsync-journal", "-n", TEAM)
    leaves_others_alone(control_plane, kubectl)


def installed(control_plane: Cluster, kubectl: Cli, directory: Path) -> Path:
    """Have an administrator install; a kubeconfig for the agent's account."""
    admin = control_plane.kubeconfig
    done = told(admin, "install", "--components=namespaced", f"--namespace={TEAM}", f"--image={IMAGE}")
    assert done.returncode == 0, done.stderr
    assert kubectl("get", "clusterroles,clusterrolebindings", "-l=app.kubernetes.io/part-of=gitsync", "-o=name") == ""
    agents = told(admin, "check", f"--namespace={TEAM}")
    assert re.search(rf"rights: .*:gitsync may do the \d+ things .* in namespace {TEAM}$", agents.stdout, re.MULTILINE)

    kubeconfig = of_account(TEAM, control_plane, kubectl, directory)
    own = told(kubeconfig, "check", f"--watch-namespace={TEAM}")
    assert own.returncode == 0, own.stdout
    assert "HelmReleases and all kinds of sources are served" in own.stdout
    others = told(kubeconfig, "check", "--pre", f"--watch-namespace={OTHERS}")
    assert re.search(rf"rights: you may not get, list, .* in namespace {OTHERS}$", others.stdout, re.MULTILINE)
    assert "flux: you may not look" in others.stdout
    return kubeconfig


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
        name: agent.wait_for("object failed", object=name).fields["error"]
        for name in (f"ConfigMap/{OTHERS}/elsewhere", "Namespace/team-c", f"HelmRelease/{OTHERS}/theirs")
    }
    assert 'cannot patch resource "configmaps"' in failed[f"ConfigMap/{OTHERS}/elsewhere"]
    assert "cannot patch" in failed["Namespace/team-c"]
    assert f"is not in namespace '{TEAM}', the only one that is served" in failed[f"HelmRelease/{OTHERS}/theirs"]
    becomes(kubectl, "waiting", "DependencyMissing", "cannot be seen: only HelmReleases of")
    becomes(kubectl, "sourced", "SourceNotReady", "cannot be seen: only those of")
    becomes(kubectl, "stored", "ReconciliationFailed", 'cannot list resource "secrets"')
    becomes(kubectl, "aimed", "ReconciliationFailed", f'in the namespace "{OTHERS}"')
    kubectl("get", "configmap", "here", "-n", TEAM)
    planned = told(agent.kubeconfig, "plan", *agent.arguments, f"--state-dir={agent.directory / 'plan'}")
    assert f"HelmRelease/{OTHERS}/theirs is not in namespace '{TEAM}'" in planned.stdout + planned.stderr
    assert "cannot be seen" in planned.stdout + planned.stderr

    # With the right that the messages name it goes on; what it does not serve it leaves alone all the same.
    account = f"--serviceaccount={TEAM}:gitsync"
    kubectl("create", "rolebinding", "gitsync", "-n", OTHERS, "--clusterrole=admin", account)
    becomes(kubectl, "stored", "InstallSucceeded", "")
    becomes(kubectl, "aimed", "InstallSucceeded", "")
    assert kubectl("get", RELEASES, "-n", OTHERS, "-o", "name") == ""


def leaves_others_alone(control_plane: Cluster, kubectl: Cli) -> None:
    """Taken out again, it takes nothing with it that is another agent's: no finalizer, and not the namespace."""
    theirs = json.loads(release("theirs", OTHERS))
    theirs["metadata"]["finalizers"] = ["finalizers.fluxcd.io"]
    kubectl("apply", "-f", "-", stdin=json.dumps(theirs))
    removed = told(control_plane.kubeconfig, "uninstall", f"--namespace={TEAM}", "--silent")
    assert removed.returncode == 0, removed.stderr
    finalizers = kubectl("get", RELEASES, "theirs", "-n", OTHERS, "-o=jsonpath={.metadata.finalizers}")
    assert finalizers == '["finalizers.fluxcd.io"]'
    assert kubectl("get", "namespace", TEAM, "-o=jsonpath={.status.phase}") == "Active"
