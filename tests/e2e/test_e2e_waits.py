"""A wait holds up only what it is about, and says what that is; a newer commit does not wait for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.controlplane.cluster import Cli, Cluster
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.manifests import config_map
from tests.e2e.unready import never_ready

HOLD = "example.com/hold"
CHART = {
    "charts/box/Chart.yaml": "apiVersion: v2\nname: box\nversion: 1.0.0\n",
    "charts/box/templates/all.yaml": "{{ .Values.text }}\n",
}


def box(namespace: str, name: str, text: str, timeout: str = "10m") -> str:
    """A HelmRelease whose chart is the manifests in ``text``."""
    indented = text.replace("\n", "\n      ")
    return f"""\
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  interval: 1h
  timeout: {timeout}
  chart: {{spec: {{chart: ./charts/box, sourceRef: {{kind: GitRepository, name: flux-system}}}}}}
  values:
    text: |
      {indented}
"""


def held(namespace: str, name: str) -> str:
    """A ConfigMap that cannot go until somebody takes its finalizer away."""
    return config_map(namespace, name).replace("metadata:\n", f"metadata:\n  finalizers: [{HOLD}]\n")


def is_there(kubectl: Cli, *what: str) -> bool:
    return kubectl("get", *what, "--ignore-not-found", "-o", "name") != ""


def stamp(kubectl: Cli, namespace: str, kind: str, name: str) -> str:
    """The commit that an object says it is of."""
    path = r"jsonpath={.metadata.annotations.gitsync\.dev/commit}"
    return kubectl("get", kind, name, "-n", namespace, "-o", path)


@pytest.fixture
def let_go(kubectl: Cli, namespace: str) -> Iterator[None]:
    """At the end, nothing is held any more."""
    yield
    for name in kubectl("get", "configmap", "-n", namespace, "-o", "name").split():
        kubectl("patch", name, "-n", namespace, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')


@pytest.fixture
def agent(new_agent: NewAgent, fleet: Fleet) -> AgentProcess:
    return new_agent(fleet, "--path=fleet", "--allow-mass-prune")


def test_what_a_commit_deletes_while_it_still_waits_comes_back_with_its_revert(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str, sync_name: str
) -> None:
    other = f"{namespace}-other"
    both = {
        "fleet/ns.yaml": f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {other}}}\n",
        "fleet/map.yaml": config_map(namespace, "wanted"),
        "fleet/release.yaml": box(namespace, "app", config_map(namespace, "inside")),
        **CHART,
    }
    first = fleet.commit(both, "all is well")
    agent.start().wait_for("sync finished", commit=first[:7])
    agent.wait_for("release installed", release=f"{namespace}/app")

    bad = fleet.commit(
        {
            "fleet/map.yaml": None,
            "fleet/release.yaml": None,
            "fleet/never.yaml": never_ready(other),
        },
        "a mistake",
    )
    agent.wait_for("object deleted", object=f"ConfigMap/{namespace}/wanted", commit=bad[:7])
    agent.wait_for("release uninstalled", release=f"{namespace}/app")
    revert = fleet.commit({**both, "fleet/never.yaml": None}, "the mistake is taken back")
    agent.wait_for("sync superseded", commit=bad[:7])
    agent.wait_for("sync finished", commit=revert[:7])
    told = next(line for line in agent.command("log", f"--name={sync_name}").splitlines() if bad[:7] in line)
    assert "superseded in " in told
    assert f"(commit {revert[:7]} is newer)" in told
    assert is_there(kubectl, "configmap", "wanted", "-n", namespace)
    assert is_there(kubectl, "helmrelease", "app", "-n", namespace)
    assert not is_there(kubectl, "deployment", "never", "-n", other)
    fleet.commit({"fleet/ns.yaml": "# gone\n"}, "the end")
    agent.wait_for("object deleted", object=f"Namespace/{other}")


@pytest.mark.usefixtures("let_go")
def test_what_is_on_its_way_out_when_it_is_wanted_again_comes_back_once_it_has_gone(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    fleet.commit(
        {"fleet/held.yaml": held(namespace, "held"), "fleet/other.yaml": config_map(namespace, "other")}, "both"
    )
    agent.start().wait_for("sync finished")
    gone = fleet.commit({"fleet/held.yaml": None}, "held leaves")
    agent.until(lambda line: line.msg == "waiting" and HOLD in line.fields["for"], "waiting")
    again = fleet.commit({"fleet/held.yaml": held(namespace, "held")}, "held is wanted again")
    agent.wait_for("sync superseded", commit=gone[:7])
    agent.until(
        lambda line: line.msg == "waiting" and HOLD in line.fields["for"] and line.fields["commit"] == again[:7],
        "waiting",
    )
    kubectl("patch", "configmap", "held", "-n", namespace, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    agent.wait_for("sync finished", commit=again[:7])
    assert "deletionTimestamp" not in kubectl("get", "configmap", "held", "-n", namespace, "-o", "json")


@pytest.mark.usefixtures("let_go")
def test_a_commit_is_applied_while_what_the_last_one_deletes_cannot_go(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    names = [f"held-{number}" for number in range(4)]
    fleet.commit({"fleet/all.yaml": "---\n".join(held(namespace, name) for name in names)}, "four")
    agent.start().wait_for("sync finished")
    fleet.commit({"fleet/all.yaml": "# gone\n"}, "four leave")
    waiting = agent.until(lambda line: line.msg == "waiting" and "held-0" in line.fields["for"], "waiting")
    assert HOLD in waiting.fields["for"]

    fix = fleet.commit({"fleet/fix.yaml": config_map(namespace, "fix")}, "urgent")
    agent.wait_for("object created", object=f"ConfigMap/{namespace}/fix", commit=fix[:7])
    assert is_there(kubectl, "configmap", names[0], "-n", namespace)
    # And goes on with what it was waiting for.
    kubectl("patch", "configmap", *names, "-n", namespace, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    finished = agent.wait_for("sync finished", commit=fix[:7])
    assert finished.fields["deleted"] == 4


@pytest.mark.usefixtures("let_go")
def test_a_commit_is_applied_while_an_uninstall_hangs(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    files = {**CHART, "fleet/a.yaml": box(namespace, "a", held(namespace, "stuck"))}
    fleet.commit({**files, "fleet/b.yaml": config_map(namespace, "b")}, "a release")
    agent.start().wait_for("sync finished")
    fleet.commit({"fleet/a.yaml": "# gone\n"}, "it leaves")
    agent.until(lambda line: line.msg == "waiting" and "stuck" in line.fields["for"], "waiting")

    fix = fleet.commit({"fleet/fix.yaml": config_map(namespace, "fix")}, "urgent")
    agent.wait_for("object created", object=f"ConfigMap/{namespace}/fix", commit=fix[:7])
    assert is_there(kubectl, "helmrelease", "a", "-n", namespace)
    kubectl("patch", "configmap", "stuck", "-n", namespace, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    agent.wait_for("sync finished", commit=fix[:7])
    assert not is_there(kubectl, "helmrelease", "a", "-n", namespace)


@pytest.mark.usefixtures("let_go")
def test_an_object_that_comes_back_while_it_is_being_deleted_waits_alone(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    fleet.commit({"fleet/a.yaml": held(namespace, "a"), "fleet/b.yaml": config_map(namespace, "b")}, "two")
    agent.start().wait_for("sync finished")
    fleet.commit({"fleet/a.yaml": "# gone\n"}, "a leaves")
    agent.until(lambda line: line.msg == "waiting" and "/a:" in line.fields["for"], "waiting")

    text = config_map(namespace, "a") + "---\n" + config_map(namespace, "c")
    back = fleet.commit({"fleet/a.yaml": text, "fleet/app.yaml": box(namespace, "app", "")} | CHART, "a comes back")
    agent.wait_for("object created", object=f"ConfigMap/{namespace}/c", commit=back[:7])
    agent.wait_for("release installed", release=f"{namespace}/app")
    kubectl("patch", "configmap", "a", "-n", namespace, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    agent.wait_for("sync finished", commit=back[:7])
    assert "deletionTimestamp" not in kubectl("get", "configmap", "a", "-n", namespace, "-o", "json")


def test_what_an_interrupted_sync_has_applied_stays_that_of_its_commit(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    files = {"fleet/never.yaml": never_ready(namespace), "fleet/a.yaml": config_map(namespace, "a")}
    first = fleet.commit(files, "one waits")
    agent.start().wait_for("object created", object=f"Deployment/{namespace}/never")
    agent.wait_for("waiting", commit=first[:7])
    second = fleet.commit({"fleet/b.yaml": config_map(namespace, "b")}, "something else")
    agent.wait_for("object created", object=f"ConfigMap/{namespace}/b", commit=second[:7])
    agent.wait_for("waiting", commit=second[:7])
    assert not agent.said("object changed")
    assert [stamp(kubectl, namespace, "configmap", name) for name in "ab"] == [first, second]
    assert stamp(kubectl, namespace, "deployment", "never") == first
    third = fleet.commit({"fleet/never.yaml": "# gone\n", "fleet/a.yaml": config_map(namespace, "a", "new")}, "mended")
    agent.wait_for("sync finished", commit=third[:7])
    assert stamp(kubectl, namespace, "configmap", "a") == third


def test_what_never_becomes_ready_does_not_keep_what_is_elsewhere_from_being_pruned(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    other = f"{namespace}-other"
    inside = f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {other}}}\n"
    fleet.commit({"fleet/ns.yaml": inside, "fleet/a.yaml": config_map(other, "leaves")}, "two")
    agent.start().wait_for("sync finished")
    commit = fleet.commit(
        {"fleet/never.yaml": never_ready(namespace), "fleet/a.yaml": "# gone\n"}, "one comes, one goes"
    )
    agent.wait_for("object deleted", object=f"ConfigMap/{other}/leaves", commit=commit[:7])
    assert not agent.said("sync finished", commit=commit[:7])
    fleet.commit({"fleet/never.yaml": "# gone\n", "fleet/ns.yaml": "# gone\n"}, "all go")
    agent.wait_for("object deleted", object=f"Namespace/{other}")


def test_an_object_whose_kind_and_namespace_a_release_brings_is_applied_once_that_is_ready(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, control_plane: Cluster, namespace: str
) -> None:
    group = f"{namespace}.example"
    crd = f"""\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: gadgets.{group}}}
spec:
  group: {group}
  scope: Namespaced
  names: {{kind: Gadget, plural: gadgets}}
  versions: [{{name: v1, served: true, storage: true, schema: {{openAPIV3Schema: {{type: object}}}}}}]
---
apiVersion: v1
kind: Namespace
metadata: {{name: {namespace}-new}}
"""
    gadget = f"apiVersion: {group}/v1\nkind: Gadget\nmetadata: {{name: one, namespace: {namespace}}}\n"
    files = {"fleet/op.yaml": box(namespace, "op", crd), "fleet/one.yaml": gadget}
    fleet.commit({**CHART, **files, "fleet/cm.yaml": config_map(f"{namespace}-new", "inside")}, "all at once")
    agent = new_agent(fleet, "--path=fleet", "--once")

    assert agent.start().wait() == 0, "nothing has failed"
    waited = {line.fields["object"] for line in agent.lines if line.msg == "object has to wait"}
    assert waited == {f"Gadget/{namespace}/one", f"ConfigMap/{namespace}-new/inside"}
    assert is_there(kubectl, f"gadgets.{group}", "one", "-n", namespace)
    assert is_there(kubectl, "configmap", "inside", "-n", f"{namespace}-new")
    control_plane.request("DELETE", f"/api/v1/namespaces/{namespace}-new")


def test_a_helmrelease_in_a_namespace_that_nobody_brings_fails_once_the_others_have_settled(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    nowhere = f"{namespace}-nowhere"
    behind = box(namespace, "behind", "").replace(
        "interval", f"dependsOn: [{{name: lost, namespace: {nowhere}}}]\n  interval"
    )
    files = {"fleet/lost.yaml": box(nowhere, "lost", ""), "fleet/fine.yaml": box(namespace, "fine", "")}
    fleet.commit({**CHART, **files, "fleet/behind.yaml": behind}, "one is lost")
    agent = new_agent(fleet, "--path=fleet", "--once").start()

    assert agent.wait() == 1
    failed = agent.wait_for("object failed", object=f"HelmRelease/{nowhere}/lost")
    assert f'namespaces "{nowhere}" not found' in failed.fields["error"]
    finished = agent.wait_for("sync finished with failures").fields
    assert (finished["failed"], finished["waiting"]) == (1, 1)


def database(namespace: str, image: str) -> str:
    """A StatefulSet of one pod, as plain manifest."""
    return f"""\
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: db, namespace: {namespace}}}
spec:
  serviceName: db
  selector: {{matchLabels: {{app: db}}}}
  template:
    metadata: {{labels: {{app: db}}}}
    spec: {{containers: [{{name: db, image: "{image}"}}]}}
"""


def test_the_fix_of_a_plain_stateful_set_reaches_it_although_its_broken_pod_is_in_the_way(
    agent: AgentProcess, fleet: Fleet, namespace: str
) -> None:
    fleet.commit({"fleet/db.yaml": database(namespace, "db:nonexistent")}, "a typo")
    agent.start().until(lambda line: line.msg == "waiting" and "ImagePullBackOff" in line.fields["for"], "waiting")
    fixed = fleet.commit({"fleet/db.yaml": database(namespace, "db:1")}, "the typo is corrected")
    agent.wait_for("deleting a pod that blocks the update", object=f"Pod/{namespace}/db-0")
    done = agent.wait_for("sync finished", commit=fixed[:7])
    assert done.fields["failed"] == 0
