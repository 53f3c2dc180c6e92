"""`gitsync plan` goes into Kustomizations, held against what the agent then does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.controlplane.cluster import Cli
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import Fleet
from tests.e2e.kustomizations import kustomization
from tests.e2e.manifests import config_map
from tests.e2e.mapcharts import CHART, release
from tests.e2e.planning import Commits


@pytest.fixture
def commits(new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str) -> Commits:
    return Commits(new_agent(fleet, "--path=clusters", "--allow-mass-prune"), fleet, kubectl, namespace)


def where(commits: Commits) -> dict[str, tuple[str, str, str]]:
    """Of each object that plan names: its Kustomization, its release, and the file."""
    _, out, _ = commits.said("-o", "json")
    return {
        f"{item['action']} {item['kind']}/{item['name']}": (
            item["kustomization"],
            item["release"],
            item["origin"].partition(":")[0],
        )
        for item in json.loads(out)["objects"]
    }


def test_a_tree_is_planned_down_to_the_objects_of_its_releases(commits: Commits, namespace: str) -> None:
    """Two levels, with a variable that the same commit brings, by way of another Kustomization."""
    variables = {"substituteFrom": [{"kind": "ConfigMap", "name": "settings"}]}
    commits.commit({"clusters/first.yaml": config_map(namespace, "first")})
    assert commits.run() == 0
    commits.commit(
        {
            **CHART,
            "clusters/top.yaml": kustomization(namespace, "top", "./top"),
            "clusters/zone.yaml": kustomization(namespace, "zone", "./zone"),
            "top/apps.yaml": kustomization(
                namespace, "apps", "./apps", dependsOn=[{"name": "zone"}], postBuild=variables
            ),
            "zone/settings.yaml": config_map(namespace, "settings").replace("text: x", "name: chosen"),
            "apps/plain.yaml": config_map(namespace, "plain-${name}"),
            "apps/release.yaml": release(namespace, "a"),
        }
    )
    places = where(commits)
    own, apps = f"{namespace}/", f"{namespace}/apps"
    assert places == {
        "create Kustomization/top": ("", "", "clusters/top.yaml"),
        "create Kustomization/zone": ("", "", "clusters/zone.yaml"),
        "create Kustomization/apps": (f"{own}top", "", "top/apps.yaml"),
        "create ConfigMap/settings": (f"{own}zone", "", "zone/settings.yaml"),
        "create ConfigMap/plain-chosen": (apps, "", "apps/plain.yaml"),
        "create HelmRelease/a": (apps, "", "apps/release.yaml"),
        "create ConfigMap/a-own": (apps, f"{own}a", ""),
    }
    assert commits.as_planned().code == 2
    code, out, _ = commits.said()
    assert code == 0, out
    assert out.startswith("commit "), "what is as it should be costs no line"

    commits.commit({"zone/settings.yaml": config_map(namespace, "settings").replace("text: x", "name: other")})
    planned = commits.as_planned()
    assert set(planned.doing("create")) == {f"ConfigMap/{namespace}/plain-other"}
    assert set(planned.doing("delete")) == {f"ConfigMap/{namespace}/plain-chosen"}
    assert set(planned.doing("change")) == {f"ConfigMap/{namespace}/settings"}


@pytest.mark.parametrize(("giver", "taker"), [("a", "b"), ("b", "a"), ("root", "b"), ("a", "root"), ("gone", "a")])
def test_an_object_that_moves_is_planned_as_handed_over(
    commits: Commits, namespace: str, sync_name: str, giver: str, taker: str
) -> None:
    places = {"a": "a/moves.yaml", "b": "b/moves.yaml", "root": "clusters/moves.yaml", "gone": "gone/moves.yaml"}
    names = ("a", "b", "gone")
    other = {f"{name}/other.yaml": config_map(namespace, f"other-{name}") for name in names}
    kustomizations = {f"clusters/{name}.yaml": kustomization(namespace, name, f"./{name}") for name in names}
    commits.commit({**other, **kustomizations, places[giver]: config_map(namespace, "moves")})
    assert commits.run() == 0
    removed: dict[str, str | None] = {"clusters/gone.yaml": None} if giver == "gone" else {}
    commits.commit({**removed, places[giver]: None, places[taker]: config_map(namespace, "moves", "moved")})

    planned = commits.as_planned()
    to = f"gitsync-system/{sync_name}" if taker == "root" else f"{namespace}/{taker}"
    assert planned.doing("hand over") == {f"ConfigMap/{namespace}/moves": f"sync/{to}"}
    assert set(planned.doing("change")) == {f"ConfigMap/{namespace}/moves"}
    gone = {f"Kustomization/{namespace}/gone", f"ConfigMap/{namespace}/other-gone"}
    assert set(planned.doing("delete")) == (gone if giver == "gone" else set())


def test_what_a_removed_one_takes_along_is_planned_by_its_policy(commits: Commits, namespace: str) -> None:
    policies: dict[str, dict[str, Any]] = {
        "prunes": {},
        "keeps": {"prune": False},
        "orphans": {"deletionPolicy": "Orphan"},
        "deletes": {"prune": False, "deletionPolicy": "Delete"},
        "sleeps": {"suspend": False},
    }
    files: dict[str, str | None] = {**CHART, "clusters/stays.yaml": config_map(namespace, "stays")}
    for name, spec in policies.items():
        files[f"clusters/{name}.yaml"] = kustomization(namespace, name, f"./{name}", **spec)
        files[f"{name}/one.yaml"] = config_map(namespace, name)
    files["prunes/inner.yaml"] = kustomization(namespace, "inner", "./inner")
    files["inner/release.yaml"] = release(namespace, "a")
    commits.commit(files)
    assert commits.run() == 0
    commits.commit({"clusters/sleeps.yaml": kustomization(namespace, "sleeps", "./sleeps", suspend=True)})
    assert commits.run() == 0
    commits.commit(dict.fromkeys(f"clusters/{name}.yaml" for name in policies))

    planned = commits.as_planned()
    gone = {f"Kustomization/{namespace}/{name}" for name in (*policies, "inner")}
    gone |= {f"ConfigMap/{namespace}/{name}" for name in ("prunes", "deletes", "a-own")}
    assert set(planned.doing("delete")) == {*gone, f"HelmRelease/{namespace}/a"}
    whys = {name: planned.whys[f"delete Kustomization/{namespace}/{name}"] for name in ("keeps", "orphans", "sleeps")}
    assert whys == {
        "keeps": "removed from Git, and leaves its objects, for its prune is false",
        "orphans": "removed from Git, and leaves its objects, for its deletionPolicy is Orphan",
        "sleeps": "removed from Git, and leaves its objects, for it is suspended",
    }


def test_what_keeps_one_from_being_applied_is_a_problem_with_its_place(commits: Commits, namespace: str) -> None:
    good = {name: config_map(namespace, name) for name in ("a", "b", "c")}
    files: dict[str, str | None] = {f"{name}/one.yaml": text for name, text in good.items()}
    files |= {f"clusters/{name}.yaml": kustomization(namespace, name, f"./{name}") for name in good}
    commits.commit(files)
    assert commits.run() == 0
    variables = {"substituteFrom": [{"kind": "Secret", "name": "nowhere"}]}
    commits.commit(
        {
            "clusters/a.yaml": kustomization(namespace, "a", "./nowhere"),
            "clusters/b.yaml": kustomization(namespace, "b", "./b", postBuild=variables),
            "b/one.yaml": config_map(namespace, "other"),
            "c/one.yaml": "a: [",
            "clusters/left.yaml": kustomization(namespace, "left", "./b", dependsOn=[{"name": "right"}]),
            "clusters/right.yaml": kustomization(namespace, "right", "./b", dependsOn=[{"name": "left"}]),
            "clusters/waits.yaml": kustomization(namespace, "waits", "./b", dependsOn=[{"name": "nobody"}]),
        }
    )
    code, out, err = commits.said("-o", "json")
    assert code == 1, err
    assert "what is in 6 of 6 Kustomizations is not known" in json.loads(out)["no_releases"]
    problems = {item["place"].partition(":")[0]: item["message"] for item in json.loads(out)["problems"]}
    assert "is no directory" in problems["clusters/a.yaml"]
    assert f"Secret/{namespace}/nowhere" in problems["clusters/b.yaml"]
    assert problems["c/one.yaml"]
    assert f"{namespace}/left -> {namespace}/right -> {namespace}/left" in problems["clusters/left.yaml"]
    assert problems["clusters/waits.yaml"].endswith(f"dependency '{namespace}/nobody' does not exist")
    planned = commits.as_planned(1)
    assert not planned.doing("delete"), "what cannot be built is left as it is"


def test_a_variable_out_of_a_secret_is_not_shown(commits: Commits, namespace: str, kubectl: Cli) -> None:
    kubectl("create", "secret", "generic", "hidden", "-n", namespace, "--from-literal=word=unspeakable")
    variables = {"substituteFrom": [{"kind": "Secret", "name": "hidden"}]}
    commits.commit(
        {
            "clusters/a.yaml": kustomization(namespace, "a", "./a", postBuild=variables),
            "a/one.yaml": config_map(namespace, "one", "${word}"),
        }
    )
    code, out, err = commits.said()
    assert code == 2, err
    assert f"+ create ConfigMap/{namespace}/one (kustomization {namespace}/a, a/one.yaml:1:1" in out
    assert "unspeakable" not in out + err


def test_the_sync_itself_is_what_depends_on_flux_s_own_kustomization_wait_for(commits: Commits, namespace: str) -> None:
    """Flux's operator makes that one of a FluxInstance: it is not in Git."""
    own = [{"name": "flux-system", "namespace": "flux-system"}]
    commits.commit(
        {
            "clusters/apps.yaml": kustomization(namespace, "apps", "./apps", dependsOn=own),
            "apps/plain.yaml": config_map(namespace, "plain"),
        }
    )
    assert set(commits.as_planned().doing("create")) == {
        f"Kustomization/{namespace}/apps",
        f"ConfigMap/{namespace}/plain",
    }
