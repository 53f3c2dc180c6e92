"""Which API groups are Kubernetes' own: their objects pass through Go types, custom resources are kept as they came."""

from __future__ import annotations

from typing import Final

#: The groups that kube-apiserver and its aggregator serve themselves. Not every ``*.k8s.io`` is one: the Gateway
#: API and volume snapshots, for example, are custom resources.
BUILTIN_GROUPS: Final = frozenset(
    {
        "",
        "admissionregistration.k8s.io",
        "apiextensions.k8s.io",
        "apiregistration.k8s.io",
        "apps",
        "authentication.k8s.io",
        "authorization.k8s.io",
        "autoscaling",
        "batch",
        "certificates.k8s.io",
        "coordination.k8s.io",
        "discovery.k8s.io",
        "events.k8s.io",
        "extensions",
        "flowcontrol.apiserver.k8s.io",
        "internal.apiserver.k8s.io",
        "networking.k8s.io",
        "node.k8s.io",
        "policy",
        "rbac.authorization.k8s.io",
        "resource.k8s.io",
        "scheduling.k8s.io",
        "storage.k8s.io",
        "storagemigration.k8s.io",
    }
)


def is_builtin(group: str) -> bool:
    """Whether the group is one of Kubernetes' own; False for everything that a CRD or an aggregated API brings."""
    return group in BUILTIN_GROUPS
