"""Kustomizations, and what they bring."""

from __future__ import annotations

import json
from typing import Any

from tests.controlplane.cluster import Cli


def kustomization(namespace: str, name: str, path: str, **spec: Any) -> str:
    """The manifest of a Kustomization, as JSON, which is YAML."""
    fields = {
        "interval": "10m",
        "path": path,
        "prune": True,
        "sourceRef": {"kind": "GitRepository", "name": "flux-system"},
        **spec,
    }
    return json.dumps(
        {
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
            "kind": "Kustomization",
            "metadata": {"name": name, "namespace": namespace},
            "spec": fields,
        }
    )


class Cluster:
    """The objects of a namespace that the tests look at."""

    def __init__(self, kubectl: Cli, namespace: str) -> None:
        self._kubectl = kubectl
        self.namespace = namespace

    def maps(self) -> dict[str, str]:
        """The ConfigMaps of the namespace, with their text."""
        listed = json.loads(self._kubectl("get", "configmaps", "-n", self.namespace, "-o", "json"))["items"]
        return {
            item["metadata"]["name"]: item["data"]["text"]
            for item in listed
            if item["metadata"]["name"] != "kube-root-ca.crt"
        }

    def status(self, name: str) -> dict[str, Any]:
        """The status of a Kustomization."""
        found: dict[str, Any] = json.loads(
            self._kubectl("get", "kustomization.kustomize.toolkit.fluxcd.io", name, "-n", self.namespace, "-o", "json")
        )["status"]
        return found

    def wait(self, name: str, what: str = "condition=Ready") -> None:
        """Wait until a Kustomization's status is so."""
        self._kubectl(
            "wait",
            f"--for={what}",
            f"kustomizations.kustomize.toolkit.fluxcd.io/{name}",
            "-n",
            self.namespace,
            "--timeout=60s",
        )
