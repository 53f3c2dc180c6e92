"""Two tenants: an honest one, and an attacker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.controlplane.cluster import Cli
from tests.e2e.background import Background
from tests.e2e.kustomizations import Cluster
from tests.e2e.watching import condition
from tests.git.git_world import HttpGit, http_git

KUSTOMIZATION = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": ["all.yaml"]}


class Tenant(Cluster):
    """The namespace of a tenant, with its Kustomizations and ConfigMaps."""

    def __init__(self, kubectl: Cli, namespace: str) -> None:
        super().__init__(kubectl, namespace)
        self._ask = kubectl

    def count(self) -> int:
        """The number of ConfigMaps, without reading their content."""
        return len(self._ask("get", "configmaps", "-n", self.namespace, "--no-headers").splitlines())

    def messages(self) -> dict[str, str]:
        """The messages of the Kustomizations that are not ready, by name."""
        kind = "kustomizations.kustomize.toolkit.fluxcd.io"
        listed = json.loads(self._ask("get", kind, "-n", self.namespace, "-o", "json"))["items"]
        found = {item["metadata"]["name"]: condition(item, "Ready") for item in listed}
        return {name: ready.get("message", "") for name, ready in found.items() if ready.get("status") != "True"}

    def until_applied(self, name: str, revision: str) -> None:
        """Wait until a Kustomization has applied a commit."""
        self._ask(
            "wait",
            f"--for=jsonpath={{.status.lastAppliedRevision}}=main@sha1:{revision}",
            f"kustomizations.kustomize.toolkit.fluxcd.io/{name}",
            "-n",
            self.namespace,
            "--timeout=180s",
            timeout=200,
        )


@pytest.fixture
def honest(kubectl: Cli, namespace: str) -> Tenant:
    return Tenant(kubectl, namespace)


@pytest.fixture
def bad(kubectl: Cli, namespace: str) -> Iterator[Tenant]:
    kubectl("create", "namespace", f"{namespace}-bad")
    yield Tenant(kubectl, f"{namespace}-bad")
    kubectl("delete", "namespace", f"{namespace}-bad", "--wait=false")


def git_repository(namespace: str, name: str, url: str) -> str:
    spec = {"interval": "1m", "timeout": "59m", "url": url, "ref": {"branch": "main"}}
    metadata = {"name": name, "namespace": namespace}
    return json.dumps(
        {
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": "GitRepository",
            "metadata": metadata,
            "spec": spec,
        }
    )


@pytest.fixture
def served(background: Background, tmp_path: Path) -> Iterator[HttpGit]:
    (tmp_path / "served").mkdir()
    context = http_git(tmp_path / "served")
    yield background.run(context.__aenter__())
    background.run(context.__aexit__(None, None, None))
