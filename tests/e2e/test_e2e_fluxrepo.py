"""A repository as ``flux bootstrap`` makes it, with the usual structure below: the agent is pointed at it as it is."""

from __future__ import annotations

import json

import pytest

from tests.controlplane.cluster import Cli
from tests.e2e.configmaps import data
from tests.e2e.conftest import NewAgent
from tests.e2e.fluxrepositories import CHART, SYNC, config_map, kustomization, repository
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.moving import finished
from tests.e2e.planning import Commits


@pytest.fixture
def agent(new_agent: NewAgent, fleet: Fleet) -> AgentProcess:
    return new_agent(fleet, "--path=clusters/prod", "--once")


def in_namespace(namespace: str, name: str) -> str:
    manifest = json.loads(config_map(name))
    return json.dumps({**manifest, "metadata": {"name": name, "namespace": namespace}})


def test_what_the_root_s_kustomization_had_elsewhere_goes_when_it_stands_for_the_root_again(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    made = "apiVersion: v1\nkind: Namespace\nmetadata: {name: flux-system}\n"
    own = {"clusters/prod/own.yaml": in_namespace(namespace, "own"), "clusters/prod/namespace.yaml": made}
    here = {"clusters/prod/sync.yaml": SYNC}
    agent = new_agent(fleet, "--path=clusters/prod")
    finished(agent.start(), fleet.commit({**own, **here}, "before"))
    other = {f"other/{name}.yaml": in_namespace(namespace, name) for name in ("goes", "moves")}
    fleet.commit({**other, "clusters/prod/sync.yaml": SYNC.replace("./clusters/prod", "./other")}, "elsewhere")
    for name in ("goes", "moves"):
        kubectl("wait", "--for=create", f"configmap/{name}", "-n", namespace, "--timeout=60s")
    uid = kubectl("get", "configmap", "moves", "-n", namespace, "-o", "jsonpath={.metadata.uid}")
    moved = {"clusters/prod/moves.yaml": in_namespace(namespace, "moves"), **dict.fromkeys(other)}
    finished(agent, fleet.commit({**here, **moved}, "here again"))
    kubectl("wait", "--for=delete", "configmap/goes", "-n", namespace, "--timeout=110s")
    assert kubectl("get", "configmap", "moves", "-n", namespace, "-o", "jsonpath={.metadata.uid}") == uid
    assert '"level":"error"' not in agent.log
    agent.stop()


def test_a_repository_of_flux_works_as_it_is(agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str) -> None:
    first = fleet.commit(repository(namespace), "as it is")
    assert agent.start().wait() == 0
    assert data(kubectl, namespace, "zone") == {"text": "zone a"}
    assert data(kubectl, namespace, "web") == {"color": "green"}
    (left_out,) = agent.said("objects of Flux itself are left out")
    assert left_out.fields["objects"] == 1
    assert kubectl("get", "deployments", "-n", "flux-system", "-o", "name") == ""
    zone = agent.wait_for("object created", object=f"ConfigMap/{namespace}/zone")
    assert (zone.fields["sync"], zone.fields["origin"].partition(":")[0]) == ("flux-system/infra", "infra/zone.yaml")
    assert zone.number < agent.wait_for("release installed", release=f"{namespace}/web").number
    listed = json.loads(
        kubectl("get", "kustomizations.kustomize.toolkit.fluxcd.io", "-n", "flux-system", "-o", "json")
    )["items"]
    applied = {item["metadata"]["name"]: item["status"]["lastAppliedRevision"] for item in listed}
    assert applied == dict.fromkeys(("flux-system", "infra", "apps"), f"main@sha1:{first}")

    before = agent.count
    second = fleet.edit("clusters/prod/settings.yaml", '"green"', '"blue"', "another color")
    assert agent.start().wait() == 0
    assert data(kubectl, namespace, "web") == {"color": "blue"}
    (upgraded,) = agent.said("release upgraded", after=before)
    assert upgraded.fields["commit"] == second[:7]

    fleet.edit("clusters/prod/settings.yaml", '"zone": "a"', '"area": "a"', "a variable is gone")
    fleet.edit("infra/zone.yaml", "zone ${zone:=none}", "zone ${zone}", "without a default")
    before = agent.count
    assert agent.start().wait() == 1
    (failed,) = agent.said("kustomization cannot be built", after=before)
    assert failed.fields["file"].startswith("infra/zone.yaml:1")
    assert "zone" in failed.fields["error"]
    unready = {line.fields["kustomization"] for line in agent.said("not ready", after=before)}
    assert unready == {"flux-system/infra", "flux-system/apps"}
    assert data(kubectl, namespace, "zone") == {"text": "zone a"}


def test_what_somebody_has_deleted_comes_again_when_the_root_s_kustomization_is_asked_for(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    made = "apiVersion: v1\nkind: Namespace\nmetadata: {name: flux-system}\n"
    files = {
        "clusters/prod/namespace.yaml": made,
        "clusters/prod/sync.yaml": SYNC,
        "clusters/prod/apps.yaml": kustomization("apps", "./apps"),
        "apps/one.yaml": in_namespace(namespace, "one"),
    }
    agent = new_agent(fleet, "--path=clusters/prod")
    finished(agent.start(), fleet.commit(files, "apps"))
    agent.wait_for("sync finished", sync="flux-system/apps")
    kind, flux = "kustomizations.kustomize.toolkit.fluxcd.io", ("-n", "flux-system")
    kubectl("wait", "--for=condition=Ready", f"{kind}/flux-system", *flux, "--timeout=60s")
    kubectl("delete", kind, "apps", *flux, "--timeout=60s")
    gone = agent.wait_for("object deleted", object=f"ConfigMap/{namespace}/one")
    assert gone.fields["why"] == "its Kustomization was deleted"
    kubectl("annotate", kind, "flux-system", *flux, "reconcile.fluxcd.io/requestedAt=now")
    handled = "--for=jsonpath={.status.lastHandledReconcileAt}=now"
    kubectl("wait", handled, f"{kind}/flux-system", *flux, "--timeout=60s")
    assert kubectl("get", kind, "apps", *flux, "-o", "name") != ""
    kubectl("wait", "--for=create", "configmap/one", "-n", namespace, "--timeout=60s")
    agent.stop()


def test_what_the_repository_s_own_git_repository_ignores_is_not_there(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    """As many have it: all but a few directories is left out, and nothing is fetched, since it is what is polled."""

    def sync(*ignored: str) -> str:
        patterns = "\n".join(("/*", "!/clusters", "!/apps", "!/charts", *ignored))
        return SYNC.replace("spec: {interval: 1m", f"spec: {{interval: 1m, ignore: {json.dumps(patterns)}")

    more = {"targetNamespace": namespace}
    chart = {"chart": "./charts/web", "sourceRef": {"kind": "GitRepository", "name": "flux-system"}}
    release = {
        "apiVersion": "helm.toolkit.fluxcd.io/v2",
        "kind": "HelmRelease",
        "metadata": {"name": "web", "namespace": "flux-system"},
        "spec": {"interval": "10m", "targetNamespace": namespace, "chart": {"spec": chart}, "values": {"color": "red"}},
    }
    files: dict[str, str | None] = {
        **CHART,
        "charts/web/templates/more.off.yaml": CHART["charts/web/templates/cm.yaml"].replace("web}", "more}"),
        "clusters/prod/namespace.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: flux-system}\n",
        "clusters/prod/sync.yaml": sync("*.off.yaml"),
        "clusters/prod/apps.yaml": kustomization("apps", "./apps", **more),
        "clusters/prod/notes.yaml": kustomization("notes", "./notes", **more),
        "clusters/prod/release.yaml": json.dumps(release),
        "clusters/prod/root.off.yaml": in_namespace(namespace, "root"),
        "apps/one.yaml": config_map("one"),
        "apps/two.off.yaml": config_map("two"),
        "notes/three.yaml": config_map("three"),
    }

    def there() -> set[str]:
        names = kubectl("get", "configmaps", "-n", namespace, "-o", "jsonpath={.items[*].metadata.name}").split()
        return set(names) - {"kube-root-ca.crt"}

    agent = new_agent(fleet, "--path=clusters/prod")
    commits = Commits(agent, fleet, kubectl, namespace)
    first = commits.commit(files)
    planned = commits.plan().doing("create")
    assert {name.rpartition("/")[2] for name in planned if name.startswith(f"ConfigMap/{namespace}/")} == {"one", "web"}
    assert commits.run() == 1  # for the notes
    assert there() == {"one", "web"}
    unbuilt = agent.wait_for("kustomization cannot be built", kustomization="flux-system/notes")
    assert "left out by the ignore" in unbuilt.fields["error"]
    found = json.loads(kubectl("get", "gitrepository", "flux-system", "-n", "flux-system", "-o", "json"))["status"]
    assert (found["artifact"]["revision"], found["observedIgnore"][:2]) == (f"main@sha1:{first}", "/*")

    commits.commit({"clusters/prod/sync.yaml": sync("!/notes")})
    assert commits.run() == 0
    assert there() == {"one", "web", "two", "root", "three", "more"}
