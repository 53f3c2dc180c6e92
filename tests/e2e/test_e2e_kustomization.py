"""Kustomizations: directories of the repository, each a sync of its own, in the order of their dependencies."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from gitsync.api.conditions import condition_of
from tests.controlplane.cluster import Cli
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.kustomizations import Cluster, kustomization
from tests.e2e.manifests import config_map
from tests.until import ask_until


@pytest.fixture
def cluster(kubectl: Cli, namespace: str) -> Cluster:
    return Cluster(kubectl, namespace)


@pytest.fixture
def agent(new_agent: NewAgent, fleet: Fleet) -> AgentProcess:
    return new_agent(fleet, "--path=clusters")


def test_directories_are_applied_in_order_changed_pruned_and_removed(
    agent: AgentProcess, fleet: Fleet, cluster: Cluster, namespace: str
) -> None:
    first = fleet.commit(
        {
            "clusters/apps.yaml": kustomization(namespace, "apps", "./apps", dependsOn=[{"name": "infra"}]),
            "clusters/infra.yaml": kustomization(namespace, "infra", "./infra", wait=True),
            "infra/one.yaml": config_map(namespace, "one"),
            "apps/two.yaml": config_map(namespace, "two"),
            "apps/three.yaml": config_map(namespace, "three"),
        },
        "two directories",
    )
    agent.start().wait_for("sync finished", commit=first[:7])
    cluster.wait("apps")
    assert set(cluster.maps()) == {"one", "two", "three"}
    status = cluster.status("apps")
    assert status["lastAppliedRevision"].endswith(f"@sha1:{first}")
    assert {entry["id"] for entry in status["inventory"]["entries"]} == {
        f"{namespace}_three__ConfigMap",
        f"{namespace}_two__ConfigMap",
    }
    created = agent.wait_for("object created", object=f"ConfigMap/{namespace}/two", sync=f"{namespace}/apps")
    assert created.fields["commit"] == first[:7]
    assert agent.wait_for("object created", object=f"ConfigMap/{namespace}/one").number < created.number

    second = fleet.commit({"apps/two.yaml": None, "apps/three.yaml": config_map(namespace, "three", "new")}, "less")
    agent.wait_for("object deleted", object=f"ConfigMap/{namespace}/two", commit=second[:7])
    cluster.wait("apps", f"jsonpath={{.status.lastAppliedRevision}}={status['lastAppliedRevision'][:-40]}{second}")
    assert set(cluster.maps()) == {"one", "three"}
    assert cluster.maps()["three"] == "new"
    assert agent.said("commit is for its Kustomizations to take up", commit=second[:7])

    third = fleet.commit({"clusters/apps.yaml": None}, "no apps")
    agent.wait_for("object deleted", object=f"ConfigMap/{namespace}/three", commit=third[:7])
    agent.wait_for("object deleted", object=f"Kustomization/{namespace}/apps", commit=third[:7])
    assert set(cluster.maps()) == {"one"}


def test_once_waits_for_all_below_and_says_what_is_not_ready(
    new_agent: NewAgent, fleet: Fleet, cluster: Cluster, namespace: str
) -> None:
    """Two levels down, and each kind of failure: a directory that is not there, a dependency that does not come, a
    cycle."""
    nested = kustomization(namespace, "nested", "./nested")
    fleet.commit(
        {
            "clusters/top.yaml": kustomization(namespace, "top", "./top"),
            "top/nested.yaml": nested,
            "nested/one.yaml": config_map(namespace, "one"),
        },
        "two levels",
    )
    assert new_agent(fleet, "--path=clusters", "--once").start().wait() == 0
    assert set(cluster.maps()) == {"one"}

    fleet.commit(
        {
            "clusters/missing.yaml": kustomization(namespace, "missing", "./nowhere"),
            "clusters/waits.yaml": kustomization(namespace, "waits", "./nested", dependsOn=[{"name": "missing"}]),
            "clusters/left.yaml": kustomization(namespace, "left", "./nested", dependsOn=[{"name": "right"}]),
            "clusters/right.yaml": kustomization(namespace, "right", "./nested", dependsOn=[{"name": "left"}]),
            "clusters/refused.yaml": kustomization(
                namespace, "refused", "./nested", decryption={"provider": "sops", "serviceAccountName": "x"}
            ),
        },
        "four that fail",
    )
    agent = new_agent(fleet, "--path=clusters", "--once").start()
    assert agent.wait() == 1
    unready = {line.fields["kustomization"]: line.fields["why"] for line in agent.said("not ready")}
    assert unready.keys() == {f"{namespace}/{name}" for name in ("missing", "waits", "left", "right", "refused")}
    assert "nowhere" in unready[f"{namespace}/missing"]
    assert unready[f"{namespace}/waits"] == f"dependency '{namespace}/missing' is not ready"
    assert f"{namespace}/left -> {namespace}/right -> {namespace}/left" in unready[f"{namespace}/left"]
    assert "spec.decryption.serviceAccountName" in unready[f"{namespace}/refused"]
    assert set(cluster.maps()) == {"one"}


@pytest.mark.parametrize(("giver", "taker"), [("a", "b"), ("b", "a"), ("root", "b"), ("a", "root")])
def test_an_object_moves_from_one_to_another_and_stays_the_same(
    agent: AgentProcess, fleet: Fleet, cluster: Cluster, namespace: str, kubectl: Cli, giver: str, taker: str
) -> None:
    places = {"a": "a/moves.yaml", "b": "b/moves.yaml", "root": "clusters/moves.yaml"}
    other = {f"{name}/other.yaml": config_map(namespace, f"other-{name}") for name in ("a", "b")}
    kustomizations = {f"clusters/{name}.yaml": kustomization(namespace, name, f"./{name}") for name in ("a", "b")}
    first = fleet.commit({**other, **kustomizations, places[giver]: config_map(namespace, "moves")}, "first")
    agent.start().wait_for("sync finished", commit=first[:7])
    for name in ("a", "b"):
        cluster.wait(name)
    before = kubectl("get", "configmap", "moves", "-n", namespace, "-o", "jsonpath={.metadata.uid}")

    second = fleet.commit({places[giver]: None, places[taker]: config_map(namespace, "moves", "moved")}, "moved")
    agent.until(lambda line: line.msg in ("object changed", "object failed") and line.fields["commit"] == second[:7])
    kubectl("wait", "--for=jsonpath={.data.text}=moved", "configmap/moves", "-n", namespace, "--timeout=60s")
    assert kubectl("get", "configmap", "moves", "-n", namespace, "-o", "jsonpath={.metadata.uid}") == before
    third = fleet.commit({"README.md": "nothing"}, "nothing")
    for name in ("a", "b"):
        cluster.wait(name, f"jsonpath={{.status.lastAppliedRevision}}=main@sha1:{third}")
        has_it = f"{namespace}_moves__ConfigMap" in {
            entry["id"] for entry in cluster.status(name)["inventory"]["entries"]
        }
        assert has_it == (name == taker)
    assert not agent.said("object failed")


@pytest.mark.parametrize("needs", [(), ("a",)], ids=["at_once", "after_it"])
def test_who_has_given_objects_away_remembers_them_no_more_once_the_other_has_them(
    agent: AgentProcess, fleet: Fleet, cluster: Cluster, namespace: str, needs: tuple[str, ...]
) -> None:
    """Without another commit, and long before its next interval."""
    moves = [f"moves-{number}" for number in range(3)]

    def files(text: str) -> dict[str, str | None]:
        """What b has beside of them, which is applied before them."""
        return {f"b/{name}.yaml": config_map(namespace, name, text) for name in (f"early-{n:03}" for n in range(100))}

    def remembered(name: str) -> set[str]:
        entries = cluster.status(name)["inventory"]["entries"]
        return {entry["id"].split("_")[1] for entry in entries} & set(moves)

    depends_on = {"dependsOn": [{"name": name} for name in needs]}
    kustomizations = {
        "clusters/a.yaml": kustomization(namespace, "a", "./a"),
        "clusters/b.yaml": kustomization(namespace, "b", "./b", **depends_on),
        "a/other.yaml": config_map(namespace, "other"),
    }
    in_a, in_b = ({f"{name}/{it}.yaml": config_map(namespace, it) for it in moves} for name in "ab")
    fleet.commit({**kustomizations, **files("one"), **in_a}, "first")
    agent.start().wait_for("sync finished")
    cluster.wait("b")

    head = fleet.commit({**dict.fromkeys(in_a), **in_b, **files("two")}, "moved")
    cluster.wait("b", f"jsonpath={{.status.lastAppliedRevision}}=main@sha1:{head}")
    assert remembered("b") == set(moves)
    ask_until(lambda: remembered("a"), lambda left: not left, "forgotten by a", timeout=20)
    for name in moves:
        assert len(agent.said("object handed over", object=f"ConfigMap/{namespace}/{name}")) == 1


def test_all_files_of_a_directory_move_to_that_of_another_and_back(
    agent: AgentProcess, fleet: Fleet, cluster: Cluster, namespace: str, kubectl: Cli
) -> None:
    kustomizations = {f"clusters/{name}.yaml": kustomization(namespace, name, f"./{name}") for name in ("a", "b")}
    other = {"b/other.yaml": config_map(namespace, "other")}
    fleet.commit({**kustomizations, **other, "a/moves.yaml": config_map(namespace, "moves")}, "first")
    agent.start().wait_for("sync finished")
    for name in ("a", "b"):
        cluster.wait(name)
    before = kubectl("get", "configmap", "moves", "-n", namespace, "-o", "jsonpath={.metadata.uid}")

    for giver, taker in (("a", "b"), ("b", "a")):
        # Git keeps no empty directory: a has none then, and says so.
        text = f"in {taker}"
        fleet.commit(
            {f"{giver}/moves.yaml": None, f"{taker}/moves.yaml": config_map(namespace, "moves", text)}, "moved"
        )
        kubectl("wait", f"--for=jsonpath={{.data.text}}={text}", "configmap/moves", "-n", namespace, "--timeout=60s")
        if taker == "b":
            cluster.wait("a", "condition=Ready=False")
            assert "a: is no directory of the repository" in kubectl(
                "get", "kustomization.kustomize.toolkit.fluxcd.io", "a", "-n", namespace
            )
        cluster.wait(taker)
    cluster.wait("b")
    assert kubectl("get", "configmap", "moves", "-n", namespace, "-o", "jsonpath={.metadata.uid}") == before


def test_what_one_that_does_not_prune_has_dropped_is_for_whoever_wants_it(
    agent: AgentProcess, fleet: Fleet, cluster: Cluster, namespace: str, kubectl: Cli
) -> None:
    first = fleet.commit(
        {
            "clusters/a.yaml": kustomization(namespace, "a", "./a", prune=False),
            "clusters/b.yaml": kustomization(namespace, "b", "./b"),
            "a/own.yaml": config_map(namespace, "own-a"),
            "a/moves.yaml": config_map(namespace, "moves"),
            "b/own.yaml": config_map(namespace, "own-b"),
        },
        "in a",
    )
    agent.start().wait_for("sync finished", commit=first[:7])
    for name in ("a", "b"):
        cluster.wait(name)
    before = kubectl("get", "configmap", "moves", "-n", namespace, "-o", "jsonpath={.metadata.uid}")
    second = fleet.commit({"a/moves.yaml": None}, "it is nobody's")
    cluster.wait("a", f"jsonpath={{.status.lastAppliedRevision}}=main@sha1:{second}")
    third = fleet.commit({"b/moves.yaml": config_map(namespace, "moves", "in b")}, "it is b's")
    cluster.wait("b", f"jsonpath={{.status.lastAppliedRevision}}=main@sha1:{third}")
    assert cluster.maps()["moves"] == "in b"
    assert kubectl("get", "configmap", "moves", "-n", namespace, "-o", "jsonpath={.metadata.uid}") == before
    assert not agent.said("pruning is off for this commit"), "it is not to prune"


def test_fields_that_are_left_to_others_stay_as_they_write_them(
    agent: AgentProcess, fleet: Fleet, cluster: Cluster, namespace: str, kubectl: Cli
) -> None:
    """They are created as Git has them; what somebody else writes then is no drift, and stays when the rest changes."""
    rules = [
        {"paths": ["/data/text"], "target": {"kind": "ConfigMap", "name": "one"}},
        {"paths": ["/"], "target": {"name": "whole"}},
        {"paths": ["/metadata/annotations"], "target": {"name": "two"}},
    ]
    names = ("one", "two", "whole")
    files = {f"a/{name}.yaml": config_map(namespace, name) for name in names}
    first = fleet.commit({**files, "clusters/a.yaml": kustomization(namespace, "a", "./a", ignore=rules)}, "first")
    agent.start().wait_for("sync finished", commit=first[:7])
    cluster.wait("a")
    assert cluster.maps() == dict.fromkeys(names, "x")
    for name in names:
        patch = '{"data":{"text":"by hand"}}'
        kubectl("patch", "configmap", name, "-n", namespace, "--type=merge", "-p", patch)
    agent.command("reconcile", "kustomization", "a", "-n", namespace)
    assert cluster.maps() == {"one": "by hand", "two": "x", "whole": "by hand"}

    more = {name: config_map(namespace, name, "new").replace("\ndata:", "\ndata:\n  more: added") for name in names}
    second = fleet.commit({f"a/{name}.yaml": text for name, text in more.items()}, "all change")
    cluster.wait("a", f"jsonpath={{.status.lastAppliedRevision}}=main@sha1:{second}")
    assert cluster.maps() == {"one": "by hand", "two": "new", "whole": "by hand"}
    assert kubectl("get", "configmap", "one", "-n", namespace, "-o", "jsonpath={.data.more}") == "added"
    fleet.commit({"a/two.yaml": None}, "two leaves Git")
    kubectl("wait", "--for=delete", "configmap/two", "-n", namespace, "--timeout=60s")


def test_what_is_not_to_be_pruned_stays_and_suspended_ones_do_nothing(
    agent: AgentProcess, fleet: Fleet, cluster: Cluster, namespace: str
) -> None:
    kept: dict[str, dict[str, Any]] = {
        "keeps": {"prune": False},
        "orphans": {"deletionPolicy": "Orphan"},
        "sleeps": {},
    }
    files: dict[str, str | None] = {"clusters/other.yaml": config_map(namespace, "other")}
    for name, spec in kept.items():
        files[f"clusters/{name}.yaml"] = kustomization(namespace, name, f"./{name}", **spec)
        files |= {f"{name}/{number}.yaml": config_map(namespace, f"{name}-{number}") for number in (1, 2)}
    first = fleet.commit(files, "all")
    agent.start().wait_for("sync finished", commit=first[:7])
    for name in kept:
        cluster.wait(name)
    everything = set(cluster.maps())
    assert len(everything) == 7

    sleeps = kustomization(namespace, "sleeps", "./sleeps", suspend=True)
    second = fleet.commit({"keeps/2.yaml": None, "sleeps/2.yaml": None, "clusters/sleeps.yaml": sleeps}, "less")
    cluster.wait("keeps", f"jsonpath={{.status.lastAppliedRevision}}=main@sha1:{second}")
    cluster.wait("sleeps", "jsonpath={.status.observedGeneration}=2")
    cluster.wait("sleeps")  # and goes on to be ready for those that wait for it
    third = fleet.commit(dict.fromkeys(f"clusters/{name}.yaml" for name in kept), "none")
    for name in kept:
        agent.wait_for("object deleted", object=f"Kustomization/{namespace}/{name}", commit=third[:7])
    assert set(cluster.maps()) == everything

    # Who is gone wants nothing any more: what it has left is anybody's to take.
    moved = fleet.commit({"clusters/kept.yaml": config_map(namespace, "keeps-1", "taken")}, "taken")
    agent.wait_for("object changed", object=f"ConfigMap/{namespace}/keeps-1", commit=moved[:7])
    assert cluster.maps()["keeps-1"] == "taken"


def test_one_that_leaves_git_together_with_its_directory_goes_and_keeps_nobody_from_deleting(
    agent: AgentProcess, fleet: Fleet, cluster: Cluster, kubectl: Cli, namespace: str
) -> None:
    gone = {
        "clusters/map.yaml": config_map(namespace, "map"),
        "clusters/old.yaml": kustomization(namespace, "old", "./old"),
        "old/thing.yaml": config_map(namespace, "thing"),
        "old/inner.yaml": kustomization(namespace, "inner", "./inner"),
        "inner/thing.yaml": config_map(namespace, "inner"),
        "apps/two.yaml": config_map(namespace, "two"),
    }
    stays = {
        "clusters/apps.yaml": kustomization(namespace, "apps", "./apps"),
        "apps/one.yaml": config_map(namespace, "one"),
    }
    fleet.commit({**stays, **gone}, "all of it")
    assert agent.start("--once").wait() == 0
    assert set(cluster.maps()) == {"map", "thing", "inner", "one", "two"}
    after = agent.count
    fleet.commit(dict.fromkeys(gone), "one is removed, and others lose something")
    assert agent.start("--once").wait() == 0
    assert set(cluster.maps()) == {"one"}
    assert not agent.said("object kept", after=after)
    kinds = "kustomizations.kustomize.toolkit.fluxcd.io"
    assert kubectl("get", kinds, "-n", namespace, "-o", "jsonpath={.items[*].metadata.name}") == "apps"


def test_after_a_restart_what_is_as_it_should_be_is_left_alone_and_what_left_git_meanwhile_goes(
    agent: AgentProcess, fleet: Fleet, cluster: Cluster, namespace: str, kubectl: Cli
) -> None:
    first = fleet.commit(
        {
            "clusters/a.yaml": kustomization(namespace, "a", "./a"),
            "a/one.yaml": config_map(namespace, "one"),
            "a/two.yaml": config_map(namespace, "two"),
        },
        "first",
    )
    agent.start().wait_for("sync finished", commit=first[:7])
    cluster.wait("a")

    def versions() -> dict[str, str]:
        listed = json.loads(kubectl("get", "configmaps", "-n", namespace, "-o", "json"))["items"]
        return {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in listed}

    before = versions()
    agent.kill()
    count = agent.count
    kubectl(
        "annotate", "kustomization.kustomize.toolkit.fluxcd.io/a", "-n", namespace, "reconcile.fluxcd.io/requestedAt=1"
    )
    agent.start()
    cluster.wait("a", "jsonpath={.status.lastHandledReconcileAt}=1")
    assert versions() == before
    assert not agent.said("object changed", after=count)

    agent.kill()
    count = agent.count
    second = fleet.commit({"a/two.yaml": None, "a/three.yaml": config_map(namespace, "three")}, "second")
    agent.start()
    cluster.wait("a", f"jsonpath={{.status.lastAppliedRevision}}=main@sha1:{second}")
    assert versions().keys() - {"kube-root-ca.crt"} == {"one", "three"}
    assert versions()["one"] == before["one"]
    assert not agent.said("object changed", after=count)


def test_a_restart_writes_nothing_to_what_is_as_it_should_be_however_long_the_first_look_at_git_takes(
    agent: AgentProcess,
    fleet: Fleet,
    cluster: Cluster,
    namespace: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    files = {"clusters/a.yaml": kustomization(namespace, "a", "./a"), "a/one.yaml": config_map(namespace, "one")}
    first = fleet.commit(files, "first")
    agent.start().wait_for("sync finished", commit=first[:7])
    cluster.wait("a")
    before = cluster.status("a")
    agent.stop()

    slow = tmp_path / "slow" / "git"
    slow.parent.mkdir()
    slow.write_text(f'#!/bin/sh\nsleep 1\nexec {shutil.which("git")} "$@"\n')
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}:{os.environ['PATH']}")
    time.sleep(1.1)  # conditions have whole seconds
    count = agent.count
    began = time.monotonic()
    agent.start().wait_for("gitsync started", after=count)
    second = fleet.commit({"README": "two"}, "second")
    cluster.wait("a", f"jsonpath={{.status.lastAppliedRevision}}=main@sha1:{second}")
    assert time.monotonic() - began > 2.0
    ready = [condition_of({"status": status}, "Ready") for status in (before, cluster.status("a"))]
    assert ready[0]["lastTransitionTime"] == ready[1]["lastTransitionTime"]
    assert not agent.said("kustomization has to wait", after=count)


def test_one_that_waits_for_many_names_those_that_are_left_and_goes_on_after_the_last(
    agent: AgentProcess, fleet: Fleet, cluster: Cluster, namespace: str
) -> None:
    names = [f"part-{number}" for number in range(6)]
    slow = {"kind": "Job", "apiVersion": "batch/v1", "metadata": {"name": "slow", "namespace": namespace}}
    container = {"name": "slow", "image": "registry.example/slow:1", "command": ["--unready"]}
    slow |= {"spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}}}
    files: dict[str, str | None] = {
        "clusters/all.yaml": kustomization(namespace, "all", "./all", dependsOn=[{"name": name} for name in names]),
        "all/one.yaml": config_map(namespace, "all"),
        "part-5/slow.yaml": json.dumps(slow),
    }
    for name in names:
        files[f"clusters/{name}.yaml"] = kustomization(namespace, name, f"./{name}", wait=True)
        files[f"{name}/one.yaml"] = config_map(namespace, name)
    first = fleet.commit(files, "many, one of them slow")
    agent.start().wait_for("sync finished", commit=first[:7], sync=f"{namespace}/part-4")
    message = f"dependency '{namespace}/part-5' is not ready"
    cluster.wait("all", f'jsonpath={{.status.conditions[?(@.type=="Ready")].message}}={message}')
    assert "all" not in cluster.maps()
    fleet.commit({"part-5/slow.yaml": None}, "not slow any more")
    cluster.wait("all")
    assert "all" in cluster.maps()
