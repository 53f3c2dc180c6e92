"""What would go with what is deleted, and what is taken from somebody without a look: both are asked about."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.controlplane.cluster import Cli
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.manifests import config_map
from tests.e2e.moving import CHART, Moved, box, finished

#: A chart that holds the objects of its values.
ANY = {
    "charts/any/Chart.yaml": "apiVersion: v2\nname: any\nversion: 1.0.0\n",
    "charts/any/templates/all.yaml": "{{ range .Values.objects }}---\n{{ toYaml . }}\n{{ end }}",
}


@pytest.fixture
def agent(new_agent: NewAgent, fleet: Fleet) -> AgentProcess:
    return new_agent(fleet, "--path=fleet", "--allow-mass-prune")


def any_of(namespace: str, name: str, *objects: dict[str, Any]) -> str:
    manifest = box(namespace, name).replace("./charts/box", "./charts/any")
    return manifest.partition("  values:")[0] + f"  values: {json.dumps({'objects': objects})}\n"


def space(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def definition(group: str) -> dict[str, Any]:
    schema = {"openAPIV3Schema": {"type": "object"}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"dolls.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": "Doll", "plural": "dolls"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }


def uid(kubectl: Cli, *what: str) -> str:
    found = json.loads(kubectl("get", *what, "-o", "json"))["metadata"]
    assert "deletionTimestamp" not in found
    return str(found["uid"])


def test_of_many_new_objects_of_a_kind_none_is_taken_from_a_release(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    """From five on they are listed, and no list of what syncs have applied names what a release has."""
    moves = Moved("configmap", namespace)
    finished(agent.start(), fleet.commit({**CHART, "fleet/a.yaml": box(namespace, "a", [moves])}, "a has it"))
    was = moves.live(kubectl)
    new = {f"fleet/new-{number}.yaml": config_map(namespace, f"new-{number}") for number in range(6)}
    commit = fleet.commit({**new, "fleet/moves.yaml": moves.plain()}, "Git wants it, too")

    finished(agent, commit)
    (failed,) = agent.said("object failed", commit=commit[:7])
    assert f"is already managed by HelmRelease/{namespace}/a" in failed.fields["error"]
    assert moves.live(kubectl) == was


@pytest.mark.parametrize("why", ["unreadable", "prune is disabled"])
def test_from_a_release_that_stays_in_spite_of_git_nothing_is_taken(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str, why: str
) -> None:
    moves = Moved("configmap", namespace)
    release = box(namespace, "a", [moves])
    if why != "unreadable":
        release = release.replace("metadata: {", 'metadata: {annotations: {gitsync.dev/prune: "disabled"}, ')
    finished(agent.start(), fleet.commit({**CHART, "fleet/a.yaml": release}, "a has it"))
    was = moves.live(kubectl)
    gone = "a: [\n" if why == "unreadable" else "# gone\n"
    commit = fleet.commit({"fleet/a.yaml": gone, "fleet/moves.yaml": moves.plain()}, "a is not to be read")

    finished(agent, commit)
    failed = [line.fields["error"] for line in agent.said("object failed", commit=commit[:7])]
    assert any(f"is already managed by HelmRelease/{namespace}/a" in error for error in failed)
    assert moves.live(kubectl) == was
    assert uid(kubectl, "helmrelease", "a", "-n", namespace)


def volume_claim(claim: Moved) -> dict[str, Any]:
    """As a chart has it."""
    metadata = {"name": claim.name, "namespace": claim.namespace}
    storage = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": storage}


@pytest.mark.parametrize("who", ["git", "release", "itself"])
def test_a_namespace_stays_as_long_as_somebody_wants_what_is_in_it(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str, who: str
) -> None:
    """It is Git's, a release's and what is in it another one's, or both are of one release."""
    inside = f"{namespace}-in"
    claim = Moved("persistentvolumeclaim", inside)
    volume = volume_claim(claim)
    if who == "git":
        files = {"fleet/space.yaml": json.dumps(space(inside)), "fleet/inside.yaml": claim.plain()}
    elif who == "itself":
        files = {"fleet/space.yaml": any_of(namespace, "a", space(inside), volume)}
    else:
        needs = any_of(namespace, "q", volume).replace("  chart:", "  dependsOn: [{name: a}]\n  chart:")
        files = {"fleet/space.yaml": any_of(namespace, "a", space(inside)), "fleet/inside.yaml": needs}
    finished(agent.start(), fleet.commit({**ANY, **files}, "a namespace and what is in it"))
    before = uid(kubectl, "pvc", claim.name, "-n", inside)

    gone = {"git": "# gone\n", "release": any_of(namespace, "a"), "itself": any_of(namespace, "a", volume)}[who]
    finished(agent, fleet.commit({"fleet/space.yaml": gone}, "only the namespace goes"))
    kept = agent.said("object kept", object=f"Namespace/{inside}")
    assert f"PersistentVolumeClaim/{inside}/{claim.name} would go with it" in kept[0].fields["why"]
    assert uid(kubectl, "pvc", claim.name, "-n", inside) == before

    if who == "git":  # and goes when nobody wants that any more
        finished(agent, fleet.commit({"fleet/inside.yaml": "# gone\n"}, "the claim goes"))
        agent.wait_for("object deleted", object=f"Namespace/{inside}")
    else:
        kubectl("delete", "namespace", inside, "--wait=false")


def test_a_namespace_of_a_release_that_is_removed_stays_for_one_that_has_yet_to_take_what_is_in_it(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    inside = f"{namespace}-in"
    claim = Moved("persistentvolumeclaim", inside)
    volume = volume_claim(claim)
    files = {"fleet/b.yaml": any_of(namespace, "b", space(inside)), "fleet/inside.yaml": claim.plain()}
    finished(agent.start(), fleet.commit({**ANY, **files}, "the namespace in b, the claim in Git"))
    before = uid(kubectl, "pvc", claim.name, "-n", inside)
    waits = any_of(namespace, "c", volume).replace("  chart:", "  suspend: true\n  chart:")
    finished(agent, fleet.commit({"fleet/inside.yaml": "# gone\n", "fleet/c.yaml": waits}, "the claim to c"))
    finished(agent, fleet.commit({"fleet/b.yaml": "# gone\n"}, "b goes"))
    kept = agent.said("object kept", object=f"Namespace/{inside}")
    assert f"PersistentVolumeClaim/{inside}/{claim.name} would go with it" in kept[0].fields["why"]
    assert uid(kubectl, "pvc", claim.name, "-n", inside) == before
    kubectl("delete", "namespace", inside, "--wait=false")


def held_up(how: str, manifest: str) -> str:
    """A release that does not come to take what it is to have: nobody can tell what that is, or it is in its chart."""
    return {
        "broken": manifest.replace("./charts/any", "./charts/nope"),
        "suspended": manifest.replace("  chart:", "  suspend: true\n  chart:"),
    }[how]


def helm_release(namespace: str, name: str, *objects: dict[str, Any]) -> dict[str, Any]:
    """As a chart has it."""
    found: dict[str, Any] = YAML(typ="safe", pure=True).load(any_of(namespace, name, *objects))
    return found


@pytest.mark.parametrize(
    ("how", "leaves"),
    [("broken", "b removed"), ("broken", "the namespace"), ("broken", "from a"), ("suspended", "b removed")],
)
def test_a_namespace_stays_for_what_is_kept_in_it_since_an_earlier_commit(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str, how: str, leaves: str
) -> None:
    """What is in it left Git, or release a, for a release that is broken, or for one in a chart that is suspended."""
    inside = f"{namespace}-in"
    claim = Moved("persistentvolumeclaim", inside)
    volume = volume_claim(claim)
    in_a = any_of(namespace, "a", volume).replace("  chart:", "  dependsOn: [{name: b}]\n  chart:")
    first = in_a if leaves == "from a" else claim.plain()
    b = any_of(namespace, "b", space(inside))
    finished(agent.start(), fleet.commit({**ANY, "fleet/b.yaml": b, "fleet/inside.yaml": first}, "b and the claim"))
    before = uid(kubectl, "pvc", claim.name, "-n", inside)
    c = any_of(namespace, "c", *([volume] if how == "broken" else [helm_release(namespace, "kid", volume)]))
    gone = any_of(namespace, "a") if leaves == "from a" else "# gone\n"
    finished(agent, fleet.commit({"fleet/inside.yaml": gone, "fleet/c.yaml": held_up(how, c)}, "the claim to c"))
    without = any_of(namespace, "b") if leaves == "the namespace" else "# gone\n"
    finished(agent, fleet.commit({"fleet/b.yaml": without}, "the namespace goes"))
    assert uid(kubectl, "pvc", claim.name, "-n", inside) == before
    assert uid(kubectl, "namespace", inside)

    finished(agent, fleet.commit({"fleet/c.yaml": c}, "c is mended"))
    name = "kid" if how == "suspended" else "c"
    kubectl("wait", "--for=condition=Ready", f"helmrelease/{name}", "-n", namespace, "--timeout=60s")
    assert uid(kubectl, "pvc", claim.name, "-n", inside) == before
    assert claim.live(kubectl)["release"] == name
    kubectl("delete", "namespace", inside, "--wait=false")


@pytest.mark.parametrize("leaves", ["the parent", "both"])
@pytest.mark.parametrize("what", ["namespace", "definition"])
def test_a_namespace_or_definition_goes_with_a_release_of_its_chart_that_has_something_in_it(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str, leaves: str, what: str
) -> None:
    inside, group = f"{namespace}-in", f"{namespace}.example"
    if what == "namespace":
        whole, part, key = space(inside), volume_claim(Moved("persistentvolumeclaim", inside)), f"namespace/{inside}"
    else:
        whole, key = definition(group), f"crd/dolls.{group}"
        part = {"apiVersion": f"{group}/v1", "kind": "Doll", "metadata": {"name": "one", "namespace": namespace}}
    par = any_of(namespace, "par", whole, helm_release(namespace, "kid", part))
    finished(agent.start(), fleet.commit({**ANY, "fleet/par.yaml": par}, "a parent"))
    kubectl("wait", "--for=condition=Ready", "helmrelease/kid", "-n", namespace, "--timeout=60s")
    gone = any_of(namespace, "par") if leaves == "both" else "# gone\n"
    finished(agent, fleet.commit({"fleet/par.yaml": gone}, "it goes"))
    kubectl("wait", "--for=delete", key, "--timeout=60s")
    assert kubectl("get", "helmrelease", "kid", "-n", namespace, "--ignore-not-found") == ""
    assert not agent.said("object kept")


def test_a_failed_install_that_keeps_a_release_of_its_chart_does_not_wait_for_that_to_go(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    inside = f"{namespace}-in"
    claim = Moved("persistentvolumeclaim", inside)
    objects = space(inside), helm_release(inside, "kid", volume_claim(claim))
    finished(agent.start(), fleet.commit({**ANY, "fleet/app.yaml": any_of(namespace, "p", *objects)}, "p"))
    kubectl("wait", "--for=condition=Ready", "helmrelease/kid", "-n", inside, "--timeout=60s")
    before = uid(kubectl, "pvc", claim.name, "-n", inside)
    never = {"image": "registry.example/app:nonexistent", "name": "main"}
    pod = {"metadata": {"labels": {"app": "never"}}, "spec": {"containers": [never]}}
    spec = {"selector": {"matchLabels": {"app": "never"}}, "template": pod}
    broken = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "never"}, "spec": spec}
    renamed = any_of(namespace, "p2", *objects, broken).replace("timeout: 1m", "timeout: 3s")
    renamed = renamed.replace("  chart:", "  install: {remediation: {retries: 1}}\n  chart:")
    finished(agent, fleet.commit({"fleet/app.yaml": renamed}, "p is p2, which fails"))
    agent.wait_for("object kept", object=f"HelmRelease/{inside}/kid")
    assert uid(kubectl, "pvc", claim.name, "-n", inside) == before
    kubectl("delete", "namespace", inside, "--wait=false")


@pytest.mark.parametrize("who", ["git", "release"])
def test_a_definition_stays_as_long_as_somebody_wants_an_object_of_it(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str, who: str
) -> None:
    group = f"{namespace}.example"
    doll = {"apiVersion": f"{group}/v1", "kind": "Doll", "metadata": {"name": "one", "namespace": namespace}}
    if who == "git":
        files = {"fleet/crd.yaml": json.dumps(definition(group))}
    else:
        files = {"fleet/crd.yaml": any_of(namespace, "a", definition(group))}
    finished(agent.start(), fleet.commit({**ANY, **files, "fleet/doll.yaml": json.dumps(doll)}, "a kind and an object"))
    before = uid(kubectl, f"dolls.{group}", "one", "-n", namespace)

    finished(agent, fleet.commit({"fleet/crd.yaml": "# gone\n"}, "only the definition goes"))
    agent.wait_for("object kept", object=f"CustomResourceDefinition/dolls.{group}")
    assert uid(kubectl, f"dolls.{group}", "one", "-n", namespace) == before
    kubectl("delete", "crd", f"dolls.{group}")
