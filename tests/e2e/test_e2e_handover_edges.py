"""Moves that are out of the ordinary: of definitions, across namespaces, and into what cannot come about."""

from __future__ import annotations

import json

import pytest

from tests.controlplane.cluster import Cli
from tests.e2e.conftest import NewAgent
from tests.e2e.definitions import definition
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.manifests import config_map
from tests.e2e.moving import CHART, Moved, both, box, finished

NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {{name: {0}}}\n"


@pytest.fixture
def agent(new_agent: NewAgent, fleet: Fleet) -> AgentProcess:
    return new_agent(fleet, "--path=fleet", "--allow-mass-prune")


def exists(kubectl: Cli, *what: str) -> bool:
    return kubectl("get", *what, "--ignore-not-found", "-o", "name") != ""


@pytest.mark.parametrize("policy", ["Create", "CreateReplace"])
def test_a_definition_that_moves_into_the_crds_of_a_chart_keeps_its_objects(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str, policy: str
) -> None:
    group = f"{namespace}.example"
    doll = f"apiVersion: {group}/v1\nkind: Doll\nmetadata: {{name: one, namespace: {namespace}}}\n"
    agent.start()
    finished(agent, fleet.commit({"fleet/crd.yaml": definition(group), "fleet/doll.yaml": doll}, "in Git"))
    uid = kubectl("get", f"dolls.{group}", "one", "-n", namespace, "-o", "jsonpath={.metadata.uid}")

    release = box(namespace, "a").replace("  values", f"  install: {{crds: {policy}}}\n  values")
    files = {**CHART, "charts/box/crds/crd.yaml": definition(group), "fleet/crd.yaml": "# gone\n"}
    finished(agent, fleet.commit({**files, "fleet/a.yaml": release}, "in the chart"))
    agent.wait_for("release installed", release=f"{namespace}/a")
    finished(agent, fleet.commit({"fleet/more.yaml": config_map(namespace, "more")}, "something else"))
    assert kubectl("get", f"dolls.{group}", "one", "-n", namespace, "-o", "jsonpath={.metadata.uid}") == uid
    assert not agent.said("object deleted", object=f"CustomResourceDefinition/dolls.{group}")
    kubectl("delete", "crd", f"dolls.{group}")


def test_what_comes_back_to_git_from_another_namespace_is_git_s_again(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    away = f"{namespace}-away"
    text = config_map(away, "moves", "git")
    there = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: moves, namespace: {away}}}\ndata: {{text: chart}}\n"
    chart = {**CHART, "charts/there/Chart.yaml": "apiVersion: v2\nname: there\nversion: 1.0.0\n"}
    chart["charts/there/templates/all.yaml"] = there
    release = box(namespace, "a").replace("charts/box", "charts/there")
    agent.start()
    finished(
        agent, fleet.commit({**chart, "fleet/ns.yaml": NAMESPACE.format(away), "fleet/moves.yaml": text}, "in Git")
    )
    uid = kubectl("get", "configmap", "moves", "-n", away, "-o", "jsonpath={.metadata.uid}")
    finished(agent, fleet.commit({"fleet/moves.yaml": "# gone\n", "fleet/a.yaml": release}, "in the chart"))
    finished(agent, fleet.commit({"fleet/moves.yaml": text, "fleet/a.yaml": "# gone\n"}, "in Git again"))
    found = json.loads(kubectl("get", "configmap", "moves", "-n", away, "-o", "json"))
    assert (found["metadata"]["uid"], found["data"]) == (uid, {"text": "git"})
    assert "meta.helm.sh/release-name" not in found["metadata"]["annotations"]

    finished(agent, fleet.commit({"fleet/moves.yaml": "# gone\n"}, "nowhere"))
    assert not exists(kubectl, "configmap", "moves", "-n", away)
    finished(agent, fleet.commit({"fleet/ns.yaml": "# gone\n"}, "the end"))


def test_a_release_that_is_to_be_another_one_and_cannot_be_rendered_stays_what_it_is(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, helm_cli: Cli, namespace: str
) -> None:
    moved = both(namespace)
    agent.start()
    finished(agent, fleet.commit({**CHART, "fleet/a.yaml": box(namespace, "a", moved)}, "as a"))
    uids = [item.live(kubectl)["uid"] for item in moved]
    broken = {"charts/bad/Chart.yaml": "apiVersion: v2\nname: bad\nversion: 1.0.0\n"}
    broken["charts/bad/templates/all.yaml"] = '{{ fail "no good" }}\n'
    text = box(namespace, "a", moved, release_name="z").replace("charts/box", "charts/bad")
    finished(agent, fleet.commit({**broken, "fleet/a.yaml": text}, "as z, and broken"))
    failed = agent.wait_for("release failed", release=f"{namespace}/a")
    assert "no good" in failed.fields["error"]
    assert [item.live(kubectl)["uid"] for item in moved] == uids
    assert not agent.said("release is to be another one, uninstalling what it was")

    # And when it is given up, what it was goes with it.
    finished(agent, fleet.commit({"fleet/a.yaml": "# gone\n"}, "given up"))
    assert not exists(kubectl, "configmap", "moves", "-n", namespace)
    assert json.loads(helm_cli("list", "-n", namespace, "-o", "json")) == []


def test_a_rollback_that_wants_what_git_has_by_now_fails_and_the_upgrade_is_tried_again(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    (moved, _) = both(namespace)
    agent.start()
    finished(agent, fleet.commit({**CHART, "fleet/a.yaml": box(namespace, "a", [moved])}, "in the chart"))
    stuck = box(namespace, "a").replace("timeout: 1m", "timeout: 2s").replace('"maps"', '"broken": ["never"], "maps"')
    upgrade = "  upgrade: {remediation: {retries: 1, remediateLastFailure: true, strategy: rollback}}\n"
    text = stuck.replace("  chart:", f"{upgrade}  chart:")
    finished(agent, fleet.commit({"fleet/a.yaml": text, "fleet/moves.yaml": moved.plain()}, "in Git"))
    failed = agent.wait_for("rollback failed", release=f"{namespace}/a")
    assert f"ConfigMap/{namespace}/moves is already managed by sync" in failed.fields["error"]
    finished(agent, fleet.commit({"fleet/a.yaml": box(namespace, "a")}, "mended"))
    live = moved.live(kubectl)
    assert (live["from"], live["release"]) == ("git", "")
    ready = "jsonpath={.status.conditions[?(@.type=='Ready')].status}"
    assert kubectl("get", "helmrelease", "a", "-n", namespace, "-o", ready) == "True"


def test_a_namespace_that_a_release_is_to_have_is_remembered_until_it_has_it(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    other = f"{namespace}-other"
    moved = Moved("configmap", other)
    chart = {**CHART, "charts/ns/Chart.yaml": "apiVersion: v2\nname: ns\nversion: 1.0.0\n"}
    chart["charts/ns/templates/all.yaml"] = NAMESPACE.format(other)
    inside = box(other, "inside", [moved]).replace("name: flux-system", f"name: flux-system, namespace: {namespace}")
    files = {**chart, "fleet/ns.yaml": NAMESPACE.format(other), "fleet/inside.yaml": inside}
    agent.start()
    finished(agent, fleet.commit(files, "in Git"))
    waits = box(namespace, "a", needs="nothing").replace("charts/box", "charts/ns")
    finished(agent, fleet.commit({"fleet/ns.yaml": "# gone\n", "fleet/a.yaml": waits}, "in the chart, later"))
    agent.wait_for("object handed over", object=f"Namespace/{other}", to=f"HelmRelease/{namespace}/a")
    assert exists(kubectl, "namespace", other)

    finished(agent, fleet.commit({"fleet/inside.yaml": "# gone\n", "fleet/a.yaml": "# gone\n"}, "nothing of it"))
    assert not exists(kubectl, "namespace", other)


def test_two_releases_that_exchange_their_names_exchange_all_they_have(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    one, two = Moved("persistentvolumeclaim", namespace, "one"), Moved("persistentvolumeclaim", namespace, "two")

    def named(first: str, second: str) -> dict[str, str | None]:
        return {
            "fleet/a.yaml": box(namespace, "a", [one], release_name=first),
            "fleet/b.yaml": box(namespace, "b", [two], release_name=second),
        }

    fleet.commit({**CHART, **named("left", "right")}, "as they are")
    assert new_agent(fleet, "--path=fleet", "--once").start().wait() == 0
    uids = [item.live(kubectl)["uid"] for item in (one, two)]
    fleet.commit(named("right", "left"), "exchanged")
    assert new_agent(fleet, "--path=fleet", "--once").start().wait() == 0
    assert [item.live(kubectl)["uid"] for item in (one, two)] == uids
    assert [item.live(kubectl)["release"] for item in (one, two)] == ["right", "left"]

    fleet.commit({"fleet/a.yaml": "# gone\n", "fleet/b.yaml": "# gone\n"}, "nothing of it")
    assert new_agent(fleet, "--path=fleet", "--once", "--allow-mass-prune").start().wait() == 0
    assert kubectl("get", "persistentvolumeclaims", "-n", namespace, "-o", "name") == ""


def test_a_release_that_is_removed_leaves_what_it_was_to_another_that_has_it_by_then(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, helm_cli: Cli, namespace: str
) -> None:
    one = Moved("persistentvolumeclaim", namespace, "one")
    agent.start()
    finished(agent, fleet.commit({**CHART, "fleet/a.yaml": box(namespace, "a", [one], release_name="left")}, "as a"))
    uid = one.live(kubectl)["uid"]
    broken = {"charts/bad/Chart.yaml": "apiVersion: v2\nname: bad\nversion: 1.0.0\n"}
    broken["charts/bad/templates/all.yaml"] = '{{ fail "no good" }}\n'
    text = box(namespace, "a", [one], release_name="right").replace("charts/box", "charts/bad")
    taken = box(namespace, "b", [one], release_name="left")
    finished(agent, fleet.commit({**broken, "fleet/a.yaml": text, "fleet/b.yaml": taken}, "b has it now"))
    finished(agent, fleet.commit({"fleet/a.yaml": "# gone\n"}, "a is given up"))
    live = one.live(kubectl)
    assert (live["uid"], live["release"]) == (uid, "left")
    assert not agent.said("object deleted", object=f"PersistentVolumeClaim/{namespace}/one")
    ready = "jsonpath={.status.conditions[?(@.type=='Ready')].status}"
    assert kubectl("get", "helmrelease", "b", "-n", namespace, "-o", ready) == "True"
    revisions = json.loads(helm_cli("history", "left", "-n", namespace, "-o", "json"))
    assert revisions[-1]["status"] == "deployed"
