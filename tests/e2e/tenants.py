"""Accounts of tenants, and what they may do."""

from __future__ import annotations

import json


def tenant(namespace: str, account: str = "team") -> str:
    """A ServiceAccount that may do everything in its namespace, as ``flux create tenant`` makes it."""
    metadata = {"name": account, "namespace": namespace}
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": metadata,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", **metadata}],
    }
    made = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}
    return f"{json.dumps(made)}\n---\n{json.dumps(binding)}\n"
