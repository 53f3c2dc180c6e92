"""What is said while objects are on their way from one to another is true, and who is done waits for nobody."""

from __future__ import annotations

import json
import time
from functools import partial
from pathlib import Path

import pytest

from tests.controlplane.cluster import Cli
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.kustomizations import kustomization
from tests.e2e.manifests import config_map
from tests.e2e.moving import CHART as BOX
from tests.e2e.moving import Moved, box, finished
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
    time.sleep(8)  # the more it has looked, the more rarely it looks

    last = {"fleet/k.yaml": kustomization(namespace, "k2", "./k"), "k/fixed.yaml": fixed(namespace, "1")}
    finished(agent, commit := fleet.commit(last, "to another Kustomization"))
    took = agent.wait_for("sync finished", commit=commit[:7]).fields["took"]
    assert took < 45  # and not after the minute for which it would be waited for
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


@pytest.mark.parametrize("how", ["ssa: Ignore", "ssa: IfNotPresent", "reconcile: disabled"])
def test_one_that_is_removed_does_not_wait_for_who_leaves_its_object_alone(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str, how: str
) -> None:
    k = {"fleet/k.yaml": kustomization(namespace, "k", "./k"), "k/a.yaml": config_map(namespace, "a")}
    finished(agent, fleet.commit({**k, "fleet/m.yaml": config_map(namespace, "m")}, "in a Kustomization"))
    kubectl("wait", "kustomization/k", "-n", namespace, "--for=condition=Ready", "--timeout=60s")
    uid = kubectl("get", "configmap", "a", "-n", namespace, "-o", "jsonpath={.metadata.uid}")

    alone = config_map(namespace, "a", annotations=f"{{kustomize.toolkit.fluxcd.io/{how}}}")
    k2 = {"fleet/k.yaml": kustomization(namespace, "k2", "./k2"), "k2/a.yaml": alone, "k/a.yaml": GONE}
    finished(agent, fleet.commit(k2, "in another, which leaves it alone"))
    kubectl("wait", "kustomization/k", "-n", namespace, "--for=delete", "--timeout=110s")
    assert kubectl("get", "configmap", "a", "-n", namespace, "-o", "jsonpath={.metadata.uid}") == uid


@pytest.mark.parametrize("place", ["git", "kustomization"])
def test_what_helm_has_taken_by_hand_stays(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, helm_cli: Cli, namespace: str, place: str, tmp_path: Path
) -> None:
    moves, claim = Moved("configmap", namespace), Moved("persistentvolumeclaim", namespace, "claim")
    text = f"{moves.plain()}---\n{claim.plain()}"
    files: dict[str, str | None] = {"fleet/all.yaml": text}
    if place == "kustomization":
        files = {"k/all.yaml": text, "fleet/k.yaml": kustomization(namespace, "k", "./k")}
    finished(agent, fleet.commit({**files, "fleet/m.yaml": config_map(namespace, "m")}, "in Git"))
    agent.wait_for("object created", object=f"ConfigMap/{namespace}/moves")
    agent.wait_for("object created", object=f"PersistentVolumeClaim/{namespace}/claim")
    uids = [it.live(kubectl)["uid"] for it in (moves, claim)]
    for name, text in BOX.items():
        file = tmp_path / name.removeprefix("charts/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    values = json.dumps({"maps": ["moves"], "claims": ["claim"]})
    (tmp_path / "values.yaml").write_text(values)
    taking = ("--take-ownership", "--force-conflicts", "--values", str(tmp_path / "values.yaml"))
    helm_cli("install", "byhand", str(tmp_path / "box"), "-n", namespace, *taking)

    finished(agent, fleet.commit(dict.fromkeys(files, GONE), "given up"))
    if place == "kustomization":
        kubectl("wait", "kustomization/k", "-n", namespace, "--for=delete", "--timeout=110s")
    assert [it.live(kubectl)["uid"] for it in (moves, claim)] == uids
    why = f"helm has taken it into its release {namespace}/byhand"
    agent.wait_for("object kept", object=f"ConfigMap/{namespace}/moves", why=why)


def test_an_object_comes_from_a_release_that_drops_it_by_values_of_the_same_kustomization(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    def values(*maps: str) -> str:
        data = {"values.yaml": json.dumps({"maps": maps})}
        metadata = {"name": "vals", "namespace": namespace}
        return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})

    for number in range(3):
        one, other = f"one-{number}", f"other-{number}"
        spec = "  valuesFrom: [{kind: ConfigMap, name: vals}]\n"
        text = box(namespace, "r", spec=spec).replace('"maps": ["r-own"], ', "")
        files = {**BOX, "fleet/k.yaml": kustomization(namespace, "k", "./k"), "fleet/r.yaml": text}
        finished(agent, fleet.commit({**files, "k/vals.yaml": values(one), "k/n.yaml": GONE}, "of the release"))
        ask_until(partial(_has, kubectl, namespace, one), bool, "the release has it")
        moved = {"k/vals.yaml": values(other), "k/n.yaml": config_map(namespace, one)}
        finished(agent, fleet.commit(moved, "of the Kustomization"))
        ask_until(partial(_has, kubectl, namespace, other), bool, "the release has another")
        ask_until(
            partial(Moved("configmap", namespace, one).live, kubectl), lambda live: live["sync"] == "k", "it has it"
        )
    assert errors(agent) == []


def _has(kubectl: Cli, namespace: str, name: str) -> bool:
    return kubectl("get", "configmap", name, "-n", namespace, "--ignore-not-found", "-o", "name") != ""


def test_one_that_has_its_own_variables_gets_another_name(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    variables = {"substituteFrom": [{"kind": "ConfigMap", "name": "vars", "optional": True}]}
    text = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "vars", "namespace": namespace}})
    one, other = (kustomization(namespace, name, f"./{name}", postBuild=variables) for name in ("kv", "kw"))
    files = {"kv/vars.yaml": text, "kv/a.yaml": config_map(namespace, "a", "${x:=1}"), "fleet/k.yaml": one}
    finished(agent, fleet.commit({**files, "fleet/m.yaml": config_map(namespace, "m")}, "one name"))
    kubectl("wait", "kustomization/kv", "-n", namespace, "--for=condition=Ready", "--timeout=60s")
    renamed = {"kw/vars.yaml": text, "kw/a.yaml": files["kv/a.yaml"], "fleet/k.yaml": other}
    fleet_files = {**renamed, "kv/vars.yaml": None, "kv/a.yaml": None}
    finished(agent, fleet.commit(fleet_files, "another"))
    kubectl("wait", "kustomization/kv", "-n", namespace, "--for=delete", "--timeout=60s")
    assert errors(agent) == []
