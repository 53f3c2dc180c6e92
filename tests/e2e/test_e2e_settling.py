"""A sync waits for releases that are on their way to what others have let go of, and for no others."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.controlplane.cluster import Cli
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.manifests import config_map
from tests.e2e.moving import CHART, Moved, both, box, finished
from tests.e2e.nestedreleases import NESTED, uids

#: In the chart, a Deployment that never becomes ready.
STUCK = {
    "charts/box/templates/stuck.yaml": """\
{{- if .Values.stuck }}
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}-stuck}
spec:
  selector: {matchLabels: {app: {{ .Release.Name }}}}
  template:
    metadata: {labels: {app: {{ .Release.Name }}}}
    spec: {containers: [{name: app, image: "registry.example/app:nonexistent"}]}
{{- end }}
"""
}

#: In the chart, a Deployment that is ready three seconds after it was changed, with the image of the values.
SLOW = {
    "charts/box/templates/slow.yaml": """\
{{- if .Values.image }}
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}-slow}
spec:
  strategy: {type: Recreate}
  selector: {matchLabels: {app: {{ .Release.Name }}}}
  template:
    metadata: {labels: {app: {{ .Release.Name }}}}
    spec: {containers: [{name: app, image: {{ .Values.image }}, args: [--ready-after=3s]}]}
{{- end }}
"""
}


def never_ready(text: str, *, forever: bool) -> str:
    """A release whose Deployment never becomes ready; ``forever`` it is tried again."""
    strategy = "{strategy: {name: RetryOnFailure, retryInterval: 1s}}" if forever else "{}"
    spec = f"  timeout: 2s\n  install: {strategy}\n  upgrade: {strategy}\n"
    return text.replace("  timeout: 1m\n", spec).replace('values: {"maps"', 'values: {"stuck": true, "maps"')


@pytest.fixture
def agent(new_agent: NewAgent, fleet: Fleet) -> AgentProcess:
    return new_agent(fleet, "--path=fleet")


@pytest.mark.parametrize("drift", ["disabled", "enabled"])
def test_a_release_that_is_renamed_is_waited_for_and_that_is_a_success(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str, drift: str
) -> None:
    moved = both(namespace)

    def named(name: str) -> str:
        return box(namespace, name, moved).replace("  interval", f"  driftDetection: {{mode: {drift}}}\n  interval")

    fleet.commit({**CHART, "fleet/old.yaml": named("old")}, "as old")
    assert new_agent(fleet, "--path=fleet", "--once", "--allow-mass-prune").start().wait() == 0
    before = uids(kubectl, *moved)
    behind = {"fleet/behind.yaml": box(namespace, "behind", needs="new")}
    fleet.commit({"fleet/old.yaml": "# renamed\n", "fleet/new.yaml": named("new"), **behind}, "as new")
    agent = new_agent(fleet, "--path=fleet", "--once", "--allow-mass-prune")

    assert agent.start().wait() == 0
    assert uids(kubectl, *moved) == before
    assert {item.live(kubectl)["release"] for item in moved} == {"new"}
    installed = agent.wait_for("release installed", release=f"{namespace}/new")
    assert (installed.fields["created"], installed.fields["taken_over"]) == (1, 2)
    assert not agent.said(f"ConfigMap/{namespace}/moves is already managed by HelmRelease/{namespace}/old")
    assert installed.number < agent.wait_for("sync finished").number
    assert not agent.said("drift corrected"), "what new has by then is no drift of old"
    assert kubectl("get", "helmrelease", "old", "-n", namespace, "--ignore-not-found", "-o", "name") == ""


@pytest.mark.parametrize("once", [True, False])
def test_a_move_through_a_release_that_is_held_back_itself_goes_well(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str, once: bool
) -> None:
    flags = ("--path=fleet", *(["--once"] if once else []))
    first, second = Moved("persistentvolumeclaim", namespace, "pa"), Moved("persistentvolumeclaim", namespace, "pc")
    before = {"fleet/rb.yaml": box(namespace, "rb", [second]), "fleet/rc.yaml": box(namespace, "rc", [first])}
    commit = fleet.commit({**CHART, **before}, "before")
    agent = new_agent(fleet, *flags).start()
    if once:
        assert agent.wait() == 0
        agent = new_agent(fleet, *flags)
    else:
        finished(agent, commit)
    old = uids(kubectl, first, second)
    after = {
        "fleet/rb.yaml": box(namespace, "rb", [first]),
        "fleet/rc.yaml": "# gone\n",
        "fleet/pc.yaml": second.plain(),
    }
    commit = fleet.commit(after, "after")
    if once:
        assert agent.start().wait() == 0

    finished(agent, commit)
    assert uids(kubectl, first, second) == old
    assert first.live(kubectl)["release"] == "rb"
    assert (second.live(kubectl)["release"], bool(second.live(kubectl)["sync"])) == ("", True)
    assert not [line for line in agent.lines if line.msg in ("object failed", "object deleted") and "pc" in str(line)]


@pytest.mark.parametrize(("forever", "failed_before"), [(True, True), (False, True), (False, False)])
def test_git_takes_from_a_release_that_goes_on_failing_what_its_chart_has_no_more(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str, forever: bool, failed_before: bool
) -> None:
    moved = both(namespace)
    first = box(namespace, "r", moved)
    fleet.commit(
        {**CHART, **STUCK, "fleet/r.yaml": never_ready(first, forever=forever) if failed_before else first}, "in r"
    )
    agent.start()
    agent.until(lambda line: line.fields.get("tries") == 1 if failed_before else line.msg == "sync finished")
    before = uids(kubectl, *moved)
    after = agent.count
    files = {f"fleet/{item.kind}.yaml": item.plain() for item in moved}
    commit = fleet.commit({"fleet/r.yaml": never_ready(box(namespace, "r"), forever=forever), **files}, "in Git")

    for item in moved:
        kind = {"configmap": "ConfigMap"}.get(item.kind, "PersistentVolumeClaim")
        agent.wait_for("object changed", after=after, object=f"{kind}/{namespace}/moves", commit=commit[:7])
        live = item.live(kubectl)
        assert (live["release"], bool(live["sync"])) == ("", True)
    assert uids(kubectl, *moved) == before
    assert not agent.said("object failed", after=after)
    if forever:  # what it is about to take may come any time, so that nothing of its namespace is deleted meanwhile
        return
    agent.wait_for("sync finished with failures", after=after, commit=commit[:7])
    fleet.commit({f"fleet/{item.kind}.yaml": "# gone\n" for item in moved}, "gone")
    agent.wait_for("object deleted", object=f"ConfigMap/{namespace}/moves")
    agent.wait_for("object deleted", object=f"PersistentVolumeClaim/{namespace}/moves")


def test_a_release_whose_values_are_missing_is_not_waited_for(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    moved = replace(both(namespace)[1], name="data")
    agent.start()
    finished(agent, fleet.commit({**CHART, "fleet/data.yaml": moved.plain()}, "in Git"))
    from_secret = "  valuesFrom: [{kind: Secret, name: missing}]\n  values:"
    release = box(namespace, "r", [moved]).replace("  values:", from_secret)
    other = box(namespace, "behind", needs="r")
    commit = fleet.commit({"fleet/data.yaml": "# in r\n", "fleet/r.yaml": release, "fleet/o.yaml": other}, "in r")

    line = agent.wait_for("sync finished", commit=commit[:7])
    assert (line.fields["waiting"], line.fields["failed"]) == (2, 0)


def test_a_release_whose_values_another_one_of_the_commit_brings_is_waited_for(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    brings = box(namespace, "a").replace('"maps": [', '"maps": ["settings", ')
    needs = box(namespace, "b").replace(
        "  values:", "  valuesFrom: [{kind: ConfigMap, name: settings, valuesKey: from, targetPath: x}]\n  values:"
    )
    slow = {
        "charts/box/templates/hook.yaml": """\
{{- if eq .Release.Name "a" }}
apiVersion: batch/v1
kind: Job
metadata: {name: slow, annotations: {helm.sh/hook: pre-install}}
spec:
  template: {spec: {restartPolicy: Never, containers: [{name: app, image: "registry.example/app:1"}]}}
{{- end }}
"""
    }
    commit = fleet.commit({**CHART, **slow, "fleet/a.yaml": brings, "fleet/b.yaml": needs}, "one brings values")
    agent.start()

    line = agent.wait_for("sync finished", commit=commit[:7])
    assert (line.fields["waiting"], line.fields["failed"]) == (0, 0)
    assert json.loads(kubectl("get", "helmrelease", "b", "-n", namespace, "-o", "json"))["status"]["history"]


def test_a_release_whose_values_a_controller_makes_of_an_object_of_the_commit_is_waited_for(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    kind = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: logins.settling.example}
spec:
  group: settling.example
  names: {kind: Login, plural: logins}
  scope: Namespaced
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
"""
    login = f"apiVersion: settling.example/v1\nkind: Login\nmetadata: {{name: login, namespace: {namespace}}}\n"
    values = "  valuesFrom: [{kind: Secret, name: login}]\n  values:"
    release = box(namespace, "a").replace("  values:", values)
    agent.start()
    finished(agent, fleet.commit({**CHART, "fleet/kind.yaml": kind}, "the kind"))
    commit = fleet.commit({"fleet/login.yaml": login, "fleet/a.yaml": release}, "a login and who needs it")
    agent.wait_for(f"valuesFrom: Secret '{namespace}/login' key 'values.yaml' does not exist")
    kubectl("create", "secret", "generic", "login", "-n", namespace, "--from-literal=values.yaml=x: y")

    line = agent.wait_for("sync finished", commit=commit[:7])
    assert (line.fields["waiting"], line.fields["failed"]) == (0, 0)


def test_a_restart_says_nothing_of_releases_that_only_wait_for_the_first_sync(
    new_agent: NewAgent, fleet: Fleet, namespace: str
) -> None:
    commit = fleet.commit({**CHART, "fleet/a.yaml": box(namespace, "a"), "fleet/b.yaml": box(namespace, "b")}, "two")
    assert new_agent(fleet, "--path=fleet", "--once").start().wait() == 0
    agent = new_agent(fleet, "--path=fleet").start()
    again = fleet.commit({"fleet/a.yaml": box(namespace, "a", both(namespace))}, "more")
    assert again != commit

    finished(agent, again)
    assert not [line for line in agent.lines if line.fields.get("level") in ("warning", "error")]


def test_a_sync_says_of_a_suspended_release_that_it_takes_no_notice(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    agent.start()
    finished(agent, fleet.commit({**CHART, "fleet/a.yaml": box(namespace, "a")}, "at work"))
    suspended = box(namespace, "a", both(namespace)).replace("  interval", "  suspend: true\n  interval")
    commit = fleet.commit({"fleet/a.yaml": suspended}, "suspended and changed")

    line = agent.wait_for("sync finished", commit=commit[:7])
    assert (line.fields["suspended"], line.fields["failed"], line.fields["waiting"]) == (1, 0, 0)
    why = "what this commit changes of it waits until it is resumed"
    assert agent.said("release is suspended", commit=commit[:7], release=f"{namespace}/a", why=why)
    ready = kubectl("get", "helmrelease", "a", "-n", namespace, "-o", "jsonpath={.status.conditions[0].status}")
    assert ready == "True", "as in Flux"


def test_an_object_that_a_release_cannot_be_asked_about_is_left_to_it_with_the_reason(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    (moved, _) = both(namespace)
    agent.start()
    finished(agent, fleet.commit({**CHART, "fleet/a.yaml": box(namespace, "a", [moved])}, "in the chart"))
    broken = box(namespace, "a").replace("  values:", "  valuesFrom: [{kind: Secret, name: missing}]\n  values:")
    fleet.commit({"fleet/a.yaml": broken, "fleet/plain.yaml": moved.plain()}, "in Git, and the release is broken")

    failed = agent.wait_for("object failed", object=f"ConfigMap/{namespace}/moves")
    assert "it is not known whether that goes on wanting it: valuesFrom: Secret" in failed.fields["error"]
    assert f"HelmRelease/{namespace}/a is moving: valuesFrom: Secret" in failed.fields["hint"]
    assert moved.live(kubectl)["release"] == "a"


def test_a_helmrelease_that_is_renamed_and_keeps_its_release_takes_it_as_it_is(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, helm_cli: Cli, namespace: str
) -> None:
    moved = both(namespace)
    fleet.commit({**CHART, "fleet/old.yaml": box(namespace, "old", moved, release_name="pinned")}, "as old")
    assert new_agent(fleet, "--path=fleet", "--once").start().wait() == 0
    before = uids(kubectl, *moved)
    text = box(namespace, "new", moved, release_name="pinned").replace("new-own", "old-own")
    fleet.commit({"fleet/old.yaml": "# renamed\n", "fleet/new.yaml": text}, "as new")
    agent = new_agent(fleet, "--path=fleet", "--once", "--allow-mass-prune")

    assert agent.start().wait() == 0
    assert uids(kubectl, *moved) == before
    assert [line.msg for line in agent.lines if line.fields["level"] in ("error", "warning")] == []
    waiting = agent.wait_for(
        f"release {namespace}/pinned is already managed by HelmRelease {namespace}/old, which is about to be removed "
        "and leaves it to this one"
    )
    assert waiting.fields["release"] == f"{namespace}/new"
    history = helm_cli("history", "pinned", "-n", namespace, "-o", "json")
    assert [item["status"] for item in json.loads(history)][-1] == "deployed"
    ready = "jsonpath={.status.conditions[?(@.type=='Ready')].status}"
    assert kubectl("get", "helmrelease", "new", "-n", namespace, "-o", ready) == "True"


def test_a_helmrelease_whose_release_goes_to_one_in_a_chart_of_the_commit_does_not_wait_for_that_chart(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    moved = both(namespace)
    fleet.commit({**CHART, **NESTED, "fleet/old.yaml": box(namespace, "old", moved, release_name="pinned")}, "in Git")
    assert new_agent(fleet, "--path=fleet", "--once").start().wait() == 0
    before = uids(kubectl, *moved)
    kid = box(namespace, "new", moved, release_name="pinned").replace("new-own", "old-own")
    umbrella = box(namespace, "umbrella", timeout="20s", nested=kid)
    fleet.commit({"fleet/old.yaml": "# in a chart\n", "fleet/umbrella.yaml": umbrella}, "in a chart")
    agent = new_agent(fleet, "--path=fleet", "--once", "--allow-mass-prune")

    assert agent.start().wait() == 0
    assert uids(kubectl, *moved) == before
    deleted = agent.wait_for("object deleted", object=f"HelmRelease/{namespace}/old")
    assert deleted.number < agent.wait_for("release installed", release=f"{namespace}/umbrella").number


def test_what_helmreleases_in_charts_have_stays_when_they_move_to_another_chart_under_another_name(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    moved = both(namespace)
    p, q = box(namespace, "p", nested=box(namespace, "old", moved)), box(namespace, "q")
    fleet.commit({**CHART, **NESTED, "fleet/p.yaml": p, "fleet/q.yaml": q}, "in p as old")
    agent = new_agent(fleet, "--path=fleet").start()
    agent.wait_for("release installed", release=f"{namespace}/old")
    before = uids(kubectl, *moved)
    p, q = box(namespace, "p"), box(namespace, "q", nested=box(namespace, "new", moved), needs="p")
    finished(agent, fleet.commit({"fleet/p.yaml": p, "fleet/q.yaml": q}, "in q as new"))

    agent.wait_for("release uninstalled", release=f"{namespace}/old")
    installed = agent.wait_for("release installed", release=f"{namespace}/new")
    assert installed.fields["taken_over"] == 2
    assert uids(kubectl, *moved) == before


def test_a_commit_that_upgrades_a_release_and_wants_an_object_of_it_fails_for_that_object_alone(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    (moved, _) = both(namespace)
    agent.start()
    finished(agent, fleet.commit({**CHART, "fleet/a.yaml": box(namespace, "a", [moved])}, "in the chart"))
    before = uids(kubectl, moved)
    more = box(namespace, "a", [moved, Moved("configmap", namespace, "more")])
    commit = fleet.commit({"fleet/a.yaml": more, "fleet/configmap.yaml": moved.plain()}, "in Git as well")

    failed = agent.wait_for("object failed", object=f"ConfigMap/{namespace}/moves", commit=commit[:7])
    assert f"is already managed by HelmRelease/{namespace}/a" in failed.fields["error"]
    agent.wait_for("release upgraded", release=f"{namespace}/a", commit=commit[:7])
    finished(agent, commit)
    assert uids(kubectl, moved) == before
    finished(agent, fleet.commit({"fleet/a.yaml": box(namespace, "a")}, "out of the chart"))
    live = moved.live(kubectl)
    assert ([live["uid"]], live["from"], live["release"]) == (before, "git", "")


@pytest.mark.parametrize("leaves", [True, False])
def test_a_release_that_is_being_rolled_back_has_not_settled_and_who_waits_for_it_settles_with_it(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str, leaves: bool
) -> None:
    def a(image: str, spec: str = "") -> str:
        return box(namespace, "a", timeout="2s" if spec else "1m", spec=spec, image=f"registry.example/app:{image}")

    dependents = {"fleet/b.yaml": box(namespace, "b", needs="a"), "fleet/c.yaml": box(namespace, "c", needs="a")}
    fleet.commit({**CHART, **SLOW, "fleet/a.yaml": a("1"), **dependents}, "all well")
    assert new_agent(fleet, "--path=fleet", "--once").start().wait() == 0
    rolls_back = "  rollback: {timeout: 1m}\n  upgrade: {remediation: {retries: 0, remediateLastFailure: true}}\n"
    changed = box(namespace, "b", both(namespace)[:1], needs="a")
    gone = {"fleet/c.yaml": "# gone\n"} if leaves else {}
    fleet.commit({"fleet/a.yaml": a("nonexistent", rolls_back), "fleet/b.yaml": changed, **gone}, "a never ready")
    agent = new_agent(fleet, "--path=fleet", "--once").start()

    assert agent.wait() == 1
    finished_at = agent.wait_for("sync finished with failures").number
    assert agent.wait_for("failed upgrade rolled back", release=f"{namespace}/a").number < finished_at
    assert bool(agent.said("object deleted", object=f"HelmRelease/{namespace}/c")) == leaves
    unready = {line.fields["release"] for line in agent.said("not ready")}
    assert unready <= {f"{namespace}/a", f"{namespace}/b"}


def source(kind: str, namespace: str, **spec: object) -> str:
    fields = {"interval": "1h", "url": "https://nowhere.example/none", **spec}
    metadata = {"name": "source", "namespace": namespace}
    group = {"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": kind}
    return json.dumps({**group, "metadata": metadata, "spec": fields})


def test_nothing_waits_for_a_release_whose_source_is_nowhere(agent: AgentProcess, fleet: Fleet, namespace: str) -> None:
    both_maps = {"fleet/a.yaml": config_map(namespace, "a"), "fleet/b.yaml": config_map(namespace, "b")}
    finished(agent.start(), fleet.commit({**CHART, **both_maps}, "before"))
    metadata = {"name": "none", "namespace": namespace}
    spec = {"interval": "1h", "chartRef": {"kind": "OCIRepository", "name": "nowhere"}}
    kind = {"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease"}
    release = json.dumps({**kind, "metadata": metadata, "spec": spec})
    commit = fleet.commit({"fleet/a.yaml": None, "fleet/r.yaml": release}, "after")
    finished(agent, commit)
    (ended,) = agent.said("sync finished", commit=commit[:7])
    assert (ended.fields["waiting"], ended.fields["created"]) == (1, 1)
    (kept,) = agent.said("object kept", commit=commit[:7])
    assert kept.fields["why"].startswith(f"HelmRelease/{namespace}/none may want it"), "which nobody can tell"


@pytest.mark.parametrize("kind", ["GitRepository", "HelmRepository"])
def test_nothing_waits_for_a_source_that_is_suspended(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str, kind: str
) -> None:
    before = {"fleet/a.yaml": config_map(namespace, "a"), "fleet/b.yaml": config_map(namespace, "b")}
    finished(agent.start(), fleet.commit(before, "before"))
    suspended = source(kind, namespace, suspend=True)
    finished(agent, fleet.commit({"fleet/a.yaml": None, "fleet/s.yaml": suspended}, "after"))
    kubectl("wait", "--for=delete", "configmap/a", "-n", namespace, "--timeout=30s")
