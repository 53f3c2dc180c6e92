"""``gitsync get`` against a real API server."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from gitsync.api.crds import crds
from gitsync.cli import main
from tests.controlplane.cluster import Cli, Cluster


def manifest(api_version: str, kind: str, namespace: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": namespace}, "spec": spec}


@pytest.fixture(scope="module")
def crds_there(kubectl: Cli, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Our kinds, known to the API server."""
    directory = tmp_path_factory.mktemp("crds")
    (directory / "crds.json").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": crds()}))
    kubectl("apply", "--server-side", "--force-conflicts", "-f", str(directory / "crds.json"))
    kubectl(
        "wait", "--for=condition=Established", "--timeout=120s", *[f"crd/{crd['metadata']['name']}" for crd in crds()]
    )


@pytest.fixture(scope="module")
def story(control_plane: Cluster, crds_there: None) -> Iterator[str]:
    """A namespace with one repository and two releases, one of them ready. Only to be looked at."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    control_plane.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    fill(control_plane, name)
    make_ready(control_plane, name, "redis", "Release reconciliation succeeded")
    yield name
    control_plane.request("DELETE", f"/api/v1/namespaces/{name}")


def fill(control_plane: Cluster, namespace: str) -> None:
    chart = {"spec": {"chart": "redis", "sourceRef": {"kind": "HelmRepository", "name": "bitnami"}}}
    items = [
        manifest(
            "source.toolkit.fluxcd.io/v1", "HelmRepository", namespace, "bitnami", {"url": "https://charts.example"}
        ),
        manifest("helm.toolkit.fluxcd.io/v2", "HelmRelease", namespace, "redis", {"chart": chart, "interval": "5m"}),
        manifest("helm.toolkit.fluxcd.io/v2", "HelmRelease", namespace, "backend", {"chart": chart, "interval": "5m"}),
    ]
    for item in items:
        plural = {"HelmRepository": "helmrepositories", "HelmRelease": "helmreleases"}[item["kind"]]
        control_plane.request("POST", f"/apis/{item['apiVersion']}/namespaces/{namespace}/{plural}", item)


def make_ready(control_plane: Cluster, namespace: str, name: str, message: str) -> None:
    path = f"/apis/helm.toolkit.fluxcd.io/v2/namespaces/{namespace}/helmreleases/{name}"
    found = control_plane.request("GET", path)
    condition = {
        "type": "Ready", "status": "True", "reason": "InstallSucceeded", "message": message, "observedGeneration": 1,
        "lastTransitionTime": "2026-11-23T06:00:00Z",
    }  # fmt: skip
    found["status"] = {"conditions": [condition], "observedGeneration": 1, "lastAttemptedRevision": "17.3.14"}
    control_plane.request("PUT", f"{path}/status", found)


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("kind", ["helmreleases", "helmrelease", "hr"])
def test_releases_are_a_plain_table(
    kind: str, story: str, control_plane: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["get", kind, "-n", story, "--kubeconfig", str(control_plane.kubeconfig)]) == 0
    assert lines(capsys) == [
        "NAME      REVISION   SUSPENDED   READY     MESSAGE",
        "backend              False       Unknown   waiting to be reconciled",
        "redis     17.3.14    False       True      Release reconciliation succeeded",
    ]


def test_all_namespaces_adds_a_column_and_all_kinds_a_prefix(
    story: str, control_plane: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["get", "all", "-A", "--kubeconfig", str(control_plane.kubeconfig)]) == 0
    shown = [line.split() for line in lines(capsys)]
    assert [story, "helmrepository/bitnami", "False", "Unknown", "waiting", "to", "be", "reconciled"] in shown
    assert [story, "helmrelease/redis", "17.3.14", "False", "True", "Release", "reconciliation", "succeeded"] in shown
    assert shown[0][0] == "NAMESPACE"


def test_all_has_what_notifies_and_is_notified_as_well(
    story: str, control_plane: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ["-n", story, "--kubeconfig", str(control_plane.kubeconfig)]
    slack = ["--type", "slack", "--address", "https://hooks.example"]
    assert main(["create", "alert-provider", "slack", *slack, *at]) == 0
    alert = ["create", "alert", "all", "--provider-ref", "slack", "--event-source", "HelmRelease/*"]
    assert main([*alert, *at]) == 0
    capsys.readouterr()
    assert main(["get", "all", *at]) == 0
    shown = [line.split()[:3] for line in lines(capsys)]
    assert ["provider/slack", "slack", "False"] in shown
    assert ["alert/all", "slack", "False"] in shown


@pytest.mark.parametrize("words", [["sources", "helm"], ["helmrepositories"], ["helmrepo"]])
def test_repositories_have_their_own_table(
    words: list[str], story: str, control_plane: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["get", *words, "-n", story, "-o", "wide", "--kubeconfig", str(control_plane.kubeconfig)]) == 0
    header, row = lines(capsys)
    assert header.split() == ["NAME", "REVISION", "SUSPENDED", "READY", "URL", "COMMIT", "AGE", "MESSAGE"]
    assert row.split()[:4] == ["bitnami", "False", "Unknown", "https://charts.example"]


def test_json_is_the_object_or_a_list_without_bookkeeping(
    story: str, control_plane: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    base = ["get", "hr", "-n", story, "--kubeconfig", str(control_plane.kubeconfig), "-o"]
    assert main([*base, "json", "redis"]) == 0
    one = json.loads(capsys.readouterr().out)
    assert (one["kind"], one["metadata"]["name"]) == ("HelmRelease", "redis")
    assert "managedFields" not in one["metadata"]
    assert main([*base, "json"]) == 0
    several = json.loads(capsys.readouterr().out)
    assert (several["kind"], [item["metadata"]["name"] for item in several["items"]]) == ("List", ["backend", "redis"])
    assert main([*base, "yaml", "redis"]) == 0
    assert "\nkind: HelmRelease\n" in capsys.readouterr().out


def test_a_name_that_is_not_there_is_an_error_and_an_empty_namespace_is_not(
    story: str, control_plane: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    kubeconfig = str(control_plane.kubeconfig)
    assert main(["get", "hr", "nosuch", "-n", story, "--kubeconfig", kubeconfig]) == 1
    assert "nosuch" in capsys.readouterr().err
    assert main(["get", "hr", "-n", "nobody-is-here", "--kubeconfig", kubeconfig]) == 0
    out, err = capsys.readouterr()
    assert (out, err) == ("", "nothing found in namespace nobody-is-here\n")


def test_what_is_not_ready_can_be_asked_for(
    story: str, control_plane: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ["-n", story, "--kubeconfig", str(control_plane.kubeconfig)]
    assert main(["get", "all", "--status-selector", "Ready=true", "--no-header", *at]) == 0
    (row,) = lines(capsys)
    assert row.startswith("helmrelease/redis ")
    assert main(["get", "hr", "--status-selector", "ready=unknown", "-o", "json", *at]) == 0
    assert json.loads(capsys.readouterr().out)["items"][0]["metadata"]["name"] == "backend"
    assert main(["get", "hr", "-l", "nosuch=label", *at]) == 0
    assert "nothing found" in capsys.readouterr().err
    assert main(["get", "hr", "--status-selector", "ready", *at]) == 2
    assert "TYPE=STATUS" in capsys.readouterr().err


def test_watching_prints_the_table_and_then_every_change(
    crds_there: None, namespace: str, control_plane: Cluster
) -> None:
    fill(control_plane, namespace)
    command = [sys.executable, "-m", "gitsync.cli", "get", "hr", "-w", "-n", namespace]
    process = subprocess.Popen(
        [*command, "--kubeconfig", str(control_plane.kubeconfig)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Shells have what they start in the background ignore SIGINT, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        assert process.stdout is not None
        first = [process.stdout.readline().split() for _ in range(3)]
        assert [row[0] for row in first] == ["NAME", "backend", "redis"]
        make_ready(control_plane, namespace, "backend", "all is well")
        assert process.stdout.readline() == "backend   17.3.14    False       True      all is well\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    finally:
        process.kill()
        out, err = process.communicate()
    assert (out, err) == ("", "")
