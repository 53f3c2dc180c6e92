"""What is said while objects are on their way from one to another is true, and who is done waits for nobody."""

from __future__ import annotations

import json

import pytest

from tests.controlplane.cluster import Cli
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.manifests import config_map
from tests.e2e.moving import finished
from tests.e2e.test_e2e_kustomization import kustomization
from tests.until import ask_until

CHART = {"charts/box/Chart.yaml": "apiVersion: v2\nname: box\nversion: 1.0.0\n"}
GONE = "# gone\n"


@pytest.fixture
def agent(new_agent: NewAgent, fleet: Fleet) -> AgentProcess:
    return new_agent(fleet, "--path=fleet", "--allow-mass-prune").start()


def fixed(namespace: str, text: str) -> str:
    """A ConfigMap that cannot be changed."""
    metadata = {"name": "fixed", "namespace": namespace}
    return json.dumps(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "immutable": True, "data": {"text": text}}
    )


def release(namespace: str) -> str:
    return f"""\
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {{name: r, namespace: {namespace}}}
spec:
  interval: 1h
  chart: {{spec: {{chart: ./charts/box, sourceRef: {{kind: GitRepository, name: flux-system}}}}}}
"""


def errors(agent: AgentProcess) -> list[str]:
    return [line.msg + str(line.fields.get("error", "")) for line in agent.lines if line.fields["level"] == "error"]


def test_one_that_is_removed_goes_as_soon_as_another_has_what_it_kept(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    k = {"fleet/k.yaml": kustomization(namespace, "k", "./k"), "k/fixed.yaml": fixed(namespace, "1")}
    finished(agent, fleet.commit({**k, "fleet/m.yaml": config_map(namespace, "m")}, "in a Kustomization"))
    agent.wait_for("object created", object=f"ConfigMap/{namespace}/fixed")
    # The release cannot have it: so the Kustomization, which is to go, looks again and again, ever more rarely.
    chart = {**CHART, "charts/box/templates/fixed.yaml": fixed(namespace, "2")}
    fleet.commit({**chart, "fleet/k.yaml": release(namespace), "k/fixed.yaml": GONE}, "to a release")
    agent.wait_for("install retries exhausted", release=f"{namespace}/r")
    agent.wait_for("kustomization cannot go yet", kustomization=f"{namespace}/k")
    for count in range(4):
        agent.until(lambda line: line.msg == "kustomization cannot go yet", "first") if not count else None

    last = {"fleet/k.yaml": kustomization(namespace, "k2", "./k"), "k/fixed.yaml": fixed(namespace, "1")}
    finished(agent, commit := fleet.commit(last, "to another Kustomization"))
    took = agent.wait_for("sync finished", commit=commit[:7]).fields["took"]
    assert took < 20
    assert kubectl("get", "configmap", "fixed", "-n", namespace, "-o", "jsonpath={.data.text}") == "1"


def test_one_that_the_commit_changes_too_is_not_built_as_it_was(
    agent: AgentProcess, fleet: Fleet, namespace: str
) -> None:
    files = {"fleet/m.yaml": config_map(namespace, "m"), "apps/a.yaml": config_map(namespace, "a")}
    for number in range(4):
        one, other = (kustomization(namespace, "k", "./apps", namePrefix=f"{it}{number}-") for it in "vw")
        finished(agent, fleet.commit({**files, "fleet/k.yaml": one, "fleet/x.yaml": GONE}, "one prefix"))
        agent.wait_for("object created", object=f"ConfigMap/{namespace}/v{number}-a")
        plain = {"fleet/x.yaml": config_map(namespace, f"v{number}-a")}
        finished(agent, fleet.commit({"fleet/k.yaml": other, **plain}, "another prefix, and the object in Git"))
        agent.wait_for("object created", object=f"ConfigMap/{namespace}/w{number}-a")
    assert errors(agent) == []


def test_what_another_sync_may_go_on_wanting_says_why(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    finished(agent, fleet.commit({"fleet/a.yaml": config_map(namespace, "a")}, "in Git"))
    moved = {"fleet/k.yaml": kustomization(namespace, "k", "./k"), "k/a.yaml": config_map(namespace, "a")}
    fleet.commit({**moved, "fleet/a.yaml": GONE, "fleet/bad.yaml": "a: [\n"}, "moved, and a file that is not read")

    def says() -> str:
        kind = "kustomizations.kustomize.toolkit.fluxcd.io"
        return kubectl("get", kind, "k", "-n", namespace, "--ignore-not-found", "-o", "jsonpath={.status.conditions}")

    said = ask_until(says, lambda text: "belongs to sync" in text, "who has it is said")
    assert "which may go on wanting it: fleet/bad.yaml" in said
    assert "remove it from one of the two" not in said
    finished(agent, fleet.commit({"fleet/bad.yaml": GONE}, "mended"))
    ask_until(says, lambda text: '"status":"True","type":"Ready"' in text, "it has it")
