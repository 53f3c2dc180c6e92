"""What moves to somebody who cannot take it yet, or who waits for the giver, stays; and nobody waits in a circle."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.controlplane.cluster import Cli
from tests.e2e.belonging import belonging_to, plain
from tests.e2e.conftest import NewAgent
from tests.e2e.definitions import definition
from tests.e2e.harness import Fleet
from tests.e2e.insides import CHART, NOTHING, named, release
from tests.e2e.kustomizations import kustomization
from tests.e2e.manifests import config_map
from tests.e2e.moving import Moved, both, finished, uids_when_there

LACKING = {"substituteFrom": [{"kind": "ConfigMap", "name": "lacking"}]}


def never_ready(namespace: str) -> str:
    """The manifest of a Deployment that never becomes so."""
    labels = {"app": "never"}
    pod = {"containers": [{"name": "main", "image": "registry.example/app:nonexistent"}]}
    template = {"metadata": {"labels": labels}, "spec": pod}
    metadata = {"name": "never", "namespace": namespace}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    return json.dumps({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec})


def of_the_chart(namespace: str, files: str) -> str:
    return release(namespace, "o", files)


def of_a_release_in_the_chart(namespace: str, files: str) -> str:
    return release(namespace, "o", release(namespace, "i", files))


@pytest.mark.parametrize("giver", [of_the_chart, of_a_release_in_the_chart])
def test_what_goes_to_a_kustomization_of_the_same_chart_that_cannot_be_built_yet_stays(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str, giver: Callable[[str, str], str]
) -> None:
    moved = both(namespace)
    agent = new_agent(fleet, "--path=clusters", "--allow-mass-prune")
    before = {**CHART, "clusters/o.yaml": giver(namespace, plain(moved)), "k/moves.yaml": plain(moved)}
    finished(agent.start(), fleet.commit(before, "before"))
    uids = uids_when_there(kubectl, moved)

    lacking = kustomization(namespace, "k", "./k", postBuild=LACKING)
    fleet.commit({"clusters/o.yaml": release(namespace, "o", lacking)}, "to a Kustomization")
    agent.until(
        lambda line: line.msg == "object kept" and f"sync/{namespace}/k may want it" in line.fields["why"],
        "the objects are kept",
    )
    able = kustomization(namespace, "k", "./k")
    finished(agent, fleet.commit({"clusters/o.yaml": release(namespace, "o", able)}, "which can be built"))
    kubectl("wait", "kustomization/k", "-n", namespace, "--for=condition=Ready", "--timeout=60s")
    if giver is of_a_release_in_the_chart:
        kubectl("wait", "--for=delete", "helmrelease/i", "-n", namespace, "--timeout=60s")
    assert belonging_to("k", moved, kubectl) == uids


def test_a_kustomization_may_wait_for_the_release_that_takes_its_objects(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    moved = both(namespace)
    agent = new_agent(fleet, "--path=clusters", "--allow-mass-prune")
    before = {
        **CHART,
        "clusters/b.yaml": kustomization(namespace, "b", "./b"),
        "clusters/a.yaml": NOTHING,
        "clusters/c.yaml": NOTHING,
        "b/own.yaml": config_map(namespace, "own"),
        "b/moves.yaml": plain(moved),
        "c/own.yaml": config_map(namespace, "own-of-c"),
    }
    finished(agent.start(), fleet.commit(before, "before"))
    uids = uids_when_there(kubectl, moved)

    taker = json.loads(release(namespace, "a", plain(moved)))
    taker["spec"]["dependsOn"] = [{"kind": "Kustomization", "name": "c"}]
    waits = [{"kind": "HelmRelease", "name": "a"}]
    after = {
        "clusters/a.yaml": json.dumps(taker),
        "clusters/b.yaml": kustomization(namespace, "b", "./b", dependsOn=waits),
        "clusters/c.yaml": kustomization(namespace, "c", "./c"),
        "b/moves.yaml": NOTHING,
    }
    finished(agent, fleet.commit(after, "after"))
    kubectl("wait", "kustomization/b", "-n", namespace, "--for=condition=Ready", "--timeout=60s")
    assert belonging_to("a", moved, kubectl) == uids


@pytest.mark.parametrize("giver", ["the root", "a Kustomization", "one whose directory goes"])
def test_a_release_that_a_failed_revision_took_from_git_goes_when_nobody_wants_it_any_more(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str, giver: str
) -> None:
    moved = both(namespace)
    agent = new_agent(fleet, "--path=clusters", "--allow-mass-prune")
    taken = release(namespace, "b", plain(moved))
    before = {
        **CHART,
        "clusters/own.yaml": config_map(namespace, "own"),
        "clusters/k.yaml": taken if giver == "the root" else kustomization(namespace, "k", "./k"),
        "clusters/g.yaml": NOTHING,
        "clusters/moves.yaml": NOTHING,
        "k/b.yaml": taken,
    }
    finished(agent.start(), fleet.commit(before, "before"))
    uids = uids_when_there(kubectl, moved)

    broken = release(namespace, "b", "[no: manifest")
    gone = {"k/b.yaml": None} if giver == "one whose directory goes" else {}
    into = {"clusters/k.yaml": NOTHING, "clusters/g.yaml": release(namespace, "g", broken), **gone}
    fleet.commit(into, "into a chart")
    agent.wait_for("install retries exhausted", release=f"{namespace}/g")
    without = json.loads(release(namespace, "g"))
    if gone:  # then it is uninstalled, and installed anew
        without["spec"]["storageNamespace"] = "default"
    after = {"clusters/moves.yaml": plain(moved), "clusters/g.yaml": json.dumps(without)}
    finished(agent, fleet.commit(after, "out of it"))
    kubectl("wait", "--for=delete", "helmrelease/b", "kustomization/k", "-n", namespace, "--timeout=60s")
    assert belonging_to("", moved, kubectl) == uids


@pytest.mark.parametrize("taker", ["plain files", "a release whose chart has it sound"])
def test_a_release_that_fails_and_the_kustomization_that_it_was_of_do_not_keep_each_other(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str, taker: str
) -> None:
    moved = both(namespace)
    agent = new_agent(fleet, "--path=clusters", "--allow-mass-prune")
    before = {
        **CHART,
        "clusters/own.yaml": config_map(namespace, "own"),
        "clusters/d.yaml": kustomization(namespace, "d", "./d"),
        "clusters/g.yaml": NOTHING,
        "d/g.yaml": release(namespace, "g", plain(moved)),
    }
    finished(agent.start(), fleet.commit(before, "before"))
    uids = uids_when_there(kubectl, moved)

    broken = release(namespace, "g", "[no: manifest")
    fleet.commit({"clusters/d.yaml": NOTHING, "clusters/g.yaml": broken, "d/g.yaml": None}, "to the root, broken")
    agent.wait_for("object kept", object=f"Kustomization/{namespace}/d")
    sound = release(namespace, "f", release(namespace, "g"), plain(moved))
    after = plain(moved) if taker == "plain files" else sound
    finished(agent, fleet.commit({"clusters/g.yaml": after}, "away from it"))
    kubectl("wait", "--for=delete", "kustomization/d", "-n", namespace, "--timeout=60s")
    if taker == "plain files":
        kubectl("wait", "--for=delete", "helmrelease/g", "-n", namespace, "--timeout=60s")
    else:
        kubectl("wait", "helmrelease/g", "-n", namespace, "--for=condition=Ready", "--timeout=60s")
    assert belonging_to("" if taker == "plain files" else "f", moved, kubectl) == uids


def test_a_definition_is_not_kept_for_an_object_that_is_gone(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    """The root keeps what a release needs that may be wanted; meanwhile another one takes it, and goes."""
    group = f"{namespace}.example.com"
    names = {"kind": "Box", "listKind": "BoxList", "plural": "boxes", "singular": "box"}
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    spec = {"group": group, "names": names, "scope": "Namespaced", "versions": [version]}
    metadata = {"name": f"boxes.{group}"}
    kind = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
    definition = json.dumps({**kind, "metadata": metadata, "spec": spec})
    box = json.dumps({"apiVersion": f"{group}/v1", "kind": "Box", "metadata": {"name": "o", "namespace": namespace}})
    agent = new_agent(fleet, "--path=clusters", "--allow-mass-prune")
    before = {
        **CHART,
        "clusters/all.yaml": f"{definition}\n---\n{box}\n",
        "clusters/b.yaml": release(namespace, "b", config_map(namespace, "held")),
        "clusters/k.yaml": NOTHING,
        "k/broken.yaml": "no manifest: {",
    }
    finished(agent.start(), fleet.commit(before, "before"))
    kubectl("wait", "--for=create", f"boxes.{group}/o", "-n", namespace, "--timeout=60s")

    finished(
        agent,
        fleet.commit(
            {
                "clusters/all.yaml": f"{definition}\n",
                "clusters/b.yaml": NOTHING,
                "clusters/k.yaml": kustomization(namespace, "k", "./k"),
            },
            "who is to have it cannot be built",
        ),
    )
    assert agent.said("object kept", object=f"Box/{namespace}/o")
    held = '--patch={"metadata":{"finalizers":[%s]}}'
    kubectl("patch", "configmap", "held", "-n", namespace, "--type=merge", held % '"example.com/held"')
    taken = {
        "clusters/all.yaml": NOTHING,
        "clusters/k.yaml": NOTHING,
        "clusters/g.yaml": kustomization(namespace, "g", "./g"),
        "g/all.yaml": f"{definition}\n---\n{box}\n",
    }
    fleet.commit(taken, "another one takes all")
    agent.wait_for("sync finished", sync=f"{namespace}/g")
    fleet.commit({"clusters/g.yaml": NOTHING}, "and goes, while the release is still being uninstalled")
    kubectl("wait", "--for=delete", "kustomization/g", "-n", namespace, "--timeout=60s")
    kubectl("patch", "configmap", "held", "-n", namespace, "--type=merge", held % "")
    kubectl("wait", "--for=delete", f"customresourcedefinition/boxes.{group}", "--timeout=60s")


@pytest.mark.parametrize("other", ["another name", "another storage"])
def test_what_a_release_leaves_for_itself_goes_with_it_when_it_never_takes_that(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str, other: str
) -> None:
    """It is uninstalled to be another one, which somebody else's object holds back."""
    moved = both(namespace)
    agent = new_agent(fleet, "--path=clusters", "--allow-mass-prune")
    first = release(namespace, "f", plain(moved))
    before = {
        **CHART,
        "clusters/own.yaml": config_map(namespace, "own"),
        "clusters/taken.yaml": config_map(namespace, "taken"),
        "clusters/f.yaml": named(namespace, "f", "before", plain(moved)) if other == "another name" else first,
    }
    finished(agent.start(), fleet.commit(before, "before"))
    uids_when_there(kubectl, moved)

    held = json.loads(release(namespace, "f", plain(moved), config_map(namespace, "taken")))
    if other == "another storage":
        held["spec"]["storageNamespace"] = "default"
    fleet.commit({"clusters/f.yaml": json.dumps(held)}, "another one")
    agent.until(lambda line: "is already managed by sync" in line.msg, "it is held back")
    finished(agent, fleet.commit({"clusters/f.yaml": NOTHING}, "gone"))
    kubectl("wait", "--for=delete", "helmrelease/f", "configmap/moves", "-n", namespace, "--timeout=60s")
    kubectl("wait", "--for=delete", "persistentvolumeclaim/moves", "-n", namespace, "--timeout=60s")


def test_a_kustomization_that_waits_to_go_and_comes_again_while_no_agent_runs_deletes_nothing(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    moved = both(namespace)
    agent = new_agent(fleet, "--path=clusters", "--allow-mass-prune")
    before = {
        **CHART,
        "clusters/own.yaml": config_map(namespace, "own"),
        "clusters/h.yaml": NOTHING,
        "clusters/k.yaml": kustomization(namespace, "k", "./k"),
        "k/moves.yaml": plain(moved),
    }
    finished(agent.start(), fleet.commit(before, "before"))
    uids = uids_when_there(kubectl, moved)

    taker = json.loads(release(namespace, "h", plain(moved)))
    taker["spec"]["dependsOn"] = [{"name": "nobody"}]
    fleet.commit({"clusters/k.yaml": NOTHING, "clusters/h.yaml": json.dumps(taker)}, "to a release that waits")
    agent.wait_for("kustomization cannot go yet", kustomization=f"{namespace}/k")
    agent.kill()
    finished(agent.start(), fleet.revert())
    kubectl("wait", "--for=delete", "helmrelease/h", "-n", namespace, "--timeout=60s")
    kubectl("wait", "kustomization/k", "-n", namespace, "--for=condition=Ready", "--timeout=60s")
    assert belonging_to("k", moved, kubectl) == uids


def test_a_kustomization_that_comes_again_with_who_is_to_have_its_objects_does_not_wait_for_him_to_go(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    moved = both(namespace)
    agent = new_agent(fleet, "--path=clusters", "--allow-mass-prune")
    before = {
        **CHART,
        "clusters/own.yaml": config_map(namespace, "own"),
        "clusters/h.yaml": NOTHING,
        "clusters/k.yaml": kustomization(namespace, "k", "./k"),
        "k/moves.yaml": plain(moved),
        "z/g.yaml": release(namespace, "g", plain(moved)),
    }
    finished(agent.start(), fleet.commit(before, "before"))
    uids = uids_when_there(kubectl, moved)

    taker = json.loads(release(namespace, "h", plain(moved)))
    taker["spec"]["dependsOn"] = [{"name": "nobody"}]
    fleet.commit({"clusters/k.yaml": NOTHING, "clusters/h.yaml": json.dumps(taker)}, "to a release that waits")
    agent.wait_for("kustomization cannot go yet", kustomization=f"{namespace}/k")
    again = {"clusters/k.yaml": kustomization(namespace, "k", "./z"), "clusters/h.yaml": NOTHING}
    finished(agent, fleet.commit(again, "again, elsewhere"))
    kubectl("wait", "--for=create", "helmrelease/g", "-n", namespace, "--timeout=60s")
    kubectl("wait", "helmrelease/g", "-n", namespace, "--for=condition=Ready", "--timeout=60s")
    assert belonging_to("g", moved, kubectl) == uids


@pytest.mark.parametrize("killed", ["", "killed", "killed, and the commit reverted meanwhile"])
@pytest.mark.parametrize("taker", ["a Kustomization", "plain files"])
def test_a_release_that_comes_back_before_it_went_has_its_objects_as_its_chart_has_them(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str, taker: str, killed: str
) -> None:
    """A workload that never becomes ready holds its removal up meanwhile."""
    moved = both(namespace)
    agent = new_agent(fleet, "--path=clusters", "--allow-mass-prune")
    before = {
        **CHART,
        "clusters/own.yaml": config_map(namespace, "own"),
        "clusters/g.yaml": release(namespace, "g", plain(moved)),
        "clusters/to.yaml": NOTHING,
        "k/moves.yaml": plain(moved).replace("from: git", "from: k"),
    }
    finished(agent.start(), fleet.commit(before, "before"))
    uids = uids_when_there(kubectl, moved)

    files = before["k/moves.yaml"] if taker == "plain files" else kustomization(namespace, "k", "./k")
    fleet.commit({"clusters/g.yaml": NOTHING, "clusters/to.yaml": f"{files}\n---\n{never_ready(namespace)}"}, "moves")
    kubectl("wait", "configmap/moves", "-n", namespace, "--for=jsonpath={.data.from}=k", "--timeout=60s")
    seen = agent.count
    if killed:
        agent.kill()
    if killed != "killed":
        commit = fleet.revert()
    if killed:
        agent.start()
    if killed == "killed":
        agent.wait_for("sync started", after=seen)
        commit = fleet.revert()
    finished(agent, commit)
    kubectl("wait", "configmap/moves", "-n", namespace, "--for=jsonpath={.data.from}=git", "--timeout=60s")
    assert belonging_to("g", moved, kubectl) == uids


def test_a_release_that_helm_made_takes_back_what_others_have_taken_of_it(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, helm_cli: Cli, namespace: str, tmp_path: Path
) -> None:
    """As soon as there is a HelmRelease for it, which wants nothing else than is deployed."""
    moved = both(namespace)
    before = {
        **CHART,
        "clusters/k.yaml": kustomization(namespace, "k", "./k"),
        "k/moves.yaml": plain(moved).replace("from: git", "from: k"),
    }
    commit = fleet.commit(before, "before")
    values = tmp_path / "values.json"
    values.write_text(json.dumps({"text": plain(moved)}))
    helm_cli("install", "byhand", str(fleet.path / "charts/text"), "-n", namespace, "-f", str(values))
    uids = uids_when_there(kubectl, moved)
    agent = new_agent(fleet, "--path=clusters", "--allow-mass-prune").start()
    finished(agent, commit)
    kubectl("wait", "configmap/moves", "-n", namespace, "--for=jsonpath={.data.from}=k", "--timeout=60s")

    after = {"k/moves.yaml": NOTHING, "clusters/byhand.yaml": release(namespace, "byhand", plain(moved))}
    finished(agent, fleet.commit(after, "a HelmRelease for it"))
    kubectl("wait", "configmap/moves", "-n", namespace, "--for=jsonpath={.data.from}=git", "--timeout=60s")
    assert belonging_to("byhand", moved, kubectl) == uids


def test_a_release_takes_back_what_a_rollback_by_hand_of_another_took_from_it(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, helm_cli: Cli, namespace: str
) -> None:
    moved = both(namespace)
    agent = new_agent(fleet, "--path=clusters", "--allow-mass-prune").start()
    finished(agent, fleet.commit({**CHART, "clusters/h.yaml": release(namespace, "h", plain(moved))}, "before"))
    uids = uids_when_there(kubectl, moved)
    after = {
        "clusters/h.yaml": release(namespace, "h", config_map(namespace, "other")),
        "clusters/g.yaml": release(namespace, "g", plain(moved).replace("from: git", "from: g")),
    }
    finished(agent, fleet.commit(after, "to another release"))
    helm_cli("rollback", "h", "1", "-n", namespace)
    # It has them for a moment, and may have to give them back before anybody looks.
    agent.wait_for("release was changed by somebody else", release=f"{namespace}/h")
    finished(agent, fleet.commit({"clusters/h.yaml": release(namespace, "h", config_map(namespace, "more"))}, "h"))
    kubectl("wait", "configmap/moves", "-n", namespace, "--for=jsonpath={.data.from}=g", "--timeout=60s")
    assert belonging_to("g", moved, kubectl) == uids


@pytest.mark.parametrize("giver", ["goes", "goes on"])
@pytest.mark.parametrize("taker", ["a Kustomization", "plain files", "a release"])
def test_what_a_release_leaves_to_somebody_who_is_refused_it_goes_with_him(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str, taker: str, giver: str
) -> None:
    """A Deployment whose selector is another: that cannot be changed."""
    wanted = json.loads(never_ready(namespace))
    wanted["spec"]["replicas"] = 0
    had = json.dumps(wanted)
    for labels in (wanted["spec"]["selector"]["matchLabels"], wanted["spec"]["template"]["metadata"]["labels"]):
        labels["app"] = "another"
    taken = json.dumps(wanted)
    agent = new_agent(fleet, "--path=clusters", "--allow-mass-prune").start()
    before = {
        **CHART,
        "clusters/own.yaml": config_map(namespace, "own"),
        "clusters/h.yaml": release(namespace, "h", had),
        "k/moves.yaml": taken,
    }
    finished(agent, fleet.commit(before, "before"))
    to = {
        "a Kustomization": kustomization(namespace, "k", "./k"),
        "plain files": taken,
        "a release": release(namespace, "g", taken),
    }
    left = NOTHING if giver == "goes" else release(namespace, "h", config_map(namespace, "another"))
    seen = agent.count
    fleet.commit({"clusters/h.yaml": left, "clusters/to.yaml": to[taker]}, "to who is refused it")
    agent.until(lambda line: "field is immutable" in str(line.fields), after=seen)
    if giver == "goes":
        kubectl("wait", "--for=delete", "helmrelease/h", "-n", namespace, "--timeout=60s")
    fleet.commit({"clusters/to.yaml": NOTHING}, "he goes")
    kubectl("wait", "--for=delete", "deployment/never", "-n", namespace, "--timeout=60s")


def test_a_release_with_a_definition_and_the_objects_of_that_kind_do_not_keep_each_other(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    """All are kept at first, since a release that cannot be rendered may want them."""
    group = f"{namespace}.example"
    objects = [
        {"apiVersion": f"{group}/v1", "kind": "Doll", "metadata": {"name": name, "namespace": namespace}}
        for name in ("one", "two")
    ]
    agent = new_agent(fleet, "--path=clusters", "--allow-mass-prune").start()
    before = {
        **CHART,
        "clusters/own.yaml": config_map(namespace, "own"),
        "clusters/e.yaml": release(namespace, "e", definition(group)),
        "clusters/dolls.yaml": "\n---\n".join(map(json.dumps, objects)),
    }
    finished(agent, fleet.commit(before, "before"))
    broken = release(namespace, "f").replace("charts/text", "charts/none")
    fleet.commit({"clusters/e.yaml": NOTHING, "clusters/dolls.yaml": NOTHING, "clusters/f.yaml": broken}, "all go")
    agent.wait_for("object kept", object=f"HelmRelease/{namespace}/e")
    finished(agent, fleet.commit({"clusters/f.yaml": release(namespace, "f")}, "mended"))
    kubectl("wait", "--for=delete", "helmrelease/e", f"crd/dolls.{group}", "-n", namespace, "--timeout=60s")


def test_a_claim_of_a_release_goes_together_with_the_plain_workload_that_mounts_it(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    """Nobody deletes a claim that a pod mounts, and the workload goes after the release."""
    claim = Moved("persistentvolumeclaim", namespace, "data")
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
    labels = {"app": "mounts"}
    pod = {"containers": [{"name": "main", "image": "registry.example/app:1"}], "volumes": [volume]}
    template = {"metadata": {"labels": labels}, "spec": {**pod, "terminationGracePeriodSeconds": 1}}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    metadata = {"name": "mounts", "namespace": namespace}
    workload = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}
    agent = new_agent(fleet, "--path=clusters", "--allow-mass-prune")
    before = {
        **CHART,
        "clusters/own.yaml": config_map(namespace, "own"),
        "clusters/h.yaml": release(namespace, "h", claim.plain()),
        "clusters/workload.yaml": json.dumps(workload),
    }
    finished(agent.start(), fleet.commit(before, "before"))
    kubectl("wait", "deployment/mounts", "-n", namespace, "--for=condition=Available", "--timeout=60s")
    fleet.commit({"clusters/h.yaml": NOTHING, "clusters/workload.yaml": NOTHING}, "both go")
    agent.wait_for("claims go when no pod mounts them any more")
    kubectl("wait", "--for=delete", "helmrelease/h", "deployment/mounts", "-n", namespace, "--timeout=60s")
    kubectl("wait", "--for=delete", "persistentvolumeclaim/data", "-n", namespace, "--timeout=60s")
