"""`gitsync plan` of commits that hand objects over, or leave some behind, held against what the agent then does."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.controlplane.cluster import Cli
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import Fleet
from tests.e2e.manifests import config_map
from tests.e2e.mapcharts import CHART as MAPS
from tests.e2e.mapcharts import GONE, release
from tests.e2e.moving import CHART as BOX
from tests.e2e.moving import Moved, box
from tests.e2e.planning import Commits

#: In the chart, a ConfigMap that outlives the release.
KEPT = {
    "charts/maps/templates/kept.yaml": """\
{{- if .Values.kept }}
apiVersion: v1
kind: ConfigMap
metadata: {name: kept, annotations: {helm.sh/resource-policy: keep}}
{{- end }}
"""
}
CHART = {**MAPS, **KEPT}
FLAGS = ("--path=fleet", "--allow-mass-prune")


@pytest.fixture
def commits(new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str) -> Commits:
    return Commits(new_agent(fleet, *FLAGS), fleet, kubectl, namespace)


def plain(namespace: str) -> str:
    return config_map(namespace, "moves")


#: By what moves where: the repository before, and what the commit changes.
MOVES: dict[str, tuple[Callable[[str], dict[str, str | None]], Callable[[str], dict[str, str | None]], str]] = {
    "a renamed release": (
        lambda ns: {"fleet/a.yaml": release(ns, "a", "moves")},
        lambda ns: {"fleet/a.yaml": GONE, "fleet/b.yaml": release(ns, "b", "moves")},
        "HelmRelease/{}/b",
    ),
    "chart to chart": (
        lambda ns: {"fleet/a.yaml": release(ns, "a", "moves"), "fleet/b.yaml": release(ns, "b")},
        lambda ns: {"fleet/a.yaml": release(ns, "a"), "fleet/b.yaml": release(ns, "b", "moves")},
        "HelmRelease/{}/b",
    ),
    "chart to Git": (
        lambda ns: {"fleet/a.yaml": release(ns, "a", "moves")},
        lambda ns: {"fleet/a.yaml": release(ns, "a"), "fleet/moves.yaml": plain(ns)},
        "sync/",
    ),
    "Git to chart": (
        lambda ns: {"fleet/a.yaml": release(ns, "a"), "fleet/moves.yaml": plain(ns)},
        lambda ns: {"fleet/a.yaml": release(ns, "a", "moves"), "fleet/moves.yaml": GONE},
        "HelmRelease/{}/a",
    ),
}


@pytest.mark.parametrize("move", MOVES)
def test_what_moves_is_planned_as_handed_over(commits: Commits, namespace: str, move: str) -> None:
    before, change, to = MOVES[move]
    commits.commit({**CHART, **before(namespace)})
    assert commits.run() == 0
    commits.commit(change(namespace))

    planned = commits.as_planned()
    (heir,) = planned.doing("hand over").values()
    assert heir.startswith(to.format(namespace))
    assert planned.code == 2


def test_a_release_that_another_helmrelease_goes_on_with_loses_nothing(commits: Commits, namespace: str) -> None:
    def named(name: str) -> str:
        return release(namespace, name, "moves").replace(f"{name}-own", "own") + "  releaseName: pinned\n"

    commits.commit({**CHART, "fleet/a.yaml": named("a")})
    assert commits.run() == 0
    commits.commit({"fleet/a.yaml": GONE, "fleet/b.yaml": named("b")})

    planned = commits.as_planned(0, 1)
    helm_release = f"HelmRelease/{namespace}/a"
    assert set(planned.doing("delete")) == {helm_release}
    assert f"its release is left to HelmRelease/{namespace}/b" in planned.whys[f"delete {helm_release}"]


def test_a_suspended_release_is_planned_to_leave_its_objects(commits: Commits, namespace: str) -> None:
    for suspend in (False, True):
        commits.commit({**CHART, "fleet/a.yaml": release(namespace, "a", suspend=suspend)})
        assert commits.run() == 0
    commits.commit({"fleet/a.yaml": GONE})

    planned = commits.as_planned()
    helm_release = f"HelmRelease/{namespace}/a"
    assert set(planned.doing("delete")) == {helm_release}
    assert planned.whys[f"delete {helm_release}"] == "removed from Git, and leaves its objects, for it is suspended"


@pytest.mark.parametrize("what", ["moves", "a"])
def test_what_a_release_may_want_that_cannot_be_rendered_is_planned_as_kept(
    commits: Commits, namespace: str, what: str
) -> None:
    there = {"fleet/moves.yaml": plain(namespace), "fleet/a.yaml": release(namespace, "a")}
    commits.commit({**CHART, **there})
    assert commits.run() == 0
    commits.commit({f"fleet/{what}.yaml": GONE, "fleet/b.yaml": release(namespace, "b", "moves", broken="one")})

    planned = commits.as_planned(1)
    assert not planned.doing("delete")
    (why,) = [planned.whys[f"keep {name}"] for name in planned.doing("keep")]
    assert why.startswith(f"HelmRelease/{namespace}/b may want it: ")
    assert planned.code == 1
    assert any("no good: one" in problem for problem in planned.problems)


def test_what_says_of_itself_that_it_stays_is_planned_as_kept(commits: Commits, namespace: str) -> None:
    def with_kept(name: str, *, kept: bool) -> str:
        text = release(namespace, name)
        return text.replace('values: {"maps"', 'values: {"kept": true, "maps"') if kept else text

    disabled = config_map(namespace, "stays", annotations="{gitsync.dev/prune: disabled}")
    system = "apiVersion: v1\nkind: Namespace\nmetadata: {name: kube-node-lease}\n"
    there = {"fleet/a.yaml": with_kept("a", kept=True), "fleet/stays.yaml": disabled, "fleet/system.yaml": system}
    commits.commit({**CHART, **there})
    assert commits.run() == 0
    commits.commit({"fleet/a.yaml": with_kept("a", kept=False), "fleet/stays.yaml": GONE, "fleet/system.yaml": GONE})

    _, text, _ = commits.said()
    planned = commits.as_planned()
    assert not planned.doing("delete")
    assert planned.whys[f"keep ConfigMap/{namespace}/stays"] == "its prune annotation says disabled"
    assert planned.whys["keep Namespace/kube-node-lease"] == "it is a system namespace"
    assert planned.whys[f"keep ConfigMap/{namespace}/kept"] == "its helm.sh/resource-policy says keep"
    assert f"= keep ConfigMap/{namespace}/stays (" in text
    assert "3 kept" in text


def test_what_only_a_failed_upgrade_took_over_is_planned_as_kept(
    commits: Commits, namespace: str, kubectl: Cli
) -> None:
    moves = Moved("configmap", namespace)
    commits.commit({**BOX, "fleet/b.yaml": box(namespace, "b")})
    assert commits.run() == 0
    kubectl("create", "-f", "-", stdin=moves.plain())
    commits.commit({"fleet/b.yaml": box(namespace, "b", [moves], timeout="2s", broken=["never"])})
    assert commits.run() == 1
    commits.commit({"fleet/b.yaml": box(namespace, "b")})

    planned, after = commits.plan(), commits.agent.count
    assert commits.run() == 0
    (said,) = commits.agent.said("object kept", after=after, object=f"ConfigMap/{namespace}/moves")
    assert planned.whys[f"keep ConfigMap/{namespace}/moves"] == said.fields["why"]
    assert set(planned.doing("delete")) == {f"Deployment/{namespace}/never"}


def test_a_namespace_is_planned_by_what_is_in_it_at_the_end(commits: Commits, namespace: str, kubectl: Cli) -> None:
    """What the commit takes along keeps no Namespace, what others put there does."""
    for name in ("mine", "shared"):
        inside = f"{namespace}-{name}"
        text = f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {inside}}}\n---\n" + release(inside, "a")
        commits.commit({**CHART, f"fleet/{name}.yaml": text})
    assert commits.run() == 0
    kubectl("create", "configmap", "theirs", "-n", f"{namespace}-shared")
    commits.commit({"fleet/mine.yaml": GONE, "fleet/shared.yaml": GONE})

    planned = commits.plan()
    assert commits.run() == 0
    left = kubectl("get", "namespaces", "-o", "jsonpath={.items[*].metadata.name}").split()
    assert f"Namespace/{namespace}-mine" in planned.doing("delete")
    assert f"{namespace}-mine" not in left
    shared = f"Namespace/{namespace}-shared"
    (said,) = commits.agent.said("object kept", object=shared)
    assert planned.whys[f"keep {shared}"] == said.fields["why"]
    assert "theirs" in said.fields["why"]


@pytest.mark.parametrize("first", ["chart", "Git"])
def test_what_two_want_is_planned_as_a_problem_and_not_as_a_change(
    commits: Commits, namespace: str, first: str
) -> None:
    in_git: dict[str, str | None] = {"fleet/moves.yaml": plain(namespace)}
    in_chart: dict[str, str | None] = {"fleet/a.yaml": release(namespace, "a", "moves")}
    without: dict[str, str | None] = {"fleet/a.yaml": release(namespace, "a")}
    commits.commit({**CHART, **(in_chart if first == "chart" else {**in_git, **without})})
    assert commits.run() == 0
    commits.commit(in_git if first == "chart" else in_chart)

    planned = commits.as_planned(1)
    owner = f"HelmRelease/{namespace}/a" if first == "chart" else "sync"
    (problem,) = planned.problems
    asking = "" if first == "chart" else f"HelmRelease/{namespace}/a: "
    assert problem.startswith(f"{asking}ConfigMap/{namespace}/moves is already managed by {owner}")
    assert f"ConfigMap/{namespace}/moves" not in planned.doing("change")


def test_a_chart_that_cannot_be_rendered_does_not_change_nothing(commits: Commits, namespace: str) -> None:
    commits.commit({**CHART, "fleet/a.yaml": release(namespace, "a")})
    assert commits.run() == 0
    commits.commit({"charts/maps/templates/all.yaml": '{{ fail "no good" }}\n'})

    code, out, err = commits.said()
    assert code == 1
    assert "changes nothing" not in out
    assert ": 1 problem, 1 unchanged." in out or ": 1 problem, 0 unchanged." in out
    assert "no good" in err


def test_a_plan_says_who_gets_an_object_and_changes_nothing(commits: Commits, namespace: str) -> None:
    before, change, _ = MOVES["a renamed release"]
    commits.commit({**CHART, **before(namespace)})
    assert commits.run() == 0
    commits.commit(change(namespace))
    there = commits.uids()
    code, out, _ = commits.said()
    assert code == 2
    assert f"> hand over ConfigMap/{namespace}/moves to HelmRelease/{namespace}/b (release {namespace}/a, " in out
    assert f"- delete ConfigMap/{namespace}/a-own (release {namespace}/a, uninstalled with its release)" in out
    assert "2 to create, 1 to change, 2 to delete, 1 to hand over, 0 unchanged." in out
    assert commits.uids() == there


def test_a_plan_says_why_nothing_would_be_deleted(commits: Commits, namespace: str) -> None:
    commits.commit({"fleet/leaves.yaml": config_map(namespace, "leaves")})
    assert commits.run() == 0
    commits.commit({"fleet/leaves.yaml": GONE, "fleet/bad.yaml": "a: ]\n"})

    _, text, _ = commits.said()
    _, data, _ = commits.said("-o", "json")
    why = json.loads(data)["prune_skipped"]
    assert why
    assert f"Nothing would be deleted: {why}." in text
