"""What leaves Git leaves the cluster, but for what is no longer carries this sync's owner annotation to delete."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import suppress

import pytest

from gitsync.charts.serve import ChartServer
from tests.controlplane.cluster import Cli, Cluster
from tests.controlplane.errors import ApiError
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import AgentProcess, Fleet, Line
from tests.e2e.manifests import config_map, release, repository
from tests.e2e.watching import Watch, is_ready


def names(kubectl: Cli, namespace: str) -> set[str]:
    """The ConfigMaps of a namespace."""
    listed = json.loads(kubectl("get", "configmaps", "-n", namespace, "-o", "json"))
    return {item["metadata"]["name"] for item in listed["items"]} - {"kube-root-ca.crt"}


def is_there(kubectl: Cli, *what: str) -> bool:
    return kubectl("get", *what, "--ignore-not-found", "-o", "name") != ""


def kept(agent: AgentProcess, what: str) -> str:
    """Why an object was kept."""
    why: str = agent.wait_for("object kept", object=what).fields["why"]
    return why


@pytest.fixture
def inside(control_plane: Cluster, namespace: str) -> Iterator[str]:
    """The name of a Namespace that only Git brings."""
    name = f"inside-{namespace}"
    yield name
    with suppress(ApiError):  # most often it is gone already
        control_plane.request("DELETE", f"/api/v1/namespaces/{name}")


def test_a_commit_that_deletes_most_objects_is_held_until_it_is_confirmed(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str, sync_name: str
) -> None:
    files = {f"{number}.yaml": config_map(namespace, f"many-{number}") for number in range(12)}
    fleet.commit(files, "twelve")
    agent.start().wait_for("sync finished")
    fleet.commit({f"{number}.yaml": None for number in range(7)}, "five")
    held = agent.wait_for("commit is held until it is confirmed", commit=fleet.head[:7])

    assert "7 of 12 objects" in held.fields["why"]
    assert len(names(kubectl, namespace)) == 12
    command = held.fields["hint"].partition("kubectl ")[2]
    assert f"configmap {sync_name}-inventory" in command
    assert fleet.head[:7] in command
    kubectl(*command.split())
    finished = agent.wait_for("sync finished", commit=fleet.head[:7])
    assert finished.fields["deleted"] == 7
    assert names(kubectl, namespace) == {f"many-{number}" for number in range(7, 12)}


def test_a_commit_that_deletes_everything_is_held_and_the_flag_lets_it_through(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    fleet.commit({"a.yaml": config_map(namespace, "a"), "b.yaml": config_map(namespace, "b")}, "two")
    agent = new_agent(fleet)
    agent.start().wait_for("sync finished")
    fleet.commit({"a.yaml": None, "b.yaml": None, "README.md": "nothing"}, "none")
    held = agent.wait_for("commit is held until it is confirmed", commit=fleet.head[:7])
    assert "all 2 objects" in held.fields["why"]
    assert names(kubectl, namespace) == {"a", "b"}
    agent.stop()

    assert new_agent(fleet, "--allow-mass-prune", "--once").start().wait() == 0
    assert names(kubectl, namespace) == set()


def test_what_is_not_to_be_pruned_stays_and_the_log_says_why(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    fleet.commit(
        {
            "plain.yaml": config_map(namespace, "plain"),
            "ours.yaml": config_map(namespace, "ours", annotations="{gitsync.dev/prune: disabled}"),
            "flux.yaml": config_map(namespace, "flux", annotations="{kustomize.toolkit.fluxcd.io/prune: Disabled}"),
            "taken.yaml": config_map(namespace, "taken"),
            "stays.yaml": config_map(namespace, "stays"),
        },
        "five",
    )
    agent.start().wait_for("sync finished")
    # An object that somebody made anew from a copy, with all of its annotations, and one that another sync took over.
    copy = json.loads(kubectl("get", "configmap", "plain", "-n", namespace, "-o", "json"))
    copy["metadata"] = {key: copy["metadata"][key] for key in ("labels", "annotations")} | {"name": "copy"}
    kubectl("create", "-n", namespace, "-f", "-", stdin=json.dumps(copy))
    kubectl("label", "configmap", "taken", "-n", namespace, "--overwrite", "gitsync.dev/sync=other")
    kubectl("annotate", "configmap", "taken", "-n", namespace, "--overwrite", "gitsync.dev/owner=other")

    gone = fleet.commit({f"{name}.yaml": None for name in ("plain", "ours", "flux", "taken")}, "one")
    finished = agent.wait_for("sync finished", commit=gone[:7])
    assert names(kubectl, namespace) == {"ours", "flux", "taken", "copy", "stays"}
    assert finished.fields["deleted"] == 1
    for name in ("ours", "flux"):
        assert "prune annotation says disabled" in kept(agent, f"ConfigMap/{namespace}/{name}")
    assert "no longer carries this sync's owner annotation" in kept(agent, f"ConfigMap/{namespace}/taken")


def test_an_object_of_another_sync_is_neither_applied_nor_pruned(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    fleet.commit({"shared.yaml": config_map(namespace, "shared", "theirs"), "x.yaml": config_map(namespace, "x")}, "a")
    assert new_agent(fleet, "--name=theirs", "--once").start().wait() == 0

    fleet.edit("shared.yaml", "text: theirs", "text: ours", "ours too")
    ours = new_agent(fleet, "--name=ours", "--once").start()
    assert ours.wait() == 1
    failed = ours.wait_for("object failed", object=f"ConfigMap/{namespace}/shared")
    assert "belongs to sync 'gitsync-system/theirs'" in failed.fields["error"]
    assert failed.fields["origin"].startswith("shared.yaml:1")

    fleet.commit({"shared.yaml": None}, "not ours")
    assert new_agent(fleet, "--name=ours", "--once").start().wait() == 1  # x.yaml is theirs as well
    shared = json.loads(kubectl("get", "configmap", "shared", "-n", namespace, "-o", "json"))
    assert shared["data"] == {"text": "theirs"}


def test_a_namespace_goes_with_its_commit_but_not_with_what_others_put_into_it(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str, inside: str
) -> None:
    manifest = f"apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {inside}\n"
    system = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: kube-public\n"
    files = {"ns.yaml": manifest, "inside.yaml": config_map(inside, "inside"), "system.yaml": system}
    more = {f"more{number}.yaml": config_map(namespace, f"more{number}") for number in range(4)}
    fleet.commit({**files, **more}, "a namespace")
    agent.start().wait_for("sync finished")
    kubectl("create", "configmap", "foreign", "-n", inside)

    gone = fleet.commit(dict.fromkeys(files), "no namespace")
    agent.wait_for("sync finished", commit=gone[:7])
    assert names(kubectl, inside) == {"foreign"}
    assert f"ConfigMap/{inside}/foreign" in kept(agent, f"Namespace/{inside}")
    assert "system namespace" in kept(agent, "Namespace/kube-public")
    assert "Active" in kubectl("get", "namespace", "kube-public")

    fleet.commit(files, "the namespace again")
    agent.wait_for("sync finished", commit=fleet.head[:7])
    kubectl("delete", "configmap", "foreign", "-n", inside)
    last = fleet.commit({"ns.yaml": None, "inside.yaml": None}, "no namespace, and nobody in it")
    agent.wait_for("object deleted", object=f"Namespace/{inside}", commit=last[:7])
    assert not is_there(kubectl, "namespace", inside)


def test_a_release_goes_before_the_chart_repository_and_the_namespace_that_it_needs(
    agent: AgentProcess, fleet: Fleet, charts: ChartServer, releases: Watch, kubectl: Cli, namespace: str, inside: str
) -> None:
    files = {
        "a-namespace.yaml": f"apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {inside}\n",
        "b-charts.yaml": repository(inside, charts.url),
        "c-app.yaml": release(inside, "app"),
    }
    stays = {f"stays{number}.yaml": config_map(namespace, f"stays{number}") for number in range(2)}
    fleet.commit({**files, **stays}, "all of it")
    agent.start()
    releases.until(lambda now: is_ready(now.get(f"{inside}/app")), "app ready")
    agent.wait_for("sync finished")

    gone = fleet.commit(dict.fromkeys(files), "none of it")
    agent.wait_for("sync finished", commit=gone[:7])

    def of_this(line: Line) -> bool:
        return line.msg == "object deleted" and line.fields["commit"] == gone[:7]

    deleted = [line.fields["object"] for line in agent.lines if of_this(line)]
    assert len(agent.said("release uninstalled")) == 1
    assert deleted == [f"HelmRelease/{inside}/app", f"HelmRepository/{inside}/charts", f"Namespace/{inside}"]
    assert not is_there(kubectl, "namespace", inside)


def test_a_namespace_stays_with_an_object_that_is_not_to_be_pruned(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    inside = f"{namespace}-inside"
    stays = config_map(inside, "stays", annotations="{gitsync.dev/prune: disabled}")
    files = {"ns.yaml": f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {inside}}}\n", "stays.yaml": stays}
    fleet.commit({**files, "other.yaml": config_map(namespace, "other")}, "all")
    agent.start().wait_for("sync finished", commit=fleet.head[:7])
    fleet.commit({"ns.yaml": "# gone\n", "stays.yaml": "# gone\n"}, "both leave")
    kept = agent.wait_for("object kept", object=f"Namespace/{inside}")
    assert f"ConfigMap/{inside}/stays" in kept.fields["why"]
    agent.wait_for("sync finished", commit=fleet.head[:7])
    assert "deletionTimestamp" not in kubectl("get", "configmap", "stays", "-n", inside, "-o", "json")
    kubectl("delete", "namespace", inside, "--wait=false")


def test_what_is_refused_because_of_the_old_one_comes_when_that_is_gone(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    """A Service gets another name, and keeps the node port that only one can have."""
    port = 31000 + uuid.uuid4().int % 1000

    def service(name: str) -> str:
        spec = {"type": "NodePort", "ports": [{"port": 80, "nodePort": port}]}
        metadata = {"name": name, "namespace": namespace}
        return json.dumps({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})

    agent.arguments += ["--allow-mass-prune"]
    fleet.commit({"service.yaml": service("old"), "more.yaml": config_map(namespace, "more")}, "a port")
    agent.start().wait_for("sync finished")
    commit = fleet.commit({"service.yaml": service("new")}, "another name")
    agent.wait_for("object deleted", object=f"Service/{namespace}/old", commit=commit[:7])
    kubectl("wait", "--for=create", "service/new", "-n", namespace, "--timeout=60s")
    refused = agent.wait_for("object failed", object=f"Service/{namespace}/new")
    assert f"{port}" in refused.fields["error"]
    agent.wait_for("sync finished", commit=commit[:7])
