"""What a revision that fails has only taken over stays, whatever is done about the failure; what it made goes."""

from __future__ import annotations

import pytest

from tests.controlplane.cluster import Cli
from tests.e2e.conftest import NewAgent
from tests.e2e.failing import ROLLED_BACK, failing, uids
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.moving import CHART, Moved, both, box, finished

UNINSTALLED = "  upgrade: {remediation: {retries: 0, remediateLastFailure: true, strategy: uninstall}}\n"
TRIED_TWICE = "  upgrade: {remediation: {retries: 1, remediateLastFailure: true}}\n"
INSTALLED_TWICE = "  install: {remediation: {retries: 1, remediateLastFailure: true}}\n"


@pytest.fixture
def agent(new_agent: NewAgent, fleet: Fleet) -> AgentProcess:
    return new_agent(fleet, "--path=fleet")


def place(moved: tuple[Moved, ...], where: str, namespace: str) -> dict[str, str | None]:
    """Files with the objects as plain manifests (``git``), in the release ``a``, or nowhere."""
    files: dict[str, str | None] = {"fleet/a.yaml": box(namespace, "a", moved if where == "a" else ())}
    for item in moved:
        files[f"fleet/{item.kind}.yaml"] = item.plain() if where == "git" else "# elsewhere\n"
    return files


def made_by_hand(kubectl: Cli, moved: tuple[Moved, ...]) -> None:
    for item in moved:
        kubectl("create", "-f", "-", stdin=item.plain())


def exists(kubectl: Cli, what: str, namespace: str) -> bool:
    return bool(kubectl("get", what, "-n", namespace, "--ignore-not-found", "-o", "name"))


def kept(agent: AgentProcess, item: Moved, why: str) -> None:
    """The log names the object, and the revision that took it over."""
    kind = "ConfigMap" if item.kind == "configmap" else "PersistentVolumeClaim"
    lines = agent.said("object kept", object=f"{kind}/{item.namespace}/{item.name}")
    assert any(line.fields["why"].startswith(why) for line in lines), lines


@pytest.mark.parametrize("source", ["git", "a", "hand"])
def test_a_rollback_keeps_what_the_failed_upgrade_took_over(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str, source: str
) -> None:
    moved = both(namespace)
    agent.start()
    before = {**CHART, **place(moved, source, namespace), "fleet/b.yaml": box(namespace, "b")}
    finished(agent, fleet.commit(before, "before"))
    if source == "hand":
        made_by_hand(kubectl, moved)
    known = uids(kubectl, moved)
    made = Moved("configmap", namespace, "made")
    after = {**place(moved, "", namespace), "fleet/b.yaml": failing(namespace, (*moved, made), ROLLED_BACK)}
    fleet.commit(after, "to b, which fails")
    line = agent.wait_for("failed upgrade rolled back", release=f"{namespace}/b")

    assert uids(kubectl, moved) == known
    for item in moved:
        kept(agent, item, "was there before revision 2 took it over")
    assert not exists(kubectl, "configmap/made", namespace)
    assert not exists(kubectl, "deployment/never", namespace)
    assert line.fields["deleted"] == 2
    assert f"ConfigMap/{namespace}/made" in line.fields["objects"]
    # It is taken up by the next revision, and is the release's like any other once that has succeeded.
    finished(agent, fleet.commit({"fleet/b.yaml": box(namespace, "b", moved)}, "mended"))
    assert uids(kubectl, moved) == known
    assert {item.live(kubectl)["release"] for item in moved} == {"b"}
    finished(agent, fleet.commit({"fleet/b.yaml": "# removed\n"}, "b goes"))
    assert not exists(kubectl, "configmap/moves", namespace)


@pytest.mark.parametrize("how", ["", "killed"])
def test_an_uninstall_between_tries_keeps_what_the_install_took_over(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str, how: str
) -> None:
    moved = both(namespace)
    agent = new_agent(fleet, "--path=fleet").start()
    finished(agent, fleet.commit({**CHART, **place(moved, "git", namespace)}, "in git"))
    known = uids(kubectl, moved)
    after = {**place(moved, "", namespace), "fleet/b.yaml": failing(namespace, moved, INSTALLED_TWICE)}
    fleet.commit(after, "to b, which fails")
    if how == "killed":
        while {item.live(kubectl)["release"] for item in moved} != {"b"}:
            assert agent.is_running
        agent.kill()
        agent = new_agent(fleet, "--path=fleet").start()
    agent.wait_for("install retries exhausted", release=f"{namespace}/b")
    count = agent.count
    agent.wait_for("failed release uninstalled", after=count - 1, release=f"{namespace}/b")

    assert len(agent.said("failed release uninstalled")) == 2
    assert uids(kubectl, moved) == known
    for item in moved:
        kept(agent, item, "was there before revision 1 took it over")
    assert not exists(kubectl, "configmap/b-own", namespace)
    finished(agent, fleet.commit({"fleet/b.yaml": box(namespace, "b", moved)}, "mended"))
    assert uids(kubectl, moved) == known
    assert {item.live(kubectl)["release"] for item in moved} == {"b"}
    finished(agent, fleet.commit({"fleet/b.yaml": "# removed\n"}, "b goes"))
    assert not exists(kubectl, "configmap/moves", namespace)


@pytest.mark.parametrize(
    ("spec", "done"),
    [(TRIED_TWICE, "failed upgrade rolled back"), (UNINSTALLED, "failed release uninstalled")],
    ids=["tried-twice", "uninstalled"],
)
def test_every_remedy_keeps_what_was_only_taken_over(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str, spec: str, done: str
) -> None:
    moved = both(namespace)
    agent.start()
    before = {**CHART, **place(moved, "a", namespace), "fleet/b.yaml": box(namespace, "b")}
    finished(agent, fleet.commit(before, "in a"))
    known = uids(kubectl, moved)
    after = {**place(moved, "", namespace), "fleet/b.yaml": failing(namespace, moved, spec)}
    fleet.commit(after, "to b, which fails")
    exhausted = agent.wait_for("upgrade retries exhausted", release=f"{namespace}/b")
    line = agent.wait_for(done, after=exhausted.number, release=f"{namespace}/b")

    assert uids(kubectl, moved) == known
    assert f"Deployment/{namespace}/never" in line.fields["objects"]


def test_a_rollback_by_hand_keeps_what_the_failed_upgrade_took_over(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    moved = both(namespace)
    agent.start()
    finished(agent, fleet.commit({**CHART, **place(moved, "git", namespace), "fleet/b.yaml": box(namespace, "b")}, "1"))
    known = uids(kubectl, moved)
    fleet.commit({**place(moved, "", namespace), "fleet/b.yaml": failing(namespace, moved, "")}, "to b, which fails")
    agent.wait_for("upgrade retries exhausted", release=f"{namespace}/b")
    agent.command("rollback", "helmrelease", "b", "1", "-n", namespace, "--suspend")

    assert uids(kubectl, moved) == known
    assert not exists(kubectl, "deployment/never", namespace)


def test_a_commit_that_undoes_a_failed_upgrade_keeps_what_that_took_over(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    moved = both(namespace)
    agent.start()
    finished(agent, fleet.commit({**CHART, "fleet/b.yaml": box(namespace, "b")}, "before"))
    made_by_hand(kubectl, moved)
    known = uids(kubectl, moved)
    fleet.commit({"fleet/b.yaml": failing(namespace, moved, "")}, "takes what was made by hand, and fails")
    agent.wait_for("upgrade retries exhausted", release=f"{namespace}/b")
    finished(agent, fleet.revert())

    assert uids(kubectl, moved) == known
    assert not exists(kubectl, "deployment/never", namespace)


def test_a_rename_that_is_reverted_while_it_is_under_way_gives_all_back(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    moved = both(namespace)
    agent.start()
    finished(agent, fleet.commit({**CHART, "fleet/app.yaml": box(namespace, "a", moved)}, "a"))
    known = uids(kubectl, moved)
    renamed = fleet.commit({"fleet/app.yaml": box(namespace, "b", moved, timeout="2m", broken=["never"])}, "a is b")
    agent.wait_for("waiting", commit=renamed[:7], timeout=60)
    assert {item.live(kubectl)["release"] for item in moved} == {"b"}
    back = fleet.revert()
    finished(agent, back)
    kubectl("wait", "--for=jsonpath={.status.history[0].version}=2", "helmrelease/a", "-n", namespace, "--timeout=60s")
    assert uids(kubectl, moved) == known
    assert {item.live(kubectl)["release"] for item in moved} == {"a"}
    finished(agent, fleet.commit({"fleet/app.yaml": "# gone\n"}, "no app"))
    for item in moved:
        kubectl("wait", "--for=delete", item.kind, item.name, "-n", namespace, "--timeout=60s")
