"""Leaves the cluster as the next test wants to find it, whatever the last one did."""

from __future__ import annotations

import time
from typing import Any

from tests.controlplane.cluster import Cluster
from tests.controlplane.errors import ApiError
from tests.e2e.watching import HELM_RELEASES, HELM_REPOSITORIES

_MANAGED = "?labelSelector=app.kubernetes.io/managed-by%3DHelm"
_PLAIN = ("/api/v1", ("services", "configmaps", "serviceaccounts", "persistentvolumeclaims"))
_APPS = ("/apis/apps/v1", ("deployments", "statefulsets"))


def clear(cluster: Cluster) -> None:
    """Removes all HelmReleases and HelmRepositories without an uninstall, and in `default` what they had installed.

    Other namespaces are left to their test's `namespace` fixture.
    """
    for path in (HELM_RELEASES, HELM_REPOSITORIES):
        for item in _items(cluster, path):
            metadata = item["metadata"]
            place, _, plural = path.rpartition("/")
            own = f"{place}/namespaces/{metadata['namespace']}/{plural}/{metadata['name']}"
            if metadata.pop("finalizers", None):
                _unless_gone(cluster, "PUT", own, item)
            _unless_gone(cluster, "DELETE", own)
    for root, plurals in (_APPS, _PLAIN):
        for plural in plurals:
            cluster.request(
                "DELETE", f"{root}/namespaces/default/{plural}{_MANAGED}", {"propagationPolicy": "Background"}
            )
    cluster.request("DELETE", "/api/v1/namespaces/default/secrets?labelSelector=owner%3Dhelm")
    _await_no_pods(cluster)


def _items(cluster: Cluster, path: str) -> list[dict[str, Any]]:
    try:
        listed = cluster.request("GET", path)
    except ApiError as error:
        if error.status != 404:  # no agent has installed the custom resource definitions yet
            raise
        return []
    head = {"apiVersion": listed["apiVersion"], "kind": listed["kind"].removesuffix("List")}
    return [{**head, **item} for item in listed["items"]]


def _unless_gone(cluster: Cluster, method: str, path: str, body: dict[str, Any] | None = None) -> None:
    try:
        cluster.request(method, path, body)
    except ApiError as error:
        if error.status != 404:
            raise


def _await_no_pods(cluster: Cluster) -> None:
    """A StatefulSet of the same name would adopt what is left of the one before."""
    deadline = time.monotonic() + 60
    while cluster.request("GET", "/api/v1/namespaces/default/pods")["items"]:
        assert time.monotonic() < deadline, "pods in default outlive their owners"
        time.sleep(0.05)
