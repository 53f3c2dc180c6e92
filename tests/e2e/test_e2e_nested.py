"""HelmReleases that are in charts of HelmReleases: what they have, or are to have, is wanted like any other."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.controlplane.cluster import Cli
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.moving import CHART, Moved, both, box
from tests.e2e.settling import NESTED, uids

GONE = "# gone\n"
CHARTS = {**CHART, **NESTED}
#: Ways in which a HelmRelease does not come to take what it is to have.
HELD_UP: dict[str, Callable[[str], str]] = {
    "suspended": lambda text: text.replace("  timeout:", "  suspend: true\n  timeout:"),
    "waits": lambda text: text.replace("  timeout:", "  dependsOn: [{name: nope}]\n  timeout:"),
    "broken": lambda text: text.replace("./charts/box", "./charts/nope"),
}


@pytest.fixture
def agent(new_agent: NewAgent, fleet: Fleet) -> AgentProcess:
    return new_agent(fleet, "--path=fleet", "--once", "--allow-mass-prune")


def files(moved: tuple[Moved, ...], *, plain: bool) -> dict[str, str | None]:
    return {f"fleet/{item.kind}.yaml": item.plain() if plain else GONE for item in moved}


def parent(namespace: str, name: str, *kids: str) -> str:
    """A HelmRelease whose chart has these."""
    return box(namespace, name, nested="---\n".join(kids), timeout="20s")


@pytest.mark.parametrize(
    ("who", "how"), [("kid", "suspended"), ("kid", "broken"), ("par", "suspended"), ("par", "waits")]
)
def test_what_goes_from_git_to_one_that_does_not_come_to_take_it_stays(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str, who: str, how: str
) -> None:
    moved = both(namespace)
    fleet.commit({**CHARTS, **files(moved, plain=True)}, "in Git")
    assert agent.start().wait() == 0
    before = uids(kubectl, *moved)
    kid = box(namespace, "kid", moved)
    par = parent(namespace, "par", HELD_UP[how](kid) if who == "kid" else kid)
    fleet.commit({**files(moved, plain=False), "fleet/par.yaml": HELD_UP[how](par) if who == "par" else par}, "in kid")
    agent.start().wait()
    assert uids(kubectl, *moved) == before
    fleet.commit({"fleet/par.yaml": parent(namespace, "par", kid)}, "and it does")
    assert agent.start().wait() == 0
    assert uids(kubectl, *moved) == before
    assert [item.live(kubectl)["release"] for item in moved] == ["kid", "kid"]


@pytest.mark.parametrize("back", ["to Git", "the parent removed", "to a release"])
def test_what_one_has_goes_elsewhere_in_one_commit(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str, sync_name: str, back: str
) -> None:
    moved = both(namespace)
    fleet.commit({**CHARTS, "fleet/par.yaml": parent(namespace, "par", box(namespace, "kid", moved))}, "in kid")
    assert agent.start().wait() == 0
    before = uids(kubectl, *moved)
    par: str | None = parent(namespace, "par", box(namespace, "kid"))
    if back == "the parent removed":
        par = GONE
    there = {"fleet/a.yaml": box(namespace, "a", moved)} if back == "to a release" else files(moved, plain=True)
    fleet.commit({**there, "fleet/par.yaml": par}, back)
    flags = [f"--repo={fleet.path}", "--path=fleet", f"--name={sync_name}", "--allow-mass-prune"]
    code, planned, problems = agent.ended("plan", *flags)
    assert (code, "already managed" in problems, "delete PersistentVolumeClaim" in planned) == (2, False, False)
    assert agent.start().wait() == 0
    assert uids(kubectl, *moved) == before
    assert all(bool(item.live(kubectl)["sync"]) == (back != "to a release") for item in moved)
    assert [item.live(kubectl)["release"] for item in moved] == ["a" if back == "to a release" else ""] * 2
    fleet.commit(dict.fromkeys(there, GONE), "gone for good")
    assert agent.start().wait() == 0
    assert not kubectl("get", "configmap", "moves", "-n", namespace, "--ignore-not-found", "-o", "name")


@pytest.mark.parametrize("how", ["", "broken"])
def test_what_a_release_drops_and_one_in_a_chart_of_the_commit_is_to_have_stays(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str, how: str
) -> None:
    moved = both(namespace)
    par = parent(namespace, "par", box(namespace, "kid"))
    fleet.commit({**CHARTS, "fleet/a.yaml": box(namespace, "a", moved), "fleet/par.yaml": par}, "in a")
    assert agent.start().wait() == 0
    before = uids(kubectl, *moved)
    kid = box(namespace, "kid", moved)
    par = parent(namespace, "par", HELD_UP[how](kid) if how else kid)
    fleet.commit({"fleet/a.yaml": box(namespace, "a"), "fleet/par.yaml": par}, "in kid")
    assert (agent.start().wait() == 0) == (not how)
    assert uids(kubectl, *moved) == before


def test_what_one_drops_and_a_broken_release_of_the_commit_may_want_stays(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    moved = both(namespace)
    par = parent(namespace, "par", box(namespace, "kid", moved))
    fleet.commit({**CHARTS, "fleet/b.yaml": box(namespace, "b"), "fleet/par.yaml": par}, "in kid")
    assert agent.start().wait() == 0
    before = uids(kubectl, *moved)
    b = HELD_UP["broken"](box(namespace, "b", moved))
    fleet.commit({"fleet/b.yaml": b, "fleet/par.yaml": parent(namespace, "par", box(namespace, "kid"))}, "in b")
    assert agent.start().wait() == 1
    assert uids(kubectl, *moved) == before
    fleet.commit({"fleet/b.yaml": box(namespace, "b", moved)}, "b is mended")
    assert agent.start().wait() == 0
    assert uids(kubectl, *moved) == before


def test_a_namespace_leaves_git_with_what_a_chart_of_the_commit_is_to_have_in_it(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    inside = f"{namespace}-in"
    moved = both(inside)
    space = f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {inside}}}\n"
    fleet.commit({**CHARTS, "fleet/space.yaml": space, **files(moved, plain=True)}, "in Git")
    assert agent.start().wait() == 0
    before = uids(kubectl, *moved)
    kid = box(namespace, "kid", moved, spec=f"  targetNamespace: {inside}\n")
    gone = {"fleet/space.yaml": GONE, **files(moved, plain=False)}
    fleet.commit({**gone, "fleet/par.yaml": parent(namespace, "par", kid)}, "in kid")
    assert agent.start().wait() == 0
    assert uids(kubectl, *moved) == before
    kubectl("delete", "namespace", inside, "--wait=false")


def test_one_that_gets_another_parent_in_the_chart_it_is_in_stays_with_all_it_has(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    moved = both(namespace)
    kid = box(namespace, "kid", moved)
    fleet.commit({**CHARTS, "fleet/par.yaml": parent(namespace, "par", kid)}, "in the parent")
    assert agent.start().wait() == 0
    before = [*uids(kubectl, *moved), kubectl("get", "hr", "kid", "-n", namespace, "-o", "jsonpath={.metadata.uid}")]
    between = parent(namespace, "between", kid)
    fleet.commit({"fleet/par.yaml": parent(namespace, "par", between)}, "one below")
    assert agent.start().wait() == 0
    after = [*uids(kubectl, *moved), kubectl("get", "hr", "kid", "-n", namespace, "-o", "jsonpath={.metadata.uid}")]
    assert after == before


def test_a_release_goes_from_one_in_a_chart_to_one_in_git(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    moved = both(namespace)
    kid = box(namespace, "kid", moved, release_name="pinned")
    fleet.commit({**CHARTS, "fleet/par.yaml": parent(namespace, "par", kid)}, "in a chart")
    assert agent.start().wait() == 0
    before = uids(kubectl, *moved)
    new = box(namespace, "new", moved, release_name="pinned").replace("new-own", "kid-own")
    fleet.commit({"fleet/par.yaml": parent(namespace, "par"), "fleet/new.yaml": new}, "in Git")
    assert agent.start().wait() == 0
    assert [line.msg for line in agent.lines if line.fields["level"] == "error"] == []
    assert uids(kubectl, *moved) == before


def test_both_get_other_names_and_the_second_has_what_the_first_had(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    moved = both(namespace)
    par = parent(namespace, "par", box(namespace, "kid", moved))
    fleet.commit({**CHARTS, "fleet/par.yaml": par}, "as they were")
    assert agent.start().wait() == 0
    before = uids(kubectl, *moved)
    par = parent(namespace, "par2", box(namespace, "kid2", moved))
    broken = HELD_UP["broken"](box(namespace, "unrelated"))
    fleet.commit({"fleet/par.yaml": GONE, "fleet/par2.yaml": par, "fleet/u.yaml": broken}, "both renamed")
    assert agent.start().wait() == 1
    assert agent.said("release installed", release=f"{namespace}/par2")
    assert uids(kubectl, *moved) == before
    assert [item.live(kubectl)["release"] for item in moved] == ["kid2", "kid2"]
