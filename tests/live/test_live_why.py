"""The chain from an object to what holds it up, and what would mend that."""

from __future__ import annotations

from typing import Any

import pytest

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.live.known import Known
from gitsync.live.objecttree import ObjectNode
from gitsync.live.standing import standing
from gitsync.live.why import Followed, Why, why


def condition(kind: str, status: str, reason: str, message: str = "") -> dict[str, Any]:
    moment = "2026-01-02T03:04:05Z"
    return {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": moment}


def made(version: str, kind: str, name: str, spec: Manifest, ready: tuple[str, str] | None, **more: Any) -> Manifest:
    annotations = {
        "gitsync.dev/commit": f"{name}-commit",
        "gitsync.dev/commit-author": "Ann",
        "gitsync.dev/commit-subject": f"change {name}",
        "gitsync.dev/origin": f"fleet/{name}.yaml:1:1",
        **more.get("annotations", {}),
    }
    metadata = {"name": name, "namespace": "default", "generation": 2, "annotations": annotations}
    metadata |= {"labels": more.get("labels", {})}
    conditions = [condition("Ready", *ready, "its words")] if ready is not None else []
    conditions += more.get("conditions", [])
    status = {"observedGeneration": 2, "conditions": conditions, **more.get("status", {})}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec, "status": status}


READY, FAILED = ("True", "Succeeded"), ("False", "UpgradeFailed")
WAITS = ("False", "DependencyNotReady")


def release(name: str, ready: tuple[str, str] | None = READY, *needs: str, **more: Any) -> Manifest:
    chart = {"spec": {"chart": name, "sourceRef": {"kind": "HelmRepository", "name": "charts"}}}
    spec = {"interval": "5m", "chart": chart, "dependsOn": [{"name": need} for need in needs], **more.pop("spec", {})}
    return made("helm.toolkit.fluxcd.io/v2", "HelmRelease", name, spec, ready, **more)


def kustomization(name: str, ready: tuple[str, str] | None = READY, *needs: str, **more: Any) -> Manifest:
    spec = {
        "interval": "5m",
        "prune": True,
        "sourceRef": {"kind": "GitRepository", "name": "flux-system"},
        "dependsOn": [{"name": need} for need in needs],
        **more.pop("spec", {}),
    }
    return made("kustomize.toolkit.fluxcd.io/v1", "Kustomization", name, spec, ready, **more)


def repository(ready: tuple[str, str] = READY) -> Manifest:
    spec = {"interval": "5m", "url": "https://charts.example"}
    return made("source.toolkit.fluxcd.io/v1", "HelmRepository", "charts", spec, ready)


def known(*manifests: Manifest) -> Known:
    found = Known()
    for manifest in manifests:
        found.update(ObjectKey.of(manifest), manifest)
    return found


def key(kind: str, name: str) -> ObjectKey:
    groups = {"HelmRelease": "helm.toolkit.fluxcd.io", "Kustomization": "kustomize.toolkit.fluxcd.io"}
    return ObjectKey(groups.get(kind, "source.toolkit.fluxcd.io"), kind, "default", name)


def names(chain: Why) -> list[str]:
    return [f"{link.relation} {link.key.name}".strip() for link in chain.links]


def test_a_release_waits_for_one_that_waits_for_one_that_failed() -> None:
    found = known(repository(), release("ui", WAITS, "api"), release("api", WAITS, "db", "ok"), release("db", FAILED))
    found.update(ObjectKey.of(release("ok")), release("ok"))
    chain = why(key("HelmRelease", "ui"), found)
    assert names(chain) == ["ui", "waits for api", "waits for db"]
    assert chain.is_failure
    assert [commit.id for commit in chain.commits] == ["db-commit"]
    assert chain.origin == "fleet/db.yaml:1"
    assert "a commit that changes its chart or values in fleet/db.yaml:1" in chain.remedy
    assert "gitsync reconcile helmrelease db -n default --reset" in chain.remedy


def test_what_has_failed_is_named_before_what_waits_and_the_others_are_counted() -> None:
    found = known(release("ui", WAITS, "a", "b", "c"), release("a", WAITS), release("b", FAILED), release("c", WAITS))
    chain = why(key("HelmRelease", "ui"), found)
    assert names(chain) == ["ui", "waits for b"]
    assert chain.links[1].others == 2


def test_a_dependency_that_is_not_there_is_the_cause() -> None:
    chain = why(key("HelmRelease", "ui"), known(release("ui", ("False", "DependencyMissing"), "nobody")))
    assert names(chain) == ["ui", "waits for nobody"]
    assert chain.cause.status == "missing"
    assert "add it to the repository, or correct what names it (fleet/ui.yaml:1)" in chain.remedy


def test_a_source_that_cannot_be_read_is_the_cause_of_all_that_comes_from_it() -> None:
    found = known(repository(("False", "IndexationFailed")), release("ui", ("False", "SourceNotReady")))
    chain = why(key("HelmRelease", "ui"), found)
    assert names(chain) == ["ui", "takes its source from charts"]
    assert "gitsync reconcile source helm charts -n default" in chain.remedy


def test_a_source_of_which_there_is_no_object_is_no_cause_of_what_does_not_say_so() -> None:
    assert names(why(key("HelmRelease", "ui"), known(release("ui", FAILED)))) == ["ui"]


def test_what_has_failed_by_itself_is_its_own_cause() -> None:
    found = known(repository(("False", "IndexationFailed")), release("ui", FAILED, "db"), release("db", WAITS))
    assert names(why(key("HelmRelease", "ui"), found)) == ["ui"]


def test_suspended_is_where_a_chain_ends() -> None:
    found = known(release("ui", WAITS, "db"), release("db", WAITS, "nobody", spec={"suspend": True}))
    chain = why(key("HelmRelease", "ui"), found)
    assert names(chain) == ["ui", "waits for db"]
    assert chain.remedy == "resume it: gitsync resume helmrelease db -n default"
    assert not chain.is_failure


def test_a_kustomization_waits_for_one_whose_release_failed() -> None:
    by = {"kustomize.toolkit.fluxcd.io/name": "infra", "kustomize.toolkit.fluxcd.io/namespace": "default"}
    found = known(
        kustomization("apps", WAITS, "infra"),
        kustomization("infra", ("False", "HealthCheckFailed")),
        release("db", FAILED, labels=by),
        release("other", READY, labels=by),
    )
    assert names(why(key("Kustomization", "apps"), found)) == ["apps", "waits for infra", "has applied db"]


def test_a_kustomization_that_cannot_be_built_is_the_cause_itself() -> None:
    by = {"kustomize.toolkit.fluxcd.io/name": "infra", "kustomize.toolkit.fluxcd.io/namespace": "default"}
    found = known(kustomization("infra", ("False", "BuildFailed")), release("db", FAILED, labels=by))
    chain = why(key("Kustomization", "infra"), found)
    assert names(chain) == ["infra"]
    assert chain.remedy == "correct it in fleet/infra.yaml:1"


def test_cycles_are_told_by_their_edges_commits_and_places() -> None:
    def at(name: str) -> dict[str, Any]:
        return {"gitsync.dev/depends-on-origin": f"fleet/{name}.yaml:9"}

    cycle = ("False", "DependencyCycle")
    found = known(
        release("ui", WAITS, "a"),
        release("a", cycle, "b", annotations=at("a")),
        release("b", cycle, "a", annotations=at("b")),
    )
    chain = why(key("HelmRelease", "ui"), found)
    assert names(chain) == ["ui", "waits for a"]
    assert chain.cycle is not None
    assert str(chain.cycle) == "default/a -> default/b -> default/a"
    assert {commit.id for commit in chain.commits} == {"a-commit", "b-commit"}
    assert chain.remedy == "remove one of these dependsOn entries: fleet/a.yaml:9 or fleet/b.yaml:9"


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("ImagePullBackOff", "correct the image's name or tag in fleet/db.yaml:1"),
        ("CrashLoopBackOff", "kubectl logs --previous -n default db-0"),
        ("CreateContainerConfigError", "a ConfigMap, Secret or key that it names is not there"),
        ("Unschedulable", "no node takes it"),
    ],
)
def test_a_failed_release_is_followed_to_its_pod(reason: str, words: str) -> None:
    pod = ObjectNode(ObjectKey("", "Pod", "default", "db-0"), "progressing", "back-off", reason=reason)
    well = ObjectNode(ObjectKey("", "ConfigMap", "default", "settings"), "ready")
    workload = ObjectNode(ObjectKey("apps", "StatefulSet", "default", "db"), "progressing", "0 of 1", (pod,))
    tree = ObjectNode(key("HelmRelease", "db"), "failed", "", (well, workload))
    found = known(release("ui", WAITS, "db"), release("db", FAILED))
    chain = why(key("HelmRelease", "ui"), found, tree)
    assert names(chain) == ["ui", "waits for db", "consists of db", "has made db-0"]
    assert words in chain.remedy
    # The tree of another object is none of its own.
    assert names(why(key("HelmRelease", "ui"), found, workload)) == ["ui", "waits for db"]


def test_what_is_ready_has_no_cause() -> None:
    chain = why(key("HelmRelease", "ui"), known(release("ui", READY, "db"), release("db", FAILED)))
    assert names(chain) == ["ui"]
    assert chain.remedy == ""


@pytest.mark.parametrize(
    ("manifest", "status"),
    [
        (release("a"), "ready"),
        (release("a", None), "waiting"),
        (release("a", FAILED), "failed"),
        (release("a", WAITS), "waiting"),
        (release("a", ("Unknown", "Progressing")), "waiting"),
        (release("a", FAILED, spec={"suspend": True}), "suspended"),
        (release("a", status={"observedGeneration": 1}), "waiting"),
        (release("a", status={"lastHandledCommit": "an older one"}), "waiting"),
        (release("a", WAITS, conditions=[condition("Stalled", "True", "RetriesExceeded")]), "failed"),
        (kustomization("a", ("False", "DependencyCycle")), "failed"),
        (kustomization("a", ("False", "BuildFailed")), "failed"),
    ],
)
def test_how_an_object_stands(manifest: Manifest, status: str) -> None:
    assert standing(manifest).status == status


def test_a_change_is_taken_up() -> None:
    found = known(release("ui", WAITS, "db"), release("db", FAILED))
    assert why(key("HelmRelease", "ui"), found).cause.key.name == "db"
    found.update(key("HelmRelease", "db"), None)
    assert why(key("HelmRelease", "ui"), found).cause.status == "missing"
    found.update(key("HelmRelease", "ui"), release("ui", READY))
    assert names(why(key("HelmRelease", "ui"), found)) == ["ui"]


def test_chains_that_have_much_in_common_are_the_same_whether_or_not_that_is_found_once() -> None:
    found = known(
        repository(("False", "ArtifactFailed")),
        release("ui", WAITS, "api", "web"),
        release("web", WAITS, "api"),
        release("api", WAITS, "db"),
        release("db", FAILED),
        release("a", WAITS, "b"),
        release("b", WAITS, "a"),
        release("behind", WAITS, "a"),
        kustomization("apps", ("False", "HealthCheckFailed")),
    )
    followed: Followed = {}
    for item in found.keys(bool):
        assert why(item, found, followed=followed) == why(item, found), item
    assert followed[key("HelmRelease", "web")] is not None
