"""The CRDs on a real API server: it takes them, and they take and refuse what the checks take and refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gitsync.api import HelmRelease, check, drop_nulls, is_ready
from gitsync.api.crds import crd_names, crds, kinds
from tests.controlplane.cluster import Cli, Cluster
from tests.controlplane.errors import ApiError, CommandError
from tests.yamls import documents

CRDS = Path(__file__).parents[2] / "config" / "crds"
CORPUS = [
    document for file in sorted((Path(__file__).parent / "corpus").glob("*.yaml")) for document in documents(file)
]
PLURALS = {kind: name.partition(".")[0] for (_, kind), name in zip(kinds(), crd_names(), strict=True)}


@pytest.fixture(scope="module", autouse=True)
def installed(kubectl: Cli) -> None:
    kubectl("apply", "--server-side", "-f", CRDS)
    kubectl("wait", "--for=condition=Established", "--timeout=120s", "-f", CRDS)


def tried(cluster: Cluster, namespace: str, manifest: dict[str, Any]) -> None:
    """Creates an object without keeping it, strict about unknown fields. Raises: ApiError."""
    manifest = {**manifest, "metadata": {**manifest["metadata"], "namespace": namespace}}
    path = f"/apis/{manifest['apiVersion']}/namespaces/{namespace}/{PLURALS[manifest['kind']]}"
    cluster.request("POST", f"{path}?dryRun=All&fieldValidation=Strict", manifest)


def release(**spec: Any) -> dict[str, Any]:
    chart = {"spec": {"chart": "redis", "sourceRef": {"kind": "HelmRepository", "name": "bitnami"}}}
    return {
        "apiVersion": "helm.toolkit.fluxcd.io/v2",
        "kind": "HelmRelease",
        "metadata": {"name": "redis"},
        "spec": {"interval": "5m", "chart": chart, **spec},
    }


def test_the_server_finds_nothing_amiss_in_the_crds(kubectl: Cli) -> None:
    for crd in crds():
        live = json.loads(kubectl("get", "crd", crd["metadata"]["name"], "-o", "json"))
        conditions = {condition["type"]: condition["status"] for condition in live["status"]["conditions"]}
        assert conditions == {"NamesAccepted": "True", "Established": "True"}  # and no NonStructuralSchema


def test_good_manifests_of_every_version_are_taken(control_plane: Cluster, namespace: str) -> None:
    for document in CORPUS:
        tried(control_plane, namespace, document)


@pytest.mark.parametrize(
    "spec",
    [
        {"interval": "5 min"},
        {"interval": 60},
        {"timeout": "-5m"},
        {"timeout": "1d"},
        {"dependOn": []},
        {"install": {"remediations": {}}},
        {"suspend": "yes"},
        {"maxHistory": "3"},
        {"releaseName": "x" * 54},
        {"releaseName": ""},
        {"targetNamespace": "n" * 64},
        {"dependsOn": {"name": "x"}},
        {"dependsOn": ["x"]},
        {"dependsOn": [{"namespace": "x"}]},
        {"values": ["a"]},
        {"upgrade": {"crds": "create"}},
        {"upgrade": {"remediation": {"retries": 1.5}}},
        {"upgrade": {"serverSideApply": True}},
        {"uninstall": {"deletionPropagation": "Background"}},
        {"kubeConfig": {}},
        {"kubeConfig": {"secretRef": {"name": "a"}, "configMapRef": {"name": "b"}}},
        {"install": {"strategy": {"name": "RemediateOnFailure", "retryInterval": "1m"}}},
        {"chart": {"spec": {"chart": "x", "version": 17.3, "sourceRef": {"kind": "HelmRepository", "name": "x"}}}},
        {"chart": {"spec": {"chart": "x", "sourceRef": {"kind": "OCIRepository", "name": "x"}}}},
        {"chartRef": {"kind": "HelmChart", "name": "x"}},
        {"valuesFrom": [{"kind": "Secret", "name": "a", "targetPath": "a b"}]},
        {"healthCheckExprs": [{"apiVersion": "a", "kind": "b"}]},
        {"commonMetadata": {"labels": {"a": 5}}},
    ],
    ids=lambda spec: json.dumps(spec)[:60],
)
def test_what_the_check_refuses_the_server_refuses(
    control_plane: Cluster, namespace: str, spec: dict[str, Any]
) -> None:
    manifest = release(**spec)
    assert check(manifest)
    with pytest.raises(ApiError) as caught:
        tried(control_plane, namespace, manifest)
    assert caught.value.status in (400, 422)


def test_a_release_without_any_chart_is_refused_with_a_reason(control_plane: Cluster, namespace: str) -> None:
    manifest = release()
    del manifest["spec"]["chart"]
    with pytest.raises(ApiError, match="exactly one of chart and chartRef must be set"):
        tried(control_plane, namespace, manifest)


def test_an_object_of_an_old_version_is_stored_in_the_new_one(kubectl: Cli, namespace: str) -> None:
    backend = next(document for document in CORPUS if document["metadata"]["name"] == "backend")
    assert backend["apiVersion"] == "helm.toolkit.fluxcd.io/v2beta1"
    kubectl("apply", "--server-side", "-n", namespace, "-f", "-", stdin=json.dumps(_elsewhere(backend)))
    live = json.loads(
        kubectl("get", "helmreleases.v2.helm.toolkit.fluxcd.io", "backend", "-n", namespace, "-o", "json")
    )
    assert live["apiVersion"] == "helm.toolkit.fluxcd.io/v2"
    assert live["spec"] == backend["spec"]
    assert live["status"] == {"observedGeneration": -1}
    assert not is_ready(live)
    parsed = HelmRelease.parse(live)
    assert parsed.spec == HelmRelease.parse(backend).spec
    assert parsed.metadata.generation == 1
    assert parsed.status.observed_generation == -1


def test_deprecated_fields_survive_in_the_stored_version(kubectl: Cli, namespace: str) -> None:
    ingress = next(document for document in CORPUS if document["metadata"]["name"] == "ingress")
    kubectl("create", "-n", namespace, "-f", "-", stdin=json.dumps(_elsewhere(ingress)))
    live = json.loads(kubectl("get", "hr", "ingress", "-n", namespace, "-o", "json"))
    assert live["spec"]["chart"]["spec"]["valuesFile"] == "./charts/ingress/values-prod.yaml"
    assert live["spec"]["install"]["skipCRDs"] is True
    assert live["spec"]["postRenderers"] == ingress["spec"]["postRenderers"]


def test_nulls_that_a_server_side_apply_would_refuse_are_dropped(kubectl: Cli, namespace: str) -> None:
    manifest = release(dependsOn=None, suspend=None, test=None, values={"a": None})
    command = ("apply", "--server-side", "-n", namespace, "-f", "-")
    with pytest.raises(CommandError, match="null"):
        kubectl(*command, stdin=json.dumps(manifest))
    kubectl(*command, stdin=json.dumps(drop_nulls(manifest)))
    live = json.loads(kubectl("get", "hr", "redis", "-n", namespace, "-o", "json"))
    assert live["spec"]["values"] == {"a": None}
    assert "dependsOn" not in live["spec"]


def test_values_without_content_may_be_applied(kubectl: Cli, namespace: str) -> None:
    kubectl("apply", "--server-side", "-n", namespace, "-f", "-", stdin=json.dumps(release(values=None)))
    assert (
        HelmRelease.parse(json.loads(kubectl("get", "hr", "redis", "-n", namespace, "-o", "json"))).spec.values is None
    )


def test_the_columns_are_fluxs(kubectl: Cli, namespace: str) -> None:
    for name in ("bitnami", "backend"):
        document = next(document for document in CORPUS if document["metadata"]["name"] == name)
        kubectl("apply", "--server-side", "-n", namespace, "-f", "-", stdin=json.dumps(_elsewhere(document)))
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "InstallSucceeded",
        "message": "Helm install succeeded",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    patch = json.dumps({"status": {"conditions": [ready]}})
    kubectl("patch", "hr", "backend", "-n", namespace, "--subresource=status", "--type=merge", "-p", patch)
    header, row = kubectl("get", "helmrelease", "-n", namespace).splitlines()
    assert header.split() == ["NAME", "AGE", "READY", "STATUS"]
    assert row.split()[0] == "backend"
    assert row.split(maxsplit=2)[2].split(maxsplit=1) == ["True", "Helm install succeeded"]
    header, row = kubectl("get", "helmrepo", "-n", namespace).splitlines()
    assert header.split() == ["NAME", "URL", "AGE", "READY", "STATUS"]
    assert row.split()[:2] == ["bitnami", "https://charts.example/bitnami"]


def test_a_whole_status_is_kept(kubectl: Cli, namespace: str) -> None:
    kubectl("create", "-n", namespace, "-f", "-", stdin=json.dumps(release()))
    time = "2026-01-01T00:00:00Z"
    status = {
        "observedGeneration": 1,
        "lastHandledCommit": "3f2a91c",
        "lastHandledReconcileAt": "now",
        "lastHandledForceAt": "now",
        "lastHandledResetAt": "now",
        "lastAttemptedReleaseAction": "install",
        "lastAttemptedReleaseActionDuration": "1.4s",
        "lastAttemptedGeneration": 1,
        "lastAttemptedRevision": "17.3.14",
        "lastAttemptedConfigDigest": "sha256:a",
        "observedPostRenderersDigest": "sha256:a",
        "observedCommonMetadataDigest": "sha256:a",
        "storageNamespace": "default",
        "helmChart": "default/default-redis",
        "failures": 1,
        "installFailures": 1,
        "upgradeFailures": 1,
        "inventory": {"entries": [{"id": "default_redis_apps_StatefulSet", "v": "v1"}]},
        "history": [
            {
                "digest": "sha256:a",
                "name": "redis",
                "namespace": "default",
                "version": 1,
                "status": "deployed",
                "chartName": "redis",
                "chartVersion": "17.3.14",
                "appVersion": "7",
                "configDigest": "sha256:b",
                "firstDeployed": time,
                "lastDeployed": time,
                "action": "install",
                "testHooks": {"smoke": {"lastStarted": time, "lastCompleted": time, "phase": "Succeeded"}},
            }
        ],
    }
    patch = json.dumps({"status": status})
    kubectl("patch", "hr", "redis", "-n", namespace, "--subresource=status", "--type=merge", "-p", patch)
    live = json.loads(kubectl("get", "hr", "redis", "-n", namespace, "-o", "json"))
    assert live["status"] == status
    assert HelmRelease.parse(live).status.history[0].chart_version == "17.3.14"


def test_unknown_fields_are_told_to_whoever_applies_them_and_not_kept(kubectl: Cli, namespace: str) -> None:
    manifest = release(foo=1)
    command = ("apply", "-n", namespace, "-f", "-")
    with pytest.raises(CommandError, match=r'unknown field "spec.foo"'):  # kubectl is strict unless told otherwise
        kubectl(*command, stdin=json.dumps(manifest))
    with pytest.raises(CommandError, match="1 warning received") as caught:
        kubectl("--warnings-as-errors", *command, "--validate=warn", stdin=json.dumps(manifest))
    assert 'Warning: unknown field "spec.foo"' in caught.value.stderr

    live = json.loads(kubectl("get", "hr", "redis", "-n", namespace, "-o", "json"))
    assert "foo" not in live["spec"]


@pytest.mark.parametrize("version", ["v2", "v2beta2", "v2beta1"])
def test_every_served_version_is_applied_read_and_written_again(kubectl: Cli, namespace: str, version: str) -> None:
    manifest = release(values={"a": 1}) | {"apiVersion": f"helm.toolkit.fluxcd.io/{version}"}
    kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(manifest))
    for other in ("v2", "v2beta2", "v2beta1"):
        resource = f"helmreleases.{other}.helm.toolkit.fluxcd.io"
        live = json.loads(kubectl("get", resource, "redis", "-n", namespace, "-o", "json"))
        assert live["apiVersion"] == f"helm.toolkit.fluxcd.io/{other}"
        assert live["spec"] == manifest["spec"]
        live["spec"]["values"]["a"] += 1
        manifest["spec"]["values"]["a"] += 1
        kubectl("replace", "-n", namespace, "-f", "-", stdin=json.dumps(live))


def _elsewhere(manifest: dict[str, Any]) -> dict[str, Any]:
    """Without the namespace, so that kubectl's -n decides."""
    metadata = {name: value for name, value in manifest["metadata"].items() if name != "namespace"}
    return {**manifest, "metadata": metadata}
