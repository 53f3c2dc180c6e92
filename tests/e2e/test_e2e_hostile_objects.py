"""What anybody may write into objects that the agent reads costs these objects something, and nobody else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.controlplane.cluster import Cli, Cluster
from tests.e2e.gitcharts import chart_files, in_git
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.kustomizations import kustomization
from tests.e2e.limits import limited
from tests.e2e.manifests import config_map
from tests.e2e.watching import Watch, condition, is_ready
from tests.until import ask_until

KINDS = {
    "HelmRelease": "helm.toolkit.fluxcd.io/v2",
    "Kustomization": "kustomize.toolkit.fluxcd.io/v1",
}


def deep(levels: int) -> str:
    return '{"a":' * levels + "1" + "}" * levels


def path_of(kind: str, namespace: str, name: str) -> str:
    return f"/apis/{KINDS[kind]}/namespaces/{namespace}/{kind.lower()}s/{name}"


def write(cluster: Cluster, path: str, text: str) -> int:
    """A merge patch, as text: what is so deep cannot be written by what JSON is mostly written with."""
    content = {"Content-Type": "application/merge-patch+json"}
    return cluster.answer("PATCH", path, content, text.encode()).status


@pytest.mark.timeout(300)
def test_what_is_nested_without_end_is_an_error_of_its_own_object(
    agent: AgentProcess, fleet: Fleet, control_plane: Cluster, releases: Watch, kubectl: Cli, namespace: str
) -> None:
    """The API server takes ten thousand levels, and whoever reads all objects of a kind reads these, too."""
    names = {300: "deep", 1100: "deeper", 4000: "deepest"}
    fleet.commit({**chart_files(), "fleet/one.yaml": config_map(namespace, "one")}, "a chart")
    agent.arguments.append("--path=fleet")
    agent.start().wait_for("sync finished")
    for name in names.values():
        kubectl("apply", "-f", "-", stdin=in_git(namespace, name))
        kubectl("apply", "-f", "-", stdin=kustomization(namespace, name, "./directory", suspend=True))
        releases.first(f"{namespace}/{name}", lambda seen: is_ready(seen.manifest))
    releases.close()

    for levels, name in names.items():
        values = f'{{"spec":{{"values":{deep(levels)}}}}}'
        assert write(control_plane, path_of("HelmRelease", namespace, name), values) == 200
        history = f'{{"status":{{"history":[{deep(levels)}]}}}}'
        assert write(control_plane, path_of("Kustomization", namespace, name) + "/status", history) == 200

    def ready(name: str) -> dict[str, Any]:
        where = ("get", "helmrelease", name, "-n", namespace)
        text = kubectl(*where, "-o", "jsonpath={.status.conditions}", "--ignore-not-found")
        found: dict[str, Any] = condition({"status": {"conditions": json.loads(text or "[]")}}, "Ready")
        return found

    def goes_on(name: str) -> None:
        fleet.commit({f"fleet/{name}.yaml": in_git(namespace, name)}, name)
        ask_until(lambda: ready(name), lambda found: found.get("status") == "True", f"{name} is ready")

    with limited(agent.pid) as memory:
        goes_on("honest")

        def fails(name: str) -> dict[str, Any]:
            return ask_until(lambda: ready(name), lambda found: found["status"] == "False", f"{name} fails")

        for name in names.values():
            said = fails(name)
            assert ("nested more than 200 levels deep" if name == "deep" else "spec") in said["message"]
        memory.check()
    agent.kill()
    agent.start()
    with limited(agent.pid) as memory:
        goes_on("second")
        for name in names.values():  # not in Git: what reads the others in the end cannot read these
            kind = "kustomizations.kustomize.toolkit.fluxcd.io"
            assert write(control_plane, path_of("Kustomization", namespace, name) + "/status", '{"status":null}') == 200
            kubectl("patch", "helmrelease", name, "-n", namespace, "--type=merge", "-p", '{"spec":{"values":null}}')
            kubectl("delete", f"{kind}/{name}", f"helmrelease/{name}", "-n", namespace, "--timeout=60s")
        memory.check()
    assert agent.stop() == 0
