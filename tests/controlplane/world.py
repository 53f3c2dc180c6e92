"""What a fresh API server lacks before it is a cluster: a node, a default storage class."""

from __future__ import annotations

from typing import Any

from tests.controlplane.cluster import Cluster
from tests.controlplane.errors import ApiError

NODE_NAME = "node-1"
_CAPACITY = {"cpu": "1000", "memory": "4Ti", "ephemeral-storage": "100Ti", "pods": "100000"}

NODE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {
        "name": NODE_NAME,
        "annotations": {"kwok.x-k8s.io/node": "fake"},
        "labels": {
            "kubernetes.io/hostname": NODE_NAME,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": "amd64",
            "topology.kubernetes.io/region": "local",
            "topology.kubernetes.io/zone": "local-1",
        },
    },
    "status": {
        "capacity": _CAPACITY,
        "allocatable": _CAPACITY,
        "nodeInfo": {
            "architecture": "amd64",
            "bootID": "",
            "containerRuntimeVersion": "kwok",
            "kernelVersion": "",
            "kubeProxyVersion": "",
            "kubeletVersion": "kwok",
            "machineID": "",
            "operatingSystem": "linux",
            "osImage": "",
            "systemUUID": "",
        },
    },
}

# The provisioner is a stage of kwok: kwok/volumes.yaml.
STORAGE_CLASS: dict[str, Any] = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "standard", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
    "provisioner": "gitsync.test/kwok",
    "reclaimPolicy": "Delete",
    "volumeBindingMode": "Immediate",
    "allowVolumeExpansion": True,
}

_SOURCES = "/apis/source.toolkit.fluxcd.io/v1"
#: What must not stay for later tests: objects that an agent would serve, workloads that would go on, and objects with a
#: port or a text that another test may want. Each is a collection in a namespace, with a selector.
_LEFT_BEHIND = (
    ("/apis/helm.toolkit.fluxcd.io/v2", "helmreleases", ""),
    ("/apis/kustomize.toolkit.fluxcd.io/v1", "kustomizations", ""),
    (_SOURCES, "helmcharts", ""),
    (_SOURCES, "helmrepositories", ""),
    (_SOURCES, "ocirepositories", ""),
    (_SOURCES, "gitrepositories", ""),
    (_SOURCES, "buckets", ""),
    (_SOURCES, "externalartifacts", ""),
    ("/apis/source.extensions.fluxcd.io/v1beta1", "artifactgenerators", ""),
    ("/apis/notification.toolkit.fluxcd.io/v1beta3", "providers", ""),
    ("/apis/notification.toolkit.fluxcd.io/v1beta3", "alerts", ""),
    ("/apis/notification.toolkit.fluxcd.io/v1", "receivers", ""),
    ("/api/v1", "services", ""),
    ("/api/v1", "secrets", ""),
    ("/api/v1", "configmaps", "?fieldSelector=metadata.name!%3Dkube-root-ca.crt"),  # which would be back at once
    ("/apis/apps/v1", "deployments", "?labelSelector=app.kubernetes.io/part-of%3Dflux"),
    ("/apis/batch/v1", "cronjobs", ""),
    ("/apis/autoscaling/v2", "horizontalpodautoscalers", ""),
)


def furnish(cluster: Cluster) -> None:
    """Creates the node and the storage class."""
    cluster.request("POST", "/api/v1/nodes", NODE)
    cluster.request("POST", "/apis/storage.k8s.io/v1/storageclasses", STORAGE_CLASS)


def is_furnished(cluster: Cluster) -> bool:
    """Whether pods can be created and will run: the node is ready and `default` has its service account."""
    node = cluster.request("GET", f"/api/v1/nodes/{NODE_NAME}")
    conditions = node["status"].get("conditions", [])
    return {"Ready": "True"}.items() <= {c["type"]: c["status"] for c in conditions}.items() and has_service_account(
        cluster, "default"
    )


def done_with(cluster: Cluster, namespace: str) -> None:
    """A test needs a namespace no longer: it goes, without anybody waiting for that.

    Where the control plane ends with the tests it stays, but for what others would still have to do with: to delete
    one is some 200 requests of the controller manager, a list of each kind that could be in it.
    """
    if not cluster.ends_with_tests:
        cluster.request("DELETE", f"/api/v1/namespaces/{namespace}")
        return
    for place, plural, selector in _LEFT_BEHIND:
        try:
            cluster.request("DELETE", f"{place}/namespaces/{namespace}/{plural}{selector}")
        except ApiError as error:
            if error.status != 404:  # the cluster does not have this kind
                raise


def has_service_account(cluster: Cluster, namespace: str) -> bool:
    """Whether a namespace has its default service account, without which no pod is admitted."""
    try:
        cluster.request("GET", f"/api/v1/namespaces/{namespace}/serviceaccounts/default")
    except ApiError as error:
        if error.status != 404:
            raise
        return False
    return True
