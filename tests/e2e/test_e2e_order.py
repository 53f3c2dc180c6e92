"""Order across kinds: HelmReleases that wait for Kustomizations, Kustomizations that wait for HelmReleases, and what
depends on others goes first."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.controlplane.cluster import Cli
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.kustomizations import Cluster, kustomization
from tests.e2e.manifests import config_map
from tests.e2e.registries import until_ready
from tests.e2e.watching import Watch
from tests.e2e.webchart import CHART, release
from tests.until import ask_until

KIND = "kustomization.kustomize.toolkit.fluxcd.io"


def workload(namespace: str, image: str) -> str:
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": image}]}}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    head = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": namespace}}
    return json.dumps({**head, "spec": spec})


def on(kind: str, name: str) -> dict[str, Any]:
    return {"dependsOn": [{"kind": kind, "name": name}]}


def missing(agent: AgentProcess) -> list[str]:
    """What the agent said of dependencies that are not there, by whatever field."""
    said = [str(text) for line in agent.lines for text in (line.msg, *line.fields.values())]
    return [text for text in said if text.startswith("dependency ") and "does not exist" in text]


@pytest.fixture
def agent(new_agent: NewAgent, fleet: Fleet) -> AgentProcess:
    return new_agent(fleet, "--path=clusters")


def test_kinds_wait_for_each_other_and_go_in_the_other_order(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    """``db`` (a release) <- ``infra`` (a Kustomization) <- ``web`` (a release) <- ``apps`` (a Kustomization)."""
    cluster = Cluster(kubectl, namespace)
    first = fleet.commit(
        {
            **CHART,
            "clusters/1.yaml": kustomization(namespace, "apps", "./apps", **on("HelmRelease", "web")),
            "clusters/2.yaml": release(namespace, "web", **on("Kustomization", "infra")),
            "clusters/3.yaml": kustomization(namespace, "infra", "./infra", wait=True, **on("HelmRelease", "db")),
            "clusters/4.yaml": release(namespace, "db"),
            "infra/config.yaml": config_map(namespace, "config"),
            "apps/app.yaml": config_map(namespace, "app"),
            "clusters/stays.yaml": config_map(namespace, "stays"),
        },
        "four",
    )
    agent.start().wait_for("sync finished", commit=first[:7])
    cluster.wait("apps")
    order = [
        agent.wait_for("release installed", release=f"{namespace}/db"),
        agent.wait_for("object created", object=f"ConfigMap/{namespace}/config"),
        agent.wait_for("release installed", release=f"{namespace}/web"),
        agent.wait_for("object created", object=f"ConfigMap/{namespace}/app"),
    ]
    assert [line.number for line in order] == sorted(line.number for line in order)
    assert missing(agent) == [], "all of it comes with one commit"

    gone = fleet.commit({f"clusters/{number}.yaml": None for number in (1, 2, 3, 4)}, "none")
    agent.wait_for("sync finished", commit=gone[:7])
    order = [
        agent.wait_for("object deleted", object=f"ConfigMap/{namespace}/app", commit=gone[:7]),
        agent.wait_for("release uninstalled", release=f"{namespace}/web", commit=gone[:7]),
        agent.wait_for("object deleted", object=f"ConfigMap/{namespace}/config", commit=gone[:7]),
        agent.wait_for("release uninstalled", release=f"{namespace}/db", commit=gone[:7]),
    ]
    assert [line.number for line in order] == sorted(line.number for line in order)
    assert set(cluster.maps()) == {"stays"}


def test_a_release_waits_for_a_kustomization_that_fails_and_goes_on_when_that_is_mended(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str, releases: Watch
) -> None:
    cluster = Cluster(kubectl, namespace)
    fleet.commit(
        {
            **CHART,
            "clusters/web.yaml": release(namespace, "web", **on("Kustomization", "infra")),
            "clusters/infra.yaml": kustomization(namespace, "infra", "./infra"),
            "infra/config.yaml": "kind: [",
        },
        "infra is wrong",
    )
    agent.start()
    words = f"dependency 'Kustomization {namespace}/infra' is not ready"
    agent.wait_for(words, release=f"{namespace}/web")
    assert agent.wait_for("sync finished").fields["waiting"] == 1
    fleet.commit({"infra/config.yaml": config_map(namespace, "config")}, "infra is right")
    agent.wait_for("all dependencies are ready, proceeding with release", release=f"{namespace}/web")
    assert missing(agent) == []
    until_ready(releases, f"{namespace}/web")
    assert set(cluster.maps()) == {"config", "web"}

    # What was deleted by hand: as long as the dependent is on its way out, what it needs stays.
    keep = '{"metadata":{"finalizers":["finalizers.fluxcd.io","example.com/keep"]}}'
    kubectl("patch", "helmrelease", "web", "-n", namespace, "--type=merge", "-p", keep)
    kubectl("delete", "helmrelease", "web", "-n", namespace, "--wait=false")
    kubectl("delete", KIND, "infra", "-n", namespace, "--wait=false")
    line = agent.wait_for("kustomization has to wait", kustomization=f"{namespace}/infra")
    assert line.fields["why"] == f"it is removed after what depends on it: HelmRelease/{namespace}/web"
    assert "config" in cluster.maps()
    kubectl("patch", "helmrelease", "web", "-n", namespace, "--type=merge", "-p", '{"metadata":{"finalizers":[]}}')
    agent.wait_for("object deleted", object=f"ConfigMap/{namespace}/config")
    # Git has both: they are made again.
    until_ready(releases, f"{namespace}/web")
    ask_until(cluster.maps, lambda maps: set(maps) == {"config", "web"}, "there again")


def test_cycles_across_kinds_are_named_and_mended(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    """One that is written in two dependsOn, and one through ``wait``, whose mend comes by the Kustomization itself."""
    cluster = Cluster(kubectl, namespace)
    fleet.commit(
        {
            **CHART,
            "clusters/left.yaml": release(namespace, "left", **on("Kustomization", "right")),
            "clusters/right.yaml": kustomization(namespace, "right", "./right", **on("HelmRelease", "left")),
            "clusters/keeper.yaml": kustomization(namespace, "keeper", "./keeper", wait=True, timeout="5m"),
            "right/one.yaml": config_map(namespace, "one"),
            "keeper/kept.yaml": release(namespace, "kept", **on("Kustomization", "keeper")),
        },
        "two cycles",
    )
    agent.start()
    circle = f"HelmRelease/{namespace}/left -> Kustomization/{namespace}/right -> HelmRelease/{namespace}/left"
    agent.until(lambda line: circle in line.msg, circle)
    cluster.wait("right", "condition=Ready=False")
    (ready,) = [it for it in cluster.status("right")["conditions"] if it["type"] == "Ready"]
    assert circle in ready["message"]
    kept = f"HelmRelease/{namespace}/kept -> Kustomization/{namespace}/keeper"
    line = agent.until(lambda line: kept in line.msg, kept)
    assert f"Kustomization/{namespace}/keeper: it is ready only when HelmRelease/" in line.fields["hint"]

    fleet.commit(
        {
            "clusters/left.yaml": release(namespace, "left"),
            "keeper/kept.yaml": release(namespace, "kept"),
        },
        "none",
    )
    cluster.wait("right")
    cluster.wait("keeper")
    assert set(cluster.maps()) == {"left", "one", "kept"}


def test_expressions_judge_what_is_waited_for_and_what_is_depended_on(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    cluster = Cluster(kubectl, namespace)
    checks = [{"apiVersion": "v1", "kind": "ConfigMap", "current": "data.text == 'good'"}]
    needs = [{"name": "infra", "readyExpr": "has(dep.metadata.annotations) && 'go' in dep.metadata.annotations"}]
    fleet.commit(
        {
            "clusters/infra.yaml": kustomization(namespace, "infra", "./infra", wait=True, healthCheckExprs=checks),
            "clusters/apps.yaml": kustomization(namespace, "apps", "./apps", dependsOn=needs),
            "infra/config.yaml": config_map(namespace, "config", "bad"),
            "apps/app.yaml": config_map(namespace, "app"),
        },
        "expressions",
    )
    agent.start().wait_for("sync finished")
    line = agent.wait_for("kustomization has to wait", kustomization=f"{namespace}/apps")
    assert line.fields["why"].startswith(f"dependency '{namespace}/infra' is not ready: readyExpr ")
    assert set(cluster.maps()) == {"config"}
    kubectl("annotate", KIND, "infra", "-n", namespace, "go=")
    cluster.wait("apps")  # though infra is not ready
    (ready,) = [it for it in cluster.status("infra")["conditions"] if it["type"] == "Ready"]
    assert ready["status"] == "Unknown"
    kubectl("patch", "configmap", "config", "-n", namespace, "--type=merge", "-p", '{"data":{"text":"good"}}')
    cluster.wait("infra")

    fleet.edit("clusters/apps.yaml", "has(dep.metadata.annotations)", "has(dep.metadata.annotations", "wrong")
    cluster.wait("apps", "condition=Stalled")
    (stalled,) = [it for it in cluster.status("apps")["conditions"] if it["type"] == "Stalled"]
    assert "spec.dependsOn[0].readyExpr" in stalled["message"]


def test_what_cannot_be_changed_is_made_anew_where_that_is_asked_for_and_annotations_leave_objects_alone(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    cluster = Cluster(kubectl, namespace)
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "fixed", "namespace": namespace}}
    fixed = {**secret, "immutable": True, "stringData": {"a": "1"}}
    annotated = config_map(namespace, "once", "first", "{kustomize.toolkit.fluxcd.io/ssa: IfNotPresent}")
    fleet.commit(
        {
            "clusters/a.yaml": kustomization(namespace, "a", "./a"),
            "a/secret.yaml": json.dumps(fixed),
            "a/once.yaml": annotated,
        },
        "first",
    )
    agent.start().wait_for("sync finished")
    cluster.wait("a")
    before = kubectl("get", "secret", "fixed", "-n", namespace, "-o", "jsonpath={.metadata.uid}")
    fleet.commit(
        {
            "a/secret.yaml": json.dumps({**fixed, "stringData": {"a": "2"}}),
            "a/once.yaml": annotated.replace("first", "second"),
        },
        "second",
    )
    cluster.wait("a", "condition=Ready=False")
    (ready,) = [it for it in cluster.status("a")["conditions"] if it["type"] == "Ready"]
    assert "set spec.force: true to have it replaced" in ready["message"]
    assert cluster.maps() == {"once": "first"}
    third = fleet.commit({"clusters/a.yaml": kustomization(namespace, "a", "./a", force=True)}, "force")
    cluster.wait("a", f"jsonpath={{.status.lastAppliedRevision}}=main@sha1:{third}")
    cluster.wait("a")
    assert kubectl("get", "secret", "fixed", "-n", namespace, "-o", "jsonpath={.metadata.uid}") != before
    assert kubectl("get", "secret", "fixed", "-n", namespace, "-o", "jsonpath={.data.a}") == "Mg=="
    assert cluster.maps() == {"once": "first"}


def test_what_has_not_become_ready_in_time_is_not_ready_at_the_next_try_either(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    """Nothing is to be applied any more then. It counts all the same, also of a release that waits for what is not
    there, and holds up who depends on the Kustomization, until a commit mends it."""
    cluster, waits = Cluster(kubectl, namespace), {"wait": True, "timeout": "2s"}
    files = {
        **CHART,
        "clusters/bad.yaml": kustomization(namespace, "bad", "./bad", **waits),
        "clusters/release.yaml": kustomization(namespace, "release", "./release", **waits),
        "clusters/next.yaml": kustomization(namespace, "next", "./next", dependsOn=[{"name": "bad"}]),
        "bad/web.yaml": workload(namespace, "web:nonexistent"),
        "release/app.yaml": release(namespace, "app", **on("HelmRelease", "nobody")),
        "next/one.yaml": config_map(namespace, "one"),
    }
    fleet.commit(files, "never ready")
    agent.start().wait_for("sync finished")
    for name, said in (("bad", "Deployment/"), ("release", f"HelmRelease/{namespace}/app: dependency")):
        cluster.wait(name, "jsonpath={.status.conditions[?(@.type=='Ready')].reason}=HealthCheckFailed")
        again = f"reconcile.fluxcd.io/requestedAt={name}"
        kubectl("annotate", KIND, name, "-n", namespace, again)
        cluster.wait(name, f"jsonpath={{.status.lastHandledReconcileAt}}={name}")
        conditions = {it["type"]: it for it in cluster.status(name)["conditions"]}
        assert [conditions[kind]["status"] for kind in ("Ready", "Healthy")] == ["False", "False"]
        assert conditions["Ready"]["reason"] == conditions["Healthy"]["reason"] == "HealthCheckFailed"
        assert said in conditions["Ready"]["message"]
    assert "one" not in cluster.maps()

    fleet.commit({"bad/web.yaml": workload(namespace, "web:1")}, "an image that is there")
    cluster.wait("bad")
    cluster.wait("next")
    healthy = {it["type"]: it for it in cluster.status("bad")["conditions"]}["Healthy"]
    assert (healthy["status"], healthy["reason"]) == ("True", "Succeeded")
    assert "one" in cluster.maps()


def test_a_kustomization_takes_up_a_commit_after_the_release_that_it_depends_on_whoever_has_that(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    """The release is ready as the commit before wanted it, until the commit comes to it: by the repository's own sync,
    or by a Kustomization that has it, and that waits for who depends on it, too."""
    cluster = Cluster(kubectl, namespace)
    inner = kustomization(namespace, "inner", "./inner", **on("HelmRelease", "held"))
    files = {
        **CHART,
        "clusters/top.yaml": release(namespace, "top"),
        "clusters/outer.yaml": kustomization(namespace, "outer", "./outer", **on("HelmRelease", "top")),
        "clusters/holder.yaml": kustomization(namespace, "holder", "./holder", wait=True),
        "holder/held.yaml": release(namespace, "held"),
        "holder/inner.yaml": inner,
        "outer/one.yaml": config_map(namespace, "one"),
        "inner/two.yaml": config_map(namespace, "two"),
    }
    fleet.commit(files, "first")
    agent.start().wait_for("sync finished")
    for name in ("inner", "outer", "holder"):
        agent.wait_for("sync finished", sync=f"{namespace}/{name}")
        cluster.wait(name)
    second = fleet.commit(
        {
            "clusters/top.yaml": release(namespace, "top", values={"a": "b"}),
            "holder/held.yaml": release(namespace, "held", values={"a": "b"}),
            "outer/one.yaml": config_map(namespace, "one", "new"),
            "inner/two.yaml": config_map(namespace, "two", "new"),
        },
        "second",
    )
    for name, text in (("top", "one"), ("held", "two")):
        changed = agent.wait_for("object changed", object=f"ConfigMap/{namespace}/{text}", commit=second[:7])
        upgraded = agent.wait_for("release upgraded", release=f"{namespace}/{name}", commit=second[:7])
        assert upgraded.number < changed.number, text
    cluster.wait("holder", f"jsonpath={{.status.lastAppliedRevision}}=main@sha1:{second}")
