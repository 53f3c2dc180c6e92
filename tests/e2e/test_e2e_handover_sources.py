"""What moves to somebody because his source changes in the same commit stays until that has been fetched."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.controlplane.cluster import Cli
from tests.controlplane.registry import Registry
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import Fleet
from tests.e2e.manifests import config_map
from tests.e2e.moving import both, finished, uids_when_there
from tests.e2e.registries import Charts, by_reference, oci_repository, secrets
from tests.e2e.test_e2e_handover_inside import NOTHING
from tests.e2e.test_e2e_handover_reverted import belonging_to, plain
from tests.e2e.test_e2e_kustomization import kustomization

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
