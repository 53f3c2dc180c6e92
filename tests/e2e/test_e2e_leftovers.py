"""What a release no longer holds and could not delete is deleted as soon as nobody may want it any more."""

from __future__ import annotations

import pytest

from tests.controlplane.cluster import Cli
from tests.e2e.conftest import NewAgent
from tests.e2e.failing import ROLLED_BACK, failing, uids
from tests.e2e.harness import Fleet
from tests.e2e.manifests import config_map
from tests.e2e.mapcharts import CHART as MAPS
from tests.e2e.mapcharts import GONE, Commits, release
from tests.e2e.moving import CHART as BOX
from tests.e2e.moving import Moved, both, box
from tests.until import ask_until

CHARTS = {**MAPS, **BOX, "charts/other/Chart.yaml": "apiVersion: v2\nname: other\nversion: 1.0.0\n"}
CHARTS["charts/other/templates/all.yaml"] = BOX["charts/box/templates/all.yaml"]
A, B = "fleet/a.yaml", "fleet/b.yaml"
UNREAD = {"fleet/bad.yaml": "a: [\n"}
READ = {"fleet/bad.yaml": GONE}
UNINSTALLED = "  install: {remediation: {retries: 0, remediateLastFailure: true}}\n"


@pytest.fixture
def commits(new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str) -> Commits:
    agent = new_agent(fleet, "--path=fleet", "--allow-mass-prune")
    agent.start()
    return Commits(agent, fleet, kubectl, namespace)


def goes(commits: Commits, name: str = "moves", kind: str = "configmap") -> None:
    """An object is deleted; when a sync has finished, what it does not delete itself may still be under way."""
    ask_until(lambda: commits.uid(name, kind), lambda uid: not uid, f"{kind}/{name} is gone")


def kept(commits: Commits, namespace: str, name: str = "moves") -> str:
    """Why the object was kept, as the log says it."""
    return str(commits.agent.wait_for("object kept", object=f"ConfigMap/{namespace}/{name}").fields["why"])


@pytest.mark.parametrize("how", ["", "after a restart"])
def test_what_was_dropped_in_a_commit_that_cannot_be_read_goes_with_the_one_that_can(
    commits: Commits, namespace: str, how: str
) -> None:
    commits.push({**CHARTS, A: release(namespace, "a", "moves")}, "in a")
    commits.push({A: release(namespace, "a"), **UNREAD}, "out of a, and a bad file")
    assert "bad.yaml" in kept(commits, namespace)
    assert commits.has("moves")
    if how:
        commits.agent.kill()
        commits.agent.start()
    commits.push({"fleet/other.yaml": config_map(namespace, "other")}, "the bad file is still there")
    assert commits.has("moves")
    commits.push({**READ, "fleet/mended.yaml": config_map(namespace, "mended")}, "mended")
    goes(commits)
    assert commits.has("a-own")


@pytest.mark.parametrize("wanted", [False, True], ids=["not wanted", "wanted"])
def test_what_a_broken_release_may_want_is_decided_when_it_is_mended(
    commits: Commits, namespace: str, wanted: bool
) -> None:
    commits.push({**CHARTS, A: release(namespace, "a", "moves"), B: release(namespace, "b")}, "in a")
    uid = commits.uid()
    commits.push({A: release(namespace, "a"), B: release(namespace, "b", "moves", broken="one")}, "perhaps into b")
    assert f"HelmRelease/{namespace}/b may want it" in kept(commits, namespace)
    commits.push({B: release(namespace, "b", "moves", broken="two")}, "no better")
    commits.push({A: release(namespace, "a", "more")}, "a is upgraded while nobody knows")
    assert commits.uid() == uid
    commits.push({B: release(namespace, "b", *(["moves"] if wanted else []))}, "mended")
    if not wanted:
        goes(commits)
        return
    commits.push({A: release(namespace, "a")}, "a is upgraded once more")
    assert commits.uid() == uid


def test_a_release_that_is_removed_stays_until_it_is_known_who_wants_what_it_left(
    commits: Commits, namespace: str
) -> None:
    commits.push({**CHARTS, A: release(namespace, "a", "moves"), B: release(namespace, "b")}, "in a")
    uid = commits.uid()
    commits.push({A: release(namespace, "a"), B: release(namespace, "b", "moves", broken="one")}, "perhaps into b")
    commits.push({A: GONE}, "a is removed")
    assert commits.uid() == uid
    commits.push({B: release(namespace, "b")}, "not into b")
    goes(commits)
    goes(commits, "a-own")


def test_who_gets_a_release_gets_what_it_left(commits: Commits, namespace: str) -> None:
    commits.push({**CHARTS, A: release(namespace, "a", "moves"), B: release(namespace, "b")}, "in a")
    broken = release(namespace, "b", broken="for now")
    commits.push({A: release(namespace, "a"), B: broken}, "out of a, and b cannot be rendered")
    assert commits.has("moves")
    renamed = release(namespace, "a9").replace("  interval:", "  releaseName: a\n  interval:")
    commits.push({A: renamed}, "a is a9 now")
    assert commits.has("moves")
    commits.push({B: release(namespace, "b")}, "b is mended, and does not want it")
    goes(commits)
    ask_until(lambda: commits.has("a9-own"), bool, "a9 has its own")


def test_a_release_that_was_deleted_by_hand_is_uninstalled_when_it_is_known_what_git_wants(
    commits: Commits, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    moved = both(namespace)
    commits.push({**CHARTS, A: box(namespace, "a", moved)}, "in a")
    known = uids(kubectl, moved)
    commits.agent.kill()
    kubectl("delete", "helmrelease", "a", "-n", namespace, "--wait=false")
    plain = {f"fleet/{item.kind}.yaml": item.plain() for item in moved}
    fleet.commit({A: GONE, **plain}, "in Git, while nobody looks")
    commits.agent.start()
    commits.agent.wait_for("release uninstalled", release=f"{namespace}/a")
    commits.push({"fleet/last.yaml": config_map(namespace, "last")}, "last")
    assert uids(kubectl, moved) == known


def test_a_release_that_was_deleted_by_hand_comes_back(
    commits: Commits, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    commits.push({**CHARTS, A: box(namespace, "a", both(namespace))}, "in a")
    uid = commits.uid()
    commits.agent.kill()
    kubectl("delete", "helmrelease", "a", "-n", namespace, "--wait=false")
    commits.agent.start()
    commits.agent.wait_for("release uninstalled", release=f"{namespace}/a")
    ask_until(commits.uid, lambda now: now not in ("", uid), "it is installed anew", timeout=60)


def test_what_a_release_had_that_was_deleted_by_hand_stays_for_one_that_cannot_be_rendered(
    commits: Commits, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    commits.push({**CHARTS, A: release(namespace, "a", "moves"), B: release(namespace, "b")}, "in a")
    uid = commits.uid()
    commits.agent.kill()
    kubectl("delete", "helmrelease", "a", "-n", namespace, "--wait=false")
    fleet.commit({A: GONE, B: release(namespace, "b", "moves", broken="for now")}, "in b, which is broken")
    commits.agent.start()
    commits.agent.wait_for("release uninstalled", release=f"{namespace}/a")
    commits.push({B: release(namespace, "b", "moves")}, "b is mended")
    assert commits.uid() == uid


def test_what_a_failed_revision_made_and_a_broken_release_may_want_goes_when_that_is_mended(
    commits: Commits, namespace: str
) -> None:
    commits.push({**CHARTS, A: box(namespace, "a"), B: release(namespace, "b")}, "before")
    made = (Moved("configmap", namespace, "made"),)
    fails = failing(namespace, made, ROLLED_BACK).replace("name: b,", "name: a,").replace("b-own", "a-own")
    commits.push({A: fails, B: release(namespace, "b", broken="one")}, "a fails, b is broken")
    commits.agent.wait_for("failed upgrade rolled back", release=f"{namespace}/a")
    assert commits.has("made")
    commits.push({A: box(namespace, "a"), B: release(namespace, "b")}, "both mended")
    goes(commits, "made")
    assert not commits.has("never", "deployment")
    assert commits.has("a-own")


@pytest.mark.parametrize("what", ["chart", "name"])
def test_what_a_release_leaves_that_becomes_another_goes_once_all_is_read(
    commits: Commits, namespace: str, what: str
) -> None:
    moved = (Moved("configmap", namespace),)
    commits.push({**CHARTS, A: box(namespace, "a", moved)}, "as it was")
    other = box(namespace, "a", release_name="a2") if what == "name" else box(namespace, "a")
    other = other.replace("./charts/box", "./charts/other") if what == "chart" else other
    commits.push({A: other, **UNREAD}, "another one, and a bad file")
    assert "bad.yaml" in kept(commits, namespace)
    commits.push({**READ, "fleet/mended.yaml": config_map(namespace, "mended")}, "mended")
    goes(commits)
    assert commits.has("a-own")


@pytest.mark.parametrize("how", ["removed", "without them", "reverted"])
@pytest.mark.parametrize("name", ["releaseName", "metadata.name"])
def test_what_a_release_that_failed_under_its_new_name_had_before_is_still_its_own(
    commits: Commits, fleet: Fleet, kubectl: Cli, namespace: str, name: str, how: str
) -> None:
    moved = both(namespace)
    old = box(namespace, "a", moved)
    commits.push({**CHARTS, A: old}, "as a")
    known = uids(kubectl, moved)
    renamed = failing(namespace, moved, UNINSTALLED)
    file, other = B, B
    if name == "releaseName":
        file, other = A, "fleet/other.yaml"
        renamed = renamed.replace("name: b,", "name: a,").replace("  timeout:", "  releaseName: b\n  timeout:")
    commits.push({A: GONE, file: renamed}, "as b, which fails")
    which = f"{namespace}/{'a' if name == 'releaseName' else 'b'}"
    commits.agent.wait_for("failed release uninstalled", release=which)
    assert uids(kubectl, moved) == known
    match how:
        case "removed":
            commits.push({file: GONE}, "removed")
        case "without them":
            mended = box(namespace, "a", release_name="b") if name == "releaseName" else box(namespace, "b")
            commits.push({file: mended}, "mended, without them")
        case "reverted":
            commits.push({other: GONE, A: old}, "as a again")
            assert uids(kubectl, moved) == known
            return
    goes(commits)
    goes(commits, "moves", "persistentvolumeclaim")


@pytest.mark.parametrize(
    ("change", "stop", "then"),
    [
        ("chart", "kill", "reverted"),
        ("chart", "kill", "removed"),
        ("chart in place", "kill", "removed"),
        ("name", "commit", "reverted"),
        ("name", "kill", "reverted"),
        ("name", "kill", "removed"),
        ("", "commit", "renamed"),
        ("", "kill", "renamed"),
    ],
)
def test_what_an_interrupted_revision_made_goes_when_its_release_is_to_be_another(
    commits: Commits, fleet: Fleet, namespace: str, change: str, stop: str, then: str
) -> None:
    stays, new = Moved("configmap", namespace, "stays"), Moved("configmap", namespace, "new")
    old = box(namespace, "a", [stays])
    commits.push({**CHARTS, B: box(namespace, "b"), A: old if change else GONE}, "as it was")
    uid = commits.uid("stays")
    fleet.commit({A: _changed(box(namespace, "a", [stays, new], broken=["never"]), change)}, "another, never ready")
    ask_until(lambda: commits.uid("new"), bool, "the new one is there")
    end = {"reverted": old, "removed": GONE, "renamed": _changed(old, "name")}[then]
    if stop == "kill":
        commits.agent.kill()
        fleet.commit({A: end}, then)
        commits.agent.start()
        commits.push({"fleet/last.yaml": config_map(namespace, "last")}, "last")
    else:
        commits.push({A: end}, then)
    goes(commits, "new")
    goes(commits, "never", "deployment")
    if then == "removed":
        goes(commits, "stays")
    elif change:
        assert commits.uid("stays") == uid
    if then != "removed":
        commits.push({A: GONE}, "removed, all of it")
    goes(commits, "stays")
    goes(commits, "a-own")


def _changed(text: str, change: str) -> str:
    """The HelmRelease with another chart or Helm name."""
    if change == "name":
        return text.replace("  timeout:", "  releaseName: other\n  timeout:")
    if change == "chart in place":
        text = text.replace("  timeout:", "  upgrade: {chartNameChangeStrategy: InPlaceUpdate}\n  timeout:")
    return text.replace("./charts/box", "./charts/other") if change else text


@pytest.mark.parametrize(
    ("events", "policy"),
    [("post-upgrade", "hook-failed"), ("test", "before-hook-creation"), ("post-delete", "before-hook-creation")],
)
def test_what_becomes_a_hook_of_its_own_chart_is_kept_for_that(
    commits: Commits, kubectl: Cli, namespace: str, events: str, policy: str
) -> None:
    moved = (Moved("configmap", namespace),)
    commits.push({**CHARTS, A: box(namespace, "a", moved)}, "a template")
    uid = commits.uid()
    kubectl("patch", "configmap", "moves", "-n", namespace, "--type=merge", "-p", '{"data": {"by": "hand"}}')
    commits.push({A: box(namespace, "a", hooks=["moves"], events=events, policy=policy)}, "a hook")
    assert commits.uid() == uid
    assert kept(commits, namespace) == "is a hook of revision 2"
    assert kubectl("get", "configmap", "moves", "-n", namespace, "-o", "jsonpath={.data.by}") == "hand"
    commits.push({A: box(namespace, "a", moved)}, "a template again")
    assert commits.uid() == uid
    commits.push({A: box(namespace, "a", hooks=["moves"], events=events, policy=policy)}, "a hook again")
    commits.push({A: box(namespace, "a")}, "neither")
    assert commits.has("moves") == (events == "post-upgrade")  # that hook has run, and is nobody's as any hook
