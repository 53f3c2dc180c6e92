"""What the commands say of Kustomizations that an agent serves: the journal, and the tree."""

from __future__ import annotations

from typing import Any

import pytest

from tests.controlplane.cluster import Cli
from tests.e2e.conftest import NewAgent
from tests.e2e.fluxrepositories import SYNC
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.kustomizations import kustomization
from tests.e2e.manifests import config_map
from tests.e2e.mapcharts import CHART, release


@pytest.fixture
def agent(new_agent: NewAgent, fleet: Fleet) -> AgentProcess:
    return new_agent(fleet, "--path=clusters", "--once")


def through(agent: AgentProcess, sync_name: str, *more: str) -> dict[str, dict[str, list[str]]]:
    """By commit and Kustomization what was done, "" for what was done without one."""
    found: dict[str, dict[str, list[str]]] = {}
    for item in agent.told("log", "--name", sync_name, "-o", "json", *more):
        parts = {"": item["changes"]} if "changes" in item else {}
        parts |= {name: entry["changes"] for name, entry in item["kustomizations"].items()}
        done = {name: [f"{it['verb']} {it['object']}" for it in changes] for name, changes in parts.items()}
        found[item["commit"]] = done
    return found


def test_the_journal_says_through_which_kustomization_a_commit_did_what(
    agent: AgentProcess, fleet: Fleet, namespace: str, sync_name: str, kubectl: Cli
) -> None:
    """Across restarts, for each run of the agent ends; a commit that changes nothing of one is not recorded for it."""
    own = f"{namespace}/"
    first = fleet.commit(
        {
            "clusters/a.yaml": kustomization(namespace, "a", "./a"),
            "clusters/b.yaml": kustomization(namespace, "b", "./b"),
            "a/one.yaml": config_map(namespace, "one"),
            "b/two.yaml": config_map(namespace, "two"),
        },
        "two directories",
    )
    assert agent.start().wait() == 0
    second = fleet.commit({"a/one.yaml": config_map(namespace, "one", "new")}, "one is new")
    assert agent.start().wait() == 0
    third = fleet.commit({"clusters/b.yaml": None}, "without b")
    assert agent.start().wait() == 0
    assert through(agent, sync_name) == {
        third: {
            "": [f"deleted Kustomization/{namespace}/b"],
            f"{own}b": [f"deleted ConfigMap/{namespace}/two"],
        },
        second: {"": [], f"{own}a": [f"changed ConfigMap/{namespace}/one"]},
        first: {
            "": [f"created Kustomization/{namespace}/a", f"created Kustomization/{namespace}/b"],
            f"{own}a": [f"created ConfigMap/{namespace}/one"],
            f"{own}b": [f"created ConfigMap/{namespace}/two"],
        },
    }
    only = through(agent, sync_name, "--kustomization", f"{own}b")
    assert {commit: list(parts) for commit, parts in only.items()} == {third: [f"{own}b"], first: [f"{own}b"]}
    text = agent.command("log", second[:7], "--name", sync_name)
    assert "Ada: one is new\n  2 unchanged\n" in text
    assert f"  through kustomization {own}a: succeeded in " in text
    assert f"    changed  ConfigMap/{namespace}/one (a/one.yaml:1:1, changed in Git" in text


def test_the_tree_goes_from_the_repository_to_the_objects_of_releases(
    agent: AgentProcess, fleet: Fleet, namespace: str, sync_name: str
) -> None:
    fleet.commit(
        {
            **CHART,
            "clusters/sync.yaml": SYNC.replace("./clusters/prod", "./clusters"),
            "clusters/namespace.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: flux-system}\n",
            "clusters/top.yaml": kustomization(namespace, "top", "./top"),
            "top/apps.yaml": kustomization(namespace, "apps", "./apps"),
            "top/plain.yaml": config_map(namespace, "plain"),
            "apps/release.yaml": release(namespace, "a"),
        },
        "a tree",
    )
    assert agent.start().wait() == 0

    def shape(node: dict[str, Any]) -> Any:
        inside = {f"{it['kind']}/{it['name']}": shape(it) for it in node["children"]}
        return inside or node["status"]

    top = agent.told("tree", "kustomization", "top", "-n", namespace, "-o", "json")
    apps = {"HelmRelease/a": {"ConfigMap/a-own": "ready"}}
    assert shape(top) == {"Kustomization/apps": apps, "ConfigMap/plain": "ready"}
    sources = {item["name"]: item["source"] for item in top["children"]}
    assert sources == {"apps": f"GitRepository/{namespace}/flux-system", "plain": ""}
    everything = {
        "Namespace/flux-system": "ready",
        "GitRepository/flux-system": "ready",
        "Kustomization/flux-system": "ready",
        "Kustomization/top": shape(top),
    }
    assert shape(agent.told("tree", "all", "--name", sync_name, "-o", "json")) == everything
    root = shape(agent.told("tree", "kustomization", "flux-system", "-n", "flux-system", "-o", "json"))
    assert root == everything, "the sync of the settings stands for it"
    text = agent.command("tree", "kustomization", "top", "-n", namespace)
    assert "└── HelmRelease/a" in text
    assert f"from GitRepository/{namespace}/flux-system" in text


def test_a_rollback_takes_nothing_from_a_kustomization(
    agent: AgentProcess, fleet: Fleet, namespace: str, kubectl: Cli
) -> None:
    """The old revision has an object that a commit has moved into a directory since."""
    app = {"clusters/a.yaml": release(namespace, "a", "moves"), "clusters/k.yaml": kustomization(namespace, "k", "./k")}
    fleet.commit({**CHART, **app, "k/other.yaml": config_map(namespace, "other")}, "in the chart")
    assert agent.start().wait() == 0
    fleet.commit(
        {"clusters/a.yaml": release(namespace, "a"), "k/moves.yaml": config_map(namespace, "moves")}, "in a directory"
    )
    assert agent.start().wait() == 0
    code, _, err = agent.ended("rollback", "helmrelease", "a", "1", "-n", namespace, "--suspend")
    assert code == 1
    assert f"ConfigMap/{namespace}/moves is already managed by sync '{namespace}/k'" in err
    owner = kubectl(
        "get", "configmap", "moves", "-n", namespace, "-o", "jsonpath={.metadata.labels.gitsync\\.dev/sync}"
    )
    assert owner == "k"
