"""``gitsync history``, ``rollback``, ``tree`` and ``delete``, with an agent on a real API server."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Gitsync, Serving
from tests.controlplane.cluster import Cli, Cluster
from tests.e2e import helm
from tests.e2e.harness import GITSYNC
from tests.e2e.manifests import release, repository
from tests.parity import live


@pytest.fixture(scope="module", autouse=True)
def fleet(serving: Serving) -> None:
    """Release ``app`` with two revisions: the message was ``one``, and is ``two``."""
    files: dict[str, str | None] = {"charts.yaml": repository(serving.namespace, serving.charts)}
    for message in ("one", "two"):
        text = release(serving.namespace, "app", values={"message": message})
        serving.synced({**files, "app.yaml": text}, f"app: {message}")


def message_of(control_plane: Cluster, namespace: str, name: str) -> str:
    found = control_plane.request("GET", f"/api/v1/namespaces/{namespace}/configmaps/{name}")
    message: str = found["data"]["message"]
    return message


def test_history_shows_revisions_with_their_commits_as_helm_does(
    gitsync: Gitsync, serving: Serving, helm_cli: Cli
) -> None:
    said = gitsync("history", "helmrelease", "app", "-n", serving.namespace)
    assert (said.code, said.err) == (0, "")
    header, first, second = said.out.splitlines()
    assert header.split("   ")[0] == "REVISION"
    assert first.split()[3:7] == ["superseded", "app-1.0.0", "1", "Install"]
    assert "Install complete (commit " in first
    assert second.startswith("2 ")
    assert "app: two)" in second

    told = json.loads(gitsync("history", "hr", "app", "-n", serving.namespace, "-o", "json").out)
    theirs = helm.rows(helm_cli, serving.namespace, "app")
    same = ("revision", "status", "chart", "app_version", "description")
    assert [{name: row[name] for name in same} for row in told] == [
        {name: row[name] for name in same} for row in theirs
    ]


def test_history_of_what_was_never_installed_is_empty(gitsync: Gitsync, serving: Serving) -> None:
    source = ("--source", "HelmRepository/nosuch", "--chart", "app")
    assert gitsync("create", "helmrelease", "never", "-n", serving.namespace, *source, "--no-wait").code == 0
    said = gitsync("history", "helmrelease", "never", "-n", serving.namespace)
    assert (said.code, said.out) == (0, "")
    assert "has no revision yet" in said.err
    said = gitsync("rollback", "helmrelease", "never", "-n", serving.namespace, "--suspend")
    assert said.code == 1
    assert "has no revision to roll back to" in said.err


def test_tree_goes_down_to_the_pods(gitsync: Gitsync, serving: Serving) -> None:
    said = gitsync("tree", "helmrelease", "app", "-n", serving.namespace)
    lines = [line.split(maxsplit=3) for line in said.out.splitlines()]
    assert said.code == 0
    assert lines[0] == ["HelmRelease/app", "ready"]
    assert lines[1:3] == [["├──", "ConfigMap/app", "ready"], ["└──", "Deployment/app", "ready"]]
    replica_set, pod = said.out.splitlines()[3:]
    assert replica_set.startswith("    └── ReplicaSet/app-"), "the one of the revision before is scaled to nothing"
    assert pod.startswith("        └── Pod/app-")
    assert replica_set.endswith("ready")
    assert pod.endswith("ready")


def test_tree_as_json_says_what_is_missing(gitsync: Gitsync, serving: Serving, control_plane: Cluster) -> None:
    text = release(serving.namespace, "bare", values={"workload": False})
    serving.synced({"bare.yaml": text}, "bare")
    assert gitsync("suspend", "hr", "bare", "-n", serving.namespace).code == 0
    control_plane.request("DELETE", f"/api/v1/namespaces/{serving.namespace}/configmaps/bare")
    told = json.loads(gitsync("tree", "hr", "bare", "-n", serving.namespace, "-o", "json").out)
    (child,) = told["children"]
    assert (child["kind"], child["name"], child["status"]) == ("ConfigMap", "bare", "missing")


def test_tree_says_how_what_is_missing_is_made_again_and_that_does_it(
    gitsync: Gitsync, serving: Serving, control_plane: Cluster
) -> None:
    namespace = serving.namespace
    serving.synced({"holes.yaml": release(namespace, "holes", values={"workload": False})}, "holes")
    assert gitsync("tree", "hr", "holes", "-n", namespace).err == ""
    control_plane.request("DELETE", f"/api/v1/namespaces/{namespace}/configmaps/holes")
    said = gitsync("tree", "hr", "holes", "-n", namespace)
    root, child = (line.split() for line in said.out.splitlines())
    assert root == ["HelmRelease/holes", "ready"]
    assert child[1:3] == ["ConfigMap/holes", "missing"]
    again = f"gitsync reconcile helmrelease holes -n {namespace} --force"
    assert said.err == f"hint: {again} makes again what is missing\n"
    assert gitsync(*again.split()[1:]).code == 0
    assert message_of(control_plane, namespace, "holes")


def test_a_rollback_wants_the_release_suspended(gitsync: Gitsync, serving: Serving) -> None:
    said = gitsync("rollback", "helmrelease", "app", "-n", serving.namespace)
    assert (said.code, said.out) == (1, "")
    assert "is not suspended: the agent would upgrade it again at once" in said.err
    assert "hint: add --suspend" in said.err


@pytest.mark.parametrize(("revision", "why"), [("9", "has no revision 9"), ("2", "nothing to roll back to")])
def test_a_rollback_to_what_is_no_old_revision_is_refused_before_anything_is_changed(
    revision: str, why: str, gitsync: Gitsync, serving: Serving
) -> None:
    said = gitsync("rollback", "helmrelease", "app", revision, "-n", serving.namespace, "--suspend")
    assert (said.code, said.out) == (1, "")
    assert why in said.err
    assert "False" in gitsync("get", "hr", "app", "-n", serving.namespace).out.splitlines()[1].split()


def test_a_rollback_to_a_revision_whose_record_was_changed_is_refused(
    gitsync: Gitsync, serving: Serving, control_plane: Cluster
) -> None:
    namespace = serving.namespace
    for message in ("good", "better"):
        serving.synced({"edited.yaml": release(namespace, "edited", values={"message": message})}, f"edited: {message}")
    live.tamper(control_plane, namespace, "edited", 1)
    said = gitsync("rollback", "helmrelease", "edited", "1", "-n", namespace, "--suspend")
    assert (said.code, "its record was changed since" in said.err) == (1, True)
    assert message_of(control_plane, namespace, "edited") == "better"
    assert "False" in gitsync("get", "hr", "edited", "-n", namespace).out.splitlines()[1].split(), "not suspended"


def test_a_rollback_brings_the_old_content_back_until_the_release_is_resumed(
    gitsync: Gitsync, serving: Serving, control_plane: Cluster, helm_cli: Cli
) -> None:
    namespace = serving.namespace
    after = serving.agent.count
    said = gitsync("rollback", "helmrelease", "app", "-n", namespace, "--suspend")
    assert said.code == 0, said.err
    suspended, back, *how = said.out.splitlines()
    assert suspended == f"HelmRelease/{namespace}/app is suspended"
    assert back == (
        f"HelmRelease/{namespace}/app is back at revision 1 (app-1.0.0), as revision 3: created=0 changed=2 deleted=0"
    )
    assert how == [
        f"It stays suspended. To go on, change app.yaml:1:1, then: gitsync resume helmrelease app -n {namespace}",
        "Resuming it unchanged upgrades it again.",
    ]
    assert message_of(control_plane, namespace, "app") == "one"
    assert helm.history(helm_cli, namespace, "app") == [(1, "superseded"), (2, "superseded"), (3, "deployed")]
    assert helm.rows(helm_cli, namespace, "app")[-1]["description"] == "Rollback to 1 (by hand)"
    values = json.loads(helm_cli("get", "values", "app", "-n", namespace, "-o", "json"))
    assert values == {"message": "one"}
    ours = f"{namespace}/app"
    by_hand = serving.agent.wait_for("release was changed by somebody else", after=after, release=ours)
    assert (by_hand.fields["revision"], by_hand.fields["description"]) == (3, "Rollback to 1 (by hand)")
    assert len(serving.agent.said("release is suspended", after=after, release=ours)) == 1

    assert gitsync("resume", "helmrelease", "app", "-n", namespace).code == 0
    assert message_of(control_plane, namespace, "app") == "two"
    assert helm.history(helm_cli, namespace, "app")[-1] == (4, "deployed")
    assert len(serving.agent.said("release is resumed", after=after, release=ours)) == 1
    assert len(serving.agent.said("release was changed by somebody else", after=after, release=ours)) == 1
    assert gitsync("suspend", "helmrelease", "app", "-n", namespace).code == 0
    serving.agent.until(
        lambda _: len(serving.agent.said("release is suspended", after=after, release=ours)) == 2, "suspended again"
    )
    assert gitsync("resume", "helmrelease", "app", "-n", namespace).code == 0
    assert len(serving.agent.said("release is resumed", after=after, release=ours)) == 2


def test_a_rollback_takes_nothing_from_git_that_the_old_revision_had(
    gitsync: Gitsync, serving: Serving, control_plane: Cluster
) -> None:
    namespace = serving.namespace
    place = f"/apis/apps/v1/namespaces/{namespace}/deployments/moves"
    serving.synced({"moves.yaml": release(namespace, "moves", values={"workload": True})}, "in the release")
    plain = f"""\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: moves, namespace: {namespace}}}
spec:
  selector: {{matchLabels: {{app: moves}}}}
  template:
    metadata: {{labels: {{app: moves}}}}
    spec: {{containers: [{{name: app, image: "registry.example/app:1"}}]}}
"""
    without = release(namespace, "moves", values={"workload": False})
    serving.synced({"moves.yaml": without, "plain.yaml": plain}, "in Git")
    uid = control_plane.request("GET", place)["metadata"]["uid"]

    said = gitsync("rollback", "helmrelease", "moves", "1", "-n", namespace, "--suspend")
    assert said.code == 1
    assert f"error: Deployment/{namespace}/moves is already managed by sync " in said.err
    live = control_plane.request("GET", place)["metadata"]
    assert (live["uid"], "meta.helm.sh/release-name" in live["annotations"]) == (uid, False)
    assert len(helm_revisions(control_plane, namespace, "moves")) == 2


def helm_revisions(control_plane: Cluster, namespace: str, name: str) -> list[Any]:
    found: list[Any] = control_plane.request(
        "GET", f"/api/v1/namespaces/{namespace}/secrets?labelSelector=owner%3Dhelm%2Cname%3D{name}"
    )["items"]
    return found


def test_a_rollback_that_does_not_become_ready_fails_as_helm_says(
    gitsync: Gitsync, serving: Serving, helm_cli: Cli
) -> None:
    namespace = serving.namespace
    for values in ({"args": ["--unready"], "workload": True}, {"workload": False}):
        text = release(namespace, "slow", values=values, timeout="1s")
        serving.synced({"slow.yaml": text}, f"slow: {values}")
    said = gitsync("rollback", "helmrelease", "slow", "1", "-n", namespace, "--suspend", "--timeout", "1s")
    assert said.code == 1
    assert "error: not ready within 1s: Deployment/" in said.err
    assert helm.history(helm_cli, namespace, "slow")[-1] == (3, "failed")


def test_a_rollback_that_is_interrupted_marks_its_revision_as_failed(
    serving: Serving, helm_cli: Cli, control_plane: Cluster
) -> None:
    """Comes after the test above: ``slow`` is suspended, and its first revision is never ready."""
    command = [str(GITSYNC), "rollback", "helmrelease", "slow", "1", "-n", serving.namespace, "--timeout", "60s"]
    process = subprocess.Popen(
        [*command, f"--kubeconfig={control_plane.kubeconfig}"],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("waiting for Deployment/")
        process.send_signal(signal.SIGINT)
        assert process.wait(50) == 130  # before its own minute is over
    finally:
        process.kill()
        _, err = process.communicate()
    assert err.endswith("was stopped; its revision is marked as failed\n")
    assert helm.history(helm_cli, serving.namespace, "slow")[-1] == (4, "failed")


def test_delete_asks_uninstalls_and_waits(
    gitsync: Gitsync, serving: Serving, helm_cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    namespace, key = serving.namespace, f"HelmRelease/{serving.namespace}/made"
    values = tmp_path / "values.yaml"
    values.write_text("workload: false\n")
    made = gitsync(
        *("create", "helmrelease", "made", "-n", namespace, "--source", "HelmRepository/charts"),
        *("--chart", "app", "--values", str(values)),
    )
    assert made.code == 0, made.err
    assert made.out.splitlines()[0] == f"{key} is created"
    assert made.out.splitlines()[1].startswith(f"{key} is ready: ")

    monkeypatch.setattr("sys.stdin", _Answer("n"))
    assert gitsync("delete", "helmrelease", "made", "-n", namespace).code == 1
    assert "made" in helm.listed(helm_cli, namespace)
    said = gitsync("delete", "helmrelease", "made", "-n", namespace, "--silent")
    assert (said.code, said.out, said.err) == (0, f"{key} is deleted\n", "")
    assert "made" not in helm.listed(helm_cli, namespace)


def test_a_deleted_release_is_put_back_at_once_as_the_warning_says(
    gitsync: Gitsync, serving: Serving, control_plane: Cluster
) -> None:
    namespace = serving.namespace
    serving.synced({"back.yaml": release(namespace, "back", values={"workload": False})}, "back")
    before = serving.agent.count
    said = gitsync("delete", "helmrelease", "back", "-n", namespace, "--silent")
    assert (said.code, said.out) == (0, f"HelmRelease/{namespace}/back is deleted\n")
    assert said.err == (
        f"warning: HelmRelease/{namespace}/back comes from Git and will be put back at once: "
        "remove it from back.yaml:1:1\n"
    )
    serving.agent.wait_for("release installed", release=f"{namespace}/back", after=before)
    assert message_of(control_plane, namespace, "back")


def test_delete_and_create_of_what_git_has_name_the_file(gitsync: Gitsync, serving: Serving) -> None:
    namespace = serving.namespace
    source = ("--source", "HelmRepository/charts", "--chart", "app")
    said = gitsync("create", "helmrelease", "app", "-n", namespace, *source)
    assert said.code == 1
    assert said.err == (
        f"error: HelmRelease/{namespace}/app comes from Git, which would put it back\nhint: change app.yaml:1:1\n"
    )
    said = gitsync("delete", "source", "helm", "charts", "-n", namespace, "--silent")
    assert said.code == 0
    assert "comes from Git and will be put back at once: remove it from charts.yaml:1:1" in said.err


class _Answer:
    """Somebody at a terminal who says one word."""

    def __init__(self, word: str) -> None:
        self._word = word

    def readline(self, *_: Any) -> str:
        return self._word + "\n"

    def isatty(self) -> bool:
        return True
