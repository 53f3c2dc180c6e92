"""What moves into a release that cannot be rendered, or does not come to take it, stays until that is decided."""

from __future__ import annotations

import pytest

from tests.controlplane.cluster import Cli
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import Fleet
from tests.e2e.manifests import config_map
from tests.e2e.mapcharts import CHART, GONE, Commits, release

PLAIN = "fleet/moves.yaml"


@pytest.fixture
def commits(new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str) -> Commits:
    agent = new_agent(fleet, "--path=fleet", "--allow-mass-prune")
    agent.start()
    return Commits(agent, fleet, kubectl, namespace)


@pytest.mark.parametrize("before", [False, True], ids=["a new release", "one that is there"])
def test_what_moves_from_git_into_a_release_that_cannot_be_rendered_waits_for_it(
    commits: Commits, namespace: str, before: bool
) -> None:
    there = {"fleet/b.yaml": release(namespace, "b")} if before else {}
    commits.push({**CHART, PLAIN: config_map(namespace, "moves"), **there}, "in git")
    uid = commits.uid()

    broken = commits.push({PLAIN: GONE, "fleet/b.yaml": release(namespace, "b", "moves", broken="one")}, "into b")
    kept = commits.agent.wait_for("object kept", object=f"ConfigMap/{namespace}/moves", commit=broken)
    assert f"HelmRelease/{namespace}/b may want it" in kept.fields["why"]
    assert "no good: one" in kept.fields["why"]
    assert kept.fields["origin"].startswith(PLAIN)
    commits.push({"fleet/other.yaml": config_map(namespace, "other")}, "something else")
    assert commits.uid() == uid
    commits.push({"fleet/b.yaml": release(namespace, "b", "moves", broken="two")}, "no better")
    assert commits.uid() == uid
    commits.push({"fleet/other.yaml": GONE}, "something else once more")
    assert commits.uid() == uid

    commits.push({"fleet/b.yaml": release(namespace, "b", "moves")}, "mended")
    assert commits.uid() == uid
    commits.push({"fleet/b.yaml": GONE}, "and then removed")
    assert not commits.has("moves")


def test_what_stays_for_a_release_that_does_not_want_it_is_deleted_then(commits: Commits, namespace: str) -> None:
    commits.push({**CHART, PLAIN: config_map(namespace, "moves")}, "in git")
    commits.push({PLAIN: GONE, "fleet/b.yaml": release(namespace, "b", broken="one")}, "perhaps into b")
    assert commits.has("moves")
    commits.push({"fleet/b.yaml": release(namespace, "b")}, "not into b")
    assert not commits.has("moves")
    assert commits.agent.said("object deleted", object=f"ConfigMap/{namespace}/moves")


def test_a_namespace_stays_with_what_stays_in_it(commits: Commits, namespace: str, kubectl: Cli) -> None:
    inside = f"{namespace}-inside"
    files = {
        "fleet/ns.yaml": f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {inside}}}\n",
        PLAIN: config_map(inside, "moves"),
    }
    commits.push({**CHART, **files}, "in git")
    gone: dict[str, str | None] = {"fleet/ns.yaml": GONE, PLAIN: GONE}
    commits.push({**gone, "fleet/b.yaml": release(namespace, "b", broken="one")}, "perhaps into b")
    assert "deletionTimestamp" not in kubectl("get", "configmap", "moves", "-n", inside, "-o", "json")
    kept = commits.agent.wait_for("object kept", object=f"Namespace/{inside}")
    assert kept.fields["why"] == f"ConfigMap/{inside}/moves is kept, and has to go first"

    commits.push({"fleet/b.yaml": GONE}, "b is given up")
    assert kubectl("get", "namespace", inside, "--ignore-not-found", "-o", "name") == ""


@pytest.mark.parametrize("place", ["a file", "a release"])
def test_what_moves_out_of_a_release_to_where_it_cannot_be_read_waits_for_that(
    commits: Commits, namespace: str, place: str
) -> None:
    commits.push({**CHART, "fleet/a.yaml": release(namespace, "a", "moves")}, "in a")
    uid = commits.uid()
    if place == "a file":
        unread = {PLAIN: config_map(namespace, "moves") + "---\n{\n"}
        mended = {PLAIN: config_map(namespace, "moves")}
    else:
        unread = {"fleet/b.yaml": release(namespace, "b", "moves").replace("interval: 1h", "interval: banana")}
        mended = {"fleet/b.yaml": release(namespace, "b", "moves")}
    commits.push({"fleet/a.yaml": release(namespace, "a"), **unread}, "out of a")
    kept = commits.agent.wait_for("object kept", object=f"ConfigMap/{namespace}/moves")
    assert "cannot be read" in kept.fields["why"]
    assert commits.uid() == uid
    commits.push({**mended}, "mended")
    assert commits.uid() == uid
    commits.push(dict.fromkeys(mended, GONE), "and then removed")
    assert not commits.has("moves")


def test_a_release_that_gets_another_name_stays_until_the_new_one_can_be_rendered(
    commits: Commits, namespace: str
) -> None:
    commits.push({**CHART, "fleet/a.yaml": release(namespace, "a", "moves")}, "as a")
    uid = commits.uid()
    broken = {"fleet/a.yaml": GONE, "fleet/b.yaml": release(namespace, "b", "moves", broken="one")}
    commits.push({**broken}, "as b")
    kept = commits.agent.wait_for("object kept", object=f"HelmRelease/{namespace}/a")
    assert f"HelmRelease/{namespace}/b may want" in kept.fields["why"]
    assert commits.uid() == uid
    assert commits.has("a-own")
    assert commits.has("a", "helmrelease")

    commits.push({"fleet/b.yaml": release(namespace, "b", "moves")}, "mended")
    commits.agent.wait_for("release installed", release=f"{namespace}/b")
    assert commits.uid() == uid
    assert not commits.has("a-own")
    assert not commits.has("a", "helmrelease")


def test_what_waits_for_a_release_is_known_after_a_kill(
    commits: Commits, new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    commits.push({**CHART, PLAIN: config_map(namespace, "moves")}, "in git")
    uid = commits.uid()
    after = commits.agent.count
    fleet.commit({PLAIN: GONE, "fleet/b.yaml": release(namespace, "b", "moves", broken="one")}, "into b")
    commits.agent.wait_for("object created", after=after, object=f"HelmRelease/{namespace}/b")
    commits.agent.kill()
    fleet.commit({"fleet/other.yaml": config_map(namespace, "other")}, "something else")

    again = Commits(new_agent(fleet, "--path=fleet"), fleet, kubectl, namespace)
    again.agent.start()
    again.push({"fleet/other.yaml": GONE}, "something else once more")
    assert again.uid() == uid
    again.push({"fleet/b.yaml": release(namespace, "b", "moves")}, "mended")
    assert again.uid() == uid
    assert again.agent.said("object handed over", object=f"ConfigMap/{namespace}/moves")


def test_what_was_to_go_to_a_release_that_is_removed_before_it_took_it_is_not_left_behind(
    commits: Commits, namespace: str
) -> None:
    commits.push({**CHART, PLAIN: config_map(namespace, "moves")}, "in git")
    uid = commits.uid()
    commits.push({PLAIN: GONE, "fleet/b.yaml": release(namespace, "b", "moves", suspend=True)}, "into b, later")
    commits.agent.wait_for("object handed over", object=f"ConfigMap/{namespace}/moves", to=f"HelmRelease/{namespace}/b")
    commits.push({"fleet/other.yaml": config_map(namespace, "other")}, "something else")
    assert commits.uid() == uid
    commits.push({"fleet/b.yaml": GONE}, "no b after all")
    assert not commits.has("moves")
