"""Kustomizations as the cluster has them."""

from __future__ import annotations

from typing import Any

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import KUSTOMIZE_GROUP

GIT = {"kind": "GitRepository", "name": "fleet"}


def manifest(name: str, revision: str = "", needs: tuple[str, ...] = (), **spec: Any) -> Manifest:
    """One that is Ready, at a revision."""
    fields = {"interval": "10m", "prune": True, "sourceRef": GIT, "dependsOn": [{"name": it} for it in needs], **spec}
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "ReconciliationSucceeded",
        "message": "",
        "observedGeneration": 1,
    }
    ready["lastTransitionTime"] = "2026-01-01T00:00:00Z"
    return {
        "apiVersion": f"{KUSTOMIZE_GROUP}/v1",
        "kind": "Kustomization",
        "metadata": {"name": name, "namespace": "ns", "generation": 1},
        "spec": fields,
        "status": {"observedGeneration": 1, "lastAppliedRevision": revision, "conditions": [ready] if revision else []},
    }


def key(name: str) -> ObjectKey:
    return ObjectKey(KUSTOMIZE_GROUP, "Kustomization", "ns", name)
