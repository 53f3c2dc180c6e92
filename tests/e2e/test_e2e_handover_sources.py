"""What moves to somebody because his source changes in the same commit stays until that has been fetched."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.controlplane.cluster import Cli
from tests.controlplane.registry import Registry
from tests.e2e.belonging import belonging_to, plain
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import Fleet
from tests.e2e.insides import CHART, NOTHING, release
from tests.e2e.kustomizations import kustomization
from tests.e2e.manifests import config_map
from tests.e2e.moving import both, finished, uids_when_there
from tests.e2e.registries import Charts, by_reference, oci_repository, secrets

SOURCE = {"kind": "OCIRepository", "name": "app"}


@pytest.fixture
def pushed(registry: Registry, namespace: str, tmp_path: Path) -> Charts:
    return Charts(registry, namespace, tmp_path)


def test_what_moves_to_a_kustomization_whose_source_cannot_be_read_stays(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, pushed: Charts, namespace: str
) -> None:
    moved = both(namespace)
    own = {"k/own.yaml": config_map(namespace, "own")}
    pushed.push_files("1", own)

    def source(tag: str) -> str:
        return oci_repository(namespace, pushed.url, ref={"tag": tag}, layerSelector=None)

    before = {
        "clusters/moves.yaml": plain(moved),
        "clusters/secrets.yaml": secrets(namespace, pushed.registry),
        "clusters/source.yaml": source("1"),
        "clusters/k.yaml": kustomization(namespace, "k", "./k", sourceRef=SOURCE),
    }
    agent = new_agent(fleet, "--path=clusters", "--allow-mass-prune")
    finished(agent.start(), fleet.commit(before, "before"))
    uids = uids_when_there(kubectl, moved)
    kubectl("wait", "kustomization/k", "-n", namespace, "--for=condition=Ready", "--timeout=60s")
    fleet.commit({"clusters/moves.yaml": NOTHING, "clusters/source.yaml": source("2")}, "after")
    agent.wait_for("artifact cannot be read")  # which the sync waits for
    pushed.push_files("2", {**own, "k/moves.yaml": plain(moved)})
    kubectl("annotate", "ocirepository", "app", "-n", namespace, "reconcile.fluxcd.io/requestedAt=1")
    agent.until(
        lambda line: line.says("sync finished", sync=f"{namespace}/k") and "artifact 2" in line.fields["subject"]
    )
    assert belonging_to("k", moved, kubectl) == uids


def test_what_moves_to_a_release_whose_source_cannot_be_read_stays(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, pushed: Charts, namespace: str
) -> None:
    moved = both(namespace)
    pushed.push("1.0.0")

    def source(tag: str) -> str:
        return oci_repository(namespace, pushed.url, ref={"tag": tag})

    before = {
        "clusters/moves.yaml": plain(moved),
        "clusters/secrets.yaml": secrets(namespace, pushed.registry),
        "clusters/source.yaml": source("1.0.0"),
        "clusters/app.yaml": by_reference(namespace, "app"),
    }
    agent = new_agent(fleet, "--path=clusters", "--allow-mass-prune")
    finished(agent.start(), fleet.commit(before, "before"))
    uids = uids_when_there(kubectl, moved)
    kubectl("wait", "helmrelease/app", "-n", namespace, "--for=condition=Ready", "--timeout=60s")
    fleet.commit({"clusters/moves.yaml": NOTHING, "clusters/source.yaml": source("2.0.0")}, "after")
    agent.wait_for("artifact cannot be read")
    pushed.push("2.0.0", more=plain(moved))
    kubectl("annotate", "ocirepository", "app", "-n", namespace, "reconcile.fluxcd.io/requestedAt=1")
    agent.wait_for("release upgraded", release=f"{namespace}/app")
    assert belonging_to("app", moved, kubectl) == uids


def test_what_moves_to_somebody_whose_variables_or_values_another_kustomization_changes_stays(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    """All by the same commit: a Kustomization by its variables, a release by its values."""
    moved, others = both(namespace), tuple(replace(item, name="others") for item in both(namespace))
    substitute = {"substituteFrom": [{"kind": "ConfigMap", "name": "vars"}]}
    taker = json.loads(release(namespace, "h"))
    del taker["spec"]["values"]
    taker["spec"]["valuesFrom"] = [{"kind": "ConfigMap", "name": "values"}]

    def held(name: str, text: str) -> str:
        metadata = {"name": name, "namespace": namespace}
        data = {"P": text} if name == "vars" else {"values.yaml": json.dumps({"text": text})}
        return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})

    before = {
        **CHART,
        "clusters/kv.yaml": kustomization(namespace, "kv", "./kv"),
        "clusters/k.yaml": kustomization(namespace, "k", "./k", dependsOn=[{"name": "kv"}], postBuild=substitute),
        "clusters/h.yaml": json.dumps(taker),
        "clusters/moves.yaml": plain(moved),
        "clusters/others.yaml": plain(others),
        "kv/vars.yaml": held("vars", "was-"),
        "kv/values.yaml": held("values", config_map(namespace, "own")),
        "k/moves.yaml": plain(tuple(replace(item, name='"${P}moves"') for item in moved)),
    }
    agent = new_agent(fleet, "--path=clusters", "--allow-mass-prune")
    finished(agent.start(), fleet.commit(before, "before"))
    kubectl("wait", "kustomization/k", "helmrelease/h", "-n", namespace, "--for=condition=Ready", "--timeout=60s")
    uids = [*uids_when_there(kubectl, moved), *uids_when_there(kubectl, others)]

    after = {
        "clusters/moves.yaml": NOTHING,
        "clusters/others.yaml": NOTHING,
        "kv/vars.yaml": held("vars", ""),
        "kv/values.yaml": held("values", plain(others)),
    }
    finished(agent, fleet.commit(after, "after"))
    kubectl("wait", "--for=delete", "configmap/was-moves", "configmap/own", "-n", namespace, "--timeout=60s")
    assert [*belonging_to("k", moved, kubectl), *belonging_to("h", others, kubectl)] == uids


@pytest.mark.parametrize("number", range(3))
def test_what_moves_to_somebody_whose_variables_are_of_variables_that_change_stays(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str, number: int
) -> None:
    """All by the same commit, which changes none of the files of the one who is to have it."""
    moved = tuple(replace(item, name="now-moves") for item in both(namespace))

    def variables(name: str, data: dict[str, str]) -> str:
        metadata = {"name": name, "namespace": namespace}
        return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})

    def of(name: str) -> dict[str, object]:
        return {"postBuild": {"substituteFrom": [{"kind": "ConfigMap", "name": name}]}}

    before = {
        "clusters/kq.yaml": kustomization(namespace, "kq", "./kq"),
        "clusters/kv.yaml": kustomization(namespace, "kv", "./kv", **of("q")),
        "clusters/k.yaml": kustomization(namespace, "k", "./k", **of("vars")),
        "clusters/moves.yaml": plain(moved),
        "kq/q.yaml": variables("q", {"Q": "was-"}),
        "kv/vars.yaml": variables("vars", {"P": "${Q}"}),
        "k/moves.yaml": plain(tuple(replace(item, name='"${P}moves"') for item in moved)),
    }
    agent = new_agent(fleet, "--path=clusters", "--allow-mass-prune")
    finished(agent.start(), fleet.commit(before, f"before {number}"))
    kubectl("wait", "kustomization/k", "-n", namespace, "--for=condition=Ready", "--timeout=60s")
    uids = uids_when_there(kubectl, moved)

    after = {"clusters/moves.yaml": NOTHING, "kq/q.yaml": variables("q", {"Q": "now-"})}
    finished(agent, fleet.commit(after, "after"))
    kubectl("wait", "--for=delete", "configmap/was-moves", "-n", namespace, "--timeout=60s")
    assert belonging_to("k", moved, kubectl) == uids
