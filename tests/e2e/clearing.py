"""Clears the cluster for the next test, whatever the last one did."""

from __future__ import annotations

from functools import partial
from typing import Any

from tests.controlplane.cluster import Cluster
from tests.controlplane.errors import ApiError
from tests.e2e.watching import (
    GIT_REPOSITORIES,
    HELM_CHARTS,
    HELM_RELEASES,
    HELM_REPOSITORIES,
    KUSTOMIZATIONS,
    OCI_REPOSITORIES,
)
from tests.until import ask_until

_OURS = (
    KUSTOMIZATIONS,
    HELM_RELEASES,
    HELM_CHARTS,
    HELM_REPOSITORIES,
    GIT_REPOSITORIES,
    OCI_REPOSITORIES,
    "/apis/source.toolkit.fluxcd.io/v1/buckets",
    "/apis/source.toolkit.fluxcd.io/v1/externalartifacts",
    "/apis/source.extensions.fluxcd.io/v1beta1/artifactgenerators",
    "/apis/notification.toolkit.fluxcd.io/v1beta3/providers",
    "/apis/notification.toolkit.fluxcd.io/v1beta3/alerts",
    "/apis/notification.toolkit.fluxcd.io/v1/receivers",
)
_MANAGED = "?labelSelector=app.kubernetes.io/managed-by%3DHelm"
_PLAIN = ("/api/v1", ("services", "configmaps", "serviceaccounts", "persistentvolumeclaims"))
_FLUX_SYSTEM = "/api/v1/namespaces/flux-system"
_FLUX_RIGHTS = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/cluster-reconciler-flux-system"
_APPS = ("/apis/apps/v1", ("deployments", "statefulsets"))


def clear(cluster: Cluster) -> None:
    """Removes all that an agent serves with what it made left as it is, from `default` what had been installed there,
    and the Namespace `flux-system` with its rights, which several tests bring.

    Other namespaces are left to their test's `namespace` fixture.
    """
    for path in _OURS:
        for item in _items(cluster, path):
            metadata = item["metadata"]
            place, _, plural = path.rpartition("/")
            own = f"{place}/namespaces/{metadata['namespace']}/{plural}/{metadata['name']}"
            while metadata.pop("finalizers", None) and not _unless_gone(cluster, "PUT", own, item):
                item = cluster.request("GET", own)  # it was changed since it was read
                metadata = item["metadata"]
            _unless_gone(cluster, "DELETE", own)
    for root, plurals in (_APPS, _PLAIN):
        for plural in plurals:
            cluster.request(
                "DELETE", f"{root}/namespaces/default/{plural}{_MANAGED}", {"propagationPolicy": "Background"}
            )
    cluster.request("DELETE", "/api/v1/namespaces/default/secrets?labelSelector=owner%3Dhelm")
    _await_no_pods(cluster)
    _unless_gone(cluster, "DELETE", _FLUX_SYSTEM)
    _unless_gone(cluster, "DELETE", _FLUX_RIGHTS)
    ask_until(partial(_items, cluster, "/api/v1/namespaces"), _has_no_flux_system, "flux-system goes")


def _has_no_flux_system(namespaces: list[dict[str, Any]]) -> bool:
    return all(item["metadata"]["name"] != "flux-system" for item in namespaces)


def _items(cluster: Cluster, path: str) -> list[dict[str, Any]]:
    try:
        listed = cluster.request("GET", path)
    except ApiError as error:
        if error.status != 404:  # no agent has installed the custom resource definitions yet
            raise
        return []
    head = {"apiVersion": listed["apiVersion"], "kind": listed["kind"].removesuffix("List")}
    return [{**head, **item} for item in listed["items"]]


def _unless_gone(cluster: Cluster, method: str, path: str, body: dict[str, Any] | None = None) -> bool:
    """Returns False when the object is another one by now than the one in ``body``."""
    try:
        cluster.request(method, path, body)
    except ApiError as error:
        if error.status == 409:
            return False
        if error.status != 404:
            raise
    return True


def _await_no_pods(cluster: Cluster) -> None:
    """Waits until no pods are left: a StatefulSet of the same name would adopt them."""
    pods = partial(cluster.request, "GET", "/api/v1/namespaces/default/pods")
    ask_until(pods, lambda found: not found["items"], "pods in default go with their owners")
