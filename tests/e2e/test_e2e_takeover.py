"""Flux's own kustomize-controller applies a repository, gitsync takes over from it, and it from gitsync: nothing is
made anew, and what Git drops goes, whoever had applied it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane.cluster import Cli, Cluster
from tests.e2e import flux as fluxes
from tests.e2e.conftest import NewAgent
from tests.e2e.flux import Flux
from tests.e2e.fluxrepositories import CHART, COMPONENTS, SYNC, kustomization
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.planning import Commits
from tests.e2e.takenover import config_map, data
from tests.until import ask_until

PROD = "clusters/prod"
LABELS = "kustomize.toolkit.fluxcd.io"


def web(namespace: str) -> str:
    labels = {"app": "web"}
    spec = {
        "replicas": 2,
        "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "web", "image": "apps.example/web:1", "args": ["serve"]}]},
        },
    }
    metadata = {"name": "web", "namespace": namespace}
    return json.dumps({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec})


def release(namespace: str) -> str:
    source = {"kind": "GitRepository", "name": "flux-system", "namespace": "flux-system"}
    spec = {
        "interval": "10m",
        "chart": {"spec": {"chart": "./charts/web", "sourceRef": source}},
        "values": {"color": "green"},
    }
    head = {"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease"}
    return json.dumps({**head, "metadata": {"name": "web", "namespace": namespace}, "spec": spec})


def repository(namespace: str) -> dict[str, str | None]:
    return {
        **CHART,
        f"{PROD}/flux-system/kustomization.yaml": "resources: [gotk-components.yaml, gotk-sync.yaml]\n",
        f"{PROD}/flux-system/gotk-components.yaml": COMPONENTS,
        f"{PROD}/flux-system/gotk-sync.yaml": SYNC,
        f"{PROD}/stays.yaml": config_map(namespace, "root-stays", a="1"),
        f"{PROD}/goes.yaml": config_map(namespace, "root-goes", a="1"),
        f"{PROD}/apps.yaml": kustomization("apps", "./apps"),
        f"{PROD}/paused.yaml": kustomization("paused", "./paused"),
        f"{PROD}/old.yaml": kustomization("old", "./old"),
        "apps/web.yaml": web(namespace),
        "apps/release.yaml": release(namespace),
        "apps/settings.yaml": config_map(namespace, "settings", a="1", b="2", c="3"),
        "apps/goes.yaml": config_map(namespace, "goes", a="1"),
        "paused/kept.yaml": config_map(namespace, "kept", a="1"),
        "paused/stays.yaml": config_map(namespace, "paused", a="1"),
        "old/thing.yaml": config_map(namespace, "thing", a="1"),
    }


@pytest.fixture
def flux(control_plane: Cluster, kubectl: Cli, fleet: Fleet, namespace: str, tmp_path: Path) -> Iterator[Flux]:
    """Flux, which has applied the repository, as after ``flux bootstrap``."""
    files = repository(namespace)
    with fluxes.bootstrapped(control_plane, kubectl, fleet, tmp_path / "flux", SYNC, files) as flux:
        flux.applied(f"main@sha1:{fleet.head}", "flux-system", "apps", "paused", "old")
        yield flux


@pytest.fixture
def agent(new_agent: NewAgent, fleet: Fleet, flux: Flux) -> AgentProcess:
    return new_agent(fleet, f"--path={PROD}")


def uids(kubectl: Cli, namespace: str, *more: str) -> dict[str, str]:
    """What was made once, by kind and name: these ConfigMaps, the Deployment and its pods, the HelmRelease."""
    found: list[dict[str, Any]] = []
    for kind in ("deployments", "replicasets", "pods", "helmreleases", "configmaps"):
        found += json.loads(kubectl("get", kind, "-n", namespace, "-o", "json"))["items"]
    found += json.loads(kubectl("get", fluxes.KIND, "-n", "flux-system", "-o", "json"))["items"]
    wanted = {"root-stays", "settings", "kept", "paused", "flux-system", "apps", *more}
    return {
        f"{item['kind']}/{item['metadata']['name']}": item["metadata"]["uid"]
        for item in found
        if item["kind"] not in ("ConfigMap", "Kustomization") or item["metadata"]["name"] in wanted
    }


def names(kubectl: Cli, namespace: str) -> set[str]:
    """The ConfigMaps of the test."""
    found = kubectl("get", "configmaps", "-n", namespace, "-o", "jsonpath={.items[*].metadata.name}").split()
    return set(found) - {"kube-root-ca.crt"}


def managers(kubectl: Cli, namespace: str, name: str) -> set[str]:
    """Who has written fields of a ConfigMap."""
    found = json.loads(kubectl("get", "configmap", name, "-n", namespace, "-o", "json", "--show-managed-fields"))
    return {entry["manager"] for entry in found["metadata"]["managedFields"]}


def running(kubectl: Cli, namespace: str) -> None:
    """Wait for the Deployment's pods, so that a restart of them would be seen."""
    kubectl("rollout", "status", "deployment/web", "-n", namespace, "--timeout=60s")


def handed_over(flux: Flux, kubectl: Cli) -> None:
    """Flux is scaled to 0."""
    flux.stop()
    kubectl("scale", "deployment", "kustomize-controller", "-n", "flux-system", "--replicas=0")


def test_gitsync_takes_over_from_flux_and_flux_from_gitsync(
    agent: AgentProcess, flux: Flux, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    running(kubectl, namespace)
    paused = json.dumps({"spec": {"suspend": True}})
    kubectl("patch", fluxes.KIND, "paused", "-n", "flux-system", "--type=merge", "--field-manager=flux", "-p", paused)
    before = uids(kubectl, namespace)
    handed_over(flux, kubectl)

    # What Git drops after Flux's last look and before gitsync's first goes; what Flux has suspended stays.
    gone = (f"{PROD}/goes.yaml", f"{PROD}/old.yaml", "apps/goes.yaml", "old/thing.yaml", "paused/kept.yaml")
    settings = {"apps/settings.yaml": config_map(namespace, "settings", a="1", c="3")}
    fleet.commit({**dict.fromkeys(gone), **settings}, "some of it goes")
    planned = Commits(agent, fleet, kubectl, namespace).plan()
    assert not planned.problems
    assert planned.doing("delete").keys() == {
        "Kustomization/flux-system/old",
        *(f"ConfigMap/{namespace}/{name}" for name in ("root-goes", "goes", "thing")),
    }
    assert agent.start("--once").wait() == 0
    assert names(kubectl, namespace) == {"root-stays", "settings", "kept", "paused", "web"}
    assert data(kubectl, namespace, "settings") == {"a": "1", "c": "3"}
    assert before.items() <= uids(kubectl, namespace).items()
    assert kubectl("get", "deployments", "-n", "flux-system", "-o", "name") == "deployment.apps/kustomize-controller\n"
    assert flux.kustomization("paused")["spec"]["suspend"] is True

    # gitsync's own inventories are Flux's, the root's among them.
    made = {
        f"{PROD}/later.yaml": config_map(namespace, "root-later", a="1"),
        "apps/later.yaml": config_map(namespace, "later", a="1"),
    }
    fleet.commit(made, "more of it")
    assert agent.start("--once").wait() == 0
    root = flux.inventory("flux-system")
    assert {f"{namespace}_root-later__ConfigMap", f"{namespace}_root-stays__ConfigMap"} <= root
    assert not any(name in entry for entry in root for name in ("root-goes", "_old_"))
    assert f"{namespace}_later__ConfigMap" in flux.inventory("apps")
    known = kubectl("get", "configmap", "-n", namespace, "-l", f"{LABELS}/name=apps", "-o", "name").split()
    assert known == ["configmap/later", "configmap/settings"]

    # And back: what Git drops after gitsync's last look goes by Flux's first.
    before = uids(kubectl, namespace)
    settings = {"apps/settings.yaml": config_map(namespace, "settings", a="1")}
    fleet.commit({**dict.fromkeys(made), **settings}, "less of it")
    revision = flux.publish()
    flux.start()
    flux.applied(revision, "flux-system", "apps")
    assert names(kubectl, namespace) == {"root-stays", "settings", "kept", "paused", "web"}
    assert data(kubectl, namespace, "settings") == {"a": "1", "c": "3"}  # gitsync holds it, too
    flux.stop()
    flux.start("--override-manager=gitsync")
    ask_until(lambda: data(kubectl, namespace, "settings"), lambda found: found == {"a": "1"}, "Flux has it alone")
    assert before.items() <= uids(kubectl, namespace).items()
    assert managers(kubectl, namespace, "settings") == {"kustomize-controller"}

    # Once more: gitsync has an inventory of its own, and Flux has applied something since.
    fleet.commit({f"{PROD}/between.yaml": config_map(namespace, "between", a="1")}, "while Flux is back")
    flux.applied(flux.publish(), "flux-system", "apps")
    before = uids(kubectl, namespace)
    handed_over(flux, kubectl)
    fleet.commit({f"{PROD}/between.yaml": None}, "and gone again")
    assert agent.start("--once").wait() == 0
    assert names(kubectl, namespace) == {"root-stays", "settings", "kept", "paused", "web"}
    assert before.items() <= uids(kubectl, namespace).items()
