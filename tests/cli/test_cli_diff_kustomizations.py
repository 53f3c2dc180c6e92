"""``gitsync diff`` goes into the Kustomizations of both commits, with no cluster anywhere."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from tests.cli.conftest import Gitsync
from tests.e2e.harness import Fleet
from tests.e2e.kustomizations import kustomization
from tests.e2e.manifests import config_map
from tests.e2e.mapcharts import CHART, GONE, release


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    made = Fleet(tmp_path / "fleet")
    made.commit(
        {
            **CHART,
            "clusters/top.yaml": kustomization("apps", "top", "./top"),
            "clusters/other.yaml": kustomization("apps", "other", "./other"),
            "top/apps.yaml": kustomization("apps", "apps", "./apps", postBuild={"substitute": {"color": "red"}}),
            "apps/plain.yaml": config_map("apps", "plain", "${color}"),
            "apps/same.yaml": config_map("apps", "same"),
            "apps/release.yaml": release("apps", "a", "one"),
            "other/stays.yaml": config_map("apps", "stays"),
        },
        "first",
    )
    return made


@pytest.fixture
def diff(without_cluster: Gitsync) -> Gitsync:
    return partial(without_cluster, "diff", "HEAD~1", "--path=clusters", "--name=fleet")


def test_what_is_in_kustomizations_is_compared_down_to_releases(diff: Gitsync, fleet: Fleet) -> None:
    blue = kustomization("apps", "apps", "./apps", postBuild={"substitute": {"color": "blue"}})
    fleet.commit({"top/apps.yaml": blue, "apps/release.yaml": release("apps", "a", "two")}, "blue")
    said = diff()
    assert said.code == 2, said.err
    assert "~ change Kustomization/apps/apps (kustomization apps/top, top/apps.yaml:1:1)\n" in said.out
    assert "~ change ConfigMap/apps/plain (kustomization apps/apps, apps/plain.yaml:1:1)\n" in said.out
    assert "-  text: red\n+  text: blue\n" in said.out
    assert "+ create ConfigMap/apps/two (kustomization apps/apps, release apps/a)\n" in said.out
    assert "- delete ConfigMap/apps/one (kustomization apps/apps, release apps/a)\n" in said.out
    assert "ConfigMap/apps/same" not in said.out


def test_an_object_that_moves_to_another_is_no_deletion(diff: Gitsync, fleet: Fleet) -> None:
    fleet.commit({"apps/plain.yaml": GONE, "other/plain.yaml": config_map("apps", "plain", "red")}, "moved")
    said = diff()
    assert said.code == 2, said.err
    text = "> hand over ConfigMap/apps/plain to sync/apps/other (kustomization apps/apps, other/plain.yaml:1:1)\n"
    assert text in said.out
    assert "delete" not in said.out
    assert "create" not in said.out


def test_what_a_removed_one_leaves_is_kept_and_what_cannot_be_built_is_not_compared(
    diff: Gitsync, fleet: Fleet
) -> None:
    orphan = kustomization("apps", "other", "./other", deletionPolicy="Orphan")
    fleet.commit({"clusters/other.yaml": orphan}, "orphan")
    fleet.commit({"clusters/other.yaml": None, "top/apps.yaml": "a: ["}, "removed, and broken")
    said = diff("-o", "json")
    assert said.code == 1
    data = json.loads(said.out)
    done = {f"{item['action']} {item['kind']}/{item['name']}": item["why"] for item in data["objects"]}
    assert done == {
        "delete Kustomization/other": "",
        "keep ConfigMap/stays": "Kustomization/apps/other leaves its objects, for its deletionPolicy is Orphan",
    }
    assert [problem["place"].partition(":")[0] for problem in data["problems"]] == ["top/apps.yaml"]


SPOKE = {"kubeConfig": {"secretRef": {"name": "spoke"}}}


def actions(said: str) -> dict[str, str]:
    """What is done to objects, by the object and the Kustomization that brings it."""
    return {
        f"{item['kind']}/{item['name']} of {item['kustomization']}": item["action"]
        for item in json.loads(said)["objects"]
    }


def test_an_object_that_several_clusters_get_is_shown_for_each(diff: Gitsync, fleet: Fleet) -> None:
    """A Kustomization that is there is for whoever serves that."""
    of = ("apps/one", "apps/two", "apps/three")
    fleet.commit(
        {
            "clusters/one.yaml": kustomization("apps", "one", "./shared"),
            "clusters/two.yaml": kustomization("apps", "two", "./shared", **SPOKE),
            "clusters/three.yaml": kustomization(
                "apps", "three", "./shared", kubeConfig={"configMapRef": {"name": "x"}}
            ),
            "shared/inner.yaml": kustomization("apps", "three", "./other", **SPOKE),
            "shared/map.yaml": config_map("apps", "map", "one"),
        },
        "one directory, three clusters",
    )
    found = actions(diff("-o", "json").out)
    assert {*found.values()} == {"create"}
    assert sorted(found) == sorted(
        [
            *(f"Kustomization/{name} of " for name in ("one", "three", "two")),
            *(f"ConfigMap/map of {name}" for name in of),
        ]
        + [f"Kustomization/three of {name}" for name in ("apps/two", "apps/three")]
    )
    fleet.commit({"shared/map.yaml": config_map("apps", "map", "two")}, "changed")
    assert actions(diff("-o", "json").out) == {f"ConfigMap/map of {name}": "change" for name in of}
    fleet.commit({"shared/map.yaml": GONE}, "gone")
    assert actions(diff("-o", "json").out) == {f"ConfigMap/map of {name}": "delete" for name in of}


def test_what_moves_to_another_cluster_is_made_there_and_deleted_here(diff: Gitsync, fleet: Fleet) -> None:
    spoke = {"clusters/spoke.yaml": kustomization("apps", "spoke", "./spoke", **SPOKE), "spoke/x.yaml": GONE}
    fleet.commit(spoke, "a spoke")
    fleet.commit({"other/stays.yaml": GONE, "spoke/x.yaml": config_map("apps", "stays")}, "moves there")
    found = {"ConfigMap/stays of apps/other": "delete", "ConfigMap/stays of apps/spoke": "create"}
    assert actions(diff("-o", "json").out) == found


def test_values_that_are_encrypted_are_left_out(diff: Gitsync, fleet: Fleet) -> None:
    """There are no keys here: what SOPS has put in their place is no YAML mapping."""
    secret = """\
apiVersion: v1
kind: Secret
metadata: {name: hidden}
stringData: {values.yaml: "ENC[AES256_GCM,data:abc=,iv:abc=,tag:abc=,type:str]"}
sops: {version: 3.9.0, mac: x}
"""
    uses = release("apps", "a", "one") + "  valuesFrom: [{kind: Secret, name: hidden}]\n"
    decrypts = {"decryption": {"provider": "sops", "secretRef": {"name": "keys"}}}
    apps = {"top/apps.yaml": kustomization("apps", "apps", "./apps", targetNamespace="apps", **decrypts)}
    fleet.commit({**apps, "apps/hidden.yaml": secret, "apps/release.yaml": uses}, "encrypted values")
    fleet.commit({"apps/release.yaml": uses.replace('"a-own"', '"a-new"')}, "another map")
    said = diff()
    assert said.code == 2, said.err
    assert "+ create ConfigMap/apps/a-new (kustomization apps/apps, release apps/a)\n" in said.out
