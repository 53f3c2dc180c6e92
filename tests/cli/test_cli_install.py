"""``gitsync install``, ``check`` and ``uninstall`` on a real API server."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gitsync.api.crds import crds
from gitsync.cli import main
from tests.cli.conftest import Gitsync
from tests.controlplane.cluster import Cli, Cluster
from tests.controlplane.errors import ApiError
from tests.docs.markdown import ROOT
from tests.yamls import documents

pytestmark = pytest.mark.e2e  # whole agents come and go

IMAGE = "registry.example:5000/gitsync:0.1.0"
PLACE = "gitsync-trial"
AGENT = f"/apis/apps/v1/namespaces/{PLACE}/deployments/gitsync"
FLUX = "flux-of-a-test"
KUSTOMIZATIONS = "kustomizations.kustomize.toolkit.fluxcd.io"
REPOSITORY = ("--repo", "https://git.example/fleet.git", "--branch", "main", "--interval", "30s")


def parsed(text: str) -> list[dict[str, Any]]:
    return documents(text)


def settings_in(manifests: list[dict[str, Any]]) -> dict[str, Any]:
    (found,) = [item for item in manifests if item["kind"] == "ConfigMap"]
    (settings,) = documents(found["data"]["gitsync.yaml"])
    return dict(settings)


@pytest.fixture
def clean(kubectl: Cli) -> Iterator[None]:
    """Leaves nothing cluster-wide behind."""
    yield
    kubectl("delete", "namespace", PLACE, FLUX, "--ignore-not-found")
    kubectl("delete", "clusterroles,clusterrolebindings", "-l", "app.kubernetes.io/part-of=gitsync")


def test_what_is_exported_is_config(gitsync: Gitsync, kubectl: Cli) -> None:
    said = gitsync("install", "--export")
    assert said.code == 0
    assert parsed(said.out) == parsed(kubectl("kustomize", ROOT / "config"))


def test_what_is_asked_for_is_in_the_export_and_no_credential(gitsync: Gitsync, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret-of-the-test")
    asked = ("--namespace", PLACE, "--image", IMAGE, "--components", "reduced", "--git-token-file", str(token))
    said = gitsync("install", "--export", *asked, *REPOSITORY)

    assert "secret-of-the-test" not in said.out + said.err
    manifests = parsed(said.out)
    assert {item["metadata"].get("namespace", PLACE) for item in manifests} == {PLACE}
    bindings = [item for item in manifests if item["kind"] == "ClusterRoleBinding"]
    assert {item["roleRef"]["name"] for item in bindings} == {"gitsync", "gitsync-apply-reduced"}
    assert {subject["namespace"] for item in bindings for subject in item["subjects"]} == {PLACE}
    (agent,) = [item for item in manifests if item["kind"] == "Deployment"]
    assert agent["spec"]["template"]["spec"]["containers"][0]["image"] == IMAGE
    settings = settings_in(manifests)
    assert (settings["repo"], settings["interval"], settings["namespace"]) == (REPOSITORY[1], "30s", PLACE)
    assert settings["git_token_file"] == "/var/run/secrets/gitsync/token"


def test_an_agent_for_one_namespace_is_nowhere_else(gitsync: Gitsync) -> None:
    said = gitsync("install", "--export", "--components", "namespaced", "--watch-namespace", PLACE)
    manifests = [item for item in parsed(said.out) if item["kind"] != "CustomResourceDefinition"]
    assert {item["metadata"]["namespace"] for item in manifests} == {PLACE}
    assert not {item["kind"] for item in manifests} & {"Namespace", "ClusterRole", "ClusterRoleBinding"}
    bindings = [item for item in manifests if item["kind"] == "RoleBinding"]
    assert {subject["namespace"] for item in bindings for subject in item["subjects"]} == {PLACE}
    settings = settings_in(manifests)
    assert (settings["watch_namespace"], settings["namespace"], settings["default_namespace"]) == (PLACE,) * 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--export", "--components", "nosuch"), "there is no component nosuch"),
        ((), "no image is published"),
        (
            ("--export", "--components", "namespaced", "--namespace", "a", "--watch-namespace", "b"),
            "which serves the namespace that it is installed in",
        ),
        (("--export", "--watch-namespace", "a"), "goes with --components namespaced"),
        (("--image", IMAGE, "--git-token-file", "/nosuch"), "/nosuch cannot be read"),
    ],
)
def test_what_cannot_be_installed_is_said(arguments: tuple[str, ...], words: str, gitsync: Gitsync) -> None:
    said = gitsync("install", *arguments)
    assert said.code != 0
    assert words in said.err


def test_installed_checked_and_uninstalled(
    gitsync: Gitsync, control_plane: Cluster, kubectl: Cli, namespace: str, tmp_path: Path, clean: None
) -> None:
    token = tmp_path / "token"
    token.write_text("secret-of-the-test")
    said = gitsync("install", "--namespace", PLACE, "--image", IMAGE, "--git-token-file", str(token), *REPOSITORY)
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines()[-1].startswith(f"gitsync is running in namespace {PLACE}")
    assert "secret-of-the-test" not in said.out
    assert control_plane.request("GET", AGENT)["status"]["readyReplicas"] == 1
    first = kubectl("get", "configmaps", "-n", PLACE, "-l", "app.kubernetes.io/component=configuration", "-o", "name")

    checked = gitsync("check", "--namespace", PLACE, "-o", "json")
    found = {item["what"]: item for item in json.loads(checked.out)}
    assert checked.code == 0, checked.out
    assert found["agent"]["text"] == f"Deployment/{PLACE}/gitsync is running {IMAGE}"
    assert found["rights"]["text"].startswith(f"system:serviceaccount:{PLACE}:gitsync may do the")

    # A second time, with other settings: the old ones go.
    assert gitsync("install", "--namespace", PLACE, "--image", IMAGE, *REPOSITORY, "--no-prune").code == 0
    second = kubectl("get", "configmaps", "-n", PLACE, "-l", "app.kubernetes.io/component=configuration", "-o", "name")
    assert len(second.split()) == 1
    assert second != first

    kubectl("apply", "-f", "-", stdin=json.dumps(helm_release(namespace)))
    for name in ("one", "two"):
        source = (*("create", "source", "git", name, "--url", "https://git.example/app"), "--no-wait", "-n", namespace)
        assert gitsync(*source).code == 0
    said = gitsync("uninstall", "--namespace", PLACE, "--silent")
    assert (said.code, said.err) == (0, "")
    # Other tests of this cluster may have some, too, and more or fewer a moment later.
    kept = re.search(rf"{len(crds())} definitions stay, with (.*);", said.out)
    assert kept is not None, said.out
    assert re.search(r"\d+ HelmReleases?,", kept[1])
    assert re.search(r"\d+ GitRepositories", kept[1])
    with pytest.raises(ApiError, match="not found"):
        control_plane.request("GET", f"/api/v1/namespaces/{PLACE}")
    assert kubectl("get", "clusterroles,clusterrolebindings", "-l", "app.kubernetes.io/part-of=gitsync") == ""
    kubectl("delete", "helmrelease", "app", "-n", namespace, "--timeout=60s")  # nobody holds it back
    assert gitsync("check", "--namespace", PLACE).out.count("does not exist") == 1


def test_less_rights_the_second_time_take_the_greater_ones_away_and_the_repository_is_not_forgotten(
    gitsync: Gitsync, kubectl: Cli, clean: None
) -> None:
    where = ("--namespace", PLACE, "--image", IMAGE)
    assert gitsync("install", *where, *REPOSITORY).code == 0
    said = gitsync("install", *where, "--components", "reduced", *REPOSITORY)
    assert said.code == 0, said.err
    assert "deleted ClusterRoleBinding/gitsync-apply" in said.out
    bindings = json.loads(kubectl("get", "clusterrolebindings", "-o", "json"))["items"]
    ours = [
        item for item in bindings if {"kind": "ServiceAccount", "name": "gitsync", "namespace": PLACE} in subjects(item)
    ]
    assert {item["roleRef"]["name"] for item in ours} == {"gitsync", "gitsync-apply-reduced"}

    said = gitsync("install", *where)
    assert said.code == 1
    assert f"syncs {REPOSITORY[1]}; without --repo it would not any more" in said.err


def subjects(binding: dict[str, Any]) -> list[dict[str, Any]]:
    return [{name: item.get(name) for name in ("kind", "name", "namespace")} for item in binding.get("subjects") or ()]


def test_who_has_few_rights_is_told_what_is_missing(
    control_plane: Cluster, kubectl: Cli, namespace: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kubectl("create", "serviceaccount", "weak", "-n", namespace)
    view = json.loads(kubectl("config", "view", "--raw", "-o", "json"))
    token = kubectl("create", "token", "weak", "-n", namespace).strip()
    view["users"] = [{**user, "user": {"token": token}} for user in view["users"]]
    kubeconfig = tmp_path / "weak"
    kubeconfig.write_text(json.dumps(view))

    assert main(["check", "-o", "json", "--kubeconfig", str(kubeconfig)]) == 1
    found = {item["what"]: item for item in json.loads(capsys.readouterr().out)}
    assert found["agent"]["result"] == "warning"
    assert "cannot get resource" in found["agent"]["text"]
    assert found["rights"]["result"] == "failed"
    assert "you may not get, list, watch, create, patch, delete helmreleases" in found["rights"]["text"]
    assert main(["install", "--image", IMAGE, "--kubeconfig", str(kubeconfig)]) == 1
    said = capsys.readouterr().err
    assert "is forbidden" in said
    assert "Traceback" not in said


def test_uninstall_leaves_what_is_not_its_own(gitsync: Gitsync, kubectl: Cli, namespace: str, clean: None) -> None:
    assert gitsync("install", "--namespace", PLACE, "--image", IMAGE).code == 0

    said = gitsync("uninstall", "--namespace", namespace, "--silent")  # the wrong one
    assert said.code == 0
    assert f"gitsync is not installed in namespace {namespace}" in said.out
    assert f"namespace {namespace} stays: it was not made by gitsync install" in said.out
    kubectl("get", "namespace", namespace)
    kubectl("get", "clusterrolebinding/gitsync", "clusterrole/gitsync")

    # Half of it is gone already, and a release has its records in the agent's own namespace.
    kubectl("delete", "deployment", "gitsync", "-n", PLACE)
    kubectl("create", "secret", "generic", "sh.helm.release.v1.app.v1", "-n", PLACE)
    kubectl("label", "secret", "sh.helm.release.v1.app.v1", "-n", PLACE, "owner=helm")
    kubectl("apply", "-f", "-", stdin=json.dumps(kustomization(namespace)))
    said = gitsync("uninstall", "--namespace", PLACE, "--silent")
    assert said.code == 0, said.err
    assert f"namespace {PLACE} stays: it holds 1 records of Helm releases" in said.out
    assert kubectl("get", "clusterroles,clusterrolebindings", "-l", "app.kubernetes.io/part-of=gitsync") == ""
    kubectl("delete", KUSTOMIZATIONS, "app", "-n", namespace, "--timeout=60s")  # nobody holds it back


def kustomization(namespace: str) -> dict[str, Any]:
    return {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {"name": "app", "namespace": namespace, "finalizers": ["finalizers.fluxcd.io"]},
        "spec": {"interval": "1h", "prune": True, "sourceRef": {"kind": "GitRepository", "name": "none"}},
    }


def helm_release(namespace: str) -> dict[str, Any]:
    chart = {"spec": {"chart": "app", "sourceRef": {"kind": "HelmRepository", "name": "none"}}}
    return {
        "apiVersion": "helm.toolkit.fluxcd.io/v2",
        "kind": "HelmRelease",
        "metadata": {"name": "app", "namespace": namespace, "finalizers": ["finalizers.fluxcd.io"]},
        "spec": {"interval": "1h", "chart": chart},
    }


def test_an_agent_that_does_not_come_up_is_an_error_with_its_reason(gitsync: Gitsync, clean: None) -> None:
    image = "registry.example/gitsync:nonexistent"
    said = gitsync("install", "--namespace", PLACE, "--image", image, "--timeout", "4s")
    assert said.code == 1
    assert "ImagePullBackOff" in said.err
    checked = gitsync("check", "--namespace", PLACE)
    assert checked.code == 1
    assert f"✗ agent: Deployment/{PLACE}/gitsync ({image})" in checked.out


def test_flux_at_work_is_noticed_and_taken_over_from_when_told_to(
    gitsync: Gitsync, control_plane: Cluster, kubectl: Cli, clean: None
) -> None:
    kubectl("create", "namespace", FLUX)
    for name in ("helm-controller", "kustomize-controller", "notification-controller"):
        kubectl("apply", "-f", "-", stdin=json.dumps(controller(name)))
    kubectl("rollout", "status", "deployment/helm-controller", "-n", FLUX, "--timeout=60s")

    said = gitsync("install", "--namespace", PLACE, "--image", IMAGE)
    assert said.code == 1
    running = f"Deployment/{FLUX}/helm-controller, Deployment/{FLUX}/kustomize-controller"
    assert f"Flux is running: {running}." in said.err
    assert "--take-over" in said.err
    with pytest.raises(ApiError, match="not found"):
        control_plane.request("GET", f"/api/v1/namespaces/{PLACE}")
    assert "✗ flux:" in gitsync("check", "--pre").out

    said = gitsync("install", "--namespace", PLACE, "--image", IMAGE, "--take-over")
    assert said.code == 0, said.err
    place = f"/apis/apps/v1/namespaces/{FLUX}/deployments"
    for name in ("helm-controller", "kustomize-controller"):
        assert f"scaling Deployment/{FLUX}/{name} to 0" in said.out
        assert control_plane.request("GET", f"{place}/{name}")["spec"]["replicas"] == 0
    assert control_plane.request("GET", f"{place}/notification-controller")["spec"]["replicas"] == 1


def controller(name: str) -> dict[str, Any]:
    labels = {"app.kubernetes.io/part-of": "flux", "app.kubernetes.io/component": name}
    spec = {"containers": [{"name": "manager", "image": f"registry.example/fluxcd/{name}:v1.6.0"}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": FLUX, "labels": labels},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": spec},
        },
    }
