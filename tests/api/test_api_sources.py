from __future__ import annotations

from typing import Any

import pytest

from gitsync.api import GitRepository, HelmChart, HelmRepository, OCIRepository
from gitsync.errors import FieldErrors


def source(kind: str, version: str = "v1", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": f"source.toolkit.fluxcd.io/{version}",
        "kind": kind,
        "metadata": {"name": "bitnami", "namespace": "flux-system"},
        "spec": spec,
    }


@pytest.mark.parametrize("version", ["v1", "v1beta2", "v1beta1"])
def test_a_helm_repository_of_any_version_is_read(version: str) -> None:
    found = HelmRepository.parse(source("HelmRepository", version, url="https://charts.example/x", interval="15m"))
    assert str(found.key) == "HelmRepository/flux-system/bitnami"
    assert (found.spec.url, found.spec.interval, found.spec.timeout) == ("https://charts.example/x", 900, 60)
    assert found.spec.type is None
    assert found.spec.secret_ref is None


def test_a_helm_repositorys_fields_and_status_are_read() -> None:
    raw = source(
        "HelmRepository",
        url="oci://registry.example/charts",
        type="oci",
        timeout="5s",
        secretRef={"name": "login"},
        certSecretRef={"name": "certificates"},
        passCredentials=True,
        insecure=True,
        provider="aws",
        suspend=True,
        accessFrom={"namespaceSelectors": [{"matchLabels": {"a": "b"}}]},
    )
    raw["status"] = {"artifact": {"revision": "sha256:1", "size": 5}, "url": "https://x"}
    found = HelmRepository.parse(raw)
    assert found.spec.type == "oci"
    assert found.spec.interval == 60
    assert found.spec.cert_secret_ref is not None
    assert found.spec.cert_secret_ref.name == "certificates"
    assert found.spec.pass_credentials
    assert found.status.artifact is not None
    assert found.status.artifact.revision == "sha256:1"


def test_a_git_repository_is_read() -> None:
    found = GitRepository.parse(
        source(
            "GitRepository",
            "v1beta2",
            url="ssh://git@git.example/fleet",
            interval="1m",
            timeout="20s",
            ref={"branch": "main", "tag": "v1", "semver": ">=1", "name": "refs/heads/x", "commit": "abc"},
            secretRef={"name": "key"},
            verify={"mode": "head", "secretRef": {"name": "trusted"}},
            proxySecretRef={"name": "proxy"},
            ignore="/docs",
            sparseCheckout=["apps"],
            recurseSubmodules=True,
            include=[{"repository": {"name": "other"}, "fromPath": "a", "toPath": "b"}],
            gitImplementation="go-git",
        )
    )
    assert found.spec.ref is not None
    assert (found.spec.ref.branch, found.spec.ref.commit) == ("main", "abc")
    assert found.spec.verify is not None
    assert found.spec.verify.secret_ref.name == "trusted"
    assert found.spec.include[0].repository.name == "other"
    assert found.spec.sparse_checkout == ("apps",)


def test_an_oci_repository_is_read() -> None:
    found = OCIRepository.parse(
        source(
            "OCIRepository",
            url="oci://registry.example/podinfo",
            interval="1h",
            ref={"tag": "6", "semver": "6.x", "semverFilter": ".*-rc.*", "digest": "sha256:1"},
            layerSelector={"mediaType": "application/x", "operation": "copy"},
            verify={"provider": "cosign", "matchOIDCIdentity": [{"issuer": "^i$", "subject": "^s$"}]},
        )
    )
    assert found.spec.ref is not None
    assert found.spec.ref.semver_filter == ".*-rc.*"
    assert found.spec.layer_selector is not None
    assert found.spec.layer_selector.operation == "copy"
    assert found.spec.verify is not None
    assert found.spec.verify.match_oidc_identity[0].issuer == "^i$"


def test_a_helm_chart_is_read() -> None:
    found = HelmChart.parse(
        source(
            "HelmChart",
            chart="redis",
            version=">=17",
            interval="5m",
            sourceRef={"kind": "HelmRepository", "name": "bitnami"},
            valuesFiles=["a.yaml"],
        )
    )
    assert found.spec.source_ref.kind == "HelmRepository"
    assert found.spec.reconcile_strategy == "ChartVersion"


def test_a_password_in_a_refused_url_is_not_repeated() -> None:
    with pytest.raises(FieldErrors) as caught:
        HelmRepository.parse(source("HelmRepository", url="htps://user:hunter2@charts.example"))
    assert "must be a URL that begins with http://, https:// or oci://" in str(caught.value)
    assert "hunter2" not in str(caught.value)
