"""Checks that an answer has the shape of an object: a tenant's API server may answer anything, and a custom resource
may hold anything."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field, ValidationError
from pydantic_core import PydanticCustomError

from gitsync.api.fields import first_fault
from gitsync.api.identity import Manifest, group_of
from gitsync.cluster.status import Subject
from gitsync.errors import ClusterUnavailable


def _of_texts(values: dict[str, Any]) -> dict[str, Any]:
    """A mapping of strings. One error for all values that are none: those of a large answer would take gigabytes."""
    if not all(isinstance(value, str) for value in values.values()):
        raise PydanticCustomError("texts", "Input should be a mapping of strings")
    return values


_Texts = Annotated[dict[str, Any], AfterValidator(_of_texts)]
_Mappings = Annotated[list[dict[str, Any]], Field(fail_fast=True)]


class _ObjectMeta(BaseModel):
    """Kubernetes' ObjectMeta (apimachinery, meta/v1/types.go), as far as it is read here."""

    name: str = ""
    namespace: str | None = None
    uid: str | None = None
    resourceVersion: str | None = None
    generation: int | None = None
    creationTimestamp: str | None = None
    deletionTimestamp: str | None = None
    labels: _Texts | None = None
    annotations: _Texts | None = None
    finalizers: Annotated[list[str], Field(fail_fast=True)] | None = None
    ownerReferences: _Mappings | None = None
    managedFields: _Mappings | None = None


class _Object(BaseModel):
    metadata: _ObjectMeta


class _ListMeta(BaseModel):
    resourceVersion: str | None = None
    continue_: Annotated[str | None, Field(alias="continue")] = None


class _Version(BaseModel):
    gitVersion: str


def as_list_meta(answer: Any, subject: Subject) -> tuple[str, str]:
    """Where a list goes on, and its version; "" for what it does not say. Raises: ClusterUnavailable."""
    try:
        found = _ListMeta.model_validate(answer or {})
    except ValidationError as error:
        raise not_understood(subject, f"it is no list (metadata: {first_fault(error)})") from None
    return found.continue_ or "", found.resourceVersion or ""


def as_version(answer: Any, subject: Subject) -> str:
    """The version of an API server. Raises: ClusterUnavailable."""
    try:
        return _Version.model_validate(answer).gitVersion
    except ValidationError as error:
        raise not_understood(subject, f"it is no version ({first_fault(error)})") from None


def as_object(answer: Any, subject: Subject) -> Manifest:
    """An answer that is an object; one that lacks a uid or a version has "" for that. Raises: ClusterUnavailable, which
    says where it is none and quotes nothing."""
    try:
        _Object.model_validate(answer)
    except ValidationError as error:
        raise not_understood(subject, f"it is no object ({first_fault(error)})") from None
    manifest: Manifest = answer
    metadata = manifest["metadata"]
    for name in ("uid", "resourceVersion"):
        if metadata.get(name) is None:
            metadata[name] = ""
    return manifest


def as_element(answer: Any, subject: Subject) -> Manifest:
    """One of several objects in an answer: as ``as_object``, and it has to have a name."""
    manifest = as_object(answer, subject)
    if not manifest["metadata"].get("name"):
        raise not_understood(subject, "it has an object without a name")
    return manifest


def as_asked_for(answer: Any, subject: Subject) -> Manifest:
    """An answer that has to be the very object that was asked for. Raises: as ``as_object``."""
    manifest, key = as_object(answer, subject), subject.key
    if key is None:
        return manifest
    api_version, kind, name = manifest.get("apiVersion"), manifest.get("kind"), manifest["metadata"].get("name", "")
    if not isinstance(api_version, str) or (group_of(api_version), kind) != (key.group, key.kind):
        raise not_understood(subject, "it is an object of another kind")
    if not name.startswith(key.name) or (name != key.name and subject.verb != "create"):
        raise not_understood(subject, "it is an object of another name")
    return manifest


def not_understood(subject: Subject, why: str) -> ClusterUnavailable:
    """The error for an answer that no API server would give."""
    return ClusterUnavailable(f"cannot {subject.verb} {subject.name}: the answer is not understood: {why}")
