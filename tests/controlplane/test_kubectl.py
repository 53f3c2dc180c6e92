"""The shorter way says what the program says, and leaves to it what it does not know."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from tests.controlplane import binaries
from tests.controlplane.cluster import Cli, Cluster
from tests.controlplane.errors import CommandError
from tests.controlplane.kubectl import Kubectl


@pytest.fixture(scope="module")
def program(control_plane: Cluster) -> Cli:
    return Cli(binaries.kubectl(), control_plane.kubeconfig)


@pytest.fixture(scope="module")
def shorter(control_plane: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    """Without a program to fall back on."""
    nothing = tmp_path_factory.mktemp("nothing") / "kubectl"
    nothing.write_text("#!/bin/sh\necho left to the program >&2; exit 1\n")
    nothing.chmod(0o755)
    return Kubectl(nothing, control_plane.kubeconfig, cluster=control_plane)


@pytest.fixture
def objects(kubectl: Cli, namespace: str) -> str:
    kubectl("create", "configmap", "one", "-n", namespace, "--from-literal=text=a b", "--from-literal=more={}")
    kubectl("label", "configmap", "one", "-n", namespace, "a=b")
    kubectl("create", "deployment", "app", "-n", namespace, "--image=registry.example/app:1.0")
    return namespace


@pytest.mark.parametrize(
    "command",
    [
        "configmap one -o json",
        "configmaps/one -o=json",
        "cm one -o name",
        "ConfigMap one --output name",
        "cm one -o jsonpath={.data.text}",
        "cm one -o jsonpath={.data.none}",
        "cm one -o jsonpath={.metadata.uid}",
        "cm none --ignore-not-found -o json",
        "cm -o name",
        "cm -o json -l a=b",
        "cm -o name -l a=c",
        "deploy app -o name",
        "deployment app -o jsonpath={.spec.template.spec.containers[0].image}",
        "deployments.apps app -o jsonpath={.spec.replicas}",
        "deployments.v1.apps app -o name",
        "namespace default -o jsonpath={.status.phase}",
        "crd -o name",
    ],
)
def test_an_answer_is_the_program_s(command: str, program: Cli, shorter: Kubectl, objects: str) -> None:
    said, known = (ask("get", *command.split(), "-n", objects) for ask in (shorter, program))
    assert settled(said) == settled(known)


def settled(text: str) -> Any:
    """Of objects what no controller changes in between; else as it is."""
    if not text.startswith("{"):
        return text
    found = json.loads(text)
    for item in found.get("items", [found]):
        item.pop("status", None)
        item["metadata"].pop("resourceVersion", None)
    return found


@pytest.mark.parametrize(
    "command",
    [
        "get cm one",
        "get cm none -o json",
        "get cm,deploy -o json",
        "get cm one -o yaml",
        "get cm one -o jsonpath={.data}",
        "get cm one -o json --show-managed-fields",
        "get nosuch one -o json",
        "get cm -A -o json",
        "wait cm/none --for=condition=Ready",
        "wait deployment/app --for=jsonpath={.status}",
        "delete cm one",
    ],
)
def test_the_rest_is_left_to_the_program(command: str, shorter: Kubectl, objects: str) -> None:
    with pytest.raises(CommandError, match="left to the program"):
        shorter(*command.split(), "-n", objects)


@pytest.mark.parametrize(
    "command",
    [
        "deployment/app --for=condition=Available",
        "deployment app --for=jsonpath={.status.readyReplicas}=1",
        "--for=create cm/late",
        "--for=delete cm/one",
        "--for=delete cm/none",
    ],
)
def test_what_is_waited_for_comes(command: str, kubectl: Cli, shorter: Kubectl, objects: str) -> None:
    waited = threading.Thread(target=shorter, args=("wait", *command.split(), "-n", objects, "--timeout=60s"))
    waited.start()
    kubectl("create", "configmap", "late", "-n", objects)
    kubectl("delete", "configmap", "one", "-n", objects)
    waited.join(60)
    assert not waited.is_alive()


def test_a_time_that_is_up_is_an_error_in_its_words(shorter: Kubectl, program: Cli, objects: str) -> None:
    said = []
    for ask in (shorter, program):
        with pytest.raises(CommandError) as caught:
            ask("wait", "cm/one", "-n", objects, "--for=delete", "--timeout=1s")
        said.append((caught.value.code, caught.value.stderr.strip()))
    assert said[0] == said[1]
