"""Kustomizations of files out of a real registry."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.controlplane.cluster import Cli
from tests.controlplane.registry import PASSWORD, Registry
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import Fleet
from tests.e2e.kustomizations import Cluster, kustomization
from tests.e2e.manifests import config_map
from tests.e2e.registries import Charts, oci_repository, secrets

SOURCE = {"kind": "OCIRepository", "name": "app"}


@pytest.fixture
def pushed(registry: Registry, namespace: str, tmp_path: Path) -> Charts:
    return Charts(registry, namespace, tmp_path)


def test_files_of_an_artifact_are_applied_and_follow_its_tag(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, pushed: Charts, namespace: str
) -> None:
    cluster = Cluster(kubectl, namespace)
    digest = pushed.push_files(
        "latest",
        {
            "./deploy/kustomization.yaml": "resources: [one.yaml, two.yaml]\nnamePrefix: my-\n",
            "./deploy/one.yaml": config_map(namespace, "one"),
            "./deploy/two.yaml": config_map(namespace, "two"),
            "./other/three.yaml": "no manifest at all: {",
        },
        "main@sha1:3f2a91c0",
    )
    repository = oci_repository(namespace, pushed.url, interval="1s", ignore="other/\n", layerSelector=None)
    fleet.commit(
        {
            "clusters/secrets.yaml": secrets(namespace, pushed.registry),
            "clusters/source.yaml": repository,
            "clusters/app.yaml": kustomization(namespace, "app", "./deploy", sourceRef=SOURCE),
            "clusters/all.yaml": kustomization(namespace, "all", "./", sourceRef=SOURCE, namePrefix="all-"),
        },
        "files out of a registry",
    )
    agent = new_agent(fleet, "--path=clusters").start()
    agent.wait_for("sync finished")
    cluster.wait("app")
    cluster.wait("all")
    assert set(cluster.maps()) == {"my-one", "my-two", "all-my-one", "all-my-two"}
    status = cluster.status("app")
    assert status["lastAppliedRevision"] == f"latest@{digest}"
    assert status["lastAppliedOriginRevision"] == "main@sha1:3f2a91c0"
    created = agent.wait_for("object created", object=f"ConfigMap/{namespace}/my-one")
    assert created.fields["commit"] == digest[7:14]
    assert created.fields["subject"] == f"artifact latest@{digest[:19]}, made of main@sha1:3f2a91c"
    assert created.fields["origin"] == "deploy/one.yaml:1:1"

    second = pushed.push_files("latest", {"deploy/one.yaml": config_map(namespace, "one", "new")})
    agent.wait_for("object deleted", object=f"ConfigMap/{namespace}/my-two", commit=second[7:14])
    cluster.wait("app", f"jsonpath={{.status.lastAppliedRevision}}=latest@{second}")
    cluster.wait("all", f"jsonpath={{.status.lastAppliedRevision}}=latest@{second}")
    assert cluster.maps() == {"one": "new", "all-one": "new"}

    # What cannot be unpacked keeps what is there, and says why.
    pushed.push_other("latest", b"this is no archive", "flux")
    agent.wait_for("kustomization failed", kustomization=f"{namespace}/app")
    ready = next(it for it in cluster.status("app")["conditions"] if it["type"] == "Ready")
    assert ready["status"] == "False"
    assert "the layer is no archive of files (.tar.gz)" in ready["message"]
    assert cluster.maps() == {"one": "new", "all-one": "new"}
    third = pushed.push_files("latest", {"deploy/one.yaml": config_map(namespace, "one", "newer")})
    cluster.wait("app", f"jsonpath={{.status.lastAppliedRevision}}=latest@{third}")
    cluster.wait("all", f"jsonpath={{.status.lastAppliedRevision}}=latest@{third}")

    # In another life nothing is fetched, nor changed.
    agent.kill()
    count = agent.count
    kubectl(
        "annotate",
        "kustomization.kustomize.toolkit.fluxcd.io/app",
        "-n",
        namespace,
        "reconcile.fluxcd.io/requestedAt=1",
    )
    agent.start()
    cluster.wait("app", "jsonpath={.status.lastHandledReconcileAt}=1")
    assert not agent.said("object changed", after=count)
    assert PASSWORD not in agent.log


def test_a_kustomization_in_an_artifact_finds_the_others_of_its_artifact(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, pushed: Charts, namespace: str
) -> None:
    """Nested, and with a source that comes in the same commit as those who need it."""
    cluster = Cluster(kubectl, namespace)
    pushed.push_files(
        "1.2.0",
        {
            "top/nested.yaml": kustomization(namespace, "nested", "./nested", sourceRef=SOURCE, dependsOn=[]),
            "nested/one.yaml": config_map(namespace, "one"),
        },
    )
    fleet.commit(
        {
            "clusters/app.yaml": kustomization(namespace, "top", "./top", sourceRef=SOURCE, wait=True),
            "clusters/secrets.yaml": secrets(namespace, pushed.registry),
            "clusters/source.yaml": oci_repository(namespace, pushed.url, ref={"semver": ">=1"}, layerSelector=None),
        },
        "nested",
    )
    assert new_agent(fleet, "--path=clusters", "--once").start().wait() == 0
    assert set(cluster.maps()) == {"one"}
    assert json.loads(kubectl("get", "ocirepository", "app", "-n", namespace, "-o", "json"))["status"]["artifact"]
