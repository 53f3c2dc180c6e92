"""A release that is removed while it is being installed has taken objects that go on to somebody else."""

from __future__ import annotations

import pytest

from tests.controlplane.cluster import Cli
from tests.e2e.belonging import plain
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.kustomizations import kustomization
from tests.e2e.manifests import config_map
from tests.e2e.moving import CHART as BOX
from tests.e2e.moving import Moved, both, box, finished, uids_when_there

GONE = "# gone\n"


@pytest.fixture
def agent(new_agent: NewAgent, fleet: Fleet) -> AgentProcess:
    return new_agent(fleet, "--path=fleet", "--allow-mass-prune").start()


def files_of(who: str, name: str, moved: tuple[Moved, ...], namespace: str) -> dict[str, str | None]:
    """The repository with the objects at somebody's, in ``fleet/NAME.yaml``."""
    if who == "git":
        return {f"fleet/{name}.yaml": plain(moved)}
    if who == "release":
        return {f"fleet/{name}.yaml": box(namespace, name, moved)}
    return {f"fleet/{name}.yaml": kustomization(namespace, name, f"./{name}"), f"{name}/all.yaml": plain(moved)}


@pytest.mark.parametrize("last", ["kustomization", "git", "release"])
@pytest.mark.parametrize("first", ["kustomization", "git", "release", "nobody"])
def test_what_it_has_taken_stays(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str, first: str, last: str
) -> None:
    moved = both(namespace)
    before = files_of(first, "one", moved, namespace) if first != "nobody" else {}
    finished(agent, fleet.commit({**BOX, **before, "fleet/m.yaml": config_map(namespace, "m")}, "before"))
    uids = uids_when_there(kubectl, moved) if before else {}
    gone = {"fleet/one.yaml": GONE} if before else {}
    fleet.commit(
        {**gone, "fleet/q.yaml": box(namespace, "q", moved, broken=["never"], timeout="3m")}, "being installed"
    )
    agent.until(lambda line: line.msg == "waiting" and line.fields.get("release") == f"{namespace}/q", "it waits")
    uids = uids or uids_when_there(kubectl, moved)
    after = files_of(last, "two", moved, namespace)
    finished(agent, fleet.commit({**after, "fleet/q.yaml": GONE}, "removed meanwhile"))
    kubectl("wait", "helmrelease/q", "-n", namespace, "--for=delete", "--timeout=60s")
    assert uids_when_there(kubectl, moved) == uids
