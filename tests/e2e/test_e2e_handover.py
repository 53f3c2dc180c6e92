"""An object that moves between plain manifests and releases keeps its uid and its data, whoever is quicker."""

from __future__ import annotations

import itertools

import pytest

from tests.controlplane.cluster import Cli
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.kustomizations import kustomization
from tests.e2e.moving import CHART, PLACES, both, box, finished, fleet_files


@pytest.fixture
def agent(new_agent: NewAgent, fleet: Fleet) -> AgentProcess:
    return new_agent(fleet, "--path=fleet")


@pytest.mark.parametrize("first", ["", "a", "b"])
def test_an_object_keeps_its_uid_in_every_direction(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str, first: str
) -> None:
    moved = both(namespace)
    agent.start()
    finished(agent, fleet.commit({**CHART, **fleet_files(moved, "git", namespace, first)}, "in git"))
    uids = {item: item.live(kubectl)["uid"] for item in moved}

    place = "git"
    for target in ("a", "b", "git", "b", "a", "git"):
        finished(agent, fleet.commit(fleet_files(moved, target, namespace, first), f"{place} to {target}"))
        for item in moved:
            live = item.live(kubectl)
            assert live["uid"] == uids[item], f"{item.kind}: {place} to {target}"
            assert live["from"] in ("", target)
            assert (live["release"], bool(live["sync"])) == (("", True) if target == "git" else (target, False))
        place = target
    assert not agent.said("object deleted", object=f"ConfigMap/{namespace}/moves")


@pytest.mark.parametrize(("source", "target"), list(itertools.permutations(PLACES, 2)))
def test_an_object_keeps_its_uid_when_the_agent_is_killed_while_it_moves(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str, source: str, target: str
) -> None:
    (moved, _) = both(namespace)
    agent = new_agent(fleet, "--path=fleet")
    agent.start()
    finished(agent, fleet.commit({**CHART, **fleet_files([moved], source, namespace, "")}, "before"))
    uid = moved.live(kubectl)["uid"]

    after = agent.count
    commit = fleet.commit(fleet_files([moved], target, namespace, ""), "after")
    agent.wait_for("sync started", after=after, commit=commit[:7])
    agent.kill()
    again = new_agent(fleet, "--path=fleet", "--once")

    assert again.start().wait() == 0
    live = moved.live(kubectl)
    assert (live["uid"], live["from"]) == (uid, target)


def test_a_claim_that_the_same_commit_keeps_survives_its_release(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    moved = both(namespace)
    agent.start()
    finished(agent, fleet.commit({**CHART, **fleet_files(moved, "a", namespace, "")}, "in the release"))
    uids = {item: item.live(kubectl)["uid"] for item in moved}
    files = fleet_files(moved, "git", namespace, "") | {"fleet/a.yaml": "# removed\n"}
    finished(agent, fleet.commit(files, "the release goes, what it held stays"))

    assert kubectl("get", "helmrelease", "a", "-n", namespace, "--ignore-not-found", "-o", "name") == ""
    assert kubectl("get", "configmap", "a-own", "-n", namespace, "--ignore-not-found", "-o", "name") == ""
    assert {item: item.live(kubectl)["uid"] for item in moved} == uids


def test_a_release_that_gets_another_name_keeps_what_it_holds_under_both(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    moved = both(namespace)
    agent.start()
    finished(agent, fleet.commit({**CHART, "fleet/a.yaml": box(namespace, "a", moved)}, "as a"))
    uids = {item: item.live(kubectl)["uid"] for item in moved}
    finished(agent, fleet.commit({"fleet/a.yaml": box(namespace, "a", moved, release_name="z")}, "as z"))

    assert {item: item.live(kubectl)["uid"] for item in moved} == uids
    assert {item.live(kubectl)["release"] for item in moved} == {"z"}


def test_what_git_and_a_chart_want_for_good_is_an_error_that_names_both(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    (moved, _) = both(namespace)
    agent.start()
    finished(agent, fleet.commit({**CHART, **fleet_files([moved], "git", namespace, "")}, "in git"))
    uid = moved.live(kubectl)["uid"]
    finished(agent, fleet.commit({"fleet/a.yaml": box(namespace, "a", [moved])}, "and in the chart"))

    status = kubectl("get", "helmrelease", "a", "-n", namespace, "-o", "jsonpath={.status.conditions}")
    assert f"ConfigMap/{namespace}/moves is already managed by sync" in status
    assert moved.live(kubectl)["from"] == "git"
    # Git lets go, and the release takes it without further help.
    finished(agent, fleet.commit({"fleet/configmap.yaml": "# gone\n"}, "no more in git"))
    agent.wait_for("release upgraded", release=f"{namespace}/a")
    live = moved.live(kubectl)
    assert (live["uid"], live["from"]) == (uid, "a")


def test_what_a_chart_has_and_git_wants_as_well_is_left_to_the_chart(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    (moved, _) = both(namespace)
    agent.start()
    finished(agent, fleet.commit({**CHART, **fleet_files([moved], "a", namespace, "")}, "in the chart"))
    finished(agent, fleet.commit({"fleet/configmap.yaml": moved.plain()}, "and in git"))

    failed = agent.wait_for("object failed", object=f"ConfigMap/{namespace}/moves")
    assert f"is already managed by HelmRelease/{namespace}/a" in failed.fields["error"]
    assert failed.fields["origin"].startswith("fleet/configmap.yaml:1")
    assert moved.live(kubectl)["from"] == "a"


def test_two_releases_that_want_an_object_for_good_do_not_fight_over_it(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    (moved, _) = both(namespace)
    agent.start()
    finished(agent, fleet.commit({**CHART, **fleet_files([moved], "a", namespace, "")}, "in a"))
    finished(agent, fleet.commit({"fleet/b.yaml": box(namespace, "b", [moved])}, "in b, too"))

    status = kubectl("get", "helmrelease", "b", "-n", namespace, "-o", "jsonpath={.status.conditions}")
    assert f"ConfigMap/{namespace}/moves is already managed by HelmRelease/{namespace}/a" in status
    assert moved.live(kubectl)["release"] == "a"
    after = agent.count
    fleet.commit({"fleet/a.yaml": box(namespace, "a")}, "a lets go")
    agent.wait_for("release upgraded", after=after, release=f"{namespace}/b")
    assert moved.live(kubectl)["release"] == "b"


def test_an_object_of_a_release_that_nobody_manages_here_is_taken_over(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, helm_cli: Cli, namespace: str
) -> None:
    (moved, _) = both(namespace)
    fleet.commit({**CHART, **fleet_files([moved], "git", namespace, "")}, "in git")
    helm_cli("install", "byhand", str(fleet.path / "charts/box"), "-n", namespace, "--set", "maps={moves}")
    uid = moved.live(kubectl)["uid"]
    agent.start()
    finished(agent, fleet.head)

    live = moved.live(kubectl)
    assert (live["uid"], live["from"], live["release"]) == (uid, "git", "")


def test_what_a_suspended_release_is_to_have_is_there_when_the_agent_was_killed_meanwhile(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    """The Kustomization that had it is being deleted at the start, and asks before the first commit has been read."""
    moved = both(namespace)
    before = {
        **CHART,
        "fleet/k.yaml": kustomization(namespace, "k", "./k"),
        "fleet/b.yaml": box(namespace, "b"),
        **{f"k/{item.kind}.yaml": item.plain() for item in moved},
    }
    agent = new_agent(fleet, "--path=fleet", "--allow-mass-prune").start()
    finished(agent, fleet.commit(before, "in a Kustomization"))
    for item in moved:
        kubectl("wait", "--for=create", f"{item.kind}/{item.name}", "-n", namespace, "--timeout=60s")
    uids = {item: item.live(kubectl)["uid"] for item in moved}
    suspended = box(namespace, "b", moved, spec="  suspend: true\n")
    fleet.commit({"fleet/k.yaml": "# gone\n", "fleet/b.yaml": suspended}, "to a suspended release")
    agent.wait_for("kustomization cannot go yet", kustomization=f"{namespace}/k")
    agent.kill()

    again = new_agent(fleet, "--path=fleet", "--allow-mass-prune").start()
    again.wait_for("kustomization cannot go yet", kustomization=f"{namespace}/k")
    assert {item: item.live(kubectl)["uid"] for item in moved} == uids
    fleet.commit({"fleet/b.yaml": box(namespace, "b", moved)}, "resumed")
    kubectl("wait", "--for=delete", "kustomization/k", "-n", namespace, "--timeout=60s")
    assert {item: item.live(kubectl)["uid"] for item in moved} == uids
    assert {item.live(kubectl)["release"] for item in moved} == {"b"}
