"""ConfigMaps: their manifests, and what the cluster has of them."""

from __future__ import annotations

import json

from tests.controlplane.cluster import Cli


def config_map(namespace: str, name: str, **data: str) -> str:
    metadata = {"name": name, "namespace": namespace}
    return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})


def data(kubectl: Cli, namespace: str, name: str) -> dict[str, str]:
    """The data of a ConfigMap in the cluster."""
    found: dict[str, str] = json.loads(kubectl("get", "configmap", name, "-n", namespace, "-o", "json"))["data"]
    return found
