"""What is taken for an object: a tenant's API server may answer anything, and a custom resource hold anything."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ValidationError

from gitsync.api.fields import first_fault
from gitsync.api.identity import Manifest
from gitsync.cluster.status import Subject
from gitsync.errors import ClusterUnavailable


class _ObjectMeta(BaseModel):
    """Kubernetes' ObjectMeta (apimachinery, meta/v1/types.go), as far as it is read here."""

    name: str = ""
    namespace: str | None = None
    uid: str | None = None
    resourceVersion: str | None = None
    generation: int | None = None
    creationTimestamp: str | None = None
    deletionTimestamp: str | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    finalizers: list[str] | None = None
    ownerReferences: list[dict[str, Any]] | None = None
    managedFields: list[dict[str, Any]] | None = None


class _Object(BaseModel):
    metadata: _ObjectMeta


def as_object(answer: Any, subject: Subject) -> Manifest:
    """An answer that is an object. Raises: ClusterUnavailable, which says where it is none and quotes nothing."""
    try:
        _Object.model_validate(answer)
    except ValidationError as error:
        raise not_understood(subject, f"it is no object ({first_fault(error)})") from None
    manifest: Manifest = answer
    return manifest


def not_understood(subject: Subject, why: str) -> ClusterUnavailable:
    """Of an answer that is nothing an API server says."""
    return ClusterUnavailable(f"cannot {subject.verb} {subject.name}: the answer is not understood: {why}")
