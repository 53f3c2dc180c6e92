"""What Kustomizations say that fail, by Flux's own kustomize-controller and then by gitsync."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane.cluster import Cli, Cluster
from tests.e2e import flux as fluxes
from tests.e2e.conftest import NewAgent
from tests.e2e.flux import Flux
from tests.e2e.fluxrepositories import SYNC, kustomization
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.kustomizations import kustomization as in_namespace
from tests.e2e.takenover import config_map
from tests.until import ask_until

PROD = "clusters/prod"
NOT_READY = ("nopath", "badbuild", "badobject", "nosource", "noaccount")


def repository(namespace: str) -> dict[str, str | None]:
    source = {"kind": "GitRepository", "name": "nosuch"}
    number = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: bad, namespace: {namespace}}}\ndata: {{x: 5}}\n"
    return {
        f"{PROD}/flux-system/gotk-sync.yaml": SYNC,
        f"{PROD}/nopath.yaml": kustomization("nopath", "./nosuch"),
        f"{PROD}/badbuild.yaml": kustomization("badbuild", "./badbuild"),
        f"{PROD}/badobject.yaml": kustomization("badobject", "./badobject"),
        f"{PROD}/nosource.yaml": kustomization("nosource", "./good", sourceRef=source),
        f"{PROD}/noaccount.yaml": kustomization("noaccount", "./good", serviceAccountName="nosuch"),
        "badbuild/kustomization.yaml": "resources: [nosuch.yaml]\n",
        "badobject/bad.yaml": number,
        "good/good.yaml": config_map(namespace, "good", a="1"),
    }


@pytest.fixture
def flux(control_plane: Cluster, kubectl: Cli, fleet: Fleet, namespace: str, tmp_path: Path) -> Iterator[Flux]:
    """Flux, which has tried to apply the repository."""
    files = repository(namespace)
    with fluxes.bootstrapped(control_plane, kubectl, fleet, tmp_path / "flux", SYNC, files) as flux:
        yield flux


@pytest.fixture
def agent(new_agent: NewAgent, fleet: Fleet, flux: Flux) -> AgentProcess:
    return new_agent(fleet, f"--path={PROD}")


def conditions(flux: Flux, name: str) -> dict[str, dict[str, Any]]:
    found = (flux.kustomization(name).get("status") or {}).get("conditions") or ()
    return {condition["type"]: condition for condition in found}


def stands(flux: Flux, name: str) -> dict[str, tuple[str, str]]:
    return {kind: (said["status"], said["reason"]) for kind, said in conditions(flux, name).items()}


def has_failed(found: dict[str, tuple[str, str]]) -> bool:
    is_told = found.get("Ready", ("", ""))[0] == "False"
    return is_told and found.get("Reconciling", ("", ""))[1] != "Progressing"


def test_reasons_are_those_of_flux_and_what_is_tried_again_says_so(agent: AgentProcess, flux: Flux) -> None:
    by_flux = {name: ask_until(partial(stands, flux, name), has_failed, name) for name in NOT_READY}
    told = {name: conditions(flux, name).get("Reconciling", {}).get("message") for name in NOT_READY}
    flux.stop()
    for name in NOT_READY:  # as if nobody had looked at them
        flux.clear(name)

    agent.start().wait_for("sync finished")
    for name in NOT_READY:
        ask_until(partial(stands, flux, name), by_flux[name].__eq__, f"{name} is {by_flux[name]}")
    assert by_flux["nopath"] == {
        "Ready": ("False", "ArtifactFailed"),
        "Reconciling": ("True", "ProgressingWithRetry"),
    }
    assert by_flux["nosource"] == {"Ready": ("False", "ArtifactFailed")}
    for name in ("nopath", "badbuild", "badobject"):
        assert conditions(flux, name)["Reconciling"]["message"] == told[name]


def test_a_directory_that_is_not_there_is_a_failure_that_nobody_waits_for(
    new_agent: NewAgent, fleet: Fleet, namespace: str
) -> None:
    fleet.commit({f"{PROD}/nopath.yaml": in_namespace(namespace, "nopath", "./nosuch")}, "no directory")
    agent = new_agent(fleet, f"--path={PROD}", "--once")
    assert agent.start().wait(timeout=60) == 1
