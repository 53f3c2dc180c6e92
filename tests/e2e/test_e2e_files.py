"""What stands in the files of a commit: mistakes, custom resources, secrets; and what is remembered of a commit."""

from __future__ import annotations

import base64
import json

import pytest

from gitsync.charts.serve import ChartServer
from gitsync.cli import main
from tests.controlplane.cluster import Cli, Cluster
from tests.e2e import helm
from tests.e2e.configmaps import data
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.manifests import config_map, release, repository
from tests.e2e.watching import Now, Watch, is_ready
from tests.until import ask_until

WIDGETS = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: widgets.e2e.example
spec:
  group: e2e.example
  names: {kind: Widget, plural: widgets}
  scope: Namespaced
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}
"""


def until_ready(releases: Watch, *keys: str) -> None:
    def done(now: Now) -> bool:
        return all(is_ready(now.get(key)) for key in keys)

    releases.until(done, f"{', '.join(keys)} ready")


def test_a_file_that_cannot_be_read_keeps_what_it_held_and_nothing_is_pruned_until_it_is_mended(
    agent: AgentProcess, fleet: Fleet, charts: ChartServer, releases: Watch, kubectl: Cli, helm_cli: Cli, namespace: str
) -> None:
    fleet.commit(
        {
            "charts.yaml": repository(namespace, charts.url),
            "app.yaml": release(namespace, "app"),
            "first.yaml": config_map(namespace, "first"),
            "second.yaml": config_map(namespace, "second"),
        },
        "all well",
    )
    agent.start()
    until_ready(releases, f"{namespace}/app")
    agent.wait_for("sync finished")

    bad = fleet.commit(
        {
            "app.yaml": release(namespace, "app").replace("dependsOn", "dependOn"),
            "first.yaml": "apiVersion: v1\nkind: ConfigMap\n  metadata: [\n",
            "second.yaml": None,
            "third.yaml": config_map(namespace, "third"),
        },
        "two mistakes",
    )
    finished = agent.wait_for("sync finished with failures", commit=bad[:7])
    errors = {line.fields["file"].partition(":")[0]: line for line in agent.said("file cannot be used")}
    assert set(errors) == {"app.yaml", "first.yaml"}
    assert errors["app.yaml"].fields["file"].startswith("app.yaml:9:3")
    assert "dependsOn" in json.dumps(errors["app.yaml"].fields)
    assert errors["first.yaml"].fields["file"].startswith("first.yaml:3:")
    assert all(line.fields["commit"] == bad[:7] for line in errors.values())
    agent.wait_for("pruning is off for this commit", commit=bad[:7])
    assert finished.fields.items() >= {"created": 1, "deleted": 0, "failed": 2}.items()
    for name in ("first", "second", "third"):
        assert data(kubectl, namespace, name) == {"text": "x"}
    assert is_ready(releases.get(f"{namespace}/app"))
    assert helm.history(helm_cli, namespace, "app") == [(1, "deployed")]

    fixed = fleet.commit(
        {"app.yaml": release(namespace, "app"), "first.yaml": config_map(namespace, "first", "fixed")}, "no mistake"
    )
    finished = agent.wait_for("sync finished", commit=fixed[:7])
    assert finished.fields.items() >= {"changed": 1, "deleted": 1, "failed": 0}.items()
    assert data(kubectl, namespace, "first") == {"text": "fixed"}
    assert "second" not in kubectl("get", "configmaps", "-n", namespace)


def test_one_commit_brings_a_namespace_a_custom_resource_definition_and_what_needs_them(
    new_agent: NewAgent, fleet: Fleet, control_plane: Cluster, kubectl: Cli, namespace: str
) -> None:
    inside = f"inside-{namespace}"
    widget = "apiVersion: e2e.example/v1\nkind: Widget\nmetadata: {name: w, namespace: NS}\nspec: {size: 3}\n"
    unplaced = "apiVersion: e2e.example/v1\nkind: Widget\nmetadata: {name: unplaced}\nspec: {size: 4}\n"
    fleet.commit(
        {
            "a-widget.yaml": widget.replace("NS", inside),
            "b-config.yaml": config_map(inside, "config"),
            "c-unplaced.yaml": unplaced,
            "y-widgets.yaml": WIDGETS,
            "z-namespace.yaml": f"apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {inside}\n",
        },
        "in no order",
    )
    agent = new_agent(fleet, "--once", f"--default-namespace={namespace}").start()
    assert agent.wait() == 0
    created = [line.fields["object"].partition("/")[0] for line in agent.said("object created")]
    assert created[:2] == ["Namespace", "CustomResourceDefinition"]
    assert sorted(created[2:]) == ["ConfigMap", "Widget", "Widget"]
    assert kubectl("get", "widgets", "-n", inside, "-o", "name") == "widget.e2e.example/w\n"
    assert kubectl("get", "widgets", "-n", namespace, "-o", "name") == "widget.e2e.example/unplaced\n"
    assert new_agent(fleet, "--once", f"--default-namespace={namespace}").start().wait() == 0

    fleet.commit({"a-widget.yaml": None, "y-widgets.yaml": None, "c-unplaced.yaml": None}, "no widgets")
    again = new_agent(fleet, "--once", "--allow-mass-prune", f"--default-namespace={namespace}").start()
    assert again.wait() == 0
    deleted = [line.fields["object"] for line in again.said("object deleted")]
    assert deleted[-1] == "CustomResourceDefinition/widgets.e2e.example"
    control_plane.request("DELETE", f"/api/v1/namespaces/{inside}")


def test_a_secret_of_the_repository_is_applied_and_never_shown(
    new_agent: NewAgent, fleet: Fleet, charts: ChartServer, releases: Watch, kubectl: Cli, namespace: str
) -> None:
    hidden = ["correct-horse", "battery-staple", "hunter2-in-values"]
    encoded = base64.b64encode(hidden[0].encode()).decode()
    secret = f"""\
apiVersion: v1
kind: Secret
metadata: {{name: login, namespace: {namespace}}}
data: {{password: {encoded}}}
stringData: {{token: {hidden[1]}}}
"""
    values = {"auth": {"password": hidden[2]}, "message": "hello"}
    fleet.commit(
        {
            "charts.yaml": repository(namespace, charts.url),
            "login.yaml": secret,
            "app.yaml": release(namespace, "app", values=values),
        },
        "a login",
    )
    agent = new_agent(fleet, "--log-level=debug").start()
    until_ready(releases, f"{namespace}/app")
    agent.wait_for("sync finished")
    kubectl("patch", "secret", "login", "-n", namespace, "-p", '{"data": {"password": "eA=="}}')
    fleet.edit("login.yaml", hidden[1], f"{hidden[1]}-2", "another token")
    agent.wait_for("sync finished", commit=fleet.head[:7])
    # A Secret that the API server does not take, and one that cannot be read: errors quote what they complain about.
    fleet.commit(
        {
            "login.yaml": secret.replace(f"password: {encoded}", f"password: {hidden[0]}"),
            "bad.yaml": f"apiVersion: v1\nkind: Secret\nmetadata: {{name: bad}}\ndata:\n  password: {hidden[1]}: x\n",
        },
        "mistakes with secrets",
    )
    agent.wait_for("sync finished with failures", commit=fleet.head[:7])

    stored = json.loads(kubectl("get", "secret", "login", "-n", namespace, "-o", "json"))["data"]
    assert base64.b64decode(stored["token"]).decode() == f"{hidden[1]}-2"
    for text in [*hidden, encoded]:
        assert text not in agent.log
    history = kubectl("get", "configmaps", "-n", "gitsync-system", "-o", "json")
    assert not any(text in history for text in hidden)


def test_the_journal_survives_a_restart_and_is_told_newest_first(
    agent: AgentProcess, fleet: Fleet, namespace: str, sync_name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    first = fleet.commit({"a.yaml": config_map(namespace, "a"), "b.yaml": config_map(namespace, "b")}, "two")
    agent.start().wait_for("sync finished")
    second = fleet.commit({"a.yaml": config_map(namespace, "a", "changed"), "b.yaml": None}, "one less", "Grace")
    agent.wait_for("sync finished", commit=second[:7])
    agent.stop()
    agent.start().wait_for("gitsync started", after=agent.count)
    third = fleet.commit({"c.yaml": config_map(namespace, "c")}, "after the restart")
    agent.wait_for("sync finished", commit=third[:7])

    where = (f"--kubeconfig={agent.kubeconfig}", f"--name={sync_name}")
    # The journal is written right after the line.
    entries = ask_until(
        lambda: agent.told("log", f"--name={sync_name}", "-o", "json"), lambda found: len(found) == 3, "three entries"
    )
    assert main(["log", "nope", *where]) == 1
    assert capsys.readouterr() == (
        "",
        f"error: sync {sync_name} in namespace gitsync-system has recorded no commit nope\n"
        "hint: it has 3 commits: gitsync log -n 3\n",
    )
    assert main(["log", first[:5], *where]) == 0
    assert capsys.readouterr().out.startswith(f"commit {first[:7]} ")
    assert [entry["commit"] for entry in entries] == [third, second, first]
    assert [entry["result"] for entry in entries] == ["succeeded"] * 3
    assert [entry["author"] for entry in entries] == ["Ada", "Grace", "Ada"]
    changes = {(change["verb"], change["object"]) for change in entries[1]["changes"]}
    assert changes == {("changed", f"ConfigMap/{namespace}/a"), ("deleted", f"ConfigMap/{namespace}/b")}
